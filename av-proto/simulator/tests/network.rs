//! Devices of different sizes on a rude network come to rest with nothing left over (`PROTOCOL.md` section 8).

#![allow(clippy::panic, reason = "a test says what it expects by panicking")]

use av_simulator::{Capacity, Choices, Fate, Manners, Violation, World, on_a_large_stack};

/// Enough for a few hundred messages and dozens of each fault.
const SEED_STEPS: usize = 1_500;

/// Runs one seed; on a violation the seed and the last steps are printed.
fn play(seed: u64, capacities: &[Capacity], manners: Manners, steps: usize) -> World {
    finish(seed, || World::new(seed, capacities, manners), steps)
}

fn finish(seed: u64, begin: impl FnOnce() -> Result<World, Violation> + Send, steps: usize) -> World {
    let played = on_a_large_stack(|| {
        let mut world = begin()?;
        let mut choices = Choices::seeded(seed);
        for _ in 0..steps {
            world.step(&mut choices)?;
        }
        world.rest()?;
        Ok(world)
    });
    played.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"))
}

#[test]
fn a_kind_network_delivers_everything() {
    let world = play(1, &[Capacity::Host, Capacity::Small, Capacity::Host], Manners::KIND, 4_000);
    assert!(world.ledger().count(|fate| fate == Fate::Heard) > 100);
    assert_eq!(world.ledger().count(|fate| fate != Fate::Heard), 0);
}

#[test]
fn what_honest_networks_do_loses_nothing() {
    for seed in 0..12 {
        let world =
            play(seed, &[Capacity::Host, Capacity::Small, Capacity::Small], Manners::FAULTY, SEED_STEPS);
        let lost = world.ledger().count(|fate| !matches!(fate, Fate::Heard | Fate::NotStored));
        assert_eq!(lost, 0, "seed {seed}");
    }
}

#[test]
fn a_hostile_relay_forges_nothing_and_repeats_nothing() {
    let mut done =
        [("delay", 0), ("withhold", 0), ("duplicate", 0), ("corrupt", 0), ("crash", 0), ("disconnect", 0)];
    for seed in 100..116 {
        let world =
            play(seed, &[Capacity::Host, Capacity::Small, Capacity::Host], Manners::HOSTILE, SEED_STEPS);
        done.iter_mut().for_each(|(what, times)| *times += world.done(what));
    }
    // A fault that never happened was not survived.
    assert!(done.iter().all(|(_, times)| *times > 20), "{done:?}");
}

#[test]
fn a_lying_relay_is_not_believed() {
    for seed in 150..162 {
        play(seed, &[Capacity::Host, Capacity::Small, Capacity::Host], Manners::LYING, SEED_STEPS);
    }
}

#[test]
fn devices_and_relay_come_back_from_backups() {
    for seed in 200..212 {
        play(seed, &[Capacity::Host, Capacity::Small, Capacity::Host], Manners::RUDE, SEED_STEPS);
    }
}

#[test]
fn a_large_device_and_a_small_one() {
    for seed in 300..303 {
        play(seed, &[Capacity::Large, Capacity::Small], Manners::RUDE, 1_000);
    }
}

#[test]
fn an_invited_device_becomes_active_whatever_honest_networks_do() {
    for seed in 400..424 {
        let capacities = [Capacity::Host, Capacity::Small, Capacity::Small];
        finish(seed, || World::invited(seed, &capacities, Manners::FAULTY), 600);
    }
}

#[test]
fn nobody_is_a_peer_who_was_not_invited() {
    for seed in 450..474 {
        finish(seed, || World::invited(seed, &[Capacity::Host, Capacity::Small], Manners::RUDE), 600);
    }
}

#[test]
fn a_request_or_grant_that_was_changed_on_its_way_is_not_believed() {
    let mut tampered = 0;
    for seed in 500..524 {
        let begin = || World::invited(seed, &[Capacity::Host, Capacity::Small], Manners::TAMPERING);
        tampered += finish(seed, begin, 1_200).done("tamper");
    }
    // A fault that never happened was not survived.
    assert!(tampered > 10, "{tampered}");
}
