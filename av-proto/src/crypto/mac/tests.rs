use std::vec::Vec;

use av_wire::hash::h256;
use blake2::digest::consts::{U20, U48, U64};
use blake2::digest::{Digest, FixedOutput, Update};
use blake2::{Blake2b, Blake2bMac};
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

/// RFC 7693 appendix E: the sequence from which inputs and keys are taken.
fn sequence(len: usize) -> Vec<u8> {
    let mut last = (0xdead_4bad_u32.wrapping_mul(u32::try_from(len).expect("short")), 1_u32);
    let next = |_| {
        last = (last.1, last.0.wrapping_add(last.1));
        last.1.to_be_bytes()[0]
    };
    (0..len).map(next).collect()
}

/// RFC 7693 appendix E, BLAKE2b's self-test: keyed and unkeyed, four output lengths, inputs of none to eight blocks.
/// What has 32 bytes goes through our own functions, whose personalisation is empty for once; the other lengths, which
/// AV/1 has no use for, through the library alone.
#[test]
fn blake2b_passes_the_self_test_of_rfc_7693() {
    let mut outputs = Vec::new();
    for len in [20, 32, 48, 64] {
        let key = sequence(len);
        for input in [0, 3, 128, 129, 255, 1_024].map(sequence) {
            macro_rules! with {
                ($len:ty) => {{
                    outputs.extend(Blake2b::<$len>::digest(&input));
                    let mut mac =
                        Blake2bMac::<$len>::new_with_salt_and_personal(Some(&key), &[], &[]).expect("a key");
                    mac.update(&input);
                    outputs.extend(mac.finalize_fixed());
                }};
            }
            match len {
                20 => with!(U20),
                48 => with!(U48),
                64 => with!(U64),
                _ => {
                    outputs.extend(h256(b"", &[&input]));
                    let key = Secret::new(key[..].try_into().expect("32 bytes"));
                    outputs.extend(mac(&key, b"", &[&input]).expect("a tag of no bytes"));
                }
            }
        }
    }
    let expected = hex!("c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475");
    assert_eq!(h256(b"", &[&outputs]), expected);
}
