//! Secrets, in every form in which the primitives hold them, and where they are found.

use std::collections::{BTreeMap, HashMap};

use av_proto::crypto::AgreementSecret;
use av_proto::keys::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha512};

/// Bytes of a secret that have to stand together to be called found. Eight do not by chance.
pub(crate) const PART: usize = 8;

/// Bytes of an invite's token.
const TOKEN: usize = 20;
/// The label of the root chain.
const ROOT: &[u8] = b"AV1 root";

/// Secrets by what they are, each with the number of its parts that were found.
pub(crate) type Found = BTreeMap<&'static str, usize>;

/// What is searched for.
#[derive(Default)]
pub(crate) struct Secrets {
    parts: HashMap<[u8; PART], &'static str>,
}

impl Secrets {
    fn add(&mut self, name: &'static str, secret: &[u8]) {
        for part in parts(secret) {
            self.parts.entry(part).or_insert(name);
        }
    }

    /// No longer searches for a secret: it is one that still has to be there.
    pub(crate) fn spare(&mut self, secret: &[u8]) {
        for part in parts(secret) {
            self.parts.remove(&part);
        }
    }

    /// What was drawn, what stood in records, and what av-proto derives of both: key pairs agree, chain keys step, root
    /// keys take agreements in.
    pub(crate) fn derive(&mut self, drawn: &[Vec<u8>], recorded: &[Vec<u8>]) {
        let pairs: Vec<AgreementSecret> = drawn
            .iter()
            .filter_map(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok())
            .map(|bytes| AgreementSecret::from_bytes(&Secret::new(bytes)))
            .collect();
        let mut agreements = Vec::new();
        for (index, one) in pairs.iter().enumerate() {
            for other in &pairs[index + 1..] {
                agreements
                    .extend(one.agree(other.public()).map(|agreed| crate::memory::secret_bytes(&agreed)));
            }
        }
        for agreed in &agreements {
            self.add("agreement", agreed);
        }
        let mut recorded = recorded.to_vec();
        recorded.sort();
        recorded.dedup();
        for key in &recorded {
            let block = hmac(key, &[b"AV1 chain\x01"]);
            self.add("chain key", &block[..32]);
            self.add("message key", &block[32..]);
            for agreed in &agreements {
                // A step that was taken: the root key that it gives was recorded.
                let first = hkdf(key, agreed, ROOT).1;
                if recorded.iter().any(|known| known[..] == first[..32]) {
                    self.add_hkdf(key, agreed, ROOT);
                }
            }
        }
        // Nonces and marks are drawn too, and are not secret.
        for bytes in drawn.iter().filter(|bytes| bytes.len() == 32 || bytes.len() == TOKEN) {
            self.add("drawn", bytes);
            self.add("expanded signing key", &Sha512::digest(bytes));
        }
        for bytes in &recorded {
            self.add("of a record", bytes);
        }
    }

    /// What HKDF-SHA-512 passes through: the extracted key and two blocks.
    fn add_hkdf(&mut self, salt: &[u8], ikm: &[u8], info: &[u8]) {
        let (extracted, first) = hkdf(salt, ikm, info);
        self.add("PRK", &extracted);
        self.add("T(2)", &hmac(&extracted, &[&first, info, &[2]]));
        self.add("T(1)", &first);
    }

    /// The secrets of which a part stands in `memory`, each with the number of parts.
    pub(crate) fn found_in(&self, memory: &[u8]) -> Found {
        let mut found = BTreeMap::new();
        for part in memory.windows(PART) {
            if let Some(name) = self.parts.get(part) {
                *found.entry(*name).or_insert(0) += 1;
            }
        }
        found
    }
}

/// A secret's parts: of it as it is, as HMAC pads it, and of each of these as SHA-512 loads it.
fn parts(secret: &[u8]) -> Vec<[u8; PART]> {
    let mut parts = Vec::new();
    for pad in [0, 0x36, 0x5c] {
        let padded: Vec<u8> = secret.iter().map(|byte| byte ^ pad).collect();
        let loaded: Vec<u8> = padded.chunks(8).flat_map(|word| word.iter().rev().copied()).collect();
        for form in [padded, loaded] {
            parts
                .extend(form.windows(PART).map(|part| <[u8; PART]>::try_from(part).expect("of this length")));
        }
    }
    parts
}

/// The extracted key and the first block.
fn hkdf(salt: &[u8], ikm: &[u8], info: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let extracted = hmac(salt, &[ikm]);
    let first = hmac(&extracted, &[info, &[1]]);
    (extracted, first)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut hmac = <Hmac<Sha512> as KeyInit>::new_from_slice(key).expect("any length");
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().to_vec()
}
