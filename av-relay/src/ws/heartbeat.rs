//! Whether the peer is still there (`PROTOCOL.md` section 9). Pings are frames of AV/1, since proxies swallow
//! the WebSocket's own.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::end::End;

/// Seconds between pings unless the device wishes otherwise: below the minute after which many proxies cut.
const DEFAULT_PERIOD: u16 = 30;
/// Seconds: pings more often than this wear out a radio.
const MIN_PERIOD: u16 = 10;
/// Seconds: a device that sleeps longer should disconnect.
const MAX_PERIOD: u16 = 900;
/// Periods without a sign of life after which a peer is gone.
const MISSED: u32 = 3;

/// When to ping, and when to give up.
#[derive(Debug)]
pub(super) struct Heartbeat {
    period: Duration,
    next: Instant,
    last_heard: Instant,
}

impl Heartbeat {
    /// `wished` seconds, 0 to leave it to the relay.
    pub(super) fn new(wished: u16) -> Self {
        let seconds = if wished == 0 { DEFAULT_PERIOD } else { wished.clamp(MIN_PERIOD, MAX_PERIOD) };
        let now = Instant::now();
        let period = Duration::from_secs(seconds.into());
        Self { period, next: now + jittered(period), last_heard: now }
    }

    /// Any frame is a sign of life.
    pub(super) fn heard(&mut self) {
        self.last_heard = Instant::now();
    }

    /// Waits until the next ping is due. Cancel safe.
    pub(super) async fn due(&self) {
        sleep_until(self.next).await;
    }

    /// Goes on to the next period.
    ///
    /// # Errors
    /// [`End::TimedOut`] when the peer has been silent for too long.
    pub(super) fn next(&mut self) -> Result<(), End> {
        if self.last_heard.elapsed() > self.period * MISSED {
            return Err(End::TimedOut);
        }
        self.next = Instant::now() + jittered(self.period);
        Ok(())
    }
}

/// Between three quarters of the period and all of it, so that devices that connected together do not stay in
/// step. Without randomness the period itself will do.
fn jittered(period: Duration) -> Duration {
    let mut random = [u8::MAX];
    let _ = getrandom::fill(&mut random);
    let [random] = random;
    period * 3 / 4 + period / 4 * u32::from(random) / u32::from(u8::MAX)
}
