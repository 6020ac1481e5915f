use av_wire::labels::SignaturePurpose;
use av_wire::limits::MAX_SIGNED;
use av_wire::signature::verify;
use hex_literal::hex;

use super::SigningSecret;
use crate::test_support::rng;

/// RFC 8032 section 7.1, test 1.
#[test]
fn a_seed_gives_the_public_key_of_rfc_8032() {
    let seed = hex!("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = hex!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(*SigningSecret::from_seed(&seed).public(), public);
}

#[test]
fn a_signature_verifies_for_its_own_purpose_key_and_text_only() {
    let (key, other) = (SigningSecret::generate(&mut rng(1)), SigningSecret::generate(&mut rng(2)));
    for purpose in SignaturePurpose::ALL {
        let signature = key.sign(purpose, &[b"te", b"xt"]).expect("signs");
        for checked in SignaturePurpose::ALL {
            assert_eq!(verify(key.public(), checked, &[b"text"], &signature).is_ok(), checked == purpose);
        }
        assert!(verify(other.public(), purpose, &[b"text"], &signature).is_err());
        assert!(verify(key.public(), purpose, &[b"texts"], &signature).is_err());
    }
}

#[test]
fn signing_is_deterministic_and_bounded() {
    let key = SigningSecret::generate(&mut rng(1));
    let sign = |len| key.sign(SignaturePurpose::Cert, &[&std::vec![1; len]]);
    assert_eq!(sign(100), sign(100));
    assert!(sign(MAX_SIGNED).is_ok());
    assert!(sign(MAX_SIGNED + 1).is_err());
}
