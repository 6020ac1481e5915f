//! Stores that come back from a backup: whatever was published, counted and begun since, the two reach each other again.

use std::collections::BTreeSet;

use av_wire::bundle::PrekeyKind;
use av_wire::frame::ToRelay;

use super::{Event, Side, Store, World};
use crate::SmallEndpoint;
use crate::endpoint::slot::Slot;
use crate::limits::{HAVE_DELAY, LONGEST_WAIT, PREKEY_IDS_PASSED_OVER};

impl World {
    /// This side's disk is as it was when the copy was taken.
    fn roll_back(&mut self, side: Side, copy: &Store) {
        let device = self.device(side);
        device.store = copy.clone();
        device.crash();
        self.disconnect(side);
        self.connect(side);
        self.settle();
    }

    /// Both write to each other, and both hear it.
    fn converse(&mut self) {
        let (owner, agent) = (self.owner.id(), self.agent.id());
        let text = format!("after {} others", self.owner.heard.len());
        self.owner.send(&agent, &text);
        self.agent.send(&owner, &text);
        self.wait(2 * LONGEST_WAIT);
        assert_eq!(self.agent.heard.last(), Some(&text));
        assert_eq!(self.owner.heard.last(), Some(&text));
    }

    /// Both make new signed prekeys, a second later.
    fn rotate(&mut self) {
        for device in [&mut self.owner, &mut self.agent] {
            device.now.wall += 1;
            let prekeys = device.endpoint.prekeys.edit().expect("active");
            assert!(prekeys.rotate(&mut device.rng, device.now.wall));
        }
        self.settle();
    }

    /// The relay counts an entry as acknowledged that the device never got.
    fn lose_entry(&mut self, side: Side) {
        let device = self.device(side);
        if let Some(meta) = device.endpoint.meta.edit() {
            meta.taken -= 1;
        }
        self.settle();
    }

    /// A new session begins, and both use it.
    fn renew_session(&mut self, from: Side) {
        let peer = if from == Side::Owner { self.agent.id() } else { self.owner.id() };
        self.device(from).endpoint.start_session(&peer, false).expect("a peer");
        self.wait(2 * HAVE_DELAY);
        self.converse();
    }
}

/// Ids of the signed prekey and of the one-time prekeys that a device published last.
fn published(world: &World) -> (u32, BTreeSet<u32>) {
    let public = world.agent.endpoint.public().expect("a device");
    let last = world.agent.sent.iter().rev().find_map(|frame| match av_wire::decode(frame) {
        Ok(ToRelay::PublishPrekeys { prekeys, .. }) => Some(prekeys),
        _ => None,
    });
    let prekeys: Vec<_> = last.expect("it published").iter().collect();
    let verified = prekeys.iter().map(|signed| signed.verify(public).expect("its own signature"));
    let (signed, one_time): (Vec<_>, Vec<_>) = verified.partition(|prekey| prekey.kind == PrekeyKind::Signed);
    (signed[0].id, one_time.iter().map(|prekey| prekey.id).collect())
}

#[test]
fn both_on_old_copies_reach_each_other() {
    for first in [Side::Owner, Side::Agent] {
        let mut world = World::talking();
        world.wait(2 * HAVE_DELAY);
        let copies = [world.owner.store.clone(), world.agent.store.clone()];
        // Since then both rotated, both used the other's new prekey, and the psk is over.
        world.rotate();
        world.renew_session(Side::Owner);
        world.renew_session(Side::Agent);
        let [owner, agent] = &copies;
        match first {
            Side::Owner => {
                world.roll_back(Side::Owner, owner);
                world.roll_back(Side::Agent, agent);
            }
            Side::Agent => {
                world.roll_back(Side::Agent, agent);
                world.roll_back(Side::Owner, owner);
            }
        }
        world.converse();
        world.renew_session(Side::Owner);
        world.renew_session(Side::Agent);
    }
}

/// Back at the time before the agent's answer was answered, the owner still has the psk, which the agent wiped.
#[test]
fn an_owner_that_was_answered_makes_no_session_with_the_psk() {
    let mut world = World::talking();
    let copy = world.owner.store.clone();
    world.converse();
    let agent = world.agent.id();
    world.roll_back(Side::Owner, &copy);
    world.owner.endpoint.start_session(&agent, false).expect("a peer");
    world.settle();
    let winner = |endpoint: &SmallEndpoint| {
        let peer = endpoint.peers.iter().find_map(Slot::get).expect("a peer");
        (*peer.sending_session().expect("a session"), peer.is_established())
    };
    assert_eq!(winner(&world.owner.endpoint), winner(&world.agent.endpoint));
    assert!(winner(&world.owner.endpoint).1);
}

/// The inbox of a quiet device shows no gap, and the relay gives out prekeys that it knows nothing of.
#[test]
fn a_quiet_device_that_forgot_its_new_prekeys_is_reached_by_its_old_ones() {
    let mut world = World::talking();
    world.wait(2 * HAVE_DELAY);
    let copy = world.agent.store.clone();
    for _ in 0..3 {
        world.rotate();
    }
    world.roll_back(Side::Agent, &copy);
    assert!(!world.agent.events.iter().any(|event| matches!(event, Event::InboxGap { .. })));
    let agent = world.agent.id();
    world.owner.endpoint.start_session(&agent, false).expect("a peer");
    world.settle();
    let winner = |endpoint: &SmallEndpoint| {
        *endpoint.peers.iter().find_map(Slot::get).and_then(|peer| peer.sending_session()).expect("a session")
    };
    assert_eq!(winner(&world.owner.endpoint), winner(&world.agent.endpoint));
}

#[test]
fn a_gap_in_the_inbox_replaces_the_prekeys_once_a_run() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.wait(2 * HAVE_DELAY);
    let copy = world.agent.store.clone();
    let before = published(&world);
    world.owner.send(&agent, "forgotten");
    world.settle();
    let mut ids = vec![before];
    for _ in 0..2 {
        world.roll_back(Side::Agent, &copy);
        world.owner.send(&agent, "behind the gap");
        world.settle();
        assert!(world.agent.events.iter().any(|event| matches!(event, Event::InboxGap { .. })));
        world.agent.events.clear();
        let (signed, one_time) = published(&world);
        for (known, known_one_time) in &ids {
            assert!(signed != *known && one_time.is_disjoint(known_one_time), "an id twice");
        }
        assert!(signed > PREKEY_IDS_PASSED_OVER && one_time.iter().all(|id| *id > PREKEY_IDS_PASSED_OVER));
        ids.push((signed, one_time));
    }
    // The relay shows another gap to the same run.
    let after = published(&world);
    world.disconnect(Side::Agent);
    world.connect(Side::Agent);
    world.settle();
    world.lose_entry(Side::Agent);
    world.owner.send(&agent, "behind another gap");
    world.settle();
    assert!(world.agent.events.iter().any(|event| matches!(event, Event::InboxGap { .. })));
    assert_eq!(published(&world), after);
}
