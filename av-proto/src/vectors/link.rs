//! The Noise link: its handshake, frames in both directions, and what ends it (`PROTOCOL.md` section 9).

use av_link::limits::TAG;
use av_link::{Initiator, LinkError, LinkSecret, Transport, respond};
use av_wire::cbor::Encode;
use av_wire::frame::{LinkKind, ToDevice, ToRelay, authentication_message};
use av_wire::labels;
use av_wire::{Origin, Role};
use serde_json::{Value, json};
use std::vec;
use std::vec::Vec;

use super::{Draws, check, hex};
use crate::crypto::XChaCha20Poly1305;
use crate::test_support::{TENANT, identity};

const ORIGIN: &str = "ws://relay.example:7460";
const LINK_SECRET: [u8; 32] = [0x4c; 32];

#[test]
fn the_noise_link_has_its_vectors() {
    let origin = Origin::parse(ORIGIN).expect("an origin");
    let secret = LinkSecret::from_bytes(&LINK_SECRET);
    let (mut device_draws, mut relay_draws) = (Draws::new(901), Draws::new(902));
    let (initiator, message) =
        Initiator::start(&mut device_draws, &origin, secret.public()).expect("a good link key");
    let (mut relay, answer) = respond(&mut relay_draws, &origin, &secret, &message).expect("genuine");
    let rejected = rejected(&origin, &secret, &message, &answer);
    let mut device = initiator.finish(&answer).expect("genuine");

    let identity = identity::<XChaCha20Poly1305>(903, Role::Agent);
    let device_id = *identity.device_id();
    let signed = authentication_message(LinkKind::Noise, device.channel(), &TENANT, &device_id, &origin)
        .expect("a short origin");
    let authenticate = ToRelay::Authenticate {
        tenant_id: TENANT,
        device_id,
        receive_window: 2,
        ping_period: 0,
        link: LinkKind::Noise,
        signature: identity.signing().sign_message(&signed),
    };
    let challenge = encoded(&ToDevice::Challenge { nonce: [0; 32], server_time: 0 });
    let authenticate = encoded(&authenticate);
    let (ping, pong) = (encoded(&ToDevice::Ping), encoded(&ToRelay::Pong));
    let messages = vec![
        message_of(&mut relay, "to the device", &challenge),
        message_of(&mut device, "to the relay", &authenticate),
        message_of(&mut relay, "to the device", &ping),
        message_of(&mut device, "to the relay", &pong),
        message_of(&mut device, "to the relay", &[]),
    ];
    check(
        "link",
        &json!({
            "about": "PROTOCOL.md section 9, the Noise link; bytes are hex",
            "protocol_name": "Noise_NK_25519_ChaChaPoly_BLAKE2b",
            "origin": ORIGIN,
            "prologue": hex(&[labels::link::PROLOGUE, ORIGIN.as_bytes()].concat()),
            "relay_link_secret": hex(&LINK_SECRET),
            "link_key": hex(secret.public()),
            "device_ephemeral_secret": device_draws.only(),
            "relay_ephemeral_secret": relay_draws.only(),
            "handshake": [hex(&message), hex(&answer)],
            "channel": hex(device.channel()),
            "authenticate": {
                "tenant_id": hex(TENANT.as_bytes()),
                "device_public": hex(&identity.public().to_bytes()),
                "signed_message": hex(&signed),
            },
            "messages": messages,
            "rejected": rejected,
        }),
    );
}

fn encoded(frame: &impl Encode) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    av_wire::encode(frame, &mut buffer).expect("room").to_vec()
}

fn message_of(from: &mut Transport, direction: &str, frame: &[u8]) -> Value {
    let mut buffer = [frame, &[0; TAG]].concat();
    let sealed = from.seal(&mut buffer, frame.len()).expect("room");
    json!({ "direction": direction, "frame": hex(frame), "message": hex(sealed) })
}

/// Handshake messages that end the connection.
fn rejected(origin: &Origin, secret: &LinkSecret, message: &[u8], answer: &[u8]) -> Vec<Value> {
    let changed = |bytes: &[u8], change: fn(&mut Vec<u8>)| {
        let mut changed = bytes.to_vec();
        change(&mut changed);
        changed
    };
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 4] = [
        ("another tag", |bytes| bytes[47] ^= 1),
        ("an ephemeral key of small order", |bytes| bytes[..32].fill(0)),
        ("cut", |bytes| _ = bytes.pop()),
        ("with a payload", |bytes| bytes.insert(32, 0)),
    ];
    let mut cases = vec![];
    for (why, change) in changes {
        let message = changed(message, change);
        let refused = respond(&mut Draws::new(902), origin, secret, &message);
        assert_eq!(refused.err(), Some(LinkError::Rejected), "{why}");
        cases.push(json!({ "why": why, "to the relay": hex(&message) }));

        let (initiator, _) =
            Initiator::start(&mut Draws::new(901), origin, secret.public()).expect("a good link key");
        let answer = changed(answer, change);
        assert_eq!(initiator.finish(&answer).err(), Some(LinkError::Rejected), "{why}");
        cases.push(json!({ "why": why, "to the device": hex(&answer) }));
    }
    cases
}
