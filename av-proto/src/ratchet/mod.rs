//! The Double Ratchet with header encryption (`PROTOCOL.md` section 7; Signal's specification, revision 1,
//! section 4).
//!
//! ```text
//!            ┌─ encrypt ──▶ chain ──▶ padding ──▶ header ──▶ message ──▶ bytes out
//! Session ───┤     └─▶ root (our step, with the first message after the peer's)
//!            └─ decrypt ──▶ message ──▶ header (6 tags at most) ──▶ root │ chain │ skipped ──▶ body's tag ──▶ commit
//! ```
//!
//! Decrypting looks first and changes afterwards: until the body's tag has verified it computes on copies, and what
//! it then changes cannot fail. So a rejected message leaves the session as it was, byte by byte.

mod chain;
mod decrypt;
mod encrypt;
mod fields;
mod handshake;
mod header;
mod message;
mod padding;
mod past;
mod place;
mod previous;
mod receiving;
mod resend;
mod root;
mod session;
mod skipped;
mod state;

#[cfg(test)]
mod tests;

pub use crate::error::RatchetError;
pub use decrypt::Opened;
pub use encrypt::Sealed;
pub use message::HeaderBlob;
pub use padding::padded_len;
pub use place::Place;
pub(crate) use place::first_8;
pub use previous::PreviousSession;
pub(crate) use resend::reopen;
pub use session::Session;
pub(crate) use state::{PendingKem, PendingPrelude};
