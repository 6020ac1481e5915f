//! The endpoint: a device's whole protocol as one state machine without I/O (`PROTOCOL.md` section 8).
//!
//! No socket, clock, file or heap. The contract, in three steps:
//!
//! 1. **Feed one input**: a frame ([`Endpoint::receive`]), the time ([`Endpoint::tick`]), a connection that came or
//!    went ([`Endpoint::connected`], [`Endpoint::disconnected`]), or a command of the application.
//! 2. **Drain**: call [`Endpoint::poll`] until it returns `None`, and do what each [`Output`] asks.
//! 3. **Wait** for the next input.
//!
//! [`Output::Persist`] and [`Output::Deliver`] are questions. While a batch is not stored, nothing else is given
//! out: no ciphertext leaves before the state that made it is durable, so no crash uses a message key twice; and no
//! message is acknowledged before the application confirmed it.
//!
//! All peers are in memory, unless the driver keeps more of them ([`Endpoint::keep_peers`]). Then an input about a peer
//! that is not in memory changes nothing and fails with `NeedPeer`: the driver lends it ([`Endpoint::lend`]) and
//! feeds the input again.
//!
//! ```text
//! receive ─▶ owner │ device │ peer ─▶ slots ─▶ poll ─▶ Persist ─▶ Event ─▶ Transmit ─▶ Deliver ─▶ Timer
//! commands ─▶ send │ owner ────────────┘
//! ```

mod again;
mod begin;
mod bucket;
mod calls;
mod control;
mod device;
mod entries;
mod error;
mod event;
mod history;
mod inbox;
#[cfg(any(test, feature = "testing"))]
mod inspect;
mod introduce;
mod keyed;
mod link;
mod meta;
mod outbox;
mod output;
#[cfg(feature = "owner")]
mod owner;
mod peer;
mod peer_head;
mod poll;
mod prekeys;
mod receipts;
mod receive;
mod received;
mod restore;
mod resync;
#[cfg(any(test, feature = "testing"))]
mod rewrite;
mod send;
mod sessions;
mod siblings;
mod slot;
mod statements;
mod views;
mod wait;
mod working_set;

#[cfg(test)]
mod tests;

pub use begin::EnrollOptions;
pub use error::{ApproveError, ConnectionError, EndpointError, LendError, RestoreError, SendError};
pub use event::{EndReason, Event, OutboxId, PeerView, RequestVerdict, RequestView, Standing};
pub use link::Channel;
pub use output::{Delivery, Output, Persist, PersistError, Ticket};
#[cfg(any(test, feature = "testing"))]
pub(crate) use rewrite::rewrite_record;
pub use views::Phase;
pub use working_set::PeerRecord;

use av_wire::DeviceId;
use av_wire::limits::DELIVER_OVERHEAD;
use heapless::{Deque, Vec};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::enroll::{GrantedKey, Invite, Membership};
use crate::keys::Prekeys;
#[cfg(feature = "owner")]
use crate::limits::PENDING_REQUESTS;
use crate::limits::{CONTROL_ENTRIES, EVENTS, INVITES, KEYS, ONE_TIME_PREKEYS, RECORD_OVERHEAD};
use crate::record::{self, Tally};
use bucket::Bucket;
use calls::{CALLS, Call};
use device::Device;
use inbox::InboxEntry;
use introduce::Acquaintance;
use link::Link;
use meta::Meta;
use outbox::{OutboxEntry, Settled};
#[cfg(feature = "owner")]
use owner::PendingRequest;
use peer::Peer;
use slot::{Held, Slot};
use working_set::WorkingSet;

/// One device: its keys, peers, sessions, outbox and inbox.
///
/// `PEERS` peers in memory, `SKIP` skipped message keys a session, `OUTBOX` frames that the relay has not taken, `INBOX`
/// messages that the application has not confirmed, and `BODY` bytes for a record or a frame: the largest `Deliver`
/// frame that the device takes is [`RECORD_OVERHEAD`] smaller.
pub struct Endpoint<
    A: Aead,
    const PEERS: usize,
    const SKIP: usize,
    const OUTBOX: usize,
    const INBOX: usize,
    const BODY: usize,
