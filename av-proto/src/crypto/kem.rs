//! ML-KEM-768 (FIPS 203; `PROTOCOL.md` section 1). Without feature `pq` nobody holds a key and no suite asks for one.

pub use av_wire::bundle::{KEM_CIPHERTEXT, KEM_KEY};
use rand_core::CryptoRng;

use crate::crypto::Secret;
use crate::error::CryptoError;

#[cfg(test)]
#[cfg(feature = "pq")]
mod tests;
#[cfg(test)]
#[cfg(feature = "pq")]
pub(crate) use tests::decapsulations_on_this_thread;

#[cfg(feature = "pq")]
pub use with::{KemCiphertext, KemSecret, encapsulate};
#[cfg(not(feature = "pq"))]
pub use without::{KemCiphertext, KemSecret, encapsulate};

#[cfg(feature = "pq")]
mod with {
    use ml_kem::kem::{Decapsulate, KeyExport};
    use ml_kem::ml_kem_768::{DecapsulationKey, EncapsulationKey};
    use zeroize::Zeroize;

    use super::{CryptoError, CryptoRng, KEM_CIPHERTEXT, KEM_KEY, Secret};

    /// A ciphertext, 1,088 bytes.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct KemCiphertext(pub(crate) [u8; KEM_CIPHERTEXT]);

    impl KemCiphertext {
        /// The ciphertext of a message; `None` for another length.
        pub fn from_slice(bytes: &[u8]) -> Option<Self> {
            bytes.try_into().ok().map(Self)
        }

        /// Its 1,088 bytes.
        pub const fn as_bytes(&self) -> &[u8] {
            &self.0
        }
    }

    /// A decapsulation key, kept as its 64-byte seed (FIPS 203, `d ‖ z`); expanding it costs a key generation.
    pub struct KemSecret {
        seed: Secret<64>,
    }

    impl KemSecret {
        /// A fresh key; `None` in a build without a KEM.
        pub fn generate(rng: &mut dyn CryptoRng) -> Option<Self> {
            Some(Self { seed: Secret::random(rng) })
        }

        /// The key of this seed; `None` in a build without a KEM.
        pub const fn from_seed(seed: Secret<64>) -> Option<Self> {
            Some(Self { seed })
        }

        /// The seed, for a sealed record.
        pub(crate) const fn seed(&self) -> &[u8; 64] {
            self.seed.expose()
        }

        /// The encapsulation key, 1,184 bytes; costs a key generation.
        pub fn public(&self) -> [u8; KEM_KEY] {
            self.expand().encapsulation_key().to_bytes().into()
        }

        /// The 32-byte secret in a ciphertext; for one that was made for another key, a value that nobody else knows.
        pub fn decapsulate(&self, ciphertext: &KemCiphertext) -> Secret<32> {
            #[cfg(test)]
            super::tests::count_decapsulation();
            let mut shared = self.expand().decapsulate(&ciphertext.0.into());
            let secret = Secret::new(shared.into());
            shared.as_mut_slice().zeroize();
            secret
        }

        fn expand(&self) -> DecapsulationKey {
            let mut seed = (*self.seed.expose()).into();
            let key = DecapsulationKey::from_seed(seed);
            seed.as_mut_slice().zeroize();
            key
        }
    }

    /// A fresh 32-byte secret, and the ciphertext by which the holder of `key` learns it.
    ///
    /// # Errors
    /// [`CryptoError`] for a key that fails FIPS 203's modulus check.
    pub fn encapsulate(
        key: &[u8; KEM_KEY],
        rng: &mut dyn CryptoRng,
    ) -> Result<(KemCiphertext, Secret<32>), CryptoError> {
        let key = EncapsulationKey::new(&(*key).into()).map_err(|_| CryptoError)?;
        // 32 bytes of the generator, taken here so that vectors can name them.
        let randomness = Secret::<32>::random(rng);
        let mut message = (*randomness.expose()).into();
        let (ciphertext, mut shared) = key.encapsulate_deterministic(&message);
        message.as_mut_slice().zeroize();
        let secret = Secret::new(shared.into());
        shared.as_mut_slice().zeroize();
        Ok((KemCiphertext(ciphertext.into()), secret))
    }
}

#[cfg(not(feature = "pq"))]
mod without {
    use super::{CryptoError, CryptoRng, KEM_KEY, Secret};

    /// There is none in this build.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum KemCiphertext {}

    impl KemCiphertext {
        /// None.
        pub const fn from_slice(_: &[u8]) -> Option<Self> {
            None
        }

        /// Never called.
        pub const fn as_bytes(&self) -> &[u8] {
            match *self {}
        }
    }

    /// There is none in this build.
    pub enum KemSecret {}

    impl KemSecret {
        /// None.
        pub fn generate(_: &mut dyn CryptoRng) -> Option<Self> {
            None
        }

        /// None.
        pub fn from_seed(_: Secret<64>) -> Option<Self> {
            None
        }

        /// Never called.
        pub(crate) const fn seed(&self) -> &[u8; 64] {
            match *self {}
        }

        /// Never called.
        pub const fn public(&self) -> [u8; KEM_KEY] {
            match *self {}
        }

        /// Never called.
        pub const fn decapsulate(&self, _: &KemCiphertext) -> Secret<32> {
            match *self {}
        }
    }

    /// Refused: this build speaks no suite with a KEM.
    ///
    /// # Errors
    /// [`CryptoError`], always.
    pub const fn encapsulate(
        _: &[u8; KEM_KEY],
        _: &mut dyn CryptoRng,
    ) -> Result<(KemCiphertext, Secret<32>), CryptoError> {
        Err(CryptoError)
    }
}
