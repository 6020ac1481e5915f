//! Published vectors, the crate snow as the other side, hostile messages, and limits.

mod bounds;
mod hostile;
mod interop;
mod vectors;

use av_wire::Origin;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;

use crate::{Initiator, LinkSecret, Transport, respond};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn origin() -> Origin {
    Origin::parse("ws://relay.example:7460").unwrap()
}

fn relay() -> LinkSecret {
    LinkSecret::from_bytes(&[7; 32])
}

/// A device's and a relay's end of one open link.
fn link() -> (Transport, Transport) {
    let (initiator, message) = Initiator::start(&mut rng(1), &origin(), relay().public()).unwrap();
    let (relay, answer) = respond(&mut rng(2), &origin(), &relay(), &message).unwrap();
    (initiator.finish(&answer).unwrap(), relay)
}

/// A sealed message with this text.
fn sealed(from: &mut Transport, text: &[u8]) -> Vec<u8> {
    let mut buffer = text.to_vec();
    buffer.resize(text.len() + crate::limits::TAG, 0);
    from.seal(&mut buffer, text.len()).unwrap();
    buffer
}
