//! The generator that av-proto is given.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use rand_core::{Infallible, TryCryptoRng, TryRng};

use crate::memcheck;

/// A seeded generator whose output is secret to valgrind.
pub struct SecretRng {
    source: ChaCha20Rng,
    /// What was taken at each call, so that it can be searched for.
    drawn: Vec<Vec<u8>>,
}

impl SecretRng {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self { source: ChaCha20Rng::seed_from_u64(seed), drawn: Vec::new() }
    }

    /// `N` secret bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let Ok(()) = self.try_fill_bytes(&mut bytes);
        bytes
    }

    /// All that was taken, call by call.
    pub fn into_drawn(self) -> Vec<Vec<u8>> {
        self.drawn
    }
}

impl TryRng for SecretRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.source.try_fill_bytes(out)?;
        self.drawn.push(out.to_vec());
        memcheck::classify(out);
        Ok(())
    }
}

impl TryCryptoRng for SecretRng {}
