//! What an enrolling device and its owner sign: every part counts, and a key counts only where it was meant.

use std::vec;
use std::vec::Vec;

use super::samples::{Device, NOW, ORIGIN, Tenant, encoded, pattern};
use crate::bundle::{Bundle, KEM_RECORD, KemPrekeyKind, PrekeyKind, SignedKemPrekey, SignedPrekey};
use crate::enroll::{EnrollRequest, EnrollTranscript, verify_activation};
use crate::frame::{LinkKind, authentication_message, founding_message};
use crate::labels::SignaturePurpose;
use crate::limits::{MAX_BUNDLE, MAX_ORIGIN, SEALED_NAME};
use crate::public::Role;
use crate::signature::{InvalidSignature, Signature};
use crate::{DecodeError, DeviceId, LookupHash, Origin, TenantId};

#[test]
fn a_genuine_request_proves_possession() {
    let tenant = Tenant::new();
    let request = tenant.enroll();
    let (device, transcript) = request.verify_possession().unwrap();
    assert_eq!(device, tenant.agent.public);
    assert_eq!(transcript, request.transcript().unwrap());
    assert_eq!(request.lookup_hash(), LookupHash::of(&pattern(0x30)));
}

#[test]
fn every_signed_part_of_a_request_counts() {
    let request = Tenant::new().enroll();
    let refused = |request: &EnrollRequest<'_>| {
        assert_eq!(request.verify_possession(), Err(InvalidSignature));
    };
    refused(&EnrollRequest { lookup: pattern(0x31), ..request });
    for byte in 0..request.device.len() {
        let mut device = request.device;
        device[byte] ^= 1;
        refused(&EnrollRequest { device, ..request });
    }
    let mut bundle = request.bundle.to_vec();
    bundle[20] ^= 1;
    refused(&EnrollRequest { bundle: (&bundle[..]), ..request });
    let mut name = request.sealed_name.to_vec();
    name[103] ^= 1;
    refused(&EnrollRequest { sealed_name: (&name[..]), ..request });
    refused(&EnrollRequest { pop: Signature([0; 64]), ..request });
    // The tag is for the inviting device alone, which checks it against the same transcript.
    assert!(EnrollRequest { tag: [0; 32], ..request }.verify_possession().is_ok());
}

#[test]
fn parts_of_a_transcript_cannot_be_shifted_into_one_another() {
    let device = Tenant::new().agent.public.to_bytes();
    let name = pattern::<SEALED_NAME>(0);
    let long = [&[7; 10][..], &name].concat();
    let transcript = |bundle: &[u8], name: &[u8]| EnrollTranscript::new(&pattern(0), &device, bundle, name);
    let one = transcript(&[7; 10], &name).unwrap();
    assert_ne!(one, transcript(&[7; 9], &name).unwrap());
    assert_ne!(transcript(&long[..9], &long[9..9 + SEALED_NAME]), Ok(one));
    for len in [0, 1, SEALED_NAME - 1, SEALED_NAME + 1] {
        assert_eq!(transcript(&[7; 10], &[0; SEALED_NAME + 1][..len]), Err(DecodeError));
    }
    assert!(transcript(&[0; MAX_BUNDLE], &name).is_ok());
    assert_eq!(transcript(&[0; MAX_BUNDLE + 1], &name), Err(DecodeError));
}

#[test]
fn an_activation_is_of_one_device_request_and_chain() {
    let tenant = Tenant::new();
    let (agent, owner) = (&tenant.agent, &tenant.owners[0]);
    let transcript = tenant.enroll().transcript().unwrap();
    let chain = tenant.grant().chain().hash();
    let signature = agent.sign(SignaturePurpose::Activate, &[&transcript.0, &chain]);
    assert_eq!(verify_activation(&agent.public, &transcript, &chain, &signature), Ok(()));
    let refused = Err(InvalidSignature);
    assert_eq!(verify_activation(&owner.public, &transcript, &chain, &signature), refused);
    assert_eq!(verify_activation(&agent.public, &EnrollTranscript([0; 32]), &chain, &signature), refused);
    assert_eq!(verify_activation(&agent.public, &transcript, &[0; 32], &signature), refused);
    let possession = tenant.enroll().pop;
    assert_eq!(verify_activation(&agent.public, &transcript, &chain, &possession), refused);
}

#[test]
fn a_prekey_counts_for_its_device_only() {
    let (device, other) = (Device::new(1, Role::Agent), Device::new(2, Role::Agent));
    let genuine = device.prekey(PrekeyKind::Signed, 1);
    assert_eq!(genuine.verify(&device.public).unwrap().id, 1);
    assert_eq!(genuine.verify(&other.public), Err(InvalidSignature));
    // The same identity key in a device with another agreement key is another device.
    let mut twin = device.public;
    twin.agreement_key[0] ^= 1;
    assert_eq!(genuine.verify(&twin), Err(InvalidSignature));
    for byte in 0..genuine.record.len() {
        let mut changed = genuine;
        changed.record[byte] ^= 4;
        assert_eq!(changed.verify(&device.public), Err(InvalidSignature));
    }
    let mut unknown_kind = genuine.record;
    unknown_kind[0] = 2;
    let signature = device.sign(SignaturePurpose::Prekey, &[device.id().as_bytes(), &unknown_kind]);
    assert_eq!(
        SignedPrekey { record: unknown_kind, signature }.verify(&device.public),
        Err(InvalidSignature)
    );
}

