//! The Noise link between a device and its relay: `Noise_NK_25519_ChaChaPoly_BLAKE2b`, revision 34, for both roles
//! (`PROTOCOL.md` section 9). It lets a microcontroller do without TLS. No standard library, no allocator, no I/O.
//!
//! ```text
//! device                                                     relay
//! Initiator::start ── 48 bytes: e, es ─────────────────────▶ respond
//! Initiator::finish ◀───────────────────── e, ee: 48 bytes ──┘
//! Transport ◀──────────── one frame a message ─────────────▶ Transport
//! ```
//!
//! The device knows the relay's [`LinkSecret::public`] beforehand and proves nothing here: it authenticates inside
//! the link, by a signature over [`Transport::channel`].
//!
//! ```
//! # fn example(rng: &mut dyn rand_core::CryptoRng) -> Result<(), av_link::LinkError> {
//! use av_link::{Initiator, LinkSecret, respond};
//! use av_wire::Origin;
//!
//! let origin = Origin::parse("ws://relay.example:7460").unwrap();
//! let secret = LinkSecret::generate(rng);
//!
//! let (initiator, hello) = Initiator::start(rng, &origin, secret.public())?;
//! let (mut relay, answer) = respond(rng, &origin, &secret, &hello)?;
//! let mut device = initiator.finish(&answer)?;
//! assert_eq!(device.channel(), relay.channel());
//!
//! let mut buffer = [0; 64];
//! buffer[..5].copy_from_slice(b"frame");
//! let sealed_len = device.seal(&mut buffer, 5)?.len();
//! assert_eq!(relay.open(&mut buffer[..sealed_len])?, b"frame");
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod cipher;
mod error;
mod handshake;
pub mod limits;
mod symmetric;
#[cfg(test)]
mod tests;
mod transport;

pub use error::LinkError;
pub use handshake::{Initiator, LinkSecret, respond};
pub use transport::Transport;

/// The WebSocket subprotocol under which the device speaks first.
pub const SUBPROTOCOL: &str = "av1-noise";
