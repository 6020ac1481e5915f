//! Where a run's decisions come from: a seed, or a fuzzer's bytes.

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// A source of decisions. From bytes it ends, and then chooses the calmest everywhere.
pub enum Choices<'c> {
    /// All that follows from a seed.
    Seeded(Box<ChaCha20Rng>),
    /// A fuzzer's input, one byte a decision.
    Bytes(&'c [u8]),
}

impl<'c> Choices<'c> {
    /// Decisions without end.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(ChaCha20Rng::seed_from_u64(seed)))
    }

    /// One decision a byte.
    pub const fn bytes(input: &'c [u8]) -> Self {
        Self::Bytes(input)
    }

    /// Whether nothing is left to decide.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Seeded(_) => false,
            Self::Bytes(rest) => rest.is_empty(),
        }
    }

    /// 0 … `bound` - 1; 0 for a `bound` of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = match self {
            Self::Seeded(rng) => rng.next_u32() as usize,
            Self::Bytes(rest) => match rest.split_first() {
                Some((first, tail)) => {
                    *rest = tail;
                    usize::from(*first)
                }
                None => 0,
            },
        };
        drawn.checked_rem(bound).unwrap_or(0)
    }

    /// True in so many of a thousand cases; a fuzzer has it true with a byte near 255.
    pub fn chance(&mut self, permille: u32) -> bool {
        let drawn = match self {
            Self::Seeded(rng) => rng.next_u32() % 1_000,
            Self::Bytes(_) if permille == 0 => 0,
            Self::Bytes(_) => u32::try_from(self.below(256)).unwrap_or(0) * 1_000 / 256,
        };
        drawn >= 1_000_u32.saturating_sub(permille)
    }

    /// One of these, if there is any.
    pub fn one_of<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        items.get(self.below(items.len()))
    }

    /// Bytes that look like nothing.
    pub fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap_or(0)).collect()
    }
}
