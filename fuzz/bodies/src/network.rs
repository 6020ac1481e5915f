//! The endpoint's whole life under a fuzzer's hand.

use std::cell::OnceCell;

use av_simulator::{Capacity, Choices, Manners, Violation, World};

/// Steps of one input, so that no input takes long.
const STEPS: usize = 300;

thread_local! {
    static TALKING: OnceCell<World> = const { OnceCell::new() };
    static INVITED: OnceCell<World> = const { OnceCell::new() };
}

/// Two devices that talk: sent, delivered, lost, repeated, changed, crashed, restored, rolled back.
pub fn conversation(input: &[u8]) {
    TALKING.with(|begun| {
        let begun =
            begun.get_or_init(|| world(World::new(1, &[Capacity::Host, Capacity::Small], Manners::RUDE)));
        play(begun, input);
    });
}

/// An agent enrolls at an owner over a network that changes, loses, repeats and makes up frames.
pub fn enrollment(input: &[u8]) {
    INVITED.with(|begun| {
        let begun = begun.get_or_init(|| {
            world(World::invited(
                1,
                &[Capacity::Host, Capacity::Small],
                Manners { tamper: 1, ..Manners::RUDE },
            ))
        });
        play(begun, input);
    });
}

fn play(begun: &World, input: &[u8]) {
    let mut choices = Choices::bytes(input);
    let mut world = world(begun.fork());
    let mut steps = 0;
    while !choices.is_over() && steps < STEPS {
        held(world.step(&mut choices));
        steps += 1;
    }
    if rests(input) {
        held(world.rest());
    }
}

/// Whether what is left over is looked at, too: one input in 16, for coming to rest plays up to three virtual days.
fn rests(input: &[u8]) -> bool {
    input.last().is_none_or(|last| last.is_multiple_of(16))
}

fn held(outcome: Result<(), Violation>) {
    let broken = outcome.err().map(|violation| violation.to_string());
    assert!(broken.is_none(), "{}", broken.unwrap_or_default());
}

/// A world that could not even begin is a finding as well.
fn world(begun: Result<World, Violation>) -> World {
    match begun {
        Ok(world) => world,
        Err(violation) => {
            held(Err(violation));
            std::process::abort()
        }
    }
}
