//! Waiting for a condition: the only place in the tests that sleeps.

use std::time::{Duration, Instant};

use crate::Outcome;

/// For whatever has to happen sooner or later on a loaded machine with two cores; reached only when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at a condition: short beside what is waited for, long beside one look.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value, looking again and again, for at most `deadline`.
///
/// # Errors
/// After the deadline, naming `what`; at once when the condition itself fails.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that may sleep, between two looks"
)]
pub fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if start.elapsed() >= deadline {
            return Err(format!("waited {deadline:?} in vain for: {what}").into());
        }
        std::thread::sleep(INTERVAL);
    }
}
