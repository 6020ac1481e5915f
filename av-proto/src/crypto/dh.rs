//! X25519 (RFC 7748), where an all-zero result is an error (`PROTOCOL.md`, conventions).

use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::crypto::Secret;
use crate::error::CryptoError;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::agreements_on_this_thread;

/// An X25519 key pair: 32 secret bytes, wiped when dropped, and the 32 public ones, which are kept because
/// computing them costs as much as an agreement.
pub struct AgreementSecret {
    secret: StaticSecret,
    public: [u8; 32],
}

impl AgreementSecret {
    /// A fresh X25519 key pair.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let secret = StaticSecret::random_from_rng(rng);
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    /// The key pair of these 32 secret bytes; costs a multiplication.
    pub fn from_bytes(secret: &Secret<32>) -> Self {
        let secret = StaticSecret::from(*secret.expose());
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    /// A key pair as a sealed record kept it; nothing is computed.
    pub(crate) fn from_parts(secret: &[u8; 32], public: &[u8; 32]) -> Self {
        Self { secret: StaticSecret::from(*secret), public: *public }
    }

    /// A second copy, where the protocol has the same key in two places.
    pub(crate) fn duplicate(&self) -> Self {
        Self { secret: self.secret.clone(), public: self.public }
    }

    /// The 32 secret bytes, for a sealed record.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// The 32 public bytes.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// 32 bytes agreed with the holder of `public`.
    ///
    /// # Errors
    /// [`CryptoError`] when the result is all zero: `public` is of small order and both sides would
    /// agree with anyone.
    pub fn agree(&self, public: &[u8; 32]) -> Result<Secret<32>, CryptoError> {
        #[cfg(test)]
        tests::count_agreement();
        let shared = self.secret.diffie_hellman(&PublicKey::from(*public));
        if shared.was_contributory() { Ok(Secret::new(shared.to_bytes())) } else { Err(CryptoError) }
    }
}
