//! Plays seed after seed on networks of every rudeness, and counts: `make soak`.
//!
//! `soak [FIRST] [SEEDS] [STEPS] [MANNERS …]`; a failing seed is printed with its last steps and ends in exit code 1.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use av_simulator::{Capacity, Choices, Fate, Manners, Violation, World, on_a_large_stack};

const MANNERS: [(&str, Manners); 4] = [
    ("FAULTY", Manners::FAULTY),
    ("HOSTILE", Manners::HOSTILE),
    ("LYING", Manners::LYING),
    ("RUDE", Manners::RUDE),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |place: usize, default: u64| words.get(place).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (first, seeds, steps) = (number(0, 0), number(1, 300), number(2, 1_200));
    let named = words.get(3..).unwrap_or_default();
    let chosen =
        MANNERS.into_iter().filter(|(name, _)| named.is_empty() || named.iter().any(|word| word == name));
    let mut failures = 0;
    for (name, manners) in chosen {
        let begun = Instant::now();
        let mut sums = Sums::default();
        for seed in first..first.saturating_add(seeds) {
            match on_a_large_stack(move || play(seed, manners, steps)) {
                Ok(sum) => sums.add(sum),
                Err(violation) => {
                    println!("{name} seed {seed}: {violation}");
                    failures += 1;
                }
            }
        }
        println!("{name:<8} seeds {first}..{} in {} s: {sums}", first + seeds, begun.elapsed().as_secs());
    }
    println!("{failures} failures");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How often each thing was done.
#[derive(Default)]
struct Sums(BTreeMap<&'static str, u64>);

impl Sums {
    fn add(&mut self, other: Self) {
        other.0.into_iter().for_each(|(what, times)| *self.0.entry(what).or_default() += times);
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        self.0.iter().try_for_each(|(what, times)| {
            write!(f, "{}{what} {times}", std::mem::replace(&mut separator, ", "))
        })
    }
}

fn play(seed: u64, manners: Manners, steps: u64) -> Result<Sums, Violation> {
    use Capacity::{Host, Large, Small};
    let capacities: &[Capacity] = match seed % 3 {
        0 => &[Host, Small, Host],
        1 => &[Host, Small, Small],
        _ => &[Large, Small],
    };
    let mut world = World::new(seed, capacities, manners)?;
    let mut choices = Choices::seeded(seed);
    for _ in 0..steps {
        world.step(&mut choices)?;
    }
    world.rest()?;
    let mut sums = Sums(world.all_done().clone());
    let count = |is_it: fn(Fate) -> bool| world.ledger().count(is_it) as u64;
    sums.add(Sums(BTreeMap::from([
        ("messages heard", count(|fate| fate == Fate::Heard)),
        ("messages named", count(|fate| matches!(fate, Fate::Named(_)))),
    ])));
    Ok(sums)
}
