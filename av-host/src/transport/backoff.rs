//! When to try again: exponential backoff with full jitter, so that a relay that comes back is not met by everyone
//! in the same instant.

use std::time::Duration;

/// The longest wait before the first new try.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait ever: a person who looks at the screen should not have to wait longer than this.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that double until a connection proves good.
#[derive(Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A random time below the current bound, which doubles. `random` is uniform.
    pub(crate) fn next(&mut self, random: u32) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// The relay answered as one: start again from the shortest.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn bound(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        FIRST.checked_mul(factor).map_or(LONGEST, |bound| bound.min(LONGEST))
    }
}
