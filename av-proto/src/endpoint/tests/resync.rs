//! Frames that do not open are asked for; what cannot be had is named; no session stays wedged.

use super::hostile::changed;
use super::{Event, Side, World};
use crate::crypto::agreements_on_this_thread;
use crate::limits::{ANSWER_AFTER, CHECK_AFTER, HAVE_DELAY, LONGEST_WAIT, PRELUDE_PERIOD};

fn gone(world: &World) -> usize {
    let named = |event: &Event| if let Event::Gone { ids, .. } = event { ids.len() } else { 0 };
    world.agent.events.iter().map(named).sum()
}

/// SKIP + 1 messages are lost in a row: what follows does not open, in this session never again.
#[test]
fn more_lost_messages_than_are_skipped_end_in_another_session_with_everything_delivered_or_named() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.wait(2 * HAVE_DELAY);
    for number in 0..17 {
        world.lose(Side::Owner, &format!("lost {number}"));
    }
    world.owner.send(&agent, "after the gap");
    world.settle();
    assert_eq!(world.agent.heard, [""; 0], "it does not open");
    world.wait(2 * ANSWER_AFTER + 2 * HAVE_DELAY);
    assert!(world.agent.events.iter().any(|event| matches!(event, Event::SessionStarted { .. })));
    // The outbox held three; of the others it said that their fate is unknown.
    let mut heard = world.agent.heard.clone();
    heard.sort();
    assert_eq!(heard, ["after the gap", "lost 15", "lost 16"]);
    let given_up = world.owner.events.iter().filter(|event| matches!(event, Event::Unreceipted(_)));
    assert_eq!(given_up.count(), 15);
    world.owner.send(&agent, "as before");
    world.wait(HAVE_DELAY);
    assert!(world.agent.heard.contains(&"as before".to_string()));
    assert_eq!(world.owner.endpoint.unreceipted(&agent), 0);
}

#[test]
fn a_forged_frame_is_asked_for_once_and_named_as_gone() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.wait(2 * HAVE_DELAY);
    world.owner.send(&agent, "genuine");
    world.owner.drain(&mut world.office);
    let genuine = world.office.fetch(Side::Agent).expect("a delivery").to_vec();
    let forged = changed(&genuine, |_, _, _, _, body| body[0] ^= 1);
    world.agent.events.clear();
    world.receive(Side::Agent, &forged).expect("an allowed frame");
    world.settle();
    world.disconnect(Side::Agent);
    world.connect(Side::Agent);
    world.wait(HAVE_DELAY);
    assert_eq!(gone(&world), 1, "the owner never made it");
    let resyncs = world.agent.endpoint.meta.get().expect("counters").unopened.len();
    assert_eq!(resyncs, 0, "and it is forgotten");
    // The forgery took the genuine message's place in the inbox; its receipt is missed.
    world.wait(CHECK_AFTER + HAVE_DELAY);
    assert_eq!(world.agent.heard, ["genuine"]);
}

#[test]
fn a_duplicate_is_not_asked_for() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.owner.send(&agent, "once");
    world.owner.drain(&mut world.office);
    let genuine = world.office.fetch(Side::Agent).expect("a delivery").to_vec();
    world.receive(Side::Agent, &genuine).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    let again = changed(&genuine, |sequence, previous, _, _, _| {
        (*sequence, *previous) = (*sequence + 1, *sequence);
    });
    world.receive(Side::Agent, &again).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    assert_eq!(world.agent.heard, ["once"]);
    assert!(world.agent.endpoint.meta.get().expect("counters").unopened.is_empty());
}

/// The owner's storage goes back: it makes messages in places of its chain that it used before.
#[test]
fn a_peer_on_an_old_copy_of_its_storage_is_noticed_and_heard_again() {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.wait(2 * HAVE_DELAY);
    world.owner.send(&agent, "before the copy");
    world.settle();
    let copy = world.owner.store.clone();
    world.owner.send(&agent, "after the copy");
    world.settle();
    world.owner.store = copy;
    world.owner.crash();
    world.disconnect(Side::Owner);
    world.connect(Side::Owner);
    world.settle();
    world.owner.send(&agent, "in the same place");
    world.wait(LONGEST_WAIT);
    assert_eq!(world.agent.heard, ["before the copy", "after the copy", "in the same place"]);
    assert!(world.agent.has(&Event::Diverged(owner)), "{:?}", world.agent.events);
    assert!(world.agent.endpoint.peers().any(|peer| peer.diverged));
    world.agent.send(&owner, "I hear you");
    world.wait(HAVE_DELAY);
    assert_eq!(world.owner.heard, ["I hear you"]);
    assert_eq!(world.owner.endpoint.unreceipted(&agent), 0);
}

