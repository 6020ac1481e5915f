//! av-proto's primitives against answers that others computed: a miscompiled field multiplication would agree with
//! itself, and so would two devices of one image.

use av_proto::crypto::{Aead, AgreementSecret, Secret, SigningSecret, XChaCha20Poly1305, hkdf, mac};
use av_proto::wire::labels::SignaturePurpose;
use av_proto::wire::signature::{Signature, verify};
use hex_literal::hex;

use crate::{Failure, require};

/// Every primitive once.
///
/// # Errors
/// [`Failure`] with the primitive's name.
pub fn check() -> Result<(), Failure> {
    require(x25519(), "X25519 disagrees with RFC 7748 section 6.1")?;
    require(ed25519(), "Ed25519 disagrees with OpenSSL")?;
    require(xchacha20_poly1305(), "XChaCha20-Poly1305 disagrees with its draft")?;
    require(hkdf_sha512(), "HKDF-SHA-512 disagrees with Python's hmac")?;
    require(blake2b_256(), "BLAKE2b-256 disagrees with Python's hashlib")
}

/// RFC 7748 section 6.1.
fn x25519() -> bool {
    let secret = |bytes| AgreementSecret::from_bytes(&Secret::new(bytes));
    let alice = secret(hex!("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
    let bob = secret(hex!("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
    let shared = Secret::new(hex!("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
    *alice.public() == hex!("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        && alice.agree(bob.public()).is_ok_and(|agreed| agreed.ct_eq(&shared))
        && bob.agree(alice.public()).is_ok_and(|agreed| agreed.ct_eq(&shared))
        && alice.agree(&[0; 32]).is_err()
}

/// The key of RFC 8032 section 7.1, TEST 1, and OpenSSL's signature over `"AV1 auth" ‖ 0x00 ‖ "abc"`.
fn ed25519() -> bool {
    let key =
        SigningSecret::from_seed(&hex!("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    let expected = Signature(hex!(
        "152c43693060c5630a65ae3b61bd031dbbf17e5e8e59602ca7630e7a32c2d243"
        "a9097ef9963b2f52ec12c617f07ff038c27d414d0a26ddaa94d0e009a246a801"
    ));
    let verifies = |text| verify(key.public(), SignaturePurpose::Auth, &[text], &expected).is_ok();
    *key.public() == hex!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        && key.sign(SignaturePurpose::Auth, &[b"abc"]) == Ok(expected)
        && verifies(b"abc")
        && !verifies(b"abd")
}

/// draft-irtf-cfrg-xchacha-03 appendix A.3.1: the tag covers key, nonce, associated data and text at once.
fn xchacha20_poly1305() -> bool {
    let key = Secret::new(hex!("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
    let nonce = hex!("404142434445464748494a4b4c4d4e4f5051525354555657");
    let associated = hex!("50515253c0c1c2c3c4c5c6c7");
    let plaintext = *b"Ladies and Gentlemen of the class of '99: \
        If I could offer you only one tip for the future, sunscreen would be it.";
    let mut text = plaintext;
    let Ok(tag) = XChaCha20Poly1305::seal(&key, &nonce, &associated, &mut text) else { return false };
    tag == hex!("c0875924c1c7987947deafd8780acf49")
        && XChaCha20Poly1305::open(&key, &nonce, &associated, &mut text, &tag).is_ok()
        && text == plaintext
        && XChaCha20Poly1305::open(&key, &nonce, &[], &mut text, &tag).is_err()
}

/// RFC 5869's test case 1 with SHA-512 for its SHA-256; the answer was computed with Python's hmac and hashlib.
fn hkdf_sha512() -> bool {
    let mut okm = [0; 42];
    hkdf(&hex!("000102030405060708090a0b0c"), &[&[0x0b; 22]], &hex!("f0f1f2f3f4f5f6f7f8f9"), &mut okm);
    okm == hex!("832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb")
}

/// `hashlib.blake2b(b"abc", digest_size=32, key=bytes(range(32)), person=b"av1 grant")`.
fn blake2b_256() -> bool {
    let key = Secret::new(core::array::from_fn(|index| u8::try_from(index).unwrap_or_default()));
    mac(&key, b"av1 grant", &[b"a", b"bc"])
        == Ok(hex!("a3adfa2373f1a54e14c173a60eab6a9f1cdfa1d861f35802a9789a6c6cb2d943"))
}
