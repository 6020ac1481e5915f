//! Errors, small and `Copy`, by whom they blame. To a peer they all look alike: the frame did not open.

use core::fmt;

/// A primitive refused its input: a tag does not verify, a public key is of small order, or a length is not
/// allowed. One error for all, so that none of them can be told to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CryptoError;

/// Why a session was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum X3dhError {
    /// Both sides are the same device.
    Oneself,
    /// The two devices share no suite, or another than this build's stands first.
    Suite,
    /// The prelude contradicts what the responder knows: its mode, generation or kind of one-time key.
    Prelude,
    /// The bundle lacks the KEM key that the suite of both sides needs; no other suite is tried for that.
    Bundle,
    /// The signed prekey is too old, or older than one seen before.
    Stale,
    /// A key is of small order.
    Agreement,
}

/// Why a session did not encrypt or decrypt. The session is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatchetError {
    /// The message's fault: not AV/1's layout, or not this session's suite. No key was tried.
    Malformed,
    /// The message's fault: no key of this session opens it.
    Unopened,
    /// The message's fault: its header opens, but its key was used or given up before. A duplicate, or later
    /// than the session waits for.
    Spent,
    /// The message's fault: more messages before it are missing than this session keeps keys for.
    TooManySkipped,
    /// The peer's fault: it sealed something that the protocol forbids.
    Contradiction,
    /// The caller's fault: nothing can be sent before the peer's first message.
    NotReady,
    /// The caller's fault: a buffer is too small, or a text or block too large.
    Length,
    /// A chain holds 2^31 messages: a new session has to be started.
    Exhausted,
}

/// A record does not fit into its buffer, or its bytes are not a record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecError;

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key, tag or length is not valid")
    }
}

impl fmt::Display for X3dhError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oneself => "a device has no session with itself",
            Self::Suite => "the devices share no cipher suite that this build speaks",
            Self::Prelude => "the first message contradicts what is known of its sender",
            Self::Bundle => "the peer's published keys lack one that its cipher suite needs",
            Self::Stale => "the peer's published keys are too old",
            Self::Agreement => "a public key is of small order",
        })
    }
}

impl fmt::Display for RatchetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a message of this protocol and suite",
            Self::Unopened => "no key of this session opens the message",
            Self::Spent => "the message's key is used up: a duplicate, or too late",
            Self::TooManySkipped => "too many messages before this one are missing",
            Self::Contradiction => "the peer broke the protocol",
            Self::NotReady => "nothing can be sent before the peer's first message",
            Self::Length => "a buffer is too small or a text too long",
            Self::Exhausted => "this session has sent all it may; a new one is needed",
        })
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record is damaged or does not fit")
    }
}

impl core::error::Error for CryptoError {}
impl core::error::Error for CodecError {}
impl core::error::Error for X3dhError {}
impl core::error::Error for RatchetError {}

impl From<CryptoError> for X3dhError {
    fn from(_: CryptoError) -> Self {
        // X3DH calls agreement and fixed-size key derivation only.
        Self::Agreement
    }
}

impl From<av_wire::DecodeError> for CodecError {
    fn from(_: av_wire::DecodeError) -> Self {
        Self
    }
}
