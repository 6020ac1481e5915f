//! A WebSocket to the relay: whole frames in, whole frames out, alive or gone.

mod address;
mod backoff;
mod link;
mod tls;

pub(crate) use backoff::Backoff;
pub(crate) use link::Link;

use std::io;

use av_proto::wire::Origin;

/// Why there is no connection to the relay.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The origin is on another machine and not encrypted.
    #[error(
        "{0} is not on this machine: without its link key plain ws:// is for 127.0.0.1, [::1] and localhost only, since everyone on the way could see who talks to whom. `av-relay link-keys` shows the key, an invite's URL has it. A relay with TLS is reached under wss://"
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
    /// It does not prove by its certificate that it is who the origin names.
    #[error("the certificate of {origin} is not accepted: {problem}")]
    Certificate {
        /// Where.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody is trusted to sign certificates.
    #[error(
        "no CA certificates are found on this computer ({0}): install ca-certificates, or name a file of CAs in SSL_CERT_FILE"
    )]
    NoCa(String),
    /// It does not hold the link key that this device knows.
    #[error(
        "what answers at {0} does not hold the relay's link key: it is another relay, or one with new keys"
    )]
    OtherLinkKey(String),
    /// The connection broke.
    #[error("the connection to the relay ended: {0}")]
    Lost(String),
}

/// Opens a connection and closes it again: whether a relay answers there, and holds the link key, if one is given.
///
/// # Errors
/// [`TransportError`].
pub async fn probe(origin: &Origin, link_key: Option<&[u8; 32]>) -> Result<(), TransportError> {
    Link::connect(origin, link_key.map_or(&[], std::slice::from_ref)).await?.close().await;
    Ok(())
}

#[cfg(test)]
mod tests;
