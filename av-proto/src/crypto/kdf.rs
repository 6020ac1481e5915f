//! HKDF-SHA-512 (RFC 5869) and HMAC-SHA-512 (RFC 2104).

use hkdf::HkdfExtract;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroize;

use crate::crypto::Secret;

#[cfg(test)]
mod tests;

/// Bytes of a SHA-512 output.
const OUTPUT: usize = 64;
/// Bytes of a SHA-512 block, to which HMAC pads its key.
const BLOCK: usize = 128;
/// Keys in the longest key schedule, an invite's five.
const MAX_KEYS: usize = 5;

/// Fills `out` with `KDF(salt, ikm, info, N)`: HKDF-SHA-512, extract and expand; the pieces of `ikm` are
/// concatenated. `N` is at most 16,320 (RFC 5869 section 2.3), which the compiler checks.
pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[&[u8]], info: &[u8], out: &mut [u8; N]) {
    const { assert!(N <= 255 * OUTPUT, "HKDF-SHA-512 gives at most 255 blocks") }
    expand(salt, ikm, info, out);
}

/// `K` keys of 32 bytes from one `KDF(salt, ikm, info, 32 K)`.
pub(crate) fn derive_keys<const K: usize>(salt: &[u8], ikm: &[&[u8]], info: &[u8]) -> [Secret<32>; K] {
    const { assert!(K <= MAX_KEYS, "the buffer holds five keys") }
    let mut okm = Secret::<{ 32 * MAX_KEYS }>::zero();
    let (okm, _) = okm.expose_mut().as_chunks_mut::<32>();
    let mut keys = [const { Secret::zero() }; K];
    if let Some(okm) = okm.get_mut(..K) {
        expand(salt, ikm, info, okm.as_flattened_mut());
    }
    for (key, bytes) in keys.iter_mut().zip(okm) {
        key.expose_mut().copy_from_slice(bytes);
    }
    keys
}

/// Extract and expand, for at most 255 blocks.
fn expand(salt: &[u8], ikm: &[&[u8]], info: &[u8], out: &mut [u8]) {
    let mut extract = HkdfExtract::<Sha512>::new(Some(salt));
    for part in ikm {
        extract.input_ikm(part);
    }
    let (mut prk, hkdf) = extract.finalize();
    prk.as_mut_slice().zeroize();
    let filled = hkdf.expand(info, out);
    debug_assert!(filled.is_ok(), "both callers bound the length at compile time");
}

/// One step of a message chain: the two halves of `HMAC-SHA-512(key, label ‖ 0x01)`.
pub(crate) fn chain_hmac(key: &Secret<32>, label: &[u8]) -> (Secret<32>, Secret<32>) {
    let block = hmac(key.expose(), &[label, &[0x01]]);
    let (mut first, mut second) = (Secret::zero(), Secret::zero());
    let (left, right) = block.expose().split_at(OUTPUT / 2);
    first.expose_mut().copy_from_slice(left);
    second.expose_mut().copy_from_slice(right);
    (first, second)
}

/// HMAC-SHA-512 of the concatenated parts, under a key of at most 128 bytes: padded here as HMAC pads it, since the
/// crate's way for keys of any length can fail by its type.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Secret<OUTPUT> {
    debug_assert!(key.len() <= BLOCK, "a longer key would have to be hashed first");
    let mut padded = Secret::<BLOCK>::zero();
    if let Some(start) = padded.expose_mut().get_mut(..key.len()) {
        start.copy_from_slice(key);
    }
    let mut hmac = Hmac::<Sha512>::new(padded.expose().into());
    for part in parts {
        hmac.update(part);
    }
    let mut output = hmac.finalize().into_bytes();
    let mut bytes = Secret::zero();
    bytes.expose_mut().copy_from_slice(&output);
    output.as_mut_slice().zeroize();
    bytes
}
