//! Runs each operation in a process of its own under memcheck, and prints what it found: clean, or allowed and why.
//! It fails for any other branch or address that depends on a secret, for an allowance that nothing needs, and for a
//! leaky control that is not caught.

mod allowed;
mod controls;
mod report;
mod subjects;

use std::process::{Command, ExitCode};

use av_secrecy::memcheck;
use av_secrecy::randomness::SecretRng;

use crate::allowed::{ALLOWED, Allowed};
use crate::controls::CONTROLS;
use crate::report::{Report, reports};
use crate::subjects::{SUBJECTS, Subject};

fn main() -> ExitCode {
    match std::env::args().nth(1) {
        Some(name) => run_examined(&name),
        None => examine_all(),
    }
}

/// The child: one operation under valgrind.
fn run_examined(name: &str) -> ExitCode {
    assert!(memcheck::is_running(), "without valgrind nothing is found");
    let (_, run) =
        SUBJECTS.iter().chain(CONTROLS).find(|(known, _)| *known == name).expect("a known operation");
    run(&mut SecretRng::new(7));
    ExitCode::SUCCESS
}

/// The parent: all of them, one after the other.
fn examine_all() -> ExitCode {
    let mut is_good = true;
    let mut used = vec![false; ALLOWED.len()];
    for subject in SUBJECTS {
        is_good &= examine(subject, &mut used);
    }
    for (allowed, _) in ALLOWED.iter().zip(&used).filter(|(_, is_used)| !**is_used) {
        is_good = false;
        println!("UNUSED   {}", allowed.reason);
    }
    for control in CONTROLS {
        let is_caught = !under_memcheck(control).is_empty();
        is_good &= is_caught;
        println!("{:8} control: {}", if is_caught { "caught" } else { "MISSED" }, control.0);
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the verdict over one operation, and marks the allowances that it needs.
fn examine(subject: &Subject, used: &mut [bool]) -> bool {
    let (mut reasons, mut leaks) = (Vec::new(), Vec::new());
    for report in under_memcheck(subject) {
        let Some(index) = allowance(&report) else {
            leaks.push(report);
            continue;
        };
        used[index] = true;
        if !reasons.contains(&ALLOWED[index].reason) {
            reasons.push(ALLOWED[index].reason);
        }
    }
    let verdict = match (leaks.is_empty(), reasons.is_empty()) {
        (true, true) => "clean",
        (true, false) => "allowed",
        (false, _) => "LEAKS",
    };
    println!("{verdict:8} {}", subject.0);
    for reason in reasons {
        println!("           {reason}");
    }
    for leak in &leaks {
        println!("  {}\n      {}", leak.what, leak.stack.join("\n      "));
    }
    leaks.is_empty()
}

fn allowance(report: &Report) -> Option<usize> {
    let place = report.place()?;
    ALLOWED.iter().position(|allowed: &Allowed| allowed.covers(&place.path, &place.line))
}

/// What memcheck reports of one operation.
fn under_memcheck(subject: &Subject) -> Vec<Report> {
    let program = std::env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        // Whole paths, since the line itself is looked up.
        .args(["--error-limit=no", "--num-callers=40", "--leak-check=no", "--fullpath-after=,"])
        .arg(program)
        .arg(subject.0)
        .output()
        .expect("valgrind is installed: make setup");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} failed:\n{text}", subject.0);
    reports(&text)
}
