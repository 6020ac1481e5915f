//! AgentVault's protocol, AV/1, for microcontrollers and desktops: no standard library, no allocator, no I/O.
//!
//! ```text
//! bytes in ─▶ endpoint ─▶ wire ─▶ enroll │ x3dh │ ratchet ─▶ keys ─▶ crypto ─▶ (RustCrypto, dalek)
//! bytes out ◀─ endpoint ◀─ wire ◀──────────────┘
//!                  ├─▶ Event (to the application)   ├─▶ Persist (answered before the matching Transmit)   └─▶ Timer
//! ```
//!
//! A module uses what stands to its right, never to its left. Most applications need [`endpoint`] alone: it is one
//! device's whole protocol as a state machine that is fed one input and drained. `PROTOCOL.md` beside this crate is
//! the normative text; "section N" in these pages means its section N.
//!
//! # Speed on x86-64
//!
//! Of a short message's time most is Poly1305's where `poly1305` 0.9 finds AVX2: its operators are compiled without it, so
//! that each vector instruction is a function call. Its portable backend is faster up to some KiB, and a 100-byte message
//! then takes less than half the time. The choice is the final binary's, which builds with
//! `RUSTFLAGS='--cfg poly1305_backend="soft"'`; a library cannot make it. `make bench-proto` measures both.
#![cfg_attr(not(test), no_std)]

mod crockford;
pub mod crypto;
pub mod endpoint;
pub mod enroll;
mod error;
pub mod invite;
pub mod keys;
pub mod limits;
pub mod ratchet;
pub mod record;
#[cfg(test)]
mod test_support;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod vectors;
pub mod x3dh;

pub use av_link as link;
pub use av_wire as wire;
pub use crypto::{Aead, Drbg, XChaCha20Poly1305};
pub use endpoint::{
    ApproveError, Channel, ConnectionError, Delivery, EndReason, Endpoint, EndpointError, EnrollOptions,
    Event, LendError, OutboxId, Output, PeerRecord, PeerView, Persist, PersistError, Phase, RequestVerdict,
    RequestView, RestoreError, SendError, Standing, Ticket,
};
pub use enroll::{RecoveryKey, RecoveryKeyError};
pub use error::{CryptoError, RatchetError, X3dhError};
pub use invite::{InviteError, InviteText, InviteUrl};
pub use record::{RecordChange, RecordKey, RecordKind, Seal, SealError};

/// Time, as the caller knows it. The protocol never asks a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the device started; never goes back.
    pub uptime: u64,
    /// Seconds since 1970; 0 on a device without a clock.
    pub wall: u64,
}

/// A host's endpoint: 64 peers in memory, 32 skipped keys a session, 48 messages out that wait for their receipts, 8
/// messages in, frames up to 8,032 bytes. About 750 KiB: box it.
pub type HostEndpoint = Endpoint<XChaCha20Poly1305, 64, 32, 48, 8, 8_192>;

/// A microcontroller's endpoint: 2 peers, 16 skipped keys a session, 3 messages out and a place for receipts, 2
/// messages in, frames up to 4,096 bytes.
pub type SmallEndpoint = Endpoint<XChaCha20Poly1305, 2, 16, 4, 2, 4_256>;
