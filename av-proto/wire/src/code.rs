//! Codes that the relay and devices answer with. Each says what to do, none says which check failed.

use minicbor::{Decode, Encode};

/// Why the relay did not do what a frame asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RefusalCode {
    /// The frame is not AV/1; the connection ends.
    #[n(1)]
    Malformed,
    /// The sender may not do this, or does not exist: one answer for unknown, pending, suspended, rejected and
    /// revoked devices.
    #[n(2)]
    NotAuthorized,
    /// The invite cannot be used: one answer for unknown, expired, used and revoked invites.
    #[n(3)]
    InviteRefused,
    /// The recipient cannot be written to: one answer for unknown, foreign, suspended and revoked devices.
    #[n(4)]
    RecipientUnavailable,
    /// Larger than the recipient takes or than AV/1 allows.
    #[n(5)]
    TooLarge,
    /// A quota is used up; try later.
    #[n(6)]
    OverQuota,
    /// Too fast; try again after the time that the answer names.
    #[n(7)]
    RateLimited,
    /// The relay cannot store anything just now; nothing was changed, try again.
    #[n(8)]
    Unavailable,
    /// What the request names is not there, or is not in a state that allows it.
    #[n(9)]
    NotFound,
    /// A newer connection of this device took over.
    #[n(10)]
    Superseded,
    /// The origin that the device signed is not this relay's.
    #[n(11)]
    WrongOrigin,
}

/// Why a device did not take a message; the message is not delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RejectCode {
    /// It does not open: tampered, replayed, or from a session that is gone.
    #[n(1)]
    Unopened,
    /// Its layout is not AV/1's.
    #[n(2)]
    Malformed,
    /// Larger than this device takes.
    #[n(3)]
    TooLarge,
    /// Its sender is none that this device talks to.
    #[n(4)]
    UnknownSender,
}
