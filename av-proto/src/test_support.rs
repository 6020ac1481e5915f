//! What tests of several modules share.

use core::cell::Cell;
use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::thread_local;
use std::vec;
use std::vec::Vec;

use av_wire::bundle::VerifiedBundle;
use av_wire::{Role, Suite, Suites, TenantId};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;

use crate::crypto::{Aead, CryptoError, Secret, XChaCha20Poly1305};
use crate::error::CodecError;
use crate::keys::{Identity, Prekeys};
use crate::record::codec::Writer;

/// A generator whose whole run follows from `seed`, so that a failing schedule can be run again.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The tenant of all devices in tests.
pub(crate) const TENANT: TenantId = TenantId([0x7e; 16]);

/// A device of this role that speaks the suite of `A` alone.
pub(crate) fn identity<A: Aead>(seed: u64, role: Role) -> Identity {
    let suites: Suites = A::SUITE.alone();
    Identity::generate(&mut rng(seed), role, suites, 4_096)
}

/// What a device lists that has no KEM.
pub(crate) const WITHOUT_KEM: Suites = Suite::XChaCha20Poly1305.alone();

/// The verified bundle of a device's prekeys, without KEM.
pub(crate) fn bundle<const N: usize>(prekeys: &Prekeys<N>, identity: &Identity) -> VerifiedBundle<'static> {
    prekeys
        .bundle(identity, &mut [])
        .expect("signs")
        .verify(identity.public())
        .expect("its own signatures verify")
}

/// The bytes that `write` writes into a record of at most `max` bytes.
pub(crate) fn written(max: usize, write: impl FnOnce(&mut Writer<'_>) -> Result<(), CodecError>) -> Vec<u8> {
    let mut buffer = vec![0; max];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).expect("the record fits into its maximum");
    let len = writer.len();
    buffer.truncate(len);
    buffer
}

thread_local! {
    pub(crate) static TAGS: Cell<usize> = const { Cell::new(0) };
}

/// XChaCha20-Poly1305 that counts the tags which this thread has verified.
pub(crate) enum Counting {}

impl Aead for Counting {
    const SUITE: Suite = XChaCha20Poly1305::SUITE;
    const NONCE: usize = XChaCha20Poly1305::NONCE;

    fn seal(key: &Secret<32>, nonce: &[u8], ad: &[u8], buffer: &mut [u8]) -> Result<[u8; 16], CryptoError> {
        XChaCha20Poly1305::seal(key, nonce, ad, buffer)
    }

    fn open(
        key: &Secret<32>,
        nonce: &[u8],
        ad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError> {
        TAGS.set(TAGS.get() + 1);
        XChaCha20Poly1305::open(key, nonce, ad, buffer, tag)
    }
}

/// How people write down, pass on and type a text of this prefix.
pub(crate) fn spellings(prefix: &str, text: &str) -> [String; 9] {
    [
        text.to_owned(),
        text.to_lowercase(),
        text.replace('-', " "),
        text.replace('-', ""),
        text.replace('-', "\u{2013}"),
        text[prefix.len()..].to_owned(),
        format!("  {text}\n"),
        text.replace('0', "o").replace('1', "l"),
        text.replace('0', "O").replace('1', "I"),
    ]
}
