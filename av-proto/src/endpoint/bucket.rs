//! What hostile input may cost: a ration that time refills (`PROTOCOL.md` section 6, order of checks).

use crate::Now;
use crate::limits::{PRELUDE_BURST, PRELUDE_PERIOD};

/// A token bucket over uptime: a forged prelude costs five DH, so they are rationed by peer.
pub(super) struct Bucket {
    /// Taken and not given back: a full bucket is all zeros, as an endpoint in a `static` has to be.
    taken: u8,
    refilled: u64,
}

impl Bucket {
    pub(super) const FULL: Self = Self { taken: 0, refilled: 0 };

    pub(super) fn is_whole(&self, now: Now) -> bool {
        let missing = u64::from(self.taken);
        now.uptime.saturating_sub(self.refilled) >= missing.saturating_mul(PRELUDE_PERIOD)
    }

    pub(super) fn take(&mut self, now: Now) -> bool {
        while self.taken > 0 && now.uptime.saturating_sub(self.refilled) >= PRELUDE_PERIOD {
            self.taken -= 1;
            self.refilled = self.refilled.saturating_add(PRELUDE_PERIOD);
        }
        if self.taken >= PRELUDE_BURST {
            return false;
        }
        if self.taken == 0 {
            self.refilled = now.uptime;
        }
        self.taken += 1;
        true
    }
}
