//! Ed25519 signing (RFC 8032). Verification stands in [`av_wire::signature`], where no secret is.

use av_wire::Signature;
use av_wire::labels::SignaturePurpose;
use av_wire::signature::{SignedMessage, signed_parts};
use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::MultipartSigner;
use rand_core::CryptoRng;

use crate::crypto::Secret;
use crate::error::CryptoError;

#[cfg(test)]
mod tests;

/// An Ed25519 key pair, wiped when dropped. It signs and does nothing else: agreement has keys of its own.
pub struct SigningSecret {
    key: SigningKey,
    public: [u8; 32],
}

impl SigningSecret {
    /// A fresh Ed25519 key pair.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::from_seed(Secret::random(rng).expose())
    }

    /// The key pair of this 32-byte seed (RFC 8032 section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let public = key.verifying_key().to_bytes();
        Self { key, public }
    }

    /// The 32-byte seed, for a sealed record or the recovery text.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The 32 public bytes.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// `Sign(k, purpose, x)`; `parts` are the pieces of `x`.
    ///
    /// # Errors
    /// [`CryptoError`] when `x` is longer than AV/1 signs.
    pub fn sign(&self, purpose: SignaturePurpose, parts: &[&[u8]]) -> Result<Signature, CryptoError> {
        let parts = signed_parts(purpose, parts).map_err(|_| CryptoError)?;
        Ok(self.sign_parts(&parts))
    }

    /// The signature over bytes that [`signed_message`](av_wire::signature::signed_message) put together.
    pub fn sign_message(&self, message: &SignedMessage) -> Signature {
        self.sign_parts(&[message])
    }

    fn sign_parts(&self, parts: &[&[u8]]) -> Signature {
        Signature(self.key.multipart_sign(parts).to_bytes())
    }
}