#[test]
fn a_bundle_holds_each_kind_in_its_place() {
    let device = Device::new(1, Role::Agent);
    let bundle = device.bundle();
    let (signed, one_time) = (bundle.signed, bundle.one_time.unwrap());
    let verified = bundle.verify(&device.public).unwrap();
    assert_eq!((verified.signed().id, verified.one_time().unwrap().id), (1, 2));
    let last = Bundle { signed, one_time: None, kem: None }.verify(&device.public).unwrap();
    assert_eq!((last.one_time(), last.kem()), (None, None));
    let with_kem = device.bundle_with_kem();
    let kem = *with_kem.verify(&device.public).unwrap().kem().unwrap();
    assert_eq!((kem.id(), kem.kind(), kem.created_at()), (3, KemPrekeyKind::LastResort, NOW));
    let other = Device::new(2, Role::Agent);
    for wrong in [
        Bundle { signed: one_time, one_time: Some(signed), ..with_kem },
        Bundle { signed: one_time, one_time: None, ..with_kem },
        Bundle { signed, one_time: Some(signed), ..with_kem },
        Bundle { signed: other.bundle().signed, one_time: None, ..with_kem },
        Bundle { one_time: other.bundle().one_time, ..with_kem },
        Bundle { kem: other.bundle_with_kem().kem, ..with_kem },
    ] {
        assert_eq!(wrong.verify(&device.public), Err(InvalidSignature));
    }
    assert_eq!(encoded(&bundle).len(), Bundle::MAX_LEN_WITHOUT_KEM);
    assert_eq!(encoded(&with_kem).len(), Bundle::MAX_LEN);
    let mut buffer = [0; Bundle::MAX_LEN];
    assert_eq!(with_kem.encode(&mut buffer).unwrap(), encoded(&with_kem));
    assert!(with_kem.encode(&mut [0; Bundle::MAX_LEN - 1]).is_err());
}

#[test]
fn a_kem_prekey_is_of_its_length_and_kind() {
    let device = Device::new(1, Role::Agent);
    let genuine = encoded(&device.kem_prekey(KemPrekeyKind::OneTime, 7));
    assert_eq!(genuine.len(), SignedKemPrekey::LEN);
    assert!(crate::decode::<SignedKemPrekey<'_>>(&genuine).is_ok());
    for len in [KEM_RECORD - 1, KEM_RECORD + 1] {
        let mut bytes = vec![0x82, 0x59];
        bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        bytes.resize(4 + len, 2);
        bytes.extend(&genuine[4 + KEM_RECORD..]);
        assert_eq!(crate::decode::<SignedKemPrekey<'_>>(&bytes), Err(DecodeError));
    }
    for kind in [0, 1, 4, 5] {
        let mut record = *device.kem_prekey(KemPrekeyKind::OneTime, 7).record;
        record[0] = kind;
        let signature = device.sign(SignaturePurpose::Prekey, &[device.id().as_bytes(), &record]);
        assert_eq!(
            SignedKemPrekey { record: &record, signature }.verify(&device.public),
            Err(InvalidSignature)
        );
    }
}

#[test]
fn a_bundle_that_is_kept_is_the_one_that_was_verified() {
    let device = Device::new(1, Role::Agent);
    for bundle in [device.bundle(), device.bundle_with_kem()] {
        let verified = bundle.verify(&device.public).unwrap();
        assert_eq!(verified.keep::<1>().as_verified(), verified);
        let without = Bundle { kem: None, ..bundle }.verify(&device.public).unwrap();
        assert_eq!(verified.keep::<0>().as_verified(), without);
    }
}

#[test]
fn authentication_and_founding_cover_every_part() {
    let tenant = Tenant::new();
    let (id, device) = (tenant.id(), tenant.agent.id());
    let origin = |text| Origin::parse(text).unwrap();
    let authentication = |link, nonce, tenant, device, text| {
        authentication_message(link, &pattern(nonce), &tenant, &device, &origin(text)).unwrap().to_vec()
    };
    let found = |tenant, text, founder| founding_message(&tenant, &origin(text), &founder).unwrap().to_vec();
    let (elsewhere, other, foreign) = ("wss://relay.example.org:844", DeviceId([0; 16]), TenantId([0; 16]));
    let mut messages: Vec<Vec<u8>> = [
        authentication(LinkKind::Tls, 1, id, device, ORIGIN),
        authentication(LinkKind::Plain, 1, id, device, ORIGIN),
        authentication(LinkKind::Noise, 1, id, device, ORIGIN),
        authentication(LinkKind::Tls, 2, id, device, ORIGIN),
        authentication(LinkKind::Tls, 1, foreign, device, ORIGIN),
        authentication(LinkKind::Tls, 1, id, other, ORIGIN),
        authentication(LinkKind::Tls, 1, id, device, elsewhere),
        found(id, ORIGIN, device),
        found(foreign, ORIGIN, device),
        found(id, elsewhere, device),
        found(id, ORIGIN, other),
    ]
    .to_vec();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), 11);
}

#[test]
fn the_longest_origin_can_be_signed() {
    let longest = Origin::parse(&std::format!("wss://{}", "a".repeat(MAX_ORIGIN - 6))).unwrap();
    let (tenant, device) = (TenantId([1; 16]), DeviceId([2; 16]));
    assert!(authentication_message(LinkKind::Tls, &[0; 32], &tenant, &device, &longest).is_ok());
    assert!(founding_message(&tenant, &longest, &device).is_ok());
}

#[test]
fn a_link_kind_is_one_number_in_the_frame_and_under_the_signature() {
    for link in [LinkKind::Plain, LinkKind::Tls, LinkKind::Noise] {
        assert_eq!(encoded(&link), [link as u8]);
    }
}
