//! The floor: the primitives that AV/1 prescribes for an operation, called by hand in the same build, without parsing,
//! bookkeeping or errors. Nothing that computes the same bytes is faster with these crates.

use std::hint::black_box;

use blake2::digest::consts::{U32, U64};
use blake2::digest::{FixedOutput, Update};
use blake2::{Blake2b, Blake2bMac, Digest};
use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_core::Rng;
use sha2::Sha512;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::measure::{Cases, timed};
use crate::{BODY, rng};

/// Bytes of a plaintext of 100 bytes with its kind and end mark, rounded up to 32.
const PADDED: usize = (BODY + 2).next_multiple_of(32);
/// Bytes that a header's seal covers beside it: th, type and suite.
const HEADER_AD: usize = 32 + 2;
/// Bytes that a body's seal covers beside it: those, the nonce and the sealed header.
const BODY_AD: usize = HEADER_AD + 24 + 56;
/// Bytes of a signed prekey: `"AV1 prekey" ‖ 0x00 ‖ device_id ‖ record`.
const SIGNED_PREKEY: usize = 4 + 6 + 1 + 16 + 45;
/// Bytes of a transcript with a one-time prekey and without a KEM.
const TRANSCRIPT: usize = 1 + 1 + 4 + 16 + 32 + 32 + 32 + 36 + 37 + 1;

fn seal(key: &[u8; 32], nonce: &[u8; 24], ad: &[u8], text: &mut [u8]) -> [u8; 16] {
    let tag = XChaCha20Poly1305::new(key.into()).encrypt_inout_detached(nonce.into(), ad, text.into());
    tag.expect("short").into()
}

fn open(key: &[u8; 32], nonce: &[u8; 24], ad: &[u8], text: &mut [u8], tag: &[u8; 16]) -> bool {
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(nonce.into(), ad, text.into(), tag.into()).is_ok()
}

/// One HMAC-SHA-512: the next chain key in place, and the message key.
fn chain_step(chain: &mut [u8; 32]) -> [u8; 32] {
    let mut key = [0; 128];
    key[..32].copy_from_slice(chain);
    let mut hmac = Hmac::<Sha512>::new((&key).into());
    Mac::update(&mut hmac, b"AV1 chain\x01");
    let output: [u8; 64] = hmac.finalize().into_bytes().into();
    chain.copy_from_slice(&output[..32]);
    output[32..].try_into().expect("half")
}

/// HKDF-SHA-512 of a DH: the next root key in place, and the chain key.
fn root_step(root: &mut [u8; 32], agreed: &[u8; 32]) -> [u8; 32] {
    let mut output = [0; 96];
    Hkdf::<Sha512>::new(Some(&root[..]), agreed).expand(b"AV1 root", &mut output).expect("short");
    root.copy_from_slice(&output[..32]);
    output[32..64].try_into().expect("a third")
}

fn secret() -> StaticSecret {
    StaticSecret::random_from_rng(&mut rng(9))
}

/// Adds what everything else is compared with.
pub fn add(cases: &mut Cases) {
    let (ours, theirs) = (secret(), PublicKey::from(&secret()));
    cases.add("floor dh", 3, move |n| {
        timed(|| (0..n).for_each(|_| drop(black_box(ours.diffie_hellman(black_box(&theirs))))))
    });
    // What every header key costs that does not open a header.
    let sealed = [7; 40];
    cases.add("floor tag", 100, move |n| {
        timed(|| {
            for _ in 0..n {
                let mut text = black_box(sealed);
                assert!(!open(&[1; 32], &[2; 24], &[3; HEADER_AD], &mut text, &[4; 16]));
            }
        })
    });
    add_chain(cases);
    add_ping_pong(cases);
    add_x3dh(cases);
}

/// Seals header and body as the sender, opens both as the receiver; one chain step each.
fn pass(
    header_key: &[u8; 32],
    message_key: &[u8; 32],
    nonce: &[u8; 24],
    text: &mut [u8; PADDED],
) -> ([u8; 40], [u8; 16], [u8; 16]) {
    let mut header = [5; 40];
    let header_tag = seal(header_key, nonce, &[6; HEADER_AD], &mut header);
    let tag = seal(message_key, nonce, &[6; BODY_AD], text);
    (header, header_tag, tag)
}

fn add_chain(cases: &mut Cases) {
    let (mut rng, mut sending, mut receiving) = (rng(1), [8; 32], [8; 32]);
    cases.add("floor chain_100", 40, move |n| {
        timed(|| {
            for _ in 0..n {
                let (mut nonce, mut text) = ([0; 24], [0x61; PADDED]);
                rng.fill_bytes(&mut nonce);
                let key = chain_step(&mut sending);
                let (mut header, header_tag, tag) = pass(&[7; 32], &key, &nonce, &mut text);

                assert!(open(&[7; 32], &nonce, &[6; HEADER_AD], &mut header, &header_tag));
                let key = chain_step(&mut receiving);
                assert!(open(&key, &nonce, &[6; BODY_AD], black_box(&mut text), &tag));
            }
        })
    });
}

