//! Hashes, keys, devices, fingerprints, the root (`PROTOCOL.md` conventions, sections 2 and 4.4).

use av_wire::hash::{h128, h256};
use av_wire::ids::safety_number;
use av_wire::labels::SignaturePurpose;
use av_wire::signature::signed_message;
use av_wire::{DevicePublic, Role};
use serde_json::{Value, json};
use std::vec::Vec;

use super::{Draws, check, hex, refused, refused_bytes};
use crate::crypto::{Secret, SigningSecret, XChaCha20Poly1305, hkdf, mac};
use crate::enroll::RecoveryKey;
use crate::test_support::identity;

#[test]
fn identities_have_their_vectors() {
    let (owner, agent) =
        (identity::<XChaCha20Poly1305>(1, Role::Owner), identity::<XChaCha20Poly1305>(2, Role::Agent));
    let devices: Vec<Value> = [&owner, &agent]
        .map(|device| {
            let public = device.public();
            json!({
                "role": public.role as u8,
                "suites": public.suites.bits(),
                "max_message": public.max_message,
                "identity_seed": hex(device.signing().seed()),
                "agreement_secret": hex(device.agreement().expose()),
                "device_public": hex(&public.to_bytes()),
                "fingerprint": hex(device.fingerprint().as_bytes()),
                "groups": std::format!("{}", device.fingerprint().groups()),
                "device_id": hex(device.device_id().as_bytes()),
            })
        })
        .into();
    check(
        "identity",
        &json!({
            "about": "PROTOCOL.md conventions and sections 2 and 4.4; bytes are hex",
            "h256": hashes(|tag, input| hex(&h256(tag, &[input]))),
            "h128": hashes(|tag, input| hex(&h128(tag, &[input]))),
            "mac": macs(),
            "kdf": kdfs(),
            "sign": signatures(),
            "devices": devices,
            "safety_number": std::format!("{}", safety_number(owner.fingerprint(), agent.fingerprint())),
            "recovery_key": recovery_key(),
            "reject_device_public": rejected_devices(&owner.public().to_bytes()),
        }),
    );
}

fn hashes(hash: impl Fn(&'static [u8], &[u8]) -> std::string::String) -> Vec<Value> {
    let inputs: [(&'static [u8], Vec<u8>); 3] =
        [(b"av1 device", b"abc".into()), (b"av1 tenant", Vec::new()), (b"av1 x3dh", (0..=255).collect())];
    let vector = |(tag, input): (&'static [u8], Vec<u8>)| json!({ "tag": str(tag), "input": hex(&input), "output": hash(tag, &input) });
    inputs.map(vector).into()
}

fn macs() -> Vec<Value> {
    let key = Secret::new([0x0b; 32]);
    let vector = |input: &[u8]| {
        let output = mac(&key, b"av1 grant", &[input]).expect("a short tag");
        json!({ "key": hex(key.expose()), "tag": "av1 grant", "input": hex(input), "output": hex(&output) })
    };
    [&b""[..], b"abc", &[0xa5; 200]].map(vector).into()
}

fn kdfs() -> Vec<Value> {
    let mut output = [0; 160];
    hkdf(b"salt", &[b"input key ", b"material"], b"info", &mut output);
    [json!({
        "salt": hex(b"salt"), "ikm": hex(b"input key material"), "info": hex(b"info"), "output": hex(&output),
    })]
    .into()
}

fn signatures() -> Vec<Value> {
    let key = SigningSecret::from_seed(&[7; 32]);
    let message = signed_message(SignaturePurpose::Prekey, &[b"abc"]).expect("fits");
    [json!({
        "seed": hex(&[7; 32]), "public": hex(key.public()), "tag": "prekey", "input": hex(b"abc"),
        "signed": hex(&message), "signature": hex(&key.sign_message(&message).0),
    })]
    .into()
}

fn recovery_key() -> Value {
    let mut draws = Draws::new(3);
    let key = RecoveryKey::generate(&mut draws);
    let text = key.reveal(|text| std::string::String::from(text));
    let mut mistyped = text.clone();
    let last = mistyped.pop().expect("a symbol");
    mistyped.push(if last == '0' { '1' } else { '0' });
    let rejected = [
        ("one symbol differs", mistyped),
        ("a symbol is missing", text[..text.len() - 1].into()),
        ("U is no symbol", text[..text.len() - 1].replace('-', "") + "U"),
    ];
    let rejected: Vec<Value> = rejected
        .iter()
        .map(|(reason, text)| {
            assert!(RecoveryKey::parse(text).is_err(), "{reason}");
            refused(reason, text)
        })
        .collect();
    json!({
        "seed": draws.only(),
        "public": hex(key.public()),
        "tenant_id": hex(key.tenant_id().as_bytes()),
        "text": text,
        "reject": rejected,
    })
}

fn rejected_devices(device: &[u8; DevicePublic::LEN]) -> Vec<Value> {
    let with = |at: usize, value: u8| {
        let mut changed = device.to_vec();
        changed[at] = value;
        changed
    };
    let rejected = [
        ("version 2", with(0, 2)),
        ("role 0", with(1, 0)),
        ("role 3", with(1, 3)),
        ("no suite", with(5, 0)),
        ("an unknown suite", with(5, 0x11)),
        ("max_message below 4,096", [&device[..6], &[0, 0, 0x0f, 0xff], &device[10..]].concat()),
        ("a byte short", device[..73].to_vec()),
        ("a byte more", [&device[..], &[0]].concat()),
    ];
    rejected
        .iter()
        .map(|(reason, bytes)| {
            assert!(DevicePublic::from_bytes(bytes).is_err(), "{reason}");
            refused_bytes(reason, bytes)
        })
        .collect()
}

fn str(bytes: &'static [u8]) -> &'static str {
    core::str::from_utf8(bytes).expect("labels are ASCII")
}
