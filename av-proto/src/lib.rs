//! AgentVault's protocol, AV/1: end-to-end encrypted, invite-only messages between an owner and agents, over a relay
//! that sees ciphertext only. For microcontrollers and desktops: no standard library, no allocator, no I/O, no clock,
//! no randomness of its own.
//!
//! An [`Endpoint`] is one device's whole protocol as a state machine: its keys, its peers and their sessions, what it
//! sent and what it received. It asks; the program around it, its *driver*, owns the socket, the store and the clock,
//! and does what is asked. The same code is a `static` on a Cortex-M4 and serves thousands of peers on a host.
//!
//! ```text
//! bytes in ─▶ endpoint ─▶ wire ─▶ enroll │ x3dh │ ratchet ─▶ keys ─▶ crypto ─▶ (RustCrypto, dalek)
//! bytes out ◀─ endpoint ◀─ wire ◀──────────────┘
//!                  ├─▶ Event (to the application)   ├─▶ Persist (answered before the matching Transmit)   └─▶ Timer
//! ```
//!
//! A module uses what stands to its right, never to its left. `PROTOCOL.md` beside this crate is the normative text;
//! "section N" in these pages means its section N.
//!
//! # The run loop
//!
//! 1. **Feed one input.** A frame: [`receive`](Endpoint::receive). A connection that came or went:
//!    [`connected`](Endpoint::connected), [`disconnected`](Endpoint::disconnected). A timer that came due:
//!    [`tick`](Endpoint::tick). A wish of the application: [`send`](Endpoint::send), [`confirm`](Endpoint::confirm),
//!    [`create_invite`](Endpoint::create_invite), …
//! 2. **Drain.** Call [`poll`](Endpoint::poll) until it returns `None`, and do what each [`Output`] asks:
//!
//!    | Output | The driver |
//!    | --- | --- |
//!    | [`Persist`](Output::Persist) | commits the records as one transaction, then calls [`Persist::stored`] |
//!    | [`Transmit`](Output::Transmit) | sends the bytes as one binary WebSocket message; what is lost is sent again |
//!    | [`Deliver`](Output::Deliver) | gives the message to the application, which confirms or answers its [`Ticket`] |
//!    | [`Event`](Output::Event) | tells the application, or acts on it |
//!    | [`Timer`](Output::Timer) | calls `tick` at this uptime; the latest one counts |
//!
//! 3. **Wait** for the next input: a frame, the timer, the application, a lost connection.
//!
//! An input that is refused changes nothing. A frame that is refused with a [`ConnectionError`] ends its connection
//! (save [`NeedPeer`](ConnectionError::NeedPeer), which only a driver sees that lends peers); drain, close, connect anew.
//!
//! # The main job
//!
//! | Owner | Agent | In between |
//! | --- | --- | --- |
//! | [`found`](Endpoint::found): a tenant, and its recovery key, shown once | | |
//! | [`create_invite`](Endpoint::create_invite), then [`Event::InviteReady`] | | the text goes to the agent by a way that the owner trusts |
//! | | [`enroll`](Endpoint::enroll), then it shows its [`fingerprint`](Endpoint::fingerprint) | the relay takes the invite once |
//! | [`list_pending`](Endpoint::list_pending), then [`Event::EnrollmentRequest`] | | a person compares two fingerprints |
//! | [`approve`](Endpoint::approve) | [`Event::EnrollmentActive`] | a certificate, and the first session |
//! | [`send`](Endpoint::send) | [`Output::Deliver`], then [`answer`](Endpoint::answer) or `confirm` | |
//! | [`Event::Delivered`]: the receipt | | [`Event::Accepted`] only said that the relay has it |
//!
//! All of it in one process, with an in-memory relay (feature `testing`; `cargo run -p av-proto --example two_devices`):
//!
//! ```
#![doc = include_str!("../examples/two_devices.rs")]
//! ```
//!
//! # Persistence
//!
//! State is [records](record), each sealed under the store's [`Seal`] and told apart by its [`RecordKey`]. What a crash
//! must not undo hangs on five rules:
//!
//! - A batch is **one transaction, durable before `stored`** is called. Until then the endpoint gives out nothing else,
//!   so no ciphertext leaves whose state could be forgotten: no message key is ever used twice.
//! - A batch that is dropped, because the commit failed, is asked again by the next `poll`.
//! - **At the start** feed every record back: [`restore`](Endpoint::restore) each, then [`resume`](Endpoint::resume). It
//!   refuses a set of which one record is older than the rest or missing. An endpoint that refused is of no use.
//! - **One endpoint a store**, and no copies of stores. An old copy that is complete cannot be told from the present one
//!   by the device itself; its peers notice ([`Event::Diverged`]) and heal the session.
//! - Messages are delivered **at least once**, with an id that stays ([`Delivery::message_id`]): an application that acts
//!   on a message and confirms it later keeps the ids of those that it acted on.
//!
//! # Capacities and RAM
//!
//! Everything is of a fixed size, given by the parameters of [`Endpoint`]; [`limits`] has the rest with reasons. An
//! endpoint can stand in a `static`, since [`Endpoint::new`] is `const`; a host's is boxed. Nothing on the heap.
//!
//! | | peers in memory | skipped keys a session | messages out | messages in | largest `Deliver` frame | RAM, 64 bit |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | [`SmallEndpoint`] | 2 | 16 | 3, and one place for receipts | 2 | 4,096 B | below 60 KiB |
//! | [`HostEndpoint`] | 64, and more in the store | 32 | 48 | 8 | 8,192 B | below 750 KiB |
//!
//! With feature `pq` a session holds a KEM ciphertext of 1,088 bytes beside. What is full says so
//! ([`SendError::OutboxFull`], [`EndpointError::Full`]) before anything changes.
//!
//! # Features
//!
//! | | |
//! | --- | --- |
//! | `owner`, by default | what only an owner does: founding, inviting, approving, granting API keys, stating; a device without it is an agent's |
//! | `aes-gcm` | [`crypto`] has AES-256-GCM, for suite 0x02: an endpoint takes its AEAD as a type parameter |
//! | `pq` | ML-KEM-768 in the key agreement, suites 0x11 and 0x12: about 35 KB of stack more |
//! | `testing` | the in-memory relay of the example above, for integrators' own tests; not for production |
//!
//! # Errors, by who has to act
//!
//! | Error | Who |
//! | --- | --- |
//! | [`EndpointError`], [`SendError`], [`ApproveError`] | the caller: the command cannot be carried out now, or at all; nothing changed |
//! | [`ConnectionError`] | the driver: the relay or the path to it is at fault; close, and connect again after a while |
//! | [`PersistError::Store`], [`RestoreError`], [`LendError`], [`SealError`] | the operator: the store or its key is not as it was left |
//! | [`InviteError`], [`ApiKeyError`], [`RecoveryKeyError`] | the person who typed it: the message says what to look at |
//! | `Bug` in any of them | us: please report it |
//!
//! What a peer or a forger gets wrong is no error of any call: the message is rejected at the relay and reported as
//! [`Event::MessageRejected`]. [`CryptoError`], [`X3dhError`] and [`RatchetError`] are
//! the layers' below, for who builds on those.
//!
//! # Time and randomness
//!
//! [`Now`] holds an uptime that never goes back, which timers live by, and a wall clock, 0 where there is none. Randomness is
//! an argument of what needs it. [`Drbg::draw`] makes a generator for one input out of a source that can fail, before the
//! input begins, so that none is left half done.
//!
//! # Speed on x86-64
//!
//! Of a short message's time most is Poly1305's where `poly1305` 0.9 finds AVX2: its operators are compiled without it, so
//! that each vector instruction is a function call. Its portable backend is faster up to some KiB, and a 100-byte message
//! then takes less than half the time. The choice is the final binary's, which builds with
//! `RUSTFLAGS='--cfg poly1305_backend="soft"'`; a library cannot make it. `make bench-proto` measures both.
//!
//! # Where to go
//!
//! [`endpoint`] has the contract and every command; `PROTOCOL.md` what two implementations must agree on, with
//! vectors in `vectors/`; `model/` the symbolic attacks on it; `tests/promises.md` of the repository which test holds what.
//! The lower modules ([`invite`], [`enroll`], [`x3dh`], [`ratchet`], [`record`]) are public for who wants a part of it; the
//! order of storing and speaking is then theirs to keep.
#![cfg_attr(not(test), no_std)]

pub mod api_key;
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

pub use api_key::{ApiKey, ApiKeyError};
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
/// messages in, frames up to 8,192 bytes. About 747 KiB: box it.
pub type HostEndpoint = Endpoint<XChaCha20Poly1305, 64, 32, 48, 8, 8_352>;

/// A microcontroller's endpoint: 2 peers, 16 skipped keys a session, 3 messages out and a place for receipts, 2
/// messages in, frames up to 4,096 bytes.
pub type SmallEndpoint = Endpoint<XChaCha20Poly1305, 2, 16, 4, 2, 4_256>;
