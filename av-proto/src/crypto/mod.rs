//! The only files that name RustCrypto and dalek: everything above them speaks of keys, never of a library.
//!
//! ```text
//! aead   XChaCha20-Poly1305, AES-256-GCM      kdf   HKDF-SHA-512, HMAC-SHA-512      mac   keyed BLAKE2b-256
//! kem    ML-KEM-768 (feature `pq`)
//! dh     X25519                               sign  Ed25519                          secret  bytes that are wiped
//! drbg   randomness for one input                                                    scrub   the stack beneath
//! ```

mod aead;
mod dh;
mod drbg;
mod kdf;
mod kem;
mod mac;
mod scrub;
mod secret;
mod sign;

pub use crate::error::CryptoError;
#[cfg(feature = "aes-gcm")]
pub use aead::Aes256Gcm;
pub use aead::{Aead, TAG, XChaCha20Poly1305};
pub use dh::AgreementSecret;
#[cfg(test)]
pub(crate) use dh::agreements_on_this_thread;
pub use drbg::Drbg;
pub use kdf::hkdf;
pub(crate) use kdf::{chain_hmac, derive_keys};
#[cfg(all(test, feature = "pq"))]
pub(crate) use kem::decapsulations_on_this_thread;
pub use kem::{KEM_CIPHERTEXT, KEM_KEY, KemCiphertext, KemSecret, encapsulate};
pub use mac::{mac, verify_mac};
pub use scrub::scrubbed;
pub use secret::Secret;
pub use sign::SigningSecret;
