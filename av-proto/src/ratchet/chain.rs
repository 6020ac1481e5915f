//! A message chain: one HMAC-SHA-512 a message.

use av_wire::labels;

use crate::crypto::{Secret, chain_hmac};

/// The next chain key and this place's message key.
pub(super) fn step(chain: &Secret<32>) -> (Secret<32>, Secret<32>) {
    chain_hmac(chain, labels::kdf::CHAIN)
}

/// Passes over `count` places, calling `each` with the message key of every one, and returns the chain behind them.
pub(super) fn skip(chain: &Secret<32>, count: u32, mut each: impl FnMut(&Secret<32>)) -> Secret<32> {
    let mut chain = chain.duplicate();
    for _ in 0..count {
        let (next, message) = step(&chain);
        each(&message);
        chain = next;
    }
    chain
}