/// The sender makes a key pair and a root step; the receiver tries the current header key, opens with the next one,
/// and makes its root step.
fn add_ping_pong(cases: &mut Cases) {
    let mut rng = rng(2);
    let (mut sending, mut receiving) = ([8; 32], [8; 32]);
    let theirs = secret();
    let their_public = PublicKey::from(&theirs);
    cases.add("floor ping_pong_100", 2, move |n| {
        timed(|| {
            for _ in 0..n {
                let ours = StaticSecret::random_from_rng(&mut rng);
                let our_public = PublicKey::from(&ours);
                let mut chain = root_step(&mut sending, ours.diffie_hellman(&their_public).as_bytes());
                let (mut nonce, mut text) = ([0; 24], [0x61; PADDED]);
                rng.fill_bytes(&mut nonce);
                let key = chain_step(&mut chain);
                let (mut header, header_tag, tag) = pass(&[7; 32], &key, &nonce, &mut text);

                assert!(!open(&[1; 32], &nonce, &[6; HEADER_AD], &mut header.clone(), &header_tag));
                assert!(open(&[7; 32], &nonce, &[6; HEADER_AD], &mut header, &header_tag));
                let mut chain = root_step(&mut receiving, theirs.diffie_hellman(&our_public).as_bytes());
                let key = chain_step(&mut chain);
                assert!(open(&key, &nonce, &[6; BODY_AD], black_box(&mut text), &tag));
            }
        })
    });
}

/// Eight blocks of 32 bytes, of which five are agreements.
fn handshake_keys(agreed: [[u8; 32]; 5]) -> [u8; 32] {
    let _fingerprint = black_box(Blake2b::<U32>::digest(black_box([1; 74])));
    let mut transcript =
        Blake2bMac::<U64>::new_with_salt_and_personal(None, &[], b"av1 x3dh").expect("short");
    Update::update(&mut transcript, black_box(&[2; TRANSCRIPT]));
    let transcript = transcript.finalize_fixed();
    let mut ikm = [0; 256];
    for (block, agreed) in ikm.chunks_mut(32).skip(1).zip(agreed) {
        block.copy_from_slice(&agreed);
    }
    let mut keys = [0; 96];
    Hkdf::<Sha512>::new(Some(&transcript[..32]), &ikm).expand(b"AV1 x3dh", &mut keys).expect("short");
    keys[..32].try_into().expect("a third")
}

fn add_x3dh(cases: &mut Cases) {
    let signing = SigningKey::from_bytes(&[3; 32]);
    let verifying = signing.verifying_key().to_bytes();
    let message = [4; SIGNED_PREKEY];
    let signature: Signature = signing.sign(&message);
    let (identity, theirs, mut generator) = (secret(), PublicKey::from(&secret()), rng(3));
    cases.add("floor x3dh_initiate", 1, move |n| {
        timed(|| {
            for _ in 0..n {
                // Signed prekey and one-time prekey.
                for _ in 0..2 {
                    let key = VerifyingKey::from_bytes(black_box(&verifying)).expect("a key");
                    key.verify_strict(black_box(&message), &signature).expect("genuine");
                }
                let ephemeral = StaticSecret::random_from_rng(&mut generator);
                black_box(PublicKey::from(&ephemeral));
                let pairs = [&identity, &identity, &ephemeral, &ephemeral, &ephemeral];
                let mut root =
                    handshake_keys(pairs.map(|ours| ours.diffie_hellman(black_box(&theirs)).to_bytes()));
                let ratchet = StaticSecret::random_from_rng(&mut generator);
                black_box(PublicKey::from(&ratchet));
                black_box(root_step(&mut root, ratchet.diffie_hellman(&theirs).as_bytes()));
            }
        })
    });

    // The responder's, with the first message: its header opens under the next key at the first trial.
    let (identity, theirs) = (secret(), PublicKey::from(&secret()));
    let (mut header, mut text) = ([5; 40], [0x61; PADDED]);
    let header_tag = seal(&[7; 32], &[2; 24], &[6; HEADER_AD], &mut header);
    let mut root = handshake_keys([identity.diffie_hellman(&theirs).to_bytes(); 5]);
    let mut chain = root_step(&mut root, identity.diffie_hellman(&theirs).as_bytes());
    let tag = seal(&chain_step(&mut chain), &[2; 24], &[6; BODY_AD], &mut text);
    cases.add("floor x3dh_respond", 1, move |n| {
        timed(|| {
            for _ in 0..n {
                let agreed = [(); 5].map(|()| identity.diffie_hellman(black_box(&theirs)).to_bytes());
                let mut root = handshake_keys(agreed);
                assert!(open(&[7; 32], &[2; 24], &[6; HEADER_AD], &mut header.clone(), &header_tag));
                let mut chain = root_step(&mut root, identity.diffie_hellman(&theirs).as_bytes());
                let key = chain_step(&mut chain);
                assert!(open(&key, &[2; 24], &[6; BODY_AD], &mut text.clone(), &tag));
            }
        })
    });
}
