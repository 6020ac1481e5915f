//! Waiting for a condition: the only place in the tests that sleeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::Outcome;

/// For whatever has to happen sooner or later on a loaded machine with two cores; reached only when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at a condition: short beside what is waited for, long beside one look.
const INTERVAL: Duration = Duration::from_millis(10);

/// Raised by a signal handler when everything is to end.
static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The flag that ends every wait of this process with an error once it is raised, so that whoever waits unwinds and
/// what it started is ended by its drop.
pub fn interruption() -> Arc<AtomicBool> {
    Arc::clone(INTERRUPTED.get_or_init(Arc::default))
}

/// Whether the flag is raised.
pub fn is_interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::SeqCst))
}

/// Waits until `condition` gives a value, looking again and again, for at most `deadline`.
///
/// # Errors
/// After the deadline, naming `what`; at once when the condition itself fails, or on an interruption.
pub fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    wait_to_end(what, deadline, || if is_interrupted() { Err("interrupted".into()) } else { condition() })
}

/// As [`wait_until`], for what has to be waited for after an interruption too: the end of what was started.
///
/// # Errors
/// After the deadline, naming `what`; at once when the condition itself fails.
#[expect(clippy::disallowed_methods, reason = "the one place that may sleep, between two looks")]
pub fn wait_to_end<T>(
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
