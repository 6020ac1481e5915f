//! Medians, percentiles, and the disk of the same minute.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use av_tests::Outcome;

/// What the environment says of this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Of each side of a round.
    pub(crate) time: Duration,
    /// Of each row.
    pub(crate) rounds: usize,
}

impl Settings {
    pub(crate) fn from_environment() -> Outcome<Self> {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) => text.parse().map_err(|_| format!("{name}={text} is no number")),
            Err(_) => Ok(default),
        };
        let time = Duration::from_secs(number("SECONDS_EACH", 2)?.max(1));
        Ok(Self { time, rounds: usize::try_from(number("ROUNDS", 5)?)?.max(1) })
    }
}

/// The middle one; of an even number the mean of the two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) }
}

/// The median of the quotients of values of the same round: what changed between rounds is in both.
pub(crate) fn ratio(these: &[f64], those: &[f64]) -> f64 {
    let quotients: Vec<f64> = these.iter().zip(those).map(|(this, that)| this / that).collect();
    median(&quotients)
}

/// `fdatasync`s of 8 KiB in a second on the disk of `folder`, as pg_test_fsync counts them.
pub(crate) fn fdatasyncs(folder: &std::path::Path) -> Outcome<f64> {
    let mut child = Command::new(binaries()?.join("pg_test_fsync"))
        .args(["-s", "1", "-f"])
        .arg(folder.join("pg_test_fsync"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or("pg_test_fsync has no output")?;
    let line = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .find(|line| line.trim_start().starts_with("fdatasync"));
    // The other methods are not asked for.
    child.kill()?;
    child.wait()?;
    let line = line.ok_or("pg_test_fsync says nothing of fdatasync")?;
    Ok(line.split_whitespace().nth(1).ok_or("pg_test_fsync says no number")?.parse()?)
}

/// Where PostgreSQL's programs are; `.ci/bench-relay` looks for them.
pub(crate) fn binaries() -> Outcome<PathBuf> {
    Ok(PathBuf::from(std::env::var_os("AV_PG_BIN").ok_or("AV_PG_BIN is not set: use `make bench-relay`")?))
}
