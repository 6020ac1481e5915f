//! Where a message stands in its session: what sender and receiver both know of it, and a receipt names.

/// A message's place, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first 8 bytes of the chain's ratchet key. After a roll-back of the sender's storage the same chain is begun
    /// again under another key; 64 bits of random keys do not meet by accident, and only the sender itself would lose
    /// by a collision.
    pub ratchet: [u8; 8],
    /// Which chain in its direction, counted from 1.
    pub chain: u32,
    /// The message's number in the chain, from 0.
    pub number: u32,
}

impl Place {
    pub(super) fn new(ratchet: &[u8; 32], chain: u32, number: u32) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *ratchet;
        Self { ratchet: [a, b, c, d, e, f, g, h], chain, number }
    }
}
