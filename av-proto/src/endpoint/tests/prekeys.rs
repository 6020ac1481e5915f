//! A device publishes its prekeys, rotates them, and never shows an id twice.

use std::collections::BTreeSet;

use av_wire::InboxEpoch;
use av_wire::bundle::{Prekey, PrekeyKind};
use av_wire::frame::{ToDevice, ToRelay};

use super::sessions::encoded;
use super::{Device, NOW, World};
use crate::Now;
use crate::endpoint::Event;
use crate::limits::{ONE_TIME_PREKEYS, PREKEY_RECKONING, PREKEY_ROTATION};
use crate::testing::Side;

/// What a device published, call by call.
fn published(device: &Device) -> Vec<Vec<(PrekeyKind, u32)>> {
    let public = device.endpoint.public().expect("a device");
    let calls = device.sent.iter().filter_map(|frame| match av_wire::decode(frame) {
        Ok(ToRelay::PublishPrekeys { prekeys, .. }) => Some(prekeys),
        _ => None,
    });
    let read = |signed: av_wire::bundle::SignedPrekey| {
        let prekey: Prekey = signed.verify(public).expect("its own signature");
        (prekey.kind, prekey.id)
    };
    calls.map(|prekeys| prekeys.iter().map(read).collect()).collect()
}

fn one_time(call: &[(PrekeyKind, u32)]) -> BTreeSet<u32> {
    call.iter().filter(|(kind, _)| *kind == PrekeyKind::OneTime).map(|(_, id)| *id).collect()
}

fn signed(call: &[(PrekeyKind, u32)]) -> u32 {
    call.iter().find(|(kind, _)| *kind == PrekeyKind::Signed).expect("every call has it").1
}

/// The agent hears something from its relay at this time, and does what is due.
fn heard_at(world: &mut World, uptime: u64) {
    let agent = &mut world.agent;
    let now = Now { uptime, wall: 0 };
    assert_eq!(agent.endpoint.receive(now, &mut agent.rng, &encoded(&ToDevice::Ping)), Ok(()));
    world.settle();
}

#[test]
fn after_its_activation_a_device_publishes_as_many_as_it_keeps_and_no_more() {
    let mut world = World::talking();
    for device in [&world.owner, &world.agent] {
        let calls = published(device);
        let ids: BTreeSet<u32> = calls.iter().flat_map(|call| one_time(call)).collect();
        assert_eq!(calls.iter().map(|call| one_time(call).len()).sum::<usize>(), ids.len(), "an id twice");
        assert!(ids.len() <= ONE_TIME_PREKEYS && ids.len() >= ONE_TIME_PREKEYS - 1, "{calls:?}");
    }
    // A relay that claims to have none left gets nothing for it.
    world.agent.sent.clear();
    world.connect(Side::Agent);
    world.settle();
    assert_eq!(published(&world.agent), Vec::<Vec<_>>::new());
}

#[test]
fn a_used_one_time_prekey_is_replaced_under_a_new_id() {
    let mut world = World::talking();
    let agent = world.agent.id();
    let before: BTreeSet<u32> = published(&world.agent).iter().flat_map(|call| one_time(call)).collect();
    world.agent.sent.clear();
    world.owner.endpoint.start_session(&agent, true).expect("a known peer");
    world.settle();
    assert!(world.owner.has(&Event::SessionStarted { peer: agent, one_time_key: true }));
    let calls = published(&world.agent);
    let [call] = &calls[..] else { panic!("one call: {calls:?}") };
    assert_eq!(one_time(call).len(), 1);
    assert!(one_time(call).is_disjoint(&before));
}

/// What the relay has not confirmed goes out again, the same keys under the same ids.
#[test]
fn a_lost_answer_publishes_the_same_keys_again() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.agent.sent.clear();
    world.owner.endpoint.start_session(&agent, true).expect("a known peer");
    while published(&world.agent).is_empty() {
        assert!(
            world.owner.step(&mut world.office) != super::Step::Idle
                || world.pass(Side::Owner)
                || world.agent.step(&mut world.office) != super::Step::Idle
                || world.pass(Side::Agent)
        );
    }
    let lost = published(&world.agent);
    world.disconnect(Side::Agent);
    world.agent.crash();
    world.agent.sent.clear();
    world.connect(Side::Agent);
    world.settle();
    assert_eq!(published(&world.agent), lost);
}

#[test]
fn a_signed_prekey_rotates_weekly_and_the_one_before_stays_for_a_week() {
    let mut world = World::talking();
    let agent = world.agent.id();
    let first = signed(published(&world.agent).last().expect("it published"));
    world.agent.sent.clear();
    heard_at(&mut world, NOW.uptime + PREKEY_ROTATION - 1);
    assert!(published(&world.agent).is_empty());

    // A first flight under the old prekey is on its way while the agent rotates.
    world.owner.endpoint.start_session(&agent, true).expect("a known peer");
    world.owner.drain(&mut world.office);
    while world.pass(Side::Owner) {
        world.owner.drain(&mut world.office);
    }
    heard_at(&mut world, NOW.uptime + PREKEY_ROTATION + PREKEY_RECKONING);
    let second = signed(published(&world.agent).first().expect("it rotated"));
    assert!(second > first);
    let keeps =
        |world: &World, id| world.agent.endpoint.prekeys.get().expect("active").signed_secret(id).is_some();
    assert!(keeps(&world, first) && keeps(&world, second));
    assert!(world.owner.has(&Event::SessionStarted { peer: agent, one_time_key: true }));
    world.owner.send(&agent, "under the old prekey");
    world.settle();
    assert_eq!(world.agent.heard, ["under the old prekey"]);

    let third_week = NOW.uptime + 2 * (PREKEY_ROTATION + PREKEY_RECKONING);
    heard_at(&mut world, third_week);
    assert!(!keeps(&world, first) && keeps(&world, second));
}

#[test]
fn a_restored_relay_gets_one_time_prekeys_that_nobody_has_seen() {
    let mut world = World::talking();
    let before: BTreeSet<u32> = published(&world.agent).iter().flat_map(|call| one_time(call)).collect();
    world.agent.sent.clear();
    world.connect(Side::Agent);
    world.agent.drain(&mut world.office);
    // The challenge is answered, and Welcome names another epoch.
    world.pass(Side::Agent);
    world.agent.drain(&mut world.office);
    while world.office.fetch(Side::Agent).is_some() {}
    let welcome =
        ToDevice::Welcome { inbox_epoch: InboxEpoch([2; 16]), next_sequence: 1, one_time_prekeys: 0 };
    let agent = &mut world.agent;
    assert_eq!(agent.endpoint.receive(NOW, &mut agent.rng, &encoded(&welcome)), Ok(()));
    world.agent.drain_unheard();
    let calls = published(&world.agent);
    let [call] = &calls[..] else { panic!("one call: {calls:?}") };
    assert_eq!(one_time(call).len(), ONE_TIME_PREKEYS);
    assert!(one_time(call).is_disjoint(&before));
}
