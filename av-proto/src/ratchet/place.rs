//! Where a message stands in its session: what sender and receiver both know of it, and a receipt names (`PROTOCOL.md`
//! section 8).

/// A message's place, 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first 8 bytes of `th`, which tell a peer's few sessions apart.
    pub session: [u8; 8],
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
    pub(super) fn new(session: &[u8; 32], ratchet: &[u8; 32], chain: u32, number: u32) -> Self {
        Self { session: first_8(session), ratchet: first_8(ratchet), chain, number }
    }
}

/// The name of a session in receipts: the first 8 bytes of `th`.
pub(crate) fn first_8(bytes: &[u8; 32]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *bytes;
    [a, b, c, d, e, f, g, h]
}
