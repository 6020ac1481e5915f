//! Waiting that takes twice as long each time.

use crate::Now;
use crate::limits::LONGEST_WAIT;

/// When something is tried again, over uptime; the waiting doubles to an hour.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    first: u64,
    due: u64,
    tried: u32,
}

impl Wait {
    /// What nobody waits for.
    pub(super) const NONE: Self = Self { first: 0, due: u64::MAX, tried: 0 };

    /// The first time after `first` milliseconds.
    pub(super) const fn begin(now: Now, first: u64) -> Self {
        Self { first, due: now.uptime.saturating_add(first), tried: 0 }
    }

    /// The uptime at which it is due, ms.
    pub(super) const fn due(self) -> u64 {
        self.due
    }

    pub(super) const fn is_due(self, now: Now) -> bool {
        self.due <= now.uptime
    }

    /// It was tried: the next time takes twice as long.
    pub(super) fn tried(&mut self, now: Now) {
        self.tried = self.tried.saturating_add(1);
        let factor = 1_u64.checked_shl(self.tried).unwrap_or(u64::MAX);
        let wait = self.first.saturating_mul(factor).min(LONGEST_WAIT);
        self.due = now.uptime.saturating_add(wait);
    }
}
