//! Authenticated encryption in place (`PROTOCOL.md` section 1). The AEAD is the one type parameter of a session.

use av_wire::Suite;
use chacha20poly1305::{AeadInOut, KeyInit};

use crate::crypto::Secret;
use crate::error::CryptoError;

#[cfg(test)]
mod tests;

/// Bytes of an authentication tag, the same in every suite.
pub const TAG: usize = 16;

/// An AEAD with 32-byte keys and 16-byte tags, working in place.
pub trait Aead: 'static {
    /// The suite without KEM that uses it.
    const SUITE: Suite;
    /// Bytes of a nonce.
    const NONCE: usize;

    /// Encrypts `buffer` in place and returns the tag over `ad` and it.
    ///
    /// # Errors
    /// [`CryptoError`] for a nonce that has not [`Self::NONCE`] bytes, or more text than the AEAD allows.
    fn seal(key: &Secret<32>, nonce: &[u8], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG], CryptoError>;

    /// Decrypts `buffer` in place if `tag` verifies, which is compared in constant time.
    ///
    /// # Errors
    /// [`CryptoError`] when it does not; `buffer` then holds no plaintext.
    fn open(
        key: &Secret<32>,
        nonce: &[u8],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), CryptoError>;
}

/// Suite 0x01: a 24-byte nonce is drawn at random without a thought of collisions.
pub enum XChaCha20Poly1305 {}

impl Aead for XChaCha20Poly1305 {
    const SUITE: Suite = Suite::XChaCha20Poly1305;
    const NONCE: usize = 24;

    fn seal(key: &Secret<32>, nonce: &[u8], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG], CryptoError> {
        seal_with(&chacha20poly1305::XChaCha20Poly1305::new(key.expose().into()), nonce, ad, buffer)
    }

    fn open(
        key: &Secret<32>,
        nonce: &[u8],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), CryptoError> {
        open_with(&chacha20poly1305::XChaCha20Poly1305::new(key.expose().into()), nonce, ad, buffer, tag)
    }
}

/// Suite 0x02: a key of the ratchet seals one message, so a random 12-byte nonce repeats under no key but a
/// header key, where 2^31 messages a chain leave a chance below 2^-34.
#[cfg(feature = "aes-gcm")]
pub enum Aes256Gcm {}

#[cfg(feature = "aes-gcm")]
impl Aead for Aes256Gcm {
    const SUITE: Suite = Suite::Aes256Gcm;
    const NONCE: usize = 12;

    fn seal(key: &Secret<32>, nonce: &[u8], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG], CryptoError> {
        seal_with(&aes_gcm::Aes256Gcm::new(key.expose().into()), nonce, ad, buffer)
    }

    fn open(
        key: &Secret<32>,
        nonce: &[u8],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), CryptoError> {
        open_with(&aes_gcm::Aes256Gcm::new(key.expose().into()), nonce, ad, buffer, tag)
    }
}

fn seal_with<C>(cipher: &C, nonce: &[u8], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG], CryptoError>
where
    C: AeadInOut<TagSize = chacha20poly1305::consts::U16>,
{
    let nonce = nonce.try_into().map_err(|_| CryptoError)?;
    let tag = cipher.encrypt_inout_detached(nonce, ad, buffer.into()).map_err(|_| CryptoError)?;
    Ok(tag.into())
}

fn open_with<C>(
    cipher: &C,
    nonce: &[u8],
    ad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG],
) -> Result<(), CryptoError>
where
    C: AeadInOut<TagSize = chacha20poly1305::consts::U16>,
{
    let nonce = nonce.try_into().map_err(|_| CryptoError)?;
    cipher.decrypt_inout_detached(nonce, ad, buffer.into(), tag.into()).map_err(|_| CryptoError)
}
