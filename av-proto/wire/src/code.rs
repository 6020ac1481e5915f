//! Codes that the relay and devices answer with. Each says what to do, none says which check failed.

use crate::cbor::codes;

codes! {
    /// Why the relay did not do what a frame asked for.
    pub enum RefusalCode {
        /// The frame is not AV/1; the connection ends.
        Malformed = 1,
        /// The sender may not do this, or does not exist: one answer for unknown, pending, suspended, rejected and
        /// revoked devices.
        NotAuthorized = 2,
        /// The invite or API key cannot be used: one answer for unknown, expired, used and revoked ones.
        InviteRefused = 3,
        /// The recipient cannot be written to: one answer for unknown, foreign, suspended and revoked devices.
        RecipientUnavailable = 4,
        /// Larger than the recipient takes or than AV/1 allows.
        TooLarge = 5,
        /// A quota is used up; try later.
        OverQuota = 6,
        /// Too fast; try again after the time that the answer names.
        RateLimited = 7,
        /// The relay cannot store anything just now; nothing was changed, try again.
        Unavailable = 8,
        /// What the request names is not there, or is not in a state that allows it.
        NotFound = 9,
        /// A newer connection of this device took over.
        Superseded = 10,
        /// The origin that the device signed is not this relay's.
        WrongOrigin = 11,
    }
}

codes! {
    /// Why a device did not take a message; the message is not delivered again.
    pub enum RejectCode {
        /// It does not open: tampered, replayed, or from a session that is gone.
        Unopened = 1,
        /// Its layout is not AV/1's.
        Malformed = 2,
        /// Larger than this device takes.
        TooLarge = 3,
        /// Its sender is none that this device talks to.
        UnknownSender = 4,
    }
}
