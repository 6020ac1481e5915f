//! What the second implementation says has to be refused (`vectors/second.json`, written by `tests/second`): each
//! input is one that no vector of ours held, so that a reader who forgets a check fails here.

use av_wire::bundle::Bundle;
use av_wire::chain::Chain;
use av_wire::enroll::EnrollRequest;
use av_wire::grant::Grant;
use av_wire::{DeviceId, DevicePublic, MessageId, Role, TenantId};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::vec::Vec;

use super::{Draws, hex};
use crate::enroll::{Invite, RecoveryKey};
use crate::invite::{InviteKeys, InviteUrl};

fn file(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    serde_json::from_str(&fs::read_to_string(path).expect("it is there")).expect("JSON")
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("hex");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn array<const N: usize>(text: &Value) -> [u8; N] {
    unhex(text).try_into().expect("its length")
}

/// Every entry of a list has to be refused.
fn refuse(second: &Value, list: &str, is_taken: impl Fn(&[u8]) -> bool) {
    let entries = second[list].as_array().expect(list);
    assert!(!entries.is_empty());
    for entry in entries {
        assert!(!is_taken(&unhex(&entry["bytes"])), "{list}: {}", entry["reason"]);
    }
}

#[test]
fn what_the_second_implementation_refuses_is_refused() {
    let (second, base) = (file("second.json"), file("enrollment.json"));
    let tenant = TenantId(array(&base["tenant_id"]));
    let agent = DevicePublic::from_bytes(&unhex(&base["agent"])).expect("a device");
    let nobody = |_: &DeviceId| false;
    refuse(&second, "reject_chain", |bytes| Chain::new(bytes).verify(&tenant, nobody).is_ok());
    refuse(&second, "reject_bundle", |bytes| {
        Bundle::decode(bytes).is_ok_and(|bundle| bundle.verify(&agent).is_ok())
    });
    refuse(&second, "reject_grant_layout", |bytes| av_wire::decode::<Grant<'_>>(bytes).is_ok());
    // As enrollment.json draws them.
    let mut draws = Draws::new(20);
    let _ = RecoveryKey::generate(&mut draws);
    let (_, text) = Invite::create(&mut draws, Role::Agent, 0);
    assert_eq!(hex(text.token()), base["token"]);
    let keys = InviteKeys::derive(&text);
    refuse(&second, "reject_name", |bytes| keys.open_name(bytes).is_ok());
    refuse(&second, "reject_request", |bytes| {
        av_wire::decode::<EnrollRequest<'_>>(bytes).is_ok_and(|request| {
            let role = DevicePublic::from_bytes(&request.device).map(|device| device.role);
            request.verify_possession().is_ok()
                && role == Ok(Role::Agent)
                && keys.verify_enroll_tag(&request.transcript().expect("within bounds"), &request.tag)
        })
    });
    for entry in second["reject_url"].as_array().expect("URLs") {
        let text = entry["text"].as_str().expect("a text");
        assert!(InviteUrl::parse(text).is_err(), "{}", entry["reason"]);
    }
    for entry in second["accept_url"].as_array().expect("URLs") {
        let text = entry.as_str().or_else(|| entry["text"].as_str()).expect("a text");
        assert!(InviteUrl::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn chains_with_a_revocation_and_message_ids_are_the_second_implementations() {
    let (second, base) = (file("second.json"), file("enrollment.json"));
    let tenant = TenantId(array(&base["tenant_id"]));
    let with = &second["accept_chain_with_revocation"];
    let bytes = unhex(&with["bytes"]);
    let (revoked, other) = (array::<16>(&with["revoked"]), array::<16>(&with["revoked_but_refused"]));
    assert!(Chain::new(&bytes).verify(&tenant, |id| id.0 == revoked).is_ok());
    assert!(Chain::new(&bytes).verify(&tenant, |id| id.0 == other).is_err());
    let unless = &second["accept_chain_unless_revoked"];
    let bytes = unhex(&unless["bytes"]);
    let revoked = array::<16>(&unless["revoked"]);
    assert!(Chain::new(&bytes).verify(&tenant, |_| false).is_ok());
    assert!(Chain::new(&bytes).verify(&tenant, |id| id.0 == revoked).is_err());

    let vector = &second["message_id"];
    let computed = av_wire::message::message_id(
        &TenantId(array(&vector["tenant_id"])),
        &DeviceId(array(&vector["sender"])),
        &DeviceId(array(&vector["recipient"])),
        &unhex(&vector["header_blob"]),
        &unhex(&vector["ciphertext"]),
    );
    assert_eq!(computed, MessageId(array(&vector["message_id"])));
}
