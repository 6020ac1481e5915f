//! The WebSocket door: one task a connection, nothing queued.
//!
//! ```text
//! upgrade ─▶ link ─▶ handshake (Enroll, Activate, Found, Authenticate) ─▶ session (calls in, deliveries out) ─▶ end
//! ```
//!
//! A connection writes one frame at a time and reads no further while it writes; so a peer that does not read
//! holds up itself, costs one frame of memory, and is cut off when a write takes too long.

mod calls;
mod channel;
mod deliveries;
mod end;
mod handshake;
mod heartbeat;
mod link;
mod session;
mod socket;

use av_link::SUBPROTOCOL as NOISE;
use av_wire::frame::{PATH, SUBPROTOCOL};
use av_wire::limits::MAX_FRAME;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Request, Response, StatusCode};
use hyper_tungstenite::HyperWebsocket;
use hyper_tungstenite::tungstenite::protocol::WebSocketConfig;

use self::channel::Channel;
use self::socket::Socket;
use crate::drain::Drain;
use crate::link_keys::LinkKeys;
use crate::service::Relay;

/// Bytes: allocated for each connection at once. With the library's 128 KiB an idle connection costs 133 KiB,
/// with this 5.4.
const READ_BUFFER: usize = 4_096;
/// Bytes that may wait for a slow peer: one frame with its head, and a pong.
const MAX_WRITE_BUFFER: usize = 2 * av_link::limits::MAX_MESSAGE;

/// How a connection came, which decides what has to protect it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From this machine, to a relay that is known under a loopback origin.
    Loopback,
    /// By TLS, to this relay or to a proxy that it trusts.
    Tls,
    /// Over a network, in the open: by the Noise link only.
    Network,
}

/// What protects a connection's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Nothing.
    None,
    /// TLS below the WebSocket.
    Tls,
    /// The Noise link, still to be opened.
    Noise,
}

impl Protection {
    /// Bytes of the largest message.
    const fn max_message(self) -> usize {
        match self {
            Self::None | Self::Tls => MAX_FRAME,
            Self::Noise => av_link::limits::MAX_MESSAGE,
        }
    }
}

impl Way {
    /// What protects a connection that came this way and speaks this subprotocol.
    ///
    /// # Errors
    /// The response that refuses it: [`StatusCode::FORBIDDEN`] for frames in the open, which show everyone on the way
    /// who talks to whom.
    fn protection(self, subprotocol: &str) -> Result<Protection, StatusCode> {
        match (subprotocol, self) {
            (NOISE, _) => Ok(Protection::Noise),
            (SUBPROTOCOL, Self::Loopback) => Ok(Protection::None),
            (SUBPROTOCOL, Self::Tls) => Ok(Protection::Tls),
            (SUBPROTOCOL, Self::Network) => Err(StatusCode::FORBIDDEN),
            _ => Err(StatusCode::BAD_REQUEST),
        }
    }
}

/// Whether the request is for this door.
pub(crate) fn is_for<B>(request: &Request<B>) -> bool {
    request.uri().path() == PATH
}

/// Answers the WebSocket handshake, or says why not.
///
/// # Errors
/// The response that refuses the upgrade.
pub(crate) fn upgrade(
    request: &mut Request<Incoming>,
    way: Way,
) -> Result<(Response<Full<Bytes>>, Protection, HyperWebsocket), StatusCode> {
    if !hyper_tungstenite::is_upgrade_request(request) {
        return Err(StatusCode::UPGRADE_REQUIRED);
    }
    // What stands in a URL ends in logs; nothing of AV/1 belongs there.
    if request.uri().query().is_some() {
        return Err(StatusCode::BAD_REQUEST);
    }
    // Browsers send it, and there is no browser client: so it is somebody else's page that uses its visitor's
    // browser to get at a relay on that machine.
    if request.headers().contains_key(ORIGIN) {
        return Err(StatusCode::FORBIDDEN);
    }
    let subprotocol = subprotocol(request).ok_or(StatusCode::BAD_REQUEST)?;
    let protection = way.protection(subprotocol)?;
    let (mut response, websocket) = accept(request, protection.max_message())?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    Ok((response, protection, websocket))
}

/// Answers the WebSocket handshake; messages have `max_message` bytes at most.
fn accept(
    request: &mut Request<Incoming>,
    max_message: usize,
) -> Result<(Response<Full<Bytes>>, HyperWebsocket), StatusCode> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    hyper_tungstenite::upgrade(request, Some(config)).map_err(|_| StatusCode::BAD_REQUEST)
}

/// The first subprotocol that the request offers and this door knows.
fn subprotocol<B>(request: &Request<B>) -> Option<&'static str> {
    let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut names = offers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.find_map(|offer| [SUBPROTOCOL, NOISE].into_iter().find(|known| *known == offer.trim()))
}

/// Serves a device until either side ends the connection.
pub(crate) async fn serve(
    relay: Relay,
    keys: &LinkKeys,
    protection: Protection,
    websocket: HyperWebsocket,
    mut drain: Drain,
) {
    let Ok(mut stream) = websocket.await else { return };
    let channel = match protection {
        Protection::None => Channel::Plain,
        Protection::Tls => Channel::Tls,
        Protection::Noise => match link::open(&mut stream, relay.origin(), keys).await {
            Ok(channel) => channel,
            Err(end) => return tracing::debug!(?end, "no link"),
        },
    };
    let mut socket = Socket::new(stream, channel);
    let end = match handshake::run(&relay, &mut socket, &mut drain).await {
        Ok(authenticated) => session::run(&relay, &mut socket, &mut drain, authenticated).await,
        Err(end) => end,
    };
    tracing::debug!(?end, "connection ends");
    socket.end(end).await;
}

#[cfg(test)]
mod tests;
