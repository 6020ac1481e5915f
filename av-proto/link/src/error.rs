//! Why a link ends.

use core::fmt;

/// What went wrong on a link. Whatever it was, the connection ends, and the peer is not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The peer's fault: its key or message is not valid. Nothing has changed.
    Rejected,
    /// The caller's fault: a text is too large, or its buffer too small. Nothing has changed.
    Length,
    /// This direction has carried all it may ([`limits::MAX_MESSAGES`](crate::limits::MAX_MESSAGES)); connect anew.
    Exhausted,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected => "the peer's key or message is not valid",
            Self::Length => "a text is too large or its buffer too small",
            Self::Exhausted => "this link has carried all it may; a new connection is needed",
        })
    }
}

impl core::error::Error for LinkError {}
