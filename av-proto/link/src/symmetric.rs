//! Chaining key and handshake hash (Noise's `SymmetricState`).

use av_wire::labels::link::PROLOGUE;
use blake2::{Blake2b512, Digest};
use zeroize::{Zeroize, Zeroizing};

use crate::LinkError;
use crate::cipher::Cipher;

const PROTOCOL_NAME: &[u8] = b"Noise_NK_25519_ChaChaPoly_BLAKE2b";
/// Bytes of a BLAKE2b-512 output.
const HASH: usize = 64;
/// Bytes of a BLAKE2b block, to which HMAC pads its key.
const BLOCK: usize = 128;

/// What a handshake has agreed on so far.
pub(crate) struct Symmetric {
    chaining_key: Zeroizing<[u8; HASH]>,
    hash: [u8; HASH],
}

impl Symmetric {
    /// A handshake at this origin with the holder of this link key.
    pub(crate) fn new(origin: &[u8], link_key: &[u8; 32]) -> Self {
        Self::with_prologue(&[PROLOGUE, origin], link_key)
    }

    pub(crate) fn with_prologue(prologue: &[&[u8]], link_key: &[u8; 32]) -> Self {
        // A name that is shorter than a hash is padded with zeros.
        let mut hash = [0; HASH];
        for (to, from) in hash.iter_mut().zip(PROTOCOL_NAME) {
            *to = *from;
        }
        let mut symmetric = Self { chaining_key: Zeroizing::new(hash), hash };
        symmetric.mix_hash(prologue);
        symmetric.mix_hash(&[link_key]);
        symmetric
    }

    pub(crate) fn mix_hash(&mut self, parts: &[&[u8]]) {
        self.hash = self.hash_with(parts);
    }

    fn hash_with(&self, parts: &[&[u8]]) -> [u8; HASH] {
        let mut hash = Blake2b512::new_with_prefix(self.hash);
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    }

    /// Mixes an agreement in, and returns the cipher for the payload behind it.
    pub(crate) fn mix_key(&mut self, agreed: &[u8; 32]) -> Cipher {
        let (chaining_key, key) = hkdf(&self.chaining_key, agreed);
        self.chaining_key = chaining_key;
        cipher(&key)
    }

    /// Seals a payload, behind which there is room for its tag.
    pub(crate) fn seal(&mut self, mut cipher: Cipher, payload_and_tag: &mut [u8]) -> Result<(), LinkError> {
        cipher.seal(&self.hash, payload_and_tag)?;
        self.mix_hash(&[payload_and_tag]);
        Ok(())
    }

    /// Opens a payload in place.
    pub(crate) fn open<'m>(
        &mut self,
        mut cipher: Cipher,
        payload: &'m mut [u8],
    ) -> Result<&'m [u8], LinkError> {
        let hash = self.hash_with(&[payload]);
        let payload = cipher.open(&self.hash, payload)?;
        self.hash = hash;
        Ok(payload)
    }

    /// The ciphers from initiator to responder and back.
    pub(crate) fn split(&self) -> (Cipher, Cipher) {
        let (there, back) = hkdf(&self.chaining_key, &[]);
        (cipher(&there), cipher(&back))
    }

    pub(crate) const fn hash(&self) -> &[u8; HASH] {
        &self.hash
    }
}

/// The first 32 bytes, as Noise takes a key from a longer hash.
fn cipher(key: &[u8; HASH]) -> Cipher {
    let mut first = Zeroizing::new([0; 32]);
    for (to, from) in first.iter_mut().zip(key) {
        *to = *from;
    }
    Cipher::new(first)
}

/// Noise's HKDF with two outputs.
fn hkdf(chaining_key: &[u8; HASH], input: &[u8]) -> (Zeroizing<[u8; HASH]>, Zeroizing<[u8; HASH]>) {
    let pseudorandom = hmac(chaining_key, &[input]);
    let first = hmac(&pseudorandom, &[&[0x01]]);
    let second = hmac(&pseudorandom, &[&*first, &[0x02]]);
    (first, second)
}

/// HMAC-BLAKE2b-512 (RFC 2104). The crate `hmac` takes BLAKE2b in `SimpleHmac` only, which leaves its padded key in
/// memory; this one wipes it.
fn hmac(key: &[u8; HASH], parts: &[&[u8]]) -> Zeroizing<[u8; HASH]> {
    let mut padded = Zeroizing::new([0; BLOCK]);
    for (to, from) in padded.iter_mut().zip(key) {
        *to = *from;
    }
    padded.iter_mut().for_each(|byte| *byte ^= 0x36);
    let mut inner = Blake2b512::new_with_prefix(*padded);
    parts.iter().for_each(|part| inner.update(part));
    let mut inner = inner.finalize();

    padded.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
    let mut outer = Blake2b512::new_with_prefix(*padded);
    outer.update(inner);
    inner.as_mut_slice().zeroize();
    let mut output = outer.finalize();
    let bytes = Zeroizing::new(output.into());
    output.as_mut_slice().zeroize();
    bytes
}
