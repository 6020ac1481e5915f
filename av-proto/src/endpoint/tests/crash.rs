//! The process dies between any two outputs: nothing is lost, nothing is said twice, no message key is used twice.

use std::collections::BTreeSet;

use av_wire::frame::ToRelay;

use super::{Output, Phase, Role, Side, Step, World};
use crate::limits::HAVE_DELAY;

/// Runs the whole main job; the named device dies after its n-th output. Returns whether it lived to the end.
fn main_job_with_a_crash(side: Side, after: usize) -> bool {
    let mut world = World::founded();
    let mut outputs = 0;
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let device = world.request().expect("a verified request");
    world.owner.endpoint.approve(super::NOW, &mut world.owner.rng, &device).expect("a verified request");
    run(&mut world, side, after, &mut outputs);
    assert_eq!(world.agent.endpoint.phase(), Phase::Active);
    for round in ["one", "two", "three"] {
        let (owner, agent) = (world.owner.id(), world.agent.id());
        world.owner.send(&agent, round);
        run(&mut world, side, after, &mut outputs);
        world.agent.send(&owner, round);
        run(&mut world, side, after, &mut outputs);
    }
    // A minute later the receipts go out, and whatever they find missing goes out again.
    for _ in 0..3 {
        for device in [&mut world.owner, &mut world.agent] {
            device.now.uptime += HAVE_DELAY;
            device.endpoint.tick(device.now, &mut device.rng);
        }
        run(&mut world, side, after, &mut outputs);
    }
    let (owner, agent) = (world.owner.id(), world.agent.id());
    assert_eq!(world.owner.endpoint.unreceipted(&agent) + world.agent.endpoint.unreceipted(&owner), 0);
    // A command that was not stored when its process died is the application's to repeat: it was never accepted.
    let lost = |heard: &[String]| 3 - heard.len();
    assert!(lost(&world.agent.heard) + lost(&world.owner.heard) <= 1, "only the command in hand may be lost");
    for heard in [&world.agent.heard, &world.owner.heard] {
        let unique: BTreeSet<_> = heard.iter().collect();
        assert_eq!(unique.len(), heard.len(), "nothing is heard twice");
    }
    for device in [&world.owner, &world.agent] {
        no_ciphertext_repeats_its_key(&device.sent);
    }
    outputs < after
}

/// Runs to rest, and lets the device die after its n-th output of the whole job.
fn run(world: &mut World, side: Side, after: usize, outputs: &mut usize) {
    loop {
        let mut idle = true;
        for which in [Side::Owner, Side::Agent] {
            loop {
                let device = if which == Side::Owner { &mut world.owner } else { &mut world.agent };
                let step = device.step(&mut world.office);
                if step == Step::Idle {
                    break;
                }
                idle = false;
                if which == side {
                    *outputs += 1;
                    if *outputs == after {
                        device.crash();
                        world.office.disconnect(which);
                        world.connect(which);
                    }
                }
            }
        }
        let passed = world.pass(Side::Owner) || world.pass(Side::Agent);
        if idle && !passed {
            return;
        }
    }
}

/// A message key seals one plaintext: frames with the same id are the same bytes, and all others differ in more
/// than a nonce, which shows as another ciphertext length or content under a fresh key. What can be checked from
/// outside is that the same bytes go out again, never a second sealing of the same outbox entry.
fn no_ciphertext_repeats_its_key(sent: &[Vec<u8>]) {
    let mut nonces = BTreeSet::new();
    let mut frames = BTreeSet::new();
    for frame in sent {
        if let Ok(ToRelay::Send { header_blob, .. }) = av_wire::decode(frame)
            && frames.insert(frame.clone())
        {
            let header = crate::ratchet::HeaderBlob::parse(header_blob).expect("our own message");
            assert!(nonces.insert(header.nonce.to_vec()), "a nonce was drawn twice");
        }
    }
}

#[test]
fn the_owner_may_die_after_any_output() {
    let survived = (1..200).find(|after| main_job_with_a_crash(Side::Owner, *after));
    assert!(survived.is_some_and(|outputs| outputs > 20), "every output was tried: {survived:?}");
}

#[test]
fn the_agent_may_die_after_any_output() {
    let survived = (1..200).find(|after| main_job_with_a_crash(Side::Agent, *after));
    assert!(survived.is_some_and(|outputs| outputs > 20), "every output was tried: {survived:?}");
}

#[test]
fn a_store_that_comes_back_from_a_backup_goes_on_where_the_relay_is() {
    let mut world = World::talking();
    let agent = world.agent.id();
    let backup = world.agent.store.clone();
    world.owner.send(&agent, "acknowledged, and not in the backup");
    world.settle();
    world.agent.store = backup;
    world.agent.crash();
    world.disconnect(Side::Agent);
    world.connect(Side::Agent);
    world.owner.send(&agent, "after it");
    world.settle();
    assert_eq!(world.agent.heard, ["acknowledged, and not in the backup", "after it"]);
    assert!(world.agent.events.iter().any(|event| matches!(event, crate::Event::InboxGap { .. })));
}

/// A driver's mistake: to say so of a batch that it has not asked for.
#[test]
fn a_batch_that_was_not_written_is_not_stored_whoever_says_so() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.owner.send(&agent, "after the batch");
    for _ in 0..3 {
        let Some(Output::Persist(persist)) = world.owner.endpoint.poll(world.owner.now) else {
            panic!("a batch")
        };
        persist.stored();
    }
    world.owner.crash();
    world.connect(Side::Owner);
    world.settle();
    assert!(world.agent.heard.is_empty(), "it was never given out");
}
