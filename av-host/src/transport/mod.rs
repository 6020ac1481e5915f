//! A WebSocket to the relay: whole frames in, whole frames out, alive or gone.

mod address;
mod backoff;
mod link;

pub(crate) use backoff::Backoff;
pub(crate) use link::Link;

use std::io;

use av_proto::wire::Origin;

/// Why there is no connection to the relay.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The origin asks for TLS.
    #[error(
        "{0}: this version reaches relays over ws:// on the same machine only; wss:// is not supported yet"
    )]
    TlsUnsupported(String),
    /// The origin is on another machine and not encrypted.
    #[error(
        "{0} is not on this machine: plain ws:// is for 127.0.0.1, [::1] and localhost only, since everyone on the way could see who talks to whom"
    )]
    NotLoopback(String),
    /// The origin has no usable host and port.
    #[error("{0} has no usable host and port; an origin looks like ws://127.0.0.1:7460")]
    Address(String),
    /// Nobody answers.
    #[error("cannot reach the relay at {origin}: {source}; is it running there?")]
    Unreachable {
        /// Where.
        origin: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Something answers that is no relay.
    #[error("what answers at {origin} is no AgentVault relay ({detail}); check the port")]
    NotARelay {
        /// Where.
        origin: String,
        /// What it answered.
        detail: String,
    },
    /// The connection broke.
    #[error("the connection to the relay ended: {0}")]
    Lost(String),
}

/// Opens a connection and closes it again: whether a relay answers there.
///
/// # Errors
/// [`TransportError`].
pub async fn probe(origin: &Origin) -> Result<(), TransportError> {
    Link::connect(origin).await?.close().await;
    Ok(())
}

#[cfg(test)]
mod tests;
