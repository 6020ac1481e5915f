//! Bytes that are wiped when dropped, never printed, and compared in constant time.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes.
///
/// It has no `Debug`, `Display`, `Clone`, `Copy` or `PartialEq`: a copy is made by name where the protocol needs
/// one, and equality is [`Secret::ct_eq`]. Replacing a value wipes the old one. Rust moves values by copying, so
/// code that keeps secrets overwrites them in place rather than moving them out of where they live.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        // As a slice: the array's own wipes byte by byte, which costs more than the HMAC's second block.
        self.0.as_mut_slice().zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> Secret<N> {
    /// Takes over `bytes`; the caller wipes its own copy.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// All zero: what a slot holds before it holds a key.
    pub(crate) const fn zero() -> Self {
        Self([0; N])
    }

    /// `N` random bytes of `rng`.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Self::zero();
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The bytes, for a cipher or a sealed record.
    pub(crate) const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Where derived bytes are written without a copy on the way.
    pub(crate) const fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// A second copy, where the protocol has the same key in two places.
    pub(crate) const fn duplicate(&self) -> Self {
        Self(self.0)
    }

    /// Whether both hold the same bytes, in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
