//! Searches the place of each value that was dropped for the secrets that stood in it. It fails for any that is found,
//! and for a control that leaves one and is not caught.

mod memory;
mod subjects;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut is_good = true;
    for (name, run) in subjects::DROPPED {
        let found = run();
        let known = subjects::KNOWN.iter().find(|(known, _)| known == name);
        // A known one that is mended must leave the list.
        is_good &= found.known > 0 && (found.left > 0) == known.is_some();
        let verdict = if found.left == 0 { "wiped" } else { "LEFT" };
        println!("{verdict:8} {name}: {} of {} secrets found where it was", found.left, found.known);
        if let Some((_, reason)) = known {
            println!("           known: {reason}");
        }
    }
    for (name, run) in subjects::CONTROLS {
        let found = run();
        is_good &= found.left > 0;
        println!("{:8} control: {name}", if found.left > 0 { "caught" } else { "MISSED" });
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
