//! What is known of the present connection. Nothing here is stored.

use av_link::Transport;

use av_wire::DeviceId;
use av_wire::frame::LinkKind;
use av_wire::limits::MAX_OWNERS;
use heapless::Vec;

use super::device::Handshake;
use super::entries::Entry;
use super::error::ConnectionError;
use crate::Now;

/// Milliseconds: how often a device pings at the latest (`PROTOCOL.md` section 9: 30 s with jitter). The jitter, up
/// to 8 s, comes from the channel, so that devices that connect together do not ping together.
const PING_PERIOD: u64 = 26_000;
const PING_JITTER: u64 = 8_000;
/// A connection on which nothing came for this many periods is dead.
const SILENT_PERIODS: u64 = 3;

/// What protects a connection (`PROTOCOL.md` section 9).
#[derive(Clone, Copy)]
pub enum Channel<'l> {
    /// Nothing: only to an origin on loopback, from a device that knows no link key.
    Plain,
    /// TLS 1.3, whose certificate was verified for the device's own `wss` origin.
    Tls,
    /// The Noise link, open: it proved the relay's link key, and its handshake hash is what the device signs.
    Noise(&'l Transport),
}

impl Channel<'_> {
    const fn kind(&self) -> LinkKind {
        match self {
            Self::Plain => LinkKind::Plain,
            Self::Tls => LinkKind::Tls,
            Self::Noise(_) => LinkKind::Noise,
        }
    }

    const fn handshake_hash(&self) -> Option<[u8; 32]> {
        match self {
            Self::Noise(link) => Some(*link.channel()),
            Self::Plain | Self::Tls => None,
        }
    }
}

/// The connection, if there is one.
#[cfg_attr(test, derive(Clone))]
pub(super) struct Link {
    pub(super) kind: LinkKind,
    /// What `Authenticate` signs: the challenge's nonce, or the Noise link's handshake hash; `None` before the
    /// challenge.
    pub(super) channel: Option<[u8; 32]>,
    handshake_hash: Option<[u8; 32]>,
    /// The last handshake frame that went out.
    pub(super) sent: Option<Handshake>,
    /// The relay sent Welcome.
    pub(super) authenticated: bool,
    /// The last inbox entry that waited when this connection was authenticated.
    pub(super) waiting: u64,
    /// An inbox entry came.
    pub(super) has_entries: bool,
    /// A message that is passed over until it is known who sent it.
    pub(super) awaited: Option<Awaited>,
    /// The last sequence that was acknowledged here.
    pub(super) acknowledged: u64,
    pub(super) publishing: Option<Publishing>,
    /// Devices of which the relay did not give what was asked for; asked again on the next connection.
    pub(super) in_vain: Vec<DeviceId, { MAX_OWNERS + 1 }>,
    pub(super) pong_due: bool,
    pub(super) ping_due: bool,
    ping_period: u64,
    last_ping: u64,
    last_heard: u64,
}

/// A message of an unknown sender that names itself by id: its chain was asked for. What stands behind it in the inbox
/// is passed over as well, since entries are taken in their order.
#[derive(Clone, Copy)]
pub(super) struct Awaited {
    pub(super) entry: Entry,
    pub(super) sender: DeviceId,
    /// Uptime, ms: when the answer is given up.
    pub(super) until: u64,
    /// Another entry came meanwhile.
    pub(super) has_followers: bool,
}

/// Prekeys that are under way to the relay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Publishing {
    /// Number of the call.
    pub(super) request: u32,
    /// The greatest id that it covers.
    pub(super) last: u32,
}

impl Link {
    pub(super) const fn new(channel: &Channel<'_>) -> Self {
        Self {
            kind: channel.kind(),
            channel: None,
            handshake_hash: channel.handshake_hash(),
            sent: None,
            authenticated: false,
            waiting: 0,
            has_entries: false,
            awaited: None,
            acknowledged: 0,
            publishing: None,
            in_vain: Vec::new(),
            pong_due: false,
            ping_due: false,
            ping_period: PING_PERIOD + PING_JITTER,
            last_ping: 0,
            last_heard: 0,
        }
    }

    pub(super) fn challenged(&mut self, nonce: [u8; 32], now: Now) -> Result<(), ConnectionError> {
        // A nonce inside the link could make the device sign what another connection asks for.
        let channel = match self.handshake_hash {
            Some(hash) if nonce == [0; 32] => hash,
            Some(_) => return Err(ConnectionError::Violation),
            None => nonce,
        };
        let [first, second, ..] = channel;
        self.ping_period =
            PING_PERIOD + u64::from(u16::from_be_bytes([first, second])) * PING_JITTER / 65_536;
        self.last_ping = now.uptime;
        self.channel = Some(channel);
        Ok(())
    }

    pub(super) const fn heard(&mut self, now: Now) {
        self.last_heard = now.uptime;
    }

    /// When the next ping is due, ms of uptime; `None` before the challenge, when there is nothing to keep alive.
    pub(super) fn next_ping(&self) -> Option<u64> {
        self.channel.map(|_| self.last_ping.saturating_add(self.ping_period))
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
