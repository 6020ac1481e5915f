//! Sessions that begin with published prekeys, and what a device makes of a relay that hands out others.

use av_wire::RefusalCode;
use av_wire::bundle::Bundle;
use av_wire::frame::{ToDevice, ToRelay};

use super::{Device, NOW, World};
use crate::endpoint::{EndpointError, Event};
use crate::limits::MAX_PREKEY_AGE;
use crate::ratchet::HeaderBlob;
use crate::testing::Side;
use crate::{Now, RecordKind};

/// The call for prekeys that a device made.
fn call(device: &Device) -> u32 {
    let mut calls = device.sent.iter().rev().filter_map(|frame| match av_wire::decode(frame) {
        Ok(ToRelay::FetchBundle { request, .. }) => Some(request),
        _ => None,
    });
    calls.next().expect("it asked")
}

/// The agent's prekeys as a relay would hand them out.
fn bundle(world: &World) -> Bundle<'static> {
    let endpoint = &world.agent.endpoint;
    let identity = &endpoint.device.get().expect("active").identity;
    endpoint.prekeys.get().expect("active").bundle(identity, &mut []).expect("signs")
}

/// The owner asks for the agent's prekeys, and gets `answer` from its relay.
fn answered(world: &mut World, now: Now, answer: impl FnOnce(u32) -> Vec<u8>) {
    let agent = world.agent.id();
    world.owner.sent.clear();
    world.owner.endpoint.start_session(&agent, true).expect("a known peer");
    world.owner.drain_unheard();
    let frame = answer(call(&world.owner));
    let owner = &mut world.owner;
    assert_eq!(owner.endpoint.receive(now, &mut owner.rng, &frame), Ok(()));
    owner.drain_unheard();
}

pub(super) fn encoded(frame: &ToDevice<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 4_096];
    av_wire::encode(frame, &mut buffer).expect("fits").to_vec()
}

#[test]
fn a_session_begins_without_enrollment_and_wins() {
    for side in [Side::Owner, Side::Agent] {
        let mut world = World::talking();
        let (owner, agent) = (world.owner.id(), world.agent.id());
        let peer = if side == Side::Owner { agent } else { owner };
        world.device(side).endpoint.start_session(&peer, false).expect("a known peer");
        world.settle();
        assert!(world.device(side).has(&Event::SessionStarted { peer, one_time_key: false }));
        world.owner.send(&agent, "to the agent");
        world.agent.send(&owner, "to the owner");
        world.settle();
        assert_eq!(world.agent.heard, ["to the agent"]);
        assert_eq!(world.owner.heard, ["to the owner"]);
    }
}

#[test]
fn what_the_relay_hands_out_is_used_only_if_the_peer_signed_it_for_itself() {
    let mut world = World::talking();
    let genuine = bundle(&world);
    let mut tampered = genuine;
    tampered.signed.record[20] ^= 1;
    let other = World::talking_with(3, 4);
    let failed = Event::SessionFailed(world.agent.id());
    for bundle in
        [tampered, bundle(&other), Bundle { signed: genuine.one_time.unwrap_or(tampered.signed), ..genuine }]
    {
        let before = world.owner.records();
        world.owner.events.clear();
        answered(&mut world, NOW, |request| encoded(&ToDevice::Bundle { request, chain: &[], bundle }));
        assert!(world.owner.has(&failed));
        assert_eq!(world.owner.records(), before);
    }
    world.owner.events.clear();
    answered(&mut world, NOW, |request| {
        encoded(&ToDevice::Error { request, code: RefusalCode::NotFound, retry_after: 0 })
    });
    assert!(world.owner.has(&failed));
}

/// A relay that keeps an old prekey in circulation is noticed by the clock; not by ids, which go back with a peer's
/// storage.
#[test]
fn an_old_prekey_is_refused_by_its_age_and_when_a_newer_one_was_used() {
    let mut world = World::talking();
    let peer = world.agent.id();
    let old = bundle(&world);
    let bundle_frame =
        |bundle: Bundle<'static>| move |request| encoded(&ToDevice::Bundle { request, chain: &[], bundle });
    let late = |by| Now { uptime: NOW.uptime, wall: NOW.wall + MAX_PREKEY_AGE + by };
    answered(&mut world, late(1), bundle_frame(old));
    assert!(world.owner.has(&Event::SessionFailed(peer)));
    answered(&mut world, late(0), bundle_frame(old));
    assert!(world.owner.events.iter().any(|event| matches!(event, Event::SessionStarted { .. })));

    // The agent rotates a day later; who used the new one takes the old one no more.
    let day_later = Now { uptime: NOW.uptime, wall: NOW.wall + 24 * 3_600 };
    let agent = &mut world.agent;
    agent.endpoint.prekeys.edit().expect("active").rotate(&mut agent.rng, day_later.wall);
    let new = bundle(&world);
    // Made by a clock that is a year ahead: its owner is not held to that when the clock is right again.
    let agent = &mut world.agent;
    agent.endpoint.prekeys.edit().expect("active").rotate(&mut agent.rng, day_later.wall + 365 * 24 * 3_600);
    let ahead = bundle(&world);
    for (bundle, starts) in [(new, true), (old, false), (ahead, true), (new, true), (old, false)] {
        world.owner.events.clear();
        world.owner.endpoint.outbox.iter_mut().for_each(super::super::slot::Slot::clear);
        answered(&mut world, day_later, bundle_frame(bundle));
        assert_eq!(!starts, world.owner.has(&Event::SessionFailed(peer)));
    }
}

#[test]
fn sessions_begin_only_with_peers_that_are_in() {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    assert_eq!(world.owner.endpoint.start_session(&owner, true), Err(EndpointError::Unknown));
    world.owner.endpoint.state(NOW, &agent, av_wire::statement::Verdict::Suspended).expect("an owner");
    assert_eq!(world.owner.endpoint.start_session(&agent, true), Err(EndpointError::Unknown));
    assert!(world.owner.store.keys().any(|key| key[0] == RecordKind::Peer as u8));
}

/// The mode of the first flight that a device has just sent.
fn mode(device: &Device) -> Option<u8> {
    device.sent.iter().rev().find_map(|frame| match av_wire::decode(frame) {
        Ok(ToRelay::Send { header_blob, .. }) => HeaderBlob::parse(header_blob).ok()?.prelude.map(|p| p.mode),
        _ => None,
    })
}

/// The table of modes in PROTOCOL.md section 6, where one receiving chain of a mode-1 session is in use on both sides: the
/// owner began it, and the agent may hold no psk any more once the owner's next message has come.
#[test]
fn who_was_answered_begins_without_the_psk_and_who_answered_with_it() {
    for (side, expected) in [(Side::Owner, 0), (Side::Agent, 1)] {
        let mut world = World::talking();
        let (owner, agent) = (world.owner.id(), world.agent.id());
        let peer = if side == Side::Owner { agent } else { owner };
        let device = world.device(side);
        device.sent.clear();
        device.crash();
        world.connect(side);
        world.settle();
        world.device(side).endpoint.start_session(&peer, false).expect("a known peer");
        world.settle();
        assert_eq!(mode(world.device(side)), Some(expected), "{side:?}");
        world.owner.send(&agent, "to the agent");
        world.agent.send(&owner, "to the owner");
        world.settle();
        assert_eq!(
            (&world.agent.heard[..], &world.owner.heard[..]),
            (&["to the agent".into()][..], &["to the owner".into()][..])
        );
    }
}