> {
    device: Slot<Device>,
    meta: Slot<Meta>,
    prekeys: Slot<Prekeys<ONE_TIME_PREKEYS>>,
    peers: [Slot<Peer<A, SKIP>>; PEERS],
    invites: [Slot<Invite>; INVITES],
    keys: [Slot<GrantedKey>; KEYS],
    outbox: [Slot<OutboxEntry<BODY>>; OUTBOX],
    inbox: [Slot<InboxEntry<BODY>>; INBOX],
    tally: Tally,
    working_set: WorkingSet,
    // What follows is not stored.
    link: Held<Link>,
    calls: Vec<Call, CALLS>,
    #[cfg(feature = "owner")]
    requests: Vec<PendingRequest, PENDING_REQUESTS>,
    events: Deque<Event, EVENTS>,
    /// Chain checks that unknown devices may cause, all of them together.
    introductions: Bucket,
    /// A device that the chain asked for certifies. It becomes a peer when a message of it opens.
    acquaintance: Held<Acquaintance>,
    /// Days of uptime, as of the last tick.
    day: u64,
    /// Waits for receipts that ended: one input can end them all.
    settled: Deque<(OutboxId, Settled), OUTBOX>,
    timer: Option<u64>,
    calls_made: u32,
    scratch: [u8; BODY],
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Bytes of the largest `Deliver` frame that this device takes.
    pub const MAX_MESSAGE: usize = BODY - RECORD_OVERHEAD;

    /// Bytes of the largest stored record of this device.
    pub const RECORD: usize = {
        let message = Self::MAX_MESSAGE - DELIVER_OVERHEAD;
        let lengths = [
            Device::MAX_LEN,
            Meta::MAX_LEN,
            Prekeys::<ONE_TIME_PREKEYS>::MAX_LEN,
            Peer::<A, SKIP>::MAX_LEN,
            Invite::MAX_LEN,
            GrantedKey::MAX_LEN,
            OutboxEntry::<BODY>::OVERHEAD + message,
            InboxEntry::<BODY>::OVERHEAD + message,
        ];
        let (mut largest, mut rest) = (0, lengths.as_slice());
        while let Some((length, others)) = rest.split_first() {
            largest = if *length > largest { *length } else { largest };
            rest = others;
        }
        largest + record::OVERHEAD
    };

    const FITS: () = {
        assert!(
            Self::MAX_MESSAGE >= av_wire::limits::MIN_MAX_MESSAGE as usize,
            "AV/1's smallest max_message"
        );
        assert!(Self::RECORD <= BODY, "every record has to fit into BODY");
        assert!(OUTBOX > CONTROL_ENTRIES, "receipts need an outbox entry beside those of messages");
    };

    /// An endpoint without identity, fit for a `static`.
    #[must_use]
    pub const fn new() -> Self {
        const { Self::FITS };
        Self {
            device: Slot::EMPTY,
            meta: Slot::EMPTY,
            prekeys: Slot::EMPTY,
            peers: [const { Slot::EMPTY }; PEERS],
            invites: [const { Slot::EMPTY }; INVITES],
            keys: [const { Slot::EMPTY }; KEYS],
            outbox: [const { Slot::EMPTY }; OUTBOX],
            inbox: [const { Slot::EMPTY }; INBOX],
            tally: Tally::EMPTY,
            working_set: WorkingSet::NEW,
            link: Held::Empty,
            calls: Vec::new(),
            #[cfg(feature = "owner")]
            requests: Vec::new(),
            events: Deque::new(),
            introductions: Bucket::FULL,
            acquaintance: Held::Empty,
            day: 0,
            settled: Deque::new(),
            timer: None,
            calls_made: 0,
            scratch: [0; BODY],
        }
    }

    /// Forgets everything, as a restart does, and wipes what was secret; [`Endpoint::restore`] follows. In place: a
    /// new endpoint assigned to the old one would first stand on the stack, which a microcontroller has no room for.
    pub fn reset(&mut self) {
        self.disconnected();
        // Every field by name, so that none is forgotten.
        let Self {
            device,
            meta,
            prekeys,
            peers,
            invites,
            keys,
            outbox,
            inbox,
            tally,
            working_set,
            link: _,
            calls,
            #[cfg(feature = "owner")]
            requests,
            events,
            settled,
            timer: _,
            introductions,
            acquaintance,
            day,
            calls_made,
            scratch,
        } = self;
        device.vacate();
        meta.vacate();
        prekeys.vacate();
        peers.iter_mut().for_each(Slot::vacate);
        invites.iter_mut().for_each(Slot::vacate);
        keys.iter_mut().for_each(Slot::vacate);
        outbox.iter_mut().for_each(Slot::vacate);
        inbox.iter_mut().for_each(Slot::vacate);
        *tally = Tally::EMPTY;
        *working_set = WorkingSet::NEW;
        calls.clear();
        #[cfg(feature = "owner")]
        requests.clear();
        events.clear();
        settled.clear();
        *acquaintance = Held::Empty;
        (*introductions, *day) = (Bucket::FULL, 0);
        *calls_made = 0;
        scratch.as_mut_slice().zeroize();
    }

    /// A fresh connection to this device's origin is open; the relay's challenge is its first frame.
    ///
    /// # Errors
    /// [`ConnectionError::Insecure`] when `channel` does not protect what this device was set up to protect, or when
    /// it has no identity yet. Close it; nothing goes out on it.
    pub fn connected(&mut self, channel: Channel<'_>) -> Result<(), ConnectionError> {
        self.disconnected();
        if !self.device.get().is_some_and(|device| device.allows(&channel)) {
            return Err(ConnectionError::Insecure);
        }
        self.link = Held::Full(Link::new(&channel));
        Ok(())
    }

    /// The connection is gone. What was not answered goes out again on the next one.
    pub fn disconnected(&mut self) {
        self.link = Held::Empty;
        self.timer = None;
        self.calls.iter_mut().for_each(|call| call.transmitted = false);
        self.outbox.iter_mut().filter_map(Slot::get_mut).for_each(|entry| entry.transmitted = false);
    }

    /// A [`Output::Timer`] came due: receipts, checks and the like go into the outbox.
    pub fn tick(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        scrubbed(|| self.do_due(now, rng))
    }

    fn do_due(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        #[cfg(feature = "owner")]
        self.forget_told_serials(now);
        for slot in &mut self.peers {
            if slot.get_mut().is_some_and(|peer| peer.tick(now)) {
                slot.mark_changed();
            }
        }
        if self.link.get_mut().is_some_and(|link| link.tick(now)) {
            self.notify(Event::ConnectionSilent);
        }
        self.give_up_introduction(now);
        self.attend(now, rng);
    }

    /// Does for every peer what is due: receipts, checks, first flights, resyncs; and closes keys.
    fn attend(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        for index in 0..PEERS {
            self.attend_receipts(now, rng, index);
            self.attend_resync(now, rng, index);
        }
        #[cfg(feature = "owner")]
        self.close_keys(now);
    }

    /// When something is due next; what is due already waits for room or for a session, not for the time.
    fn next_due(&self, now: Now) -> Option<u64> {
        let peers = self.peers.iter().filter_map(Slot::get).filter_map(|peer| peer.due(now));
        let checks = self.outbox.iter().filter_map(Slot::get).map(|entry| entry.check.due());
        let checks = checks.filter(|due| *due > now.uptime && *due < u64::MAX);
        let ping = self.link.get().and_then(Link::next_ping).map(|due| due.max(now.uptime));
        let awaited = self.link.get().and_then(|link| link.awaited).map(|awaited| awaited.until);
        peers.chain(checks).chain(ping).chain(awaited).min()
    }

    fn membership(&self) -> Option<&Membership> {
        self.device.get().and_then(Device::membership)
    }

    fn taken(&self) -> u64 {
        self.meta.get().map_or(0, |meta| meta.taken)
    }

    fn peer_slot(&mut self, device: &DeviceId) -> Option<&mut Slot<Peer<A, SKIP>>> {
        self.peers.iter_mut().find(|slot| slot.get().is_some_and(|peer| peer.device_id == *device))
    }

    fn peer_index(&self, device: &DeviceId) -> Option<usize> {
        self.peers.iter().position(|slot| slot.get().is_some_and(|peer| peer.device_id == *device))
    }

    /// Queues an event; when the application lets the queue overflow, the oldest goes: state is in the views.
    fn notify(&mut self, event: Event) {
        if self.events.is_full() {
            self.events.pop_front();
        }
        // There is room: one was removed.
        let _ = self.events.push_back(event);
    }

    /// Queues how the wait for a receipt ended.
    fn settle(&mut self, id: OutboxId, outcome: Settled) {
        if self.settled.is_full() {
            self.settled.pop_front();
        }
        // There is room: one was removed.
        let _ = self.settled.push_back((id, outcome));
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| {
            self.settled.pop_front().map(|(id, outcome)| match outcome {
                Settled::Delivered => Event::Delivered(id),
                Settled::Unreceipted => Event::Unreceipted(id),
            })
        })
    }
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Default for Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    fn default() -> Self {
        Self::new()
    }
}
