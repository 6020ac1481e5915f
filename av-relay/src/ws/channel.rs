//! What protects a connection (`PROTOCOL.md` section 9).

use av_link::limits::TAG;
use av_link::{LinkError, Transport};
use av_wire::frame::LinkKind;
use hyper_tungstenite::tungstenite::Bytes;

use super::end::End;

/// Between this relay and the device, below AV/1's own encryption.
pub(crate) enum Channel {
    /// Nothing: a device on this machine.
    Plain,
    /// TLS, below the WebSocket.
    Tls,
    /// The Noise link; boxed, since a channel without has nothing to keep.
    Noise(Box<Transport>),
}

impl Channel {
    pub(super) const fn kind(&self) -> LinkKind {
        match self {
            Self::Plain => LinkKind::Plain,
            Self::Tls => LinkKind::Tls,
            Self::Noise(_) => LinkKind::Noise,
        }
    }

    /// The nonce of the challenge, and what an authentication on this connection signs: the same, but for the
    /// link, whose handshake already belongs to this connection alone.
    pub(super) fn challenge(&self) -> Result<([u8; 32], [u8; 32]), getrandom::Error> {
        let mut nonce = [0; 32];
        match self {
            Self::Noise(link) => Ok((nonce, *link.channel())),
            Self::Plain | Self::Tls => {
                getrandom::fill(&mut nonce)?;
                Ok((nonce, nonce))
            }
        }
    }

    /// A frame, ready to be written.
    pub(super) fn seal(&mut self, mut frame: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        if let Self::Noise(link) = self {
            let len = frame.len();
            frame.resize(len + TAG, 0);
            link.seal(&mut frame, len)?;
        }
        Ok(frame)
    }

    /// The frame in a message.
    pub(super) fn open(&mut self, message: Bytes) -> Result<Bytes, End> {
        let Self::Noise(link) = self else { return Ok(message) };
        let mut message = Vec::from(message);
        let len = link.open(&mut message).map_err(|_| End::NotLinked)?.len();
        message.truncate(len);
        Ok(message.into())
    }
}
