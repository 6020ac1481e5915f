//! The seal of a record: version(1) ‖ nonce(24) ‖ XChaCha20-Poly1305 ciphertext ‖ tag(16), associated data "AV1 record"
//! ‖ record key(3) ‖ version(1), so that a record opens in its own place only (`PROTOCOL.md` section 8).

use core::cmp::Ordering;

use av_wire::labels;
use rand_core::CryptoRng;

use super::RecordKey;
use crate::crypto::{Aead, XChaCha20Poly1305};
use crate::keys::Secret;

/// The 32-byte key under which a store's records are sealed, from a passphrase, a key file or a key slot.
pub struct Seal {
    key: Secret<32>,
}

/// Why a sealed record does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// Written by a newer version of this crate.
    TooNew,
    /// Another key, another place, or damaged bytes: an AEAD cannot tell them apart.
    DoesNotOpen,
    /// The buffer is too small for the sealed record.
    TooLong,
}

/// A kind whose layout changes gets a new version, its old reader is kept beside the new one, and the records of
/// `vectors/records/` still open (`endpoint/tests/golden.rs`).
pub(crate) const VERSION: u8 = 1;
const NONCE: usize = XChaCha20Poly1305::NONCE;
const TAG: usize = 16;
const AD_LEN: usize = labels::seal::RECORD.len() + RecordKey::LEN + 1;

impl Seal {
    /// Bytes of version and nonce, which stand before the record.
    pub const PREFIX: usize = 1 + NONCE;
    /// Bytes that a seal adds to a record.
    pub const OVERHEAD: usize = Self::PREFIX + TAG;

    /// A seal under a 32-byte key, which it takes over and wipes in the end.
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key: Secret::new(key) }
    }

    /// Seals in place the record of `len` bytes that stands at [`Seal::PREFIX`] in `buffer`, and returns the
    /// sealed bytes, [`Seal::OVERHEAD`] more. In place, because a microcontroller has no second buffer to spare.
    ///
    /// # Errors
    /// [`SealError::TooLong`] when `buffer` is too small.
    pub fn seal_in_place<'o>(
        &self,
        key: RecordKey,
        len: usize,
        rng: &mut dyn CryptoRng,
        buffer: &'o mut [u8],
    ) -> Result<&'o [u8], SealError> {
        let sealed = buffer.get_mut(..len.saturating_add(Self::OVERHEAD)).ok_or(SealError::TooLong)?;
        let (prefix, rest) = sealed.split_at_mut(Self::PREFIX);
        let (body, tag_slot) = rest.split_at_mut(len);
        let (version, nonce) = prefix.split_at_mut(1);
        version.copy_from_slice(&[VERSION]);
        rng.fill_bytes(nonce);
        let tag = XChaCha20Poly1305::seal(&self.key, nonce, &associated_data(key), body)
            .map_err(|_| SealError::TooLong)?;
        tag_slot.copy_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens a sealed record into `out`, and returns the bytes written: [`Seal::OVERHEAD`] fewer.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open<'o>(
        &self,
        key: RecordKey,
        sealed: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o mut [u8], SealError> {
        let (version, sealed) = sealed.split_first().ok_or(SealError::DoesNotOpen)?;
        match version.cmp(&VERSION) {
            Ordering::Equal => {}
            Ordering::Greater => return Err(SealError::TooNew),
            Ordering::Less => return Err(SealError::DoesNotOpen),
        }
        let (nonce, sealed) = sealed.split_at_checked(NONCE).ok_or(SealError::DoesNotOpen)?;
        let (body, tag) = sealed.split_last_chunk::<TAG>().ok_or(SealError::DoesNotOpen)?;
        let out = out.get_mut(..body.len()).ok_or(SealError::TooLong)?;
        out.copy_from_slice(body);
        XChaCha20Poly1305::open(&self.key, nonce, &associated_data(key), out, tag)
            .map_err(|_| SealError::DoesNotOpen)?;
        Ok(out)
    }
}

fn associated_data(key: RecordKey) -> [u8; AD_LEN] {
    let mut data = [VERSION; AD_LEN];
    let fields = labels::seal::RECORD.iter().copied().chain(key.to_bytes());
    data.iter_mut().zip(fields).for_each(|(slot, byte)| *slot = byte);
    data
}

impl core::fmt::Display for SealError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooNew => "the record was written by a newer version; update this program",
            Self::DoesNotOpen => "the record does not open: wrong key, or damaged",
            Self::TooLong => "the record does not fit into the buffer",
        })
    }
}

impl core::error::Error for SealError {}
