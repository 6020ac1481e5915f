//! Interleaved measurement: every case runs once a round, so that whatever disturbs the machine disturbs all alike,
//! and a ratio is the median over rounds of two times that were taken one right after the other.

use std::time::Instant;

use crate::heap::allocations;

/// Rounds whose times do not count: caches, branch predictors and the clock frequency settle.
const WARM_UP: usize = 3;

/// Something to measure: `run(n)` does it `n` times between [`Timed::start`] and its end, and returns the time.
pub struct Case {
    name: &'static str,
    repeats: usize,
    run: Box<dyn FnMut(usize) -> Timed>,
    nanoseconds: Vec<f64>,
    allocations: u64,
}

/// What one round of a case took.
pub struct Timed {
    nanoseconds: f64,
    allocations: u64,
}

impl core::ops::AddAssign for Timed {
    fn add_assign(&mut self, other: Self) {
        self.nanoseconds += other.nanoseconds;
        self.allocations += other.allocations;
    }
}

/// Times `work` alone; what a case prepares before it does not count.
pub fn timed(work: impl FnOnce()) -> Timed {
    let before = allocations();
    let start = Instant::now();
    work();
    let nanoseconds = start.elapsed().as_nanos() as f64;
    Timed { nanoseconds, allocations: allocations() - before }
}

/// All cases of a run, in the order in which each round takes them.
#[derive(Default)]
pub struct Cases(Vec<Case>);

impl Cases {
    /// Adds a case that is repeated `repeats` times a round.
    pub fn add(&mut self, name: &'static str, repeats: usize, run: impl FnMut(usize) -> Timed + 'static) {
        self.0.push(Case { name, repeats, run: Box::new(run), nanoseconds: Vec::new(), allocations: 0 });
    }

    /// Keeps the cases whose name contains this.
    pub fn keep(&mut self, name: &str) {
        self.0.retain(|case| case.name.contains(name));
    }

    /// Runs all cases, round by round.
    pub fn run(&mut self, rounds: usize) {
        for round in 0..WARM_UP + rounds {
            for case in &mut self.0 {
                let took = (case.run)(case.repeats);
                if round >= WARM_UP {
                    case.nanoseconds.push(took.nanoseconds / case.repeats as f64);
                    case.allocations += took.allocations;
                }
            }
        }
    }

    /// Prints every case: nanoseconds and allocations an operation.
    pub fn print(&self, build: &str) {
        println!(
            "{:<42} {:>12} {:>12} {:>10}",
            format!("{build}, an operation"),
            "median ns",
            "least ns",
            "allocs"
        );
        for case in &self.0 {
            let least = case.nanoseconds.iter().copied().fold(f64::INFINITY, f64::min);
            let operations = case.nanoseconds.len() * case.repeats;
            let allocated = case.allocations as f64 / operations as f64;
            println!(
                "{:<42} {:>12.0} {:>12.0} {:>10.2}",
                case.name,
                self.median(case.name),
                least,
                allocated
            );
        }
    }

    /// The median nanoseconds of a case.
    pub fn median(&self, name: &str) -> f64 {
        median(self.named(name).nanoseconds.clone())
    }

    /// The median over all rounds of one case's time divided by another's in the same round.
    pub fn ratio(&self, name: &str, to: &str) -> f64 {
        let (case, to) = (self.named(name), self.named(to));
        median(case.nanoseconds.iter().zip(&to.nanoseconds).map(|(time, base)| time / base).collect())
    }

    /// All allocations of the cases whose name begins with `prefix`.
    pub fn allocations(&self, prefix: &str) -> u64 {
        self.0.iter().filter(|case| case.name.starts_with(prefix)).map(|case| case.allocations).sum()
    }

    fn named(&self, name: &str) -> &Case {
        self.0.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case is called {name}"))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
