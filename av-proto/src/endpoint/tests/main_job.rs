//! Invite, enroll, approve, talk, revoke.

use av_wire::statement::Verdict;

use super::{Channel, Event, Output, Phase, Role, Side, World};
use crate::endpoint::{SendError, Standing};

#[test]
fn an_invited_device_becomes_active_and_both_sides_confirm() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    assert_eq!(world.agent.endpoint.phase(), Phase::Enrolling);
    assert!(world.agent.has(&Event::EnrollmentPending));

    let device = world.request().expect("the tag verifies");
    assert_eq!(device, world.agent.id());
    world.approve(&device);

    let owner_fingerprint = super::fingerprint(&world.owner);
    assert!(world.agent.has(&Event::EnrollmentGranted { owner: owner_fingerprint }));
    assert!(world.agent.has(&Event::EnrollmentActive));
    assert!(world.owner.has(&Event::Approved(device)));
    assert!(world.owner.has(&Event::PeerActive(device)));
    assert!(world.owner.has(&Event::PeerConfirmed(device)), "the hello was answered");
    let peer = world.owner.endpoint.peers().next().expect("the agent");
    assert_eq!((peer.name.as_str(), peer.standing, peer.confirmed), ("thermostat", Standing::Active, true));
    assert_eq!(world.owner.endpoint.tenant_id(), world.agent.endpoint.tenant_id());
}

#[test]
fn messages_go_both_ways_and_wait_for_a_device_that_is_away() {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.owner.send(&agent, "one");
    world.settle();
    world.agent.send(&owner, "two");
    world.settle();
    world.disconnect(Side::Agent);
    world.owner.send(&agent, "three");
    world.settle();
    assert_eq!(world.agent.heard, ["one"]);
    world.connect(Side::Agent);
    world.settle();
    assert_eq!(world.agent.heard, ["one", "three"]);
    assert_eq!(world.owner.heard, ["two"]);
    assert_eq!(world.office.waiting(Side::Agent), 0, "all is acknowledged");
    assert_eq!(world.owner.endpoint.outbox_len(), 0);
}

#[test]
fn what_was_sent_while_the_relay_was_away_goes_out_on_the_next_connection() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.disconnect(Side::Owner);
    world.owner.send(&agent, "written offline");
    world.settle();
    assert_eq!(world.agent.heard, [""; 0]);
    world.owner.crash();
    world.connect(Side::Owner);
    world.settle();
    assert_eq!(world.agent.heard, ["written offline"]);
}

#[test]
fn nothing_is_given_out_while_a_batch_is_not_stored() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.owner.send(&agent, "secret");
    for _ in 0..3 {
        assert!(matches!(world.owner.endpoint.poll(super::NOW), Some(Output::Persist(_))));
    }
    world.settle();
    assert_eq!(world.agent.heard, ["secret"]);
}

#[test]
fn a_message_is_acknowledged_only_after_the_application_confirmed_it() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.agent.confirms = false;
    world.owner.send(&agent, "for the application");
    world.settle();
    assert_eq!(world.office.waiting(Side::Agent), 1);
    world.agent.confirm_all();
    world.settle();
    assert_eq!(world.office.waiting(Side::Agent), 0);
}

#[test]
fn an_answer_and_its_confirmation_are_one_commit() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.agent.confirms = false;
    world.owner.send(&agent, "temperature?");
    world.settle();
    let (ticket, _, _) = world.agent.tickets.pop().expect("one message");
    let agent = &mut world.agent;
    agent.endpoint.answer(&mut agent.rng, &ticket, b"21.5").expect("room");
    let batches = agent.sent.len();
    while !matches!(agent.step(&mut world.office), super::Step::Stored) {}
    assert_eq!(agent.sent.len(), batches, "nothing left before the one batch");
    agent.crash();
    world.disconnect(Side::Agent);
    world.connect(Side::Agent);
    world.settle();
    assert_eq!(world.owner.heard, ["21.5"]);
    assert!(world.agent.tickets.is_empty(), "it is not offered again");
}

#[test]
fn a_revoked_peer_is_neither_written_to_nor_heard() {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.owner.endpoint.state(super::NOW, &agent, Verdict::Revoked).expect("a peer");
    world.settle();
    assert!(world.owner.has(&Event::StatementPosted(agent, Verdict::Revoked)));
    let result = world.owner.endpoint.send(&mut world.owner.rng, &agent, b"?");
    assert_eq!(result, Err(SendError::PeerNotActive));
    world.agent.send(&owner, "let me in");
    world.settle();
    assert!(world.owner.heard.is_empty());
    assert!(world.owner.endpoint.state(super::NOW, &agent, Verdict::Resumed).is_err(), "revoked is final");
}

#[test]
fn a_suspended_peer_is_heard_again_once_resumed() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.owner.endpoint.state(super::NOW, &agent, Verdict::Suspended).expect("a peer");
    world.settle();
    assert_eq!(world.owner.endpoint.send(&mut world.owner.rng, &agent, b"?"), Err(SendError::PeerNotActive));
    world.owner.endpoint.state(super::NOW, &agent, Verdict::Resumed).expect("a peer");
    world.settle();
    world.owner.send(&agent, "welcome back");
    world.settle();
    assert_eq!(world.agent.heard, ["welcome back"]);
}

#[test]
fn a_message_that_is_too_long_changes_nothing() {
    let mut world = World::talking();
    let agent = world.agent.id();
    let before = world.owner.records();
    let long = [b'x'; 5_000];
    let result = world.owner.endpoint.send(&mut world.owner.rng, &agent, &long);
    assert_eq!(result, Err(SendError::TooLong));
    world.settle();
    assert_eq!(world.owner.records(), before);
}

#[test]
fn pings_keep_a_connection_alive_and_silence_is_told() {
    let mut world = World::talking();
    let at = |seconds: u64| crate::Now { uptime: 1_000 + seconds * 1_000, wall: super::NOW.wall };
    world.agent.endpoint.tick(at(40), &mut world.agent.rng);
    let mut pinged = false;
    while let Some(output) = world.agent.endpoint.poll(at(40)) {
        pinged |= matches!(output, Output::Transmit([0x81, 17]));
    }
    assert!(pinged, "a ping is due after 34 s at the latest");
    world.agent.endpoint.tick(at(80), &mut world.agent.rng);
    world.agent.endpoint.tick(at(160), &mut world.agent.rng);
    world.agent.drain(&mut world.office);
    assert!(world.agent.has(&Event::ConnectionSilent));
    world.agent.endpoint.connected(Channel::Plain).expect("loopback");
}
