//! HKDF-SHA-512 (RFC 5869) and HMAC-SHA-512 (RFC 2104), leaving no derived block behind on the stack.

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::Secret;

#[cfg(test)]
mod tests;

/// Bytes of a SHA-512 output.
const OUTPUT: usize = 64;
/// Bytes of a SHA-512 block, to which HMAC pads its key.
const BLOCK: usize = 128;
/// Keys in the longest key schedule, an invite's five.
const MAX_KEYS: usize = 5;

type HmacSha512 = Hmac<Sha512>;

/// Fills `out` with `KDF(salt, ikm, info, N)`: HKDF-SHA-512, extract and expand; the pieces of `ikm` are
/// concatenated. `N` is at most 16,320 (RFC 5869 section 2.3), which the compiler checks.
pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[&[u8]], info: &[u8], out: &mut [u8; N]) {
    const { assert!(N <= 255 * OUTPUT, "HKDF-SHA-512 gives at most 255 blocks") }
    expand(&Zeroizing::new(hmac(salt, ikm)), info, out);
}

/// `K` keys of 32 bytes from one `KDF(salt, ikm, info, 32 K)`.
pub(crate) fn derive_keys<const K: usize>(salt: &[u8], ikm: &[&[u8]], info: &[u8]) -> [Secret<32>; K] {
    const { assert!(K <= MAX_KEYS, "the buffer holds five keys") }
    let mut okm = Zeroizing::new([0; 32 * MAX_KEYS]);
    let (okm, _) = okm.as_chunks_mut::<32>();
    let mut keys = [const { Secret::zero() }; K];
    if let Some(okm) = okm.get_mut(..K) {
        expand(&Zeroizing::new(hmac(salt, ikm)), info, okm.as_flattened_mut());
    }
    for (key, bytes) in keys.iter_mut().zip(okm) {
        key.expose_mut().copy_from_slice(bytes);
    }
    keys
}

/// HKDF-Expand for at most 255 blocks.
fn expand(prk: &[u8; OUTPUT], info: &[u8], out: &mut [u8]) {
    let mut block = Zeroizing::new([0; OUTPUT]);
    for (counter, piece) in (1..=u8::MAX).zip(out.chunks_mut(OUTPUT)) {
        let previous: &[u8] = if counter == 1 { &[] } else { &*block };
        let next = Zeroizing::new(hmac(prk, &[previous, info, &[counter]]));
        piece.iter_mut().zip(next.iter()).for_each(|(to, from)| *to = *from);
        *block = *next;
    }
}

/// One step of a message chain: the two halves of `HMAC-SHA-512(key, label ‖ 0x01)`.
pub(crate) fn chain_hmac(key: &Secret<32>, label: &[u8]) -> (Secret<32>, Secret<32>) {
    let block = Zeroizing::new(hmac(key.expose(), &[label, &[0x01]]));
    let (mut first, mut second) = (Secret::zero(), Secret::zero());
    for (key, half) in [&mut first, &mut second].into_iter().zip(block.as_chunks::<32>().0) {
        key.expose_mut().copy_from_slice(half);
    }
    (first, second)
}

/// HMAC-SHA-512 of the concatenated parts; the caller wipes what is secret.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; OUTPUT] {
    let mut padded = Zeroizing::new([0; BLOCK]);
    if key.len() > BLOCK {
        let mut digest = Sha512::digest(key);
        for (to, from) in padded.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        digest.as_mut_slice().zeroize();
    } else {
        for (to, from) in padded.iter_mut().zip(key) {
            *to = *from;
        }
    }
    let mut hmac = HmacSha512::new(<&Key<HmacSha512>>::from(&*padded));
    for part in parts {
        hmac.update(part);
    }
    let mut output = hmac.finalize().into_bytes();
    let bytes = output.into();
    output.as_mut_slice().zeroize();
    bytes
}
