//! What is known of the present connection. Nothing here is stored.

use av_wire::frame::LinkKind;

use super::device::Handshake;
use crate::Now;

/// Milliseconds: how often a device pings at the latest (`PROTOCOL.md` section 9: 30 s with jitter). The jitter, up
/// to 8 s, comes from the relay's challenge, so that devices that connect together do not ping together.
const PING_PERIOD: u64 = 26_000;
const PING_JITTER: u64 = 8_000;
/// A connection on which nothing came for this many periods is dead.
const SILENT_PERIODS: u64 = 3;

/// The connection, if there is one.
pub(super) struct Link {
    pub(super) kind: LinkKind,
    /// From the challenge; `None` before it.
    pub(super) nonce: Option<[u8; 32]>,
    /// The last handshake frame that went out.
    pub(super) sent: Option<Handshake>,
    /// The relay sent Welcome.
    pub(super) authenticated: bool,
    /// The last sequence that was acknowledged here.
    pub(super) acknowledged: u64,
    pub(super) pong_due: bool,
    pub(super) ping_due: bool,
    ping_period: u64,
    last_ping: u64,
    last_heard: u64,
}

impl Link {
    pub(super) const fn new(kind: LinkKind) -> Self {
        Self {
            kind,
            nonce: None,
            sent: None,
            authenticated: false,
            acknowledged: 0,
            pong_due: false,
            ping_due: false,
            ping_period: PING_PERIOD + PING_JITTER,
            last_ping: 0,
            last_heard: 0,
        }
    }

    pub(super) fn challenged(&mut self, nonce: [u8; 32], now: Now) {
        let [first, second, ..] = nonce;
        self.ping_period =
            PING_PERIOD + u64::from(u16::from_be_bytes([first, second])) * PING_JITTER / 65_536;
        self.last_ping = now.uptime;
        self.nonce = Some(nonce);
    }

    pub(super) const fn heard(&mut self, now: Now) {
        self.last_heard = now.uptime;
    }

    /// When the next ping is due, ms of uptime; `None` before the challenge, when there is nothing to keep alive.
    pub(super) fn next_ping(&self) -> Option<u64> {
        self.nonce.map(|_| self.last_ping.saturating_add(self.ping_period))
    }

    /// Notes that a ping is due, and says whether the connection is silent.
    pub(super) fn tick(&mut self, now: Now) -> bool {
        if self.next_ping().is_none_or(|due| now.uptime < due) {
            return false;
        }
        self.ping_due = true;
        self.last_ping = now.uptime;
        now.uptime.saturating_sub(self.last_heard) >= SILENT_PERIODS * self.ping_period
    }
}