/// Requirement R11: the first message of a session, played back by the relay, also after a restart.
#[test]
fn a_prelude_that_is_played_back_makes_one_session_and_one_delivery() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.wait(2 * HAVE_DELAY);
    world.owner.endpoint.start_session(&agent, false).expect("a peer");
    world.owner.drain(&mut world.office);
    while world.pass(Side::Owner) {
        world.owner.drain(&mut world.office);
    }
    let first = world.office.fetch(Side::Agent).expect("the hello").to_vec();
    world.receive(Side::Agent, &first).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    let after = world.agent.records();
    for restart in [false, true] {
        if restart {
            world.agent.crash();
            world.disconnect(Side::Agent);
            world.connect(Side::Agent);
            world.agent.drain(&mut world.office);
            while !world.agent.endpoint.is_authenticated() {
                world.pass(Side::Agent);
                world.agent.drain(&mut world.office);
            }
        }
        let taken = world.agent.endpoint.taken();
        let replay =
            changed(&first, |sequence, previous, _, _, _| (*sequence, *previous) = (taken + 1, taken));
        world.receive(Side::Agent, &replay).expect("an allowed frame");
        world.agent.drain(&mut world.office);
        let peers = |records: &std::collections::BTreeMap<[u8; 3], Vec<u8>>| {
            records.iter().filter(|(key, _)| key[0] == crate::RecordKind::Peer as u8).count()
        };
        assert_eq!(peers(&world.agent.records()), peers(&after));
        assert!(
            world.agent.endpoint.meta.get().expect("counters").unopened.is_empty(),
            "a duplicate, not a loss"
        );
    }
    assert_eq!(world.agent.heard, [""; 0]);
}

/// Without a one-time prekey, once its session is gone: its generation tells it then, before any agreement.
#[test]
fn a_prelude_of_a_session_that_is_gone_begins_nothing() {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    let mut first = None;
    for _ in 0..3 {
        world.owner.endpoint.start_session(&agent, false).expect("a peer");
        world.owner.drain(&mut world.office);
        while world.pass(Side::Owner) {
            world.owner.drain(&mut world.office);
        }
        let hello = world.office.fetch(Side::Agent).expect("the hello").to_vec();
        world.receive(Side::Agent, &hello).expect("an allowed frame");
        first.get_or_insert(hello);
        world.settle();
        world.agent.send(&owner, "on the new session");
        // The ration of first messages is whole again, and not what refuses.
        world.wait(10 * PRELUDE_PERIOD);
    }
    let peer = |world: &World| {
        let records = world.agent.records();
        records.into_iter().find(|(key, _)| key[0] == crate::RecordKind::Peer as u8)
    };
    let (before, cost) = (peer(&world), agreements_on_this_thread());
    let taken = world.agent.endpoint.taken();
    // With other bytes behind it: played back as it was, it is known by its id while that is remembered.
    let replay = changed(&first.expect("three hellos"), |sequence, previous, _, _, body| {
        body[0] ^= 1;
        (*sequence, *previous) = (taken + 1, taken);
    });
    world.receive(Side::Agent, &replay).expect("an allowed frame");
    world.agent.drain(&mut world.office);
    assert_eq!(agreements_on_this_thread(), cost);
    assert!(peer(&world) == before);
}

/// A first message counts as of the peer that its prelude names, whoever the relay says it is of: found out before any
/// agreement.
#[test]
fn a_prelude_that_names_another_device_begins_nothing() {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.wait(10 * PRELUDE_PERIOD);
    world.owner.endpoint.start_session(&agent, false).expect("a peer");
    world.owner.drain(&mut world.office);
    while world.pass(Side::Owner) {
        world.owner.drain(&mut world.office);
    }
    let hello = world.office.fetch(Side::Agent).expect("the hello").to_vec();
    let renamed = changed(&hello, |_, _, _, header_blob, _| {
        let at = header_blob.windows(16).position(|bytes| bytes == owner.as_bytes()).expect("by its id");
        header_blob[at] ^= 1;
    });
    let cost = agreements_on_this_thread();
    world.receive(Side::Agent, &renamed).expect("an allowed frame");
    assert_eq!(agreements_on_this_thread(), cost);
}

/// Both begin a session at the same time: whichever frames go first, they agree, and nothing is lost.
#[test]
fn two_sessions_at_once_converge_whatever_the_order() {
    for schedule in 0..64_u32 {
        let mut world = World::talking();
        let (owner, agent) = (world.owner.id(), world.agent.id());
        world.wait(2 * HAVE_DELAY);
        world.owner.endpoint.start_session(&agent, false).expect("a peer");
        world.agent.endpoint.start_session(&owner, false).expect("a peer");
        world.owner.send(&agent, "from the owner");
        world.agent.send(&owner, "from the agent");
        for bit in 0..6 {
            let side = if schedule & (1 << bit) == 0 { Side::Owner } else { Side::Agent };
            let World { office, owner, agent, .. } = &mut world;
            if side == Side::Owner {
                owner.drain(office)
            } else {
                agent.drain(office)
            }
            world.pass(side);
        }
        world.wait(3 * HAVE_DELAY);
        let session = |endpoint: &crate::SmallEndpoint| {
            let peer = endpoint.peers.iter().find_map(crate::endpoint::Slot::get).expect("a peer");
            (*peer.sending_session().expect("a session"), peer.is_established())
        };
        let (ours, theirs) = (session(&world.owner.endpoint), session(&world.agent.endpoint));
        assert_eq!(ours, theirs, "schedule {schedule:06b}");
        assert!(ours.1);
        assert_eq!(
            (&world.agent.heard[..], &world.owner.heard[..]),
            (&["from the owner".to_string()][..], &["from the agent".to_string()][..])
        );
        assert_eq!(world.owner.endpoint.unreceipted(&agent) + world.agent.endpoint.unreceipted(&owner), 0);
    }
}
