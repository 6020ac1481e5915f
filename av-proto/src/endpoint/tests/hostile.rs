//! Frames that a hostile relay or network can make: refused, and beside the inbox cursor nothing changes.

use av_wire::RejectCode;
use av_wire::frame::ToDevice;

use super::{ConnectionError, Event, Side, World};

/// A talking world with one message of the owner's under way, as the `Deliver` frame that the relay holds.
fn message_under_way(text: &str) -> (World, Vec<u8>) {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.owner.send(&agent, text);
    world.owner.drain(&mut world.office);
    let frame = world.office.fetch(Side::Agent).expect("the delivery").to_vec();
    (world, frame)
}

/// The same delivery with another sequence, sender or content.
pub(super) fn changed(
    frame: &[u8],
    change: impl FnOnce(&mut u64, &mut u64, &mut [u8; 16], &mut Vec<u8>, &mut Vec<u8>),
) -> Vec<u8> {
    let Ok(ToDevice::Deliver {
        mut sequence,
        mut previous,
        mut sender,
        header_blob,
        ciphertext,
        received_at,
    }) = av_wire::decode(frame)
    else {
        panic!("a delivery")
    };
    let (mut header, mut body) = (header_blob.to_vec(), ciphertext.to_vec());
    change(&mut sequence, &mut previous, &mut sender.0, &mut header, &mut body);
    let frame = ToDevice::Deliver {
        sequence,
        previous,
        sender,
        header_blob: header[..].into(),
        ciphertext: body[..].into(),
        received_at,
    };
    let mut buffer = vec![0; 8_192];
    av_wire::encode(&frame, &mut buffer).expect("room").to_vec()
}

/// Delivers `forged` under sequences from `first` on; each is rejected with no record changed.
fn is_rejected(world: &mut World, forged: &[u8], code: RejectCode) {
    let before = world.agent.records();
    world.agent.events.clear();
    world.receive(Side::Agent, forged).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    let is_rejection =
        |event: &Event| matches!(event, Event::MessageRejected { code: seen, .. } if *seen == code);
    assert!(world.agent.events.iter().any(is_rejection), "{:?}", world.agent.events);
    assert!(world.agent.records() == before, "no record changed");
}

#[test]
fn every_changed_byte_is_rejected_and_the_genuine_message_still_opens() {
    let (mut world, genuine) = message_under_way("intact");
    let Ok(ToDevice::Deliver { sequence, header_blob, ciphertext, .. }) = av_wire::decode(&genuine) else {
        panic!("a delivery")
    };
    let (header, body) = (header_blob.len(), ciphertext.len());
    let mut next = sequence;
    for index in 0..header + body {
        let forged = changed(&genuine, |sequence, previous, _, head, tail| {
            (*sequence, *previous) = (next, next - 1);
            let byte = if index < header { &mut head[index] } else { &mut tail[index - header] };
            *byte ^= 1 << (index % 8);
        });
        is_rejected(&mut world, &forged, RejectCode::Unopened);
        next += 1;
    }
    let genuine = changed(&genuine, |sequence, previous, _, _, _| (*sequence, *previous) = (next, next - 1));
    world.receive(Side::Agent, &genuine).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    assert_eq!(world.agent.heard, ["intact"]);

    let replay = changed(&genuine, |sequence, previous, _, _, _| (*sequence, *previous) = (next + 1, next));
    is_rejected(&mut world, &replay, RejectCode::Unopened);
    assert_eq!(world.agent.heard, ["intact"], "a replay is heard by nobody");
}

#[test]
fn an_unknown_sender_is_rejected() {
    let (mut world, genuine) = message_under_way("who?");
    let forged = changed(&genuine, |_, _, sender, _, _| sender[0] ^= 1);
    is_rejected(&mut world, &forged, RejectCode::UnknownSender);
}

#[test]
fn a_message_for_another_device_does_not_open() {
    let (mut world, genuine) = message_under_way("not for you");
    let mut other = World::talking_with(31, 32);
    let owner = other.owner.id();
    let forged = changed(&genuine, |_, _, sender, _, _| *sender = owner.0);
    is_rejected(&mut other, &forged, RejectCode::Unopened);
    world.receive(Side::Agent, &genuine).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    assert_eq!(world.agent.heard, ["not for you"]);
}

#[test]
fn a_gap_ends_the_connection_and_changes_nothing() {
    let (mut world, genuine) = message_under_way("later");
    let before = world.agent.records();
    let forged = changed(&genuine, |sequence, previous, _, _, _| {
        (*sequence, *previous) = (*sequence + 5, *sequence + 4)
    });
    assert_eq!(world.receive(Side::Agent, &forged), Err(ConnectionError::Violation));
    assert!(world.agent.records() == before);
    world.receive(Side::Agent, &genuine).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    assert_eq!(world.agent.heard, ["later"]);
}

#[test]
fn a_redelivered_entry_is_acknowledged_and_not_heard_again() {
    let (mut world, genuine) = message_under_way("once");
    world.receive(Side::Agent, &genuine).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    world.receive(Side::Agent, &genuine).expect("an allowed frame");
    world.settle();
    assert_eq!(world.agent.heard, ["once"]);
}

