//! What memcheck wrote: its reports, each with the place that decided.

use std::fs;

/// A branch or an address that depends on a secret.
pub(crate) struct Report {
    /// memcheck's own line.
    pub(crate) what: String,
    /// Functions, innermost first, each with its file and line in parentheses.
    pub(crate) stack: Vec<String>,
}

/// A line of source.
pub(crate) struct Place {
    /// The file's whole path.
    pub(crate) path: String,
    /// What stands on the line.
    pub(crate) line: String,
}

/// What passes a secret or an answer through without asking for it; who called decides.
const PASSED_THROUGH: [&str; 8] = [
    "/library/core/",
    "/library/alloc/",
    "/subtle-",
    "/ctutils-",
    "/heapless-",
    "/x25519-dalek-",
    "/src/traits.rs",
    "vgpreload_memcheck",
];

/// The reports in memcheck's text.
pub(crate) fn reports(text: &str) -> Vec<Report> {
    let mut reports = Vec::<Report>::new();
    for line in text.lines() {
        // ==process==
        let Some((_, line)) = line.strip_prefix("==").and_then(|line| line.split_once("== ")) else {
            continue;
        };
        let frame = line
            .trim_start()
            .split_once(": ")
            .filter(|(at, _)| at.starts_with("at 0x") || at.starts_with("by 0x"));
        if let Some((_, frame)) = frame {
            if let Some(report) = reports.last_mut() {
                report.stack.push(frame.to_owned());
            }
        } else if ["Conditional jump", "Use of uninitialised", "Syscall param"]
            .iter()
            .any(|what| line.starts_with(what))
        {
            reports.push(Report { what: line.to_owned(), stack: Vec::new() });
        }
    }
    reports
}

impl Report {
    /// The line that decided: the innermost that is no library's.
    pub(crate) fn place(&self) -> Option<Place> {
        let frame =
            self.stack.iter().find(|frame| !PASSED_THROUGH.iter().any(|library| frame.contains(library)))?;
        let (_, place) = frame.rsplit_once('(')?;
        let (path, number) = place.trim_end_matches(')').rsplit_once(':')?;
        let source = fs::read_to_string(path).ok()?;
        let line = source.lines().nth(number.parse::<usize>().ok()?.checked_sub(1)?)?;
        Some(Place { path: path.to_owned(), line: line.trim().to_owned() })
    }
}
