//! AV/1 on the wire: what a device and the relay both have to read, and nothing that is secret.
//!
//! ```text
//! frame ──▶ bundle │ posted ──▶ chain ──▶ statement │ key_grant │ cert ──▶ public ──▶ ids ──▶ hash, signature ──▶ cbor, labels
//! ```
//!
//! A module uses what stands to its right, never to its left. The relay depends on this crate alone:
//! there is no AEAD, no X25519 and no signing key in it, so the relay's build cannot read a message.
//!
//! Every decoder here is total (hostile bytes give an error, never a panic), refuses trailing bytes, and
//! accepts only the one encoding that its encoder makes (`PROTOCOL.md`, conventions).
#![no_std]
#![forbid(unsafe_code)]

pub mod bundle;
pub mod cbor;
pub mod cert;
pub mod chain;
pub mod code;
pub mod enroll;
pub mod frame;
pub mod grant;
pub mod groups;
pub mod hash;
pub mod ids;
pub mod key_grant;
pub mod labels;
pub mod layout;
pub mod limits;
mod list;
pub mod message;
pub mod posted;
pub mod public;
pub mod signature;
pub mod statement;

pub use cbor::{DecodeError, EncodeError, decode, encode, encoded_len};
pub use code::{RefusalCode, RejectCode};
pub use ids::{DeviceId, Fingerprint, InboxEpoch, KeyId, LookupHash, MessageId, Origin, TenantId};
pub use list::List;
pub use public::{DevicePublic, Role, Suite, Suites};
pub use signature::{Signature, Unverified};

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod tests;
