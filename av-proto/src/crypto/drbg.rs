//! Randomness for one input to the protocol, from a source that can fail.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Infallible, SeedableRng};
use rand_core::{TryCryptoRng, TryRng};

use crate::crypto::Secret;

#[cfg(test)]
mod tests;

/// A ChaCha20 generator under a 256-bit seed of its own, wiped when dropped.
///
/// The protocol takes a generator that cannot fail, so that no function of it is left half done for want of
/// randomness. Sources can: an operating system's, a microcontroller's with a health test. So the source is asked at
/// the door, before an input changes anything, and where it fails there is no generator: draw one for each input and
/// drop it behind it.
pub struct Drbg(ChaCha20Rng);

impl Drbg {
    /// A generator under 32 bytes of `source`.
    ///
    /// # Errors
    /// The source's own, whatever it had written until then.
    pub fn draw<S: TryCryptoRng + ?Sized>(source: &mut S) -> Result<Self, S::Error> {
        let mut seed = Secret::<32>::zero();
        source.try_fill_bytes(seed.expose_mut())?;
        Ok(Self(ChaCha20Rng::from_seed(*seed.expose())))
    }
}

impl TryRng for Drbg {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(out)
    }
}

impl TryCryptoRng for Drbg {}
