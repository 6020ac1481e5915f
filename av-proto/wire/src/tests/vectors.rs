//! Every frame, layout and hash has the bytes that an independent implementation computed
//! (`vectors/av-wire.txt`: Python's hashlib for BLAKE2b with personalisation, cryptography for Ed25519, cbor2 in
//! canonical mode for CBOR).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::samples::{ORIGIN, Tenant, encoded, pattern};
use crate::frame::{LinkKind, ToDevice, ToRelay, authentication_message, founding_message};
use crate::hash::{h128, h256};
use crate::ids::safety_number;
use crate::message::message_id;
use crate::statement::{Verdict, keep_name};
use crate::{LookupHash, Origin, Unverified};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The vectors by name.
fn expected() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("../../vectors/av-wire.txt").lines();
    let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    named.map(|line| line.split_once(" = ").unwrap()).collect()
}

fn computed(tenant: &Tenant) -> BTreeMap<&'static str, String> {
    let (owner, agent) = (&tenant.owners[0], &tenant.agent);
    let (one, other) = (owner.public.fingerprint(), agent.public.fingerprint());
    let origin = Origin::parse(ORIGIN).unwrap();
    let certs = tenant.certs(4);
    let mut values = BTreeMap::from([
        ("h256 abc", hex(&h256(b"av1 device", &[b"a", b"bc"]))),
        ("h128 abc", hex(&h128(b"av1 tenant", &[b"abc", b""]))),
        ("h256 16-byte tag", hex(&h256(b"0123456789abcdef", &[]))),
        ("h256 300 bytes", hex(&h256(b"av1 device", &[&pattern::<300>(0)]))),
        ("tenant_id", tenant.id().to_string()),
        ("owner DevicePublic", hex(&owner.public.to_bytes())),
        ("owner fingerprint", one.to_string()),
        ("owner groups", one.groups().to_string()),
        ("agent DevicePublic", hex(&agent.public.to_bytes())),
        ("agent fingerprint", other.to_string()),
        ("agent groups", other.groups().to_string()),
        ("agent device_id", agent.id().to_string()),
        ("safety number", safety_number(&one, &other).to_string()),
        ("lookup hash", LookupHash::of(&pattern(0x30)).to_string()),
        ("enroll transcript", hex(&tenant.enroll().transcript().unwrap().0)),
        ("chain hash", hex(&tenant.grant().chain().hash())),
        ("keep name", hex(&keep_name(&certs[0]))),
        (
            "message_id",
            message_id(&tenant.id(), &agent.id(), &owner.id(), &pattern::<82>(1), &pattern::<48>(0xd0))
                .to_string(),
        ),
        (
            "authentication message",
            hex(&authentication_message(LinkKind::Tls, &pattern(0xc0), &tenant.id(), &agent.id(), &origin)
                .unwrap()),
        ),
        ("founding message", hex(&founding_message(&tenant.id(), &origin, &owner.id()).unwrap())),
        ("Cert", hex(&certs[0])),
        ("Chain/1", hex(&tenant.chain(1))),
        ("Chain/4", hex(&tenant.chain(4))),
        ("Chain/kept", hex(&tenant.kept_chain())),
        ("Revocation", hex(&tenant.statement(Verdict::Revoked, &pattern::<32>(0xf0)))),
        ("Suspension", hex(&tenant.statement(Verdict::Suspended, &[]))),
        ("Resumption", hex(&tenant.statement(Verdict::Resumed, &[]))),
        ("LinkKeys", hex(&tenant.statement(Verdict::LinkKeys, &[]))),
        ("key_id", tenant.key_grant().key_id().to_string()),
        ("KeyGrant", hex(&tenant.signed_key_grant())),
        ("Chain/key", hex(&tenant.key_chain())),
        ("Chain/keyed", hex(&tenant.keyed_chain())),
        ("origin as a subject", origin.subject().to_string()),
        ("Bundle", hex(&encoded(&agent.bundle()))),
        ("Bundle/kem", hex(&encoded(&agent.bundle_with_kem()))),
        ("EnrollRequest", hex(&encoded(&tenant.enroll()))),
        ("Grant", hex(&encoded(&tenant.grant()))),
        ("Prelude", hex(&encoded(&tenant.prelude(tenant.chain(2), Some(2))))),
        ("Prelude/again", hex(&encoded(&tenant.prelude(agent.id().0.to_vec(), None)))),
    ]);
    values.extend(tenant.to_relay().iter().map(|(name, frame)| (*name, hex(&encoded(frame)))));
    values.extend(tenant.to_device().iter().map(|(name, frame)| (*name, hex(&encoded(frame)))));
    values
}

#[test]
fn every_vector_is_computed_and_everything_computed_has_a_vector() {
    let (expected, computed) = (expected(), computed(&Tenant::new()));
    for (name, value) in &computed {
        assert_eq!(expected.get(name), Some(&&**value), "{name}");
    }
    assert_eq!(expected.keys().collect::<Vec<_>>(), computed.keys().collect::<Vec<_>>());
}

#[test]
fn frames_decode_from_their_vectors() {
    let (tenant, expected) = (Tenant::new(), expected());
    for (name, frame) in tenant.to_relay() {
        let bytes = unhex(expected[name]);
        assert_eq!(crate::decode::<ToRelay<'_>>(&bytes), Ok(frame), "{name}");
        assert!(crate::decode::<ToDevice<'_>>(&bytes).is_err(), "{name} is no frame of the other direction");
    }
    for (name, frame) in tenant.to_device() {
        let bytes = unhex(expected[name]);
        assert_eq!(crate::decode::<ToDevice<'_>>(&bytes), Ok(frame), "{name}");
        assert!(crate::decode::<ToRelay<'_>>(&bytes).is_err(), "{name} is no frame of the other direction");
    }
}

#[test]
fn signed_vectors_verify() {
    let (tenant, expected) = (Tenant::new(), expected());
    let key = tenant.owners[0].public.identity_key;
    for name in ["Revocation", "Suspension", "Resumption", "LinkKeys", "KeyGrant"] {
        assert_eq!(Unverified::decode(&unhex(expected[name])).unwrap().verify(&key), Ok(()));
    }
    let revoked = tenant.owners[0].id();
    for (name, stands) in
        [("Chain/1", true), ("Chain/4", false), ("Chain/kept", true), ("Chain/keyed", false)]
    {
        let chain = unhex(expected[name]);
        let chain = crate::chain::Chain::new(&chain);
        assert!(chain.verify(&tenant.id(), |_| false).is_ok());
        assert_eq!(chain.verify(&tenant.id(), |id| *id == revoked).is_ok(), stands, "{name}");
    }
    let names: Vec<_> = vec!["ToRelay.Enroll"];
    for name in names {
        let bytes = unhex(expected[name]);
        let ToRelay::Enroll { request } = crate::decode(&bytes).unwrap() else { panic!("{name}") };
        assert!(request.verify_possession().is_ok());
    }
}
