//! The WebSocket door: one task a connection, nothing queued.
//!
//! ```text
//! upgrade ─▶ handshake (Enroll, Activate, Found, Authenticate) ─▶ session (calls in, deliveries out) ─▶ end
//! ```
//!
//! A connection writes one frame at a time and reads no further while it writes; so a peer that does not read
//! holds up itself, costs one frame of memory, and is cut off when a write takes too long.

mod calls;
mod deliveries;
mod end;
mod handshake;
mod heartbeat;
mod session;
mod socket;

use av_wire::frame::{PATH, SUBPROTOCOL};
use av_wire::limits::MAX_FRAME;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Request, Response, StatusCode};
use hyper_tungstenite::HyperWebsocket;
use hyper_tungstenite::tungstenite::protocol::WebSocketConfig;

use self::socket::Socket;
use crate::drain::Drain;
use crate::service::Relay;

/// Bytes: allocated for each connection at once. With the library's 128 KiB an idle connection costs 133 KiB,
/// with this 5.4.
const READ_BUFFER: usize = 4_096;
/// Bytes that may wait for a slow peer: one frame with its head, and a pong.
const MAX_WRITE_BUFFER: usize = 2 * MAX_FRAME;

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
) -> Result<(Response<Full<Bytes>>, HyperWebsocket), StatusCode> {
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
    if !offers_subprotocol(request, &SEC_WEBSOCKET_PROTOCOL) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let (mut response, websocket) =
        hyper_tungstenite::upgrade(request, Some(config)).map_err(|_| StatusCode::BAD_REQUEST)?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok((response, websocket))
}

fn offers_subprotocol<B>(request: &Request<B>, name: &HeaderName) -> bool {
    let offers = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|value| value.split(',')).any(|offer| offer.trim() == SUBPROTOCOL)
}

/// Serves a device until either side ends the connection.
pub(crate) async fn serve(relay: Relay, websocket: HyperWebsocket, mut drain: Drain) {
    let Ok(stream) = websocket.await else { return };
    let mut socket = Socket::new(stream);
    let end = match handshake::run(&relay, &mut socket, &mut drain).await {
        Ok(authenticated) => session::run(&relay, &mut socket, &mut drain, authenticated).await,
        Err(end) => end,
    };
    tracing::debug!(?end, "connection ends");
    socket.end(end).await;
}

#[cfg(test)]
mod tests;
