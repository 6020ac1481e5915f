//! The deepest stack of each of the endpoint's calls.

use firmware_common::stack;
use semihosting::println;

/// A call into the endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Found,
    Invite,
    Enroll,
    Approve,
    Send,
    Receive,
    Poll,
    Persist,
    Restore,
}

const CALLS: [(Call, &str); 9] = [
    (Call::Found, "found"),
    (Call::Invite, "create_invite"),
    (Call::Enroll, "enroll"),
    (Call::Approve, "approve"),
    (Call::Send, "send"),
    (Call::Receive, "receive"),
    (Call::Poll, "poll"),
    (Call::Persist, "Persist::write"),
    (Call::Restore, "restore"),
];

/// Bytes of stack by call.
pub struct Gauge {
    deepest: [usize; CALLS.len()],
}

impl Gauge {
    pub const fn new() -> Self {
        Self { deepest: [0; CALLS.len()] }
    }

    pub fn measure<R>(&mut self, call: Call, run: impl FnOnce() -> R) -> R {
        let (result, used) = stack::measure(run);
        for ((known, _), deepest) in CALLS.iter().zip(&mut self.deepest) {
            if *known == call {
                *deepest = (*deepest).max(used);
            }
        }
        result
    }

    pub fn print(&self) {
        for ((_, name), deepest) in CALLS.iter().zip(&self.deepest) {
            println!("stack of {name}: {deepest} bytes");
        }
    }
}
