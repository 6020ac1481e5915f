//! An AEAD that keeps a list of what it sealed: nothing else can see whether a key and nonce repeat.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use av_proto::crypto::{Aead, TAG};
use av_proto::keys::Secret;
use av_proto::limits::HEADER;
use av_proto::wire::Suite;
use av_proto::{CryptoError, XChaCha20Poly1305};

/// Suite 0x01, watched: real encryption, and a list of this thread's seals.
pub enum Watched {}

#[derive(Default)]
struct Seals {
    pairs: BTreeSet<([u8; 32], Vec<u8>)>,
    repeated: bool,
    /// The body key of each message, by nonce.
    body_keys: BTreeMap<Vec<u8>, [u8; 32]>,
    last_body_nonce: Option<Vec<u8>>,
}

thread_local! {
    static SEALS: RefCell<Seals> = RefCell::default();
}

/// Forgets what this thread sealed.
pub(crate) fn begin() {
    SEALS.with_borrow_mut(|seals| *seals = Seals::default());
}

/// Whether a pair of key and nonce sealed twice.
pub(crate) fn pair_repeated() -> bool {
    SEALS.with_borrow(|seals| seals.repeated)
}

/// The message key that sealed the body of the message with this nonce.
pub(crate) fn body_key(nonce: &[u8]) -> Option<[u8; 32]> {
    SEALS.with_borrow(|seals| seals.body_keys.get(nonce).copied())
}

/// The nonce of the message that was sealed last.
pub(crate) fn last_body_nonce() -> Option<Vec<u8>> {
    SEALS.with_borrow(|seals| seals.last_body_nonce.clone())
}

/// Tells keys apart without showing them: 32 bytes of the key's own stream.
fn name(key: &Secret<32>) -> Result<[u8; 32], CryptoError> {
    let mut name = [0; 32];
    XChaCha20Poly1305::seal(key, &[0xff; XChaCha20Poly1305::NONCE], b"name", &mut name)?;
    Ok(name)
}

impl Aead for Watched {
    const SUITE: Suite = XChaCha20Poly1305::SUITE;
    const NONCE: usize = XChaCha20Poly1305::NONCE;

    fn seal(key: &Secret<32>, nonce: &[u8], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; TAG], CryptoError> {
        let name = name(key)?;
        SEALS.with_borrow_mut(|seals| {
            seals.repeated |= !seals.pairs.insert((name, nonce.to_vec()));
            // Bodies are rounded up to 32 bytes, so none is as long as a header.
            if buffer.len() != HEADER {
                seals.body_keys.insert(nonce.to_vec(), name);
                seals.last_body_nonce = Some(nonce.to_vec());
            }
        });
        XChaCha20Poly1305::seal(key, nonce, ad, buffer)
    }

    fn open(
        key: &Secret<32>,
        nonce: &[u8],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), CryptoError> {
        XChaCha20Poly1305::open(key, nonce, ad, buffer, tag)
    }
}
