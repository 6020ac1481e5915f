//! How connections end: what the peer is told, and by which close code.

use av_wire::RefusalCode;
use av_wire::frame::ToDevice;
use hyper_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::service::Refusal;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer closed it, or cannot be reached.
    Gone,
    /// Nothing was heard for too long, or a write took too long.
    TimedOut,
    /// A frame that is not AV/1.
    Malformed,
    /// A frame larger than AV/1 allows.
    TooLarge,
    /// A message that is not the Noise link's next: nothing more is said on it.
    NotLinked,
    /// A text message, where only binary ones are.
    NotBinary,
    /// A text message that is not even text.
    NotUtf8,
    /// Refused, with the code of an [`Error`](ToDevice::Error) about the connection and seconds to wait.
    Refused(RefusalCode, u32),
    /// The relay goes away; the device reconnects.
    Moved,
}

impl From<&Refusal> for End {
    fn from(refusal: &Refusal) -> Self {
        Self::Refused(refusal.code(), refusal.retry_after())
    }
}

impl End {
    /// The last frame.
    pub(super) const fn farewell(self) -> Option<ToDevice<'static>> {
        let (code, retry_after) = match self {
            Self::Gone | Self::TimedOut | Self::NotLinked => return None,
            Self::Moved => return Some(ToDevice::Moved),
            Self::Malformed | Self::NotBinary | Self::NotUtf8 => (RefusalCode::Malformed, 0),
            Self::TooLarge => (RefusalCode::TooLarge, 0),
            Self::Refused(code, retry_after) => (code, retry_after),
        };
        Some(ToDevice::Error { request: 0, code, retry_after })
    }

    /// The WebSocket close code (RFC 6455 section 7.4.1).
    pub(super) const fn close_code(self) -> CloseCode {
        match self {
            Self::Gone | Self::TimedOut | Self::NotLinked => CloseCode::Normal,
            Self::Malformed => CloseCode::Protocol,
            Self::TooLarge => CloseCode::Size,
            Self::NotBinary => CloseCode::Unsupported,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::Refused(RefusalCode::Unavailable, _) => CloseCode::Again,
            Self::Refused(..) => CloseCode::Policy,
            Self::Moved => CloseCode::Away,
        }
    }
}
