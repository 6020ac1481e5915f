//! The primitives against published answers: a miscompiled field multiplication would agree with itself.

use blake2::{Blake2b, Digest, digest::consts::U32};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, Tag},
};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hex_literal::hex;
use hkdf::Hkdf;
use sha2::Sha512;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::entropy;

/// RFC 7748 section 6.1.
pub fn x25519() {
    let alice = StaticSecret::from(hex!(
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
    ));
    let bob = StaticSecret::from(hex!(
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
    ));
    let alice_public = PublicKey::from(&alice);
    let shared = hex!("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(
        alice_public.to_bytes(),
        hex!("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    );
    assert_eq!(alice.diffie_hellman(&PublicKey::from(&bob)).to_bytes(), shared);
    assert_eq!(bob.diffie_hellman(&alice_public).to_bytes(), shared);
}

/// RFC 8032 section 7.1, TEST 1, and a verdict on one changed byte.
pub fn ed25519() {
    let key = SigningKey::from_bytes(&hex!(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    ));
    let public: VerifyingKey = key.verifying_key();
    let signature = key.sign(b"");
    assert_eq!(
        public.to_bytes(),
        hex!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    );
    assert_eq!(
        signature.to_bytes(),
        hex!(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        )
    );
    assert!(public.verify_strict(b"", &signature).is_ok());
    assert!(public.verify_strict(b"\0", &signature).is_err());
}

/// draft-irtf-cfrg-xchacha-03 appendix A.3.1: the tag covers key, nonce, associated data and text at once.
pub fn xchacha20_poly1305() {
    let key = hex!("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    let nonce = XNonce::from(hex!("404142434445464748494a4b4c4d4e4f5051525354555657"));
    let associated = hex!("50515253c0c1c2c3c4c5c6c7");
    let plaintext = b"Ladies and Gentlemen of the class of '99: \
        If I could offer you only one tip for the future, sunscreen would be it.";
    let aead = XChaCha20Poly1305::new(&key.into());
    let mut text = *plaintext;
    let tag = aead
        .encrypt_inout_detached(&nonce, &associated, (&mut text[..]).into())
        .expect("a short text");
    assert_eq!(tag[..], hex!("c0875924c1c7987947deafd8780acf49"));
    assert!(
        aead.decrypt_inout_detached(&nonce, &associated, (&mut text[..]).into(), &tag)
            .is_ok()
    );
    assert_eq!(text, *plaintext);
}

/// RFC 5869's test case 1 with SHA-512 for its SHA-256; the answer was computed with Python's hmac and hashlib.
pub fn hkdf_sha512() {
    let mut okm = [0; 42];
    Hkdf::<Sha512>::new(Some(&hex!("000102030405060708090a0b0c")), &[0x0b; 22])
        .expand(&hex!("f0f1f2f3f4f5f6f7f8f9"), &mut okm)
        .expect("shorter than 255 blocks");
    assert_eq!(
        okm,
        hex!("832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb")
    );
}

/// `b2sum -l 256` of "abc".
pub fn blake2b_256() {
    let digest: [u8; 32] = Blake2b::<U32>::digest(b"abc").into();
    assert_eq!(
        digest,
        hex!("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319")
    );
}

/// The pieces together on keys that nobody knows: both sides derive one key, and only the untouched text opens.
pub fn fresh_keys() {
    let (ours, theirs) = (fresh_secret(), fresh_secret());
    let sender = session_key(&ours, &PublicKey::from(&theirs));
    let receiver = session_key(&theirs, &PublicKey::from(&ours));
    let nonce = XNonce::from([0; 24]);
    let mut text = *b"attack at dawn";
    let tag: Tag<XChaCha20Poly1305> = XChaCha20Poly1305::new(&sender.into())
        .encrypt_inout_detached(&nonce, b"header", (&mut text[..]).into())
        .expect("a short text");
    assert_ne!(&text, b"attack at dawn");

    let aead = XChaCha20Poly1305::new(&receiver.into());
    let mut forged = text;
    forged[0] ^= 1;
    assert!(
        aead.decrypt_inout_detached(&nonce, b"header", (&mut forged[..]).into(), &tag)
            .is_err()
    );
    assert!(
        aead.decrypt_inout_detached(&nonce, b"header", (&mut text[..]).into(), &tag)
            .is_ok()
    );
    assert_eq!(&text, b"attack at dawn");
}

fn fresh_secret() -> StaticSecret {
    let mut bytes = [0; 32];
    entropy::fill(&mut bytes).expect("the emulator lends /dev/urandom");
    StaticSecret::from(bytes)
}

fn session_key(ours: &StaticSecret, theirs: &PublicKey) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha512>::new(None, ours.diffie_hellman(theirs).as_bytes())
        .expand(b"AV1 selftest", &mut key)
        .expect("shorter than 255 blocks");
    key
}
