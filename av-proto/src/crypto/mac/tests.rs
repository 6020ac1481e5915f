use hex_literal::hex;

use super::{mac, verify_mac};
use crate::crypto::Secret;

/// From Python's `hashlib.blake2b(b"abc", key=bytes(range(32)), person=b"av1 grant", digest_size=32)`.
const EXPECTED: [u8; 32] = hex!("a3adfa2373f1a54e14c173a60eab6a9f1cdfa1d861f35802a9789a6c6cb2d943");

fn key() -> Secret<32> {
    Secret::new(core::array::from_fn(|index| u8::try_from(index).expect("below 32")))
}

#[test]
fn agrees_with_an_independent_implementation() {
    assert_eq!(mac(&key(), b"av1 grant", &[b"a", b"", b"bc"]), Ok(EXPECTED));
    assert!(verify_mac(&key(), b"av1 grant", &[b"abc"], &EXPECTED));
}

#[test]
fn every_bit_of_key_label_input_and_tag_counts() {
    for bit in 0..256 {
        let mut tag = EXPECTED;
        tag[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify_mac(&key(), b"av1 grant", &[b"abc"], &tag));
        let mut other = *key().expose();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify_mac(&Secret::new(other), b"av1 grant", &[b"abc"], &EXPECTED));
    }
    assert!(!verify_mac(&key(), b"av1 enrolltag", &[b"abc"], &EXPECTED));
    assert!(!verify_mac(&key(), b"av1 grant", &[b"abd"], &EXPECTED));
}

#[test]
fn a_label_that_no_personalisation_holds_is_an_error_and_never_verifies() {
    assert!(mac(&key(), b"seventeen bytes..", &[]).is_err());
    assert!(!verify_mac(&key(), b"seventeen bytes..", &[], &[0; 32]));
}
