//! The two clocks that the endpoint is given as arguments.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use av_proto::Now;

/// Reads the operating system's clocks.
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Uptime in ms, monotonic; wall time in seconds since 1970, 0 when the machine's clock is before that.
    pub(crate) fn now(&self) -> Now {
        let uptime = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Now { uptime, wall }
    }

    /// The instant of an uptime in ms, for the runtime's timer.
    pub(crate) fn instant(&self, uptime: u64) -> tokio::time::Instant {
        // Beyond a year the exact time does not matter: the timer is set again long before.
        const YEAR_MS: u64 = 365 * 24 * 3_600 * 1_000;
        let from_start = uptime.min(self.now().uptime.saturating_add(YEAR_MS));
        (self.start + std::time::Duration::from_millis(from_start)).into()
    }
}
