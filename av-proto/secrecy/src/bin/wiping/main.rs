//! Searches memory for secrets that are over: the place of each value that was dropped, the stack beneath each call, and
//! two endpoints after a conversation. It fails for any that is found and not known, and for a control that leaves one
//! and is not caught.

mod calls;
mod endpoints;
mod memory;
mod search;
mod stack;
mod subjects;

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::endpoints::Life;
use crate::search::{Found, Secrets};
use crate::stack::Trace;
use crate::subjects::KNOWN;

fn main() -> ExitCode {
    let mut is_good = true;
    for (name, run) in subjects::DROPPED {
        let found = run();
        let known = KNOWN.iter().find(|(known, _)| known == name);
        is_good &= found.known > 0 && (found.left == 0 || known.is_some());
        let verdict = match (found.left, known) {
            (0, _) => "wiped",
            (_, Some(_)) => "known",
            (_, None) => "LEFT",
        };
        println!("{verdict:8} {name}: {} of {} secrets found where it was", found.left, found.known);
        if let (1.., Some((_, reason))) = (found.left, known) {
            println!("           {reason}");
        }
    }
    for (name, run) in subjects::CONTROLS {
        let found = run();
        is_good &= found.left > 0;
        println!("{:8} control: {name}", if found.left > 0 { "caught" } else { "MISSED" });
    }
    is_good &= search_stacks() & search_endpoints();
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Handshake and ratchet by themselves leave secrets, which is the control; in `scrubbed` they leave none.
fn search_stacks() -> bool {
    let mut is_good = true;
    let (traces, secrets) = calls::conversation(false);
    for trace in &traces {
        let found = secrets.found_in(&trace.left);
        is_good &= !found.is_empty() || trace.call.ends_with("late message");
        println!(
            "{:8} control: stack of {}: {found:?}",
            if found.is_empty() { "none" } else { "caught" },
            trace.call
        );
    }
    let (traces, secrets) = calls::conversation(true);
    is_good & all_clean(&traces, &secrets, " in `scrubbed`")
}

/// The endpoint's calls, and what it holds in the end.
fn search_endpoints() -> bool {
    let Life { traces, secrets, held } = endpoints::life();
    let mut is_good = all_clean(&traces, &secrets, "");
    for (over, after_reset) in &held {
        is_good &= judge(subjects::HELD, over, "");
        is_good &= judge(subjects::AFTER_RESET, after_reset, "");
    }
    is_good
}

/// Prints what was found in a place; whether that is nothing, or known.
fn judge(place: &str, found: &Found, how: &str) -> bool {
    let known = KNOWN.iter().find(|(known, _)| *known == place);
    let verdict = match (found.is_empty(), known) {
        (true, _) => "clean",
        (false, Some(_)) => "known",
        (false, None) => "LEFT",
    };
    println!("{verdict:8} {place}{how}: {found:?}");
    if let (false, Some((_, reason))) = (found.is_empty(), known) {
        println!("           {reason}");
    }
    found.is_empty() || known.is_some()
}

/// Whether no call left a secret; prints each call once, with all that it ever left.
fn all_clean(traces: &[Trace], secrets: &Secrets, how: &str) -> bool {
    let mut calls = BTreeMap::<_, Found>::new();
    for trace in traces {
        let found = calls.entry(trace.call).or_default();
        for (name, parts) in secrets.found_in(&trace.left) {
            *found.entry(name).or_default() += parts;
        }
    }
    calls.iter().fold(true, |is_good, (call, found)| judge(&format!("stack of {call}"), found, how) & is_good)
}
