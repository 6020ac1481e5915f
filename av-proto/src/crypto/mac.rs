//! `MAC(k, tag, x)`: keyed BLAKE2b-256 with personalisation (`PROTOCOL.md`, conventions).

use blake2::Blake2bMac;
use blake2::digest::{FixedOutput, Update, consts::U32};
use subtle::ConstantTimeEq;

use crate::crypto::Secret;
use crate::error::CryptoError;

#[cfg(test)]
mod tests;

/// Bytes of the longest personalisation. blake2 0.11 lets 17 to 32 pass its check and then panics.
const MAX_TAG: usize = 16;

/// 32 bytes: the MAC of the concatenated parts under `key`, for the purpose `tag`.
///
/// # Errors
/// [`CryptoError`] for a tag of more than 16 bytes, which none in the table of labels has.
pub fn mac(key: &Secret<32>, tag: &'static [u8], parts: &[&[u8]]) -> Result<[u8; 32], CryptoError> {
    if tag.len() > MAX_TAG {
        return Err(CryptoError);
    }
    let mut mac = Blake2bMac::<U32>::new_with_salt_and_personal(Some(key.expose()), &[], tag)
        .map_err(|_| CryptoError)?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize_fixed().into())
}

/// Whether `expected` is the MAC of the parts, compared in constant time.
pub fn verify_mac(key: &Secret<32>, tag: &'static [u8], parts: &[&[u8]], expected: &[u8; 32]) -> bool {
    mac(key, tag, parts).is_ok_and(|computed| computed.ct_eq(expected).into())
}