#[test]
fn more_than_the_receive_window_ends_the_connection() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.agent.confirms = false;
    for text in ["one", "two", "three"] {
        world.owner.send(&agent, text);
    }
    world.owner.drain(&mut world.office);
    let mut results = Vec::new();
    while let Some(frame) = world.office.fetch(Side::Agent) {
        results.push(world.receive(Side::Agent, &frame));
        world.agent.drain(&mut world.office);
    }
    assert_eq!(results, [Ok(()), Ok(()), Err(ConnectionError::Violation)], "the inbox holds two");
    world.agent.confirm_all();
    world.disconnect(Side::Agent);
    world.connect(Side::Agent);
    world.agent.confirms = true;
    world.settle();
    assert_eq!(world.agent.heard, ["one", "two", "three"], "and nothing is lost");
}

#[test]
fn frames_out_of_place_and_garbage_end_the_connection() {
    let (mut world, genuine) = message_under_way("x");
    for garbage in [&[][..], &[0], &[0xff; 40], &[0x9f, 0xff], &genuine[..genuine.len() - 1]] {
        assert_eq!(world.receive(Side::Agent, garbage), Err(ConnectionError::Violation));
    }
    let mut trailing = genuine.clone();
    trailing.push(0);
    assert_eq!(world.receive(Side::Agent, &trailing), Err(ConnectionError::Violation));
    world.disconnect(Side::Agent);
    world.connect(Side::Agent);
    assert_eq!(
        world.receive(Side::Agent, &genuine),
        Err(ConnectionError::Violation),
        "no delivery before the welcome"
    );
}

#[test]
fn a_statement_that_no_owner_signed_is_rejected() {
    use av_wire::statement::{Statement, Verdict};
    use rand_core::SeedableRng;

    let mut world = World::talking();
    let mut rng = chacha20::ChaCha20Rng::from_seed([99; 32]);
    let forger = crate::crypto::SigningSecret::generate(&mut rng);
    let owner = world.owner.id();
    let tenant_id = world.owner.endpoint.tenant_id().expect("a tenant");
    let agent = world.agent.id();
    for (issuer, subject) in [(owner, owner), (av_wire::DeviceId::ROOT, owner), (agent, owner)] {
        let statement = Statement {
            verdict: Verdict::Revoked,
            tenant_id,
            subject,
            issuer,
            serial: 7,
            issued_at: 0,
            keep: &[],
            link_keys: None,
        };
        let mut buffer = [0; 2_048];
        let signed = crate::enroll::sign_statement(&forger, &statement, &mut buffer).expect("room").to_vec();
        let sequence = world.agent.endpoint.taken() + 1;
        let frame = ToDevice::Statement { sequence, previous: sequence - 1, statement: &signed, chain: &[] };
        let mut buffer = [0; 2_048];
        let frame = av_wire::encode(&frame, &mut buffer).expect("room").to_vec();
        is_rejected(&mut world, &frame, RejectCode::Unopened);
    }
    world.owner.send(&agent, "still here");
    // The post office does not know of the forged entries: their numbers are skipped by a new one of its own.
    world.owner.drain(&mut world.office);
    assert_eq!(world.agent.endpoint.peers().count(), 1);
}

#[test]
fn a_relay_that_asks_for_patience_gets_the_message_on_the_next_connection() {
    let (mut world, _) = message_under_way("patience");
    let sent = world.owner.sent.last().expect("it was sent").clone();
    let Ok(av_wire::frame::ToRelay::Send { recipient, header_blob, ciphertext }) = av_wire::decode(&sent)
    else {
        panic!("a message")
    };
    let tenant = world.owner.endpoint.tenant_id().expect("a tenant");
    let sender = world.owner.id();
    let message_id = av_wire::message::message_id(&tenant, &sender, &recipient, header_blob, ciphertext);
    let mut buffer = [0; 64];
    let refused = ToDevice::Refused { message_id, code: av_wire::RefusalCode::Unavailable };
    let refused = av_wire::encode(&refused, &mut buffer).expect("room").to_vec();
    assert_eq!(world.receive(Side::Owner, &refused), Err(ConnectionError::RetryAfter(0)));
    for side in [Side::Owner, Side::Agent] {
        world.disconnect(side);
        world.connect(side);
    }
    world.owner.sent.clear();
    world.settle();
    assert!(world.owner.sent.contains(&sent), "the very same bytes go out again");
}

#[test]
fn a_confirmation_that_nobody_waits_for_stores_nothing() {
    let mut world = World::talking();
    let before = world.agent.store.clone();
    let mut buffer = [0; 16];
    let done = av_wire::encode(&ToDevice::Done { request: 0 }, &mut buffer).expect("room");
    assert_eq!(world.receive(Side::Agent, done), Err(ConnectionError::Violation));
    world.agent.drain(&mut world.office);
    assert!(world.agent.store == before, "no record is even sealed anew");
}
