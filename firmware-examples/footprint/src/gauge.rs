//! The deepest stack of each of the endpoint's calls.

use firmware_common::stack;

/// A call into the endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Enroll,
    Receive,
    Poll,
    Persist,
    Answer,
    Restore,
    Reset,
}

/// What is measured, by name.
pub const CALLS: [(Call, &str); 7] = [
    (Call::Enroll, "enroll"),
    (Call::Receive, "receive"),
    (Call::Poll, "poll"),
    (Call::Persist, "Persist::write"),
    (Call::Answer, "answer"),
    (Call::Restore, "restore"),
    (Call::Reset, "reset"),
];

/// Bytes of stack by call.
#[derive(Default)]
pub struct Gauge {
    deepest: [usize; CALLS.len()],
}

impl Gauge {
    pub fn measure<R>(&mut self, call: Call, run: impl FnOnce() -> R) -> R {
        let (result, used) = stack::measure(run);
        for ((known, _), deepest) in CALLS.iter().zip(&mut self.deepest) {
            if *known == call {
                *deepest = (*deepest).max(used);
            }
        }
        result
    }

    /// Each call's name with its deepest stack.
    pub fn results(&self) -> impl Iterator<Item = (&'static str, usize)> {
        CALLS.iter().map(|(_, name)| *name).zip(self.deepest)
    }
}
