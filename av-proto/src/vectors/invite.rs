//! Tokens, their texts and URLs, and the keys of an invite (`PROTOCOL.md` section 3).

use av_wire::{DeviceId, LookupHash, Origin};
use serde_json::{Value, json};
use std::string::{String, ToString};
use std::vec::Vec;

use super::{Draws, check, hex, refused, refused_bytes};
use crate::invite::{InviteKeys, InviteText, InviteUrl};
use crate::test_support::written;

const ORIGIN: &str = "wss://relay.example.org:8443";

#[test]
fn invites_have_their_vectors() {
    let mut draws = Draws::new(10);
    let invite = InviteText::generate(&mut draws);
    let token = draws.only();
    let text = invite.to_string();
    let keys = InviteKeys::derive(&invite);
    let mut sealed = [0; av_wire::limits::SEALED_NAME];
    sealed.copy_from_slice(&keys.seal_name(&mut draws, "greenhouse", "esp32").expect("short names"));
    let url = InviteUrl {
        token: InviteText::parse(&text).expect("its own text"),
        origin: Origin::parse(ORIGIN).expect("an origin"),
        link_key: Some([0x42; 32]),
        owner: Some(DeviceId([0x24; 16])),
    };
    check(
        "invite",
        &json!({
            "about": "PROTOCOL.md section 3; bytes are hex",
            "token": token,
            "text": text,
            "accept": spellings(&text),
            "reject": rejected_texts(&text),
            "lookup_hash": hex(&LookupHash::of(keys.lookup()).0),
            "keys": derived(&keys),
            "url": { "relay": ORIGIN, "link_key": hex(&[0x42; 32]), "owner": hex(&[0x24; 16]), "text": url.to_string() },
            "sealed_name": {
                "name": "greenhouse", "platform": "esp32", "nonce": draws.only(), "sealed": hex(&sealed),
                "reject": rejected_names(&keys, &sealed),
            },
        }),
    );
}

/// The 160 derived bytes by name.
fn derived(keys: &InviteKeys) -> Value {
    let bytes = written(InviteKeys::LEN, |writer| keys.write(writer));
    let key = |index: usize| hex(&bytes[32 * index..32 * (index + 1)]);
    json!({
        "lookup": key(0), "enroll_key": key(1), "grant_key": key(2), "psk": key(3), "name_key": key(4),
    })
}

fn spellings(text: &str) -> Vec<String> {
    let bare = text.trim_start_matches("av1-").replace('-', "");
    let confused = bare.replace('0', "O").replace('1', "l");
    let spellings = [text.to_string(), text.to_uppercase(), bare.clone(), bare.to_lowercase(), confused];
    for spelling in &spellings {
        assert_eq!(InviteText::parse(spelling).expect(spelling).to_string(), text);
    }
    spellings.into()
}

fn rejected_texts(text: &str) -> Vec<Value> {
    let last = if text.ends_with('0') { '2' } else { '0' };
    let rejected = [
        ("the last symbol differs", text[..text.len() - 1].to_string() + &last.to_string()),
        ("a symbol is missing", text[..text.len() - 1].to_string()),
        ("a symbol too many", text.to_string() + "0"),
        ("U is no symbol", text[..text.len() - 1].to_string() + "U"),
        ("nothing", String::new()),
    ];
    rejected
        .iter()
        .map(|(reason, text)| {
            assert!(InviteText::parse(text).is_err(), "{reason}");
            refused(reason, text)
        })
        .collect()
}

fn rejected_names(keys: &InviteKeys, sealed: &[u8]) -> Vec<Value> {
    let mut changed = sealed.to_vec();
    changed[30] ^= 1;
    let rejected = [
        ("a bit differs", changed),
        ("a byte short", sealed[..sealed.len() - 1].to_vec()),
        ("empty", Vec::new()),
    ];
    rejected
        .iter()
        .map(|(reason, bytes)| {
            assert!(keys.open_name(bytes).is_err(), "{reason}");
            refused_bytes(reason, bytes)
        })
        .collect()
}
