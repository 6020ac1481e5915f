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
//! ```text
//! receive ─▶ owner │ device │ peer ─▶ slots ─▶ poll ─▶ Persist ─▶ Event ─▶ Transmit ─▶ Deliver ─▶ Timer
//! commands ─▶ send │ owner ────────────┘
//! ```

mod device;
mod error;
mod event;
mod inbox;
mod link;
mod meta;
mod outbox;
mod output;
mod owner;
mod peer;
mod poll;
mod receive;
mod send;
mod slot;

#[cfg(test)]
mod tests;

pub use error::{ApproveError, ConnectionError, EndpointError, RestoreError, SendError};
pub use event::{EndReason, Event, OutboxId, PeerView, RequestVerdict, RequestView, Standing};
pub use output::{Delivery, Output, Persist, PersistError, Ticket};

use av_wire::frame::LinkKind;
use av_wire::layout::Reader;
use av_wire::{DeviceId, DevicePublic, Fingerprint, Origin, Role, TenantId};
use heapless::{Deque, String, Vec};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::Now;
use crate::crypto::Aead;
use crate::enroll::{Invite, Membership, RecoveryKey, Requested};
use crate::invite::{InviteText, NAME_MAX};
use crate::keys::{Identity, Prekeys};
use crate::limits::{EVENTS, INVITES, ONE_TIME_PREKEYS, PENDING_REQUESTS, RECORD_OVERHEAD};
use crate::record::codec::CodecError;
use crate::record::{RecordKey, RecordKind, Seal, SealError};
use device::{Device, Progress};
use inbox::InboxEntry;
use link::Link;
use meta::Meta;
use outbox::OutboxEntry;
use owner::{Call, PendingRequest};
use peer::Peer;
use slot::Slot;

/// Where an enrolling device is to be found, and what the invite's URL said beside its token.
#[derive(Clone, Copy, Debug)]
pub struct EnrollOptions<'o> {
    /// The relay's origin.
    pub origin: &'o Origin,
    /// The relay's link key; `None` where the relay offers no Noise link.
    pub link_key: Option<[u8; 32]>,
    /// The owner's device that made the invite; a grant from another is then refused.
    pub inviter: Option<DeviceId>,
    /// The role that the invite is for.
    pub role: Role,
    /// The name that the device proposes, 1 to 40 bytes without control characters.
    pub name: &'o str,
    /// What it runs on, at most 21 bytes without control characters.
    pub platform: &'o str,
}

/// How far a device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No identity yet.
    Empty,
    /// The founding call waits for the relay.
    Founding,
    /// The enrollment request waits for an owner.
    Enrolling,
    /// Approved; the activation waits for the relay.
    Granted,
    /// A member of its tenant.
    Active,
}

/// One device: its keys, peers, sessions, outbox and inbox.
///
/// `PEERS` peers, `SKIP` skipped message keys a session, `OUTBOX` frames that the relay has not taken, `INBOX`
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
    outbox: [Slot<OutboxEntry<BODY>>; OUTBOX],
    inbox: [Slot<InboxEntry<BODY>>; INBOX],
    // What follows is not stored.
    link: Option<Link>,
    calls: Vec<Call, { owner::CALLS }>,
    requests: Vec<PendingRequest, PENDING_REQUESTS>,
    events: Deque<Event, EVENTS>,
    timer: Option<u64>,
    next_request: u32,
    scratch: [u8; BODY],
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Bytes of the largest `Deliver` frame that this device takes.
    pub const MAX_MESSAGE: usize = BODY - RECORD_OVERHEAD;

    const FITS: () = {
        assert!(
            Self::MAX_MESSAGE >= av_wire::limits::MIN_MAX_MESSAGE as usize,
            "AV/1's smallest max_message"
        );
        assert!(Peer::<A, SKIP>::MAX_LEN + Seal::OVERHEAD <= BODY, "a peer's record has to fit into BODY");
        assert!(Device::MAX_LEN + Seal::OVERHEAD <= BODY, "the identity record has to fit into BODY");
        assert!(Meta::MAX_LEN + Seal::OVERHEAD <= BODY, "the counters' record has to fit into BODY");
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
            outbox: [const { Slot::EMPTY }; OUTBOX],
            inbox: [const { Slot::EMPTY }; INBOX],
            link: None,
            calls: Vec::new(),
            requests: Vec::new(),
            events: Deque::new(),
            timer: None,
            next_request: owner::FIRST_CALL,
            scratch: [0; BODY],
        }
    }

    /// Makes a tenant: its root, and this device as its founding owner (`PROTOCOL.md` section 4.4). The recovery key
    /// is the root's only copy.
    ///
    /// # Errors
    /// [`EndpointError::NotEmpty`] or [`EndpointError::InvalidName`].
    pub fn found(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        origin: &Origin,
        name: &str,
    ) -> Result<RecoveryKey, EndpointError> {
        self.require_empty()?;
        let name = valid_name(name)?;
        let identity = self.generate_identity(rng, Role::Owner)?;
        let prekeys = Prekeys::generate(rng, now.wall);
        let root = RecoveryKey::generate(rng);
        let founding = root.found(&identity, origin, now.wall).map_err(|_| EndpointError::Bug)?;
        self.begin(
            Device {
                identity,
                name,
                origin: origin.clone(),
                // The relay of this version offers no Noise link: 32 zero bytes (`PROTOCOL.md` section 9).
                link_key: [0; 32],
                progress: Progress::Founding(founding),
            },
            prekeys,
        );
        Ok(root)
    }

    /// Begins to enroll with an invite (`PROTOCOL.md` section 4.1). The text can be wiped afterwards.
    ///
    /// A request that no owner has approved is replaced.
    ///
    /// # Errors
    /// [`EndpointError::NotEmpty`] or [`EndpointError::InvalidName`].
    pub fn enroll(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        options: &EnrollOptions<'_>,
    ) -> Result<(), EndpointError> {
        if self.phase() != Phase::Enrolling {
            self.require_empty()?;
        }
        let name = valid_name(options.name)?;
        let identity = self.generate_identity(rng, options.role)?;
        let prekeys = Prekeys::generate(rng, now.wall);
        let bundle = prekeys.bundle(&identity).map_err(|_| EndpointError::Bug)?;
        let link_key = options.link_key.unwrap_or([0; 32]);
        let requested = Requested::new(
            rng,
            invite,
            &identity,
            &bundle,
            &name,
            options.platform,
            link_key,
            options.inviter,
        )
        .map_err(|_| EndpointError::InvalidName)?;
        let origin = options.origin.clone();
        let progress = Progress::Requested(requested);
        self.begin(Device { identity, name, origin, link_key, progress }, prekeys);
        Ok(())
    }

    fn require_empty(&self) -> Result<(), EndpointError> {
        if self.device.is_empty() { Ok(()) } else { Err(EndpointError::NotEmpty) }
    }

    fn generate_identity(&self, rng: &mut dyn CryptoRng, role: Role) -> Result<Identity, EndpointError> {
        let max_message = u32::try_from(Self::MAX_MESSAGE).map_err(|_| EndpointError::Bug)?;
        Ok(Identity::generate(rng, role, A::SUITE.alone(), max_message))
    }

    fn begin(&mut self, device: Device, prekeys: Prekeys<ONE_TIME_PREKEYS>) {
        self.device.set(device);
        self.prekeys.set(prekeys);
        self.meta.set(Meta::new());
    }

    /// Feeds back one record that the store holds, in any order; [`Endpoint::resume`] ends it.
    ///
    /// # Errors
    /// [`RestoreError`]; the endpoint is then of no use and nothing was written anywhere.
    pub fn restore(
        &mut self,
        now: Now,
        seal: &Seal,
        key: RecordKey,
        sealed: &[u8],
    ) -> Result<(), RestoreError> {
        let mut scratch = core::mem::replace(&mut self.scratch, [0; BODY]);
        let record = seal.open(key, sealed, &mut scratch).map_err(|error| match error {
            SealError::TooNew => RestoreError::TooNew,
            SealError::DoesNotOpen | SealError::TooLong => RestoreError::DoesNotOpen,
        });
        let result = record.and_then(|record| self.restore_record(now, key, record));
        scratch.zeroize();
        result
    }

    fn restore_record(&mut self, now: Now, key: RecordKey, record: &[u8]) -> Result<(), RestoreError> {
        let mut reader = Reader::new(record);
        let reader = &mut reader;
        let index = usize::from(key.index);
        let result: Result<(), CodecError> = (|| {
            match key.kind {
                RecordKind::Identity => self.device.restore(Device::read(reader)?),
                RecordKind::Meta => self.meta.restore(Meta::read(reader)?),
                RecordKind::Prekeys => self.prekeys.restore(Prekeys::read(reader)?),
                RecordKind::Peer => place(&mut self.peers, index)?.restore(Peer::read(reader, now)?),
                RecordKind::Invite => place(&mut self.invites, index)?.restore(Invite::read(reader)?),
                RecordKind::Outbox => place(&mut self.outbox, index)?.restore(OutboxEntry::read(reader)?),
                RecordKind::Inbox => place(&mut self.inbox, index)?.restore(InboxEntry::read(reader)?),
            }
            Ok(reader.end()?)
        })();
        let capacity = match key.kind {
            RecordKind::Identity | RecordKind::Meta | RecordKind::Prekeys => 1,
            RecordKind::Peer => PEERS,
            RecordKind::Invite => INVITES,
            RecordKind::Outbox => OUTBOX,
            RecordKind::Inbox => INBOX,
        };
        if index >= capacity { Err(RestoreError::TooMany) } else { result.map_err(|_| RestoreError::Damaged) }
    }

    /// Ends restoring: all records have to fit together.
    ///
    /// # Errors
    /// [`RestoreError::Damaged`] when records are missing.
    pub fn resume(&self) -> Result<(), RestoreError> {
        let parts = [self.device.is_empty(), self.meta.is_empty(), self.prekeys.is_empty()];
        let is_empty = self.peers.iter().all(Slot::is_empty) && self.outbox.iter().all(Slot::is_empty);
        match parts {
            [false, false, false] => Ok(()),
            [true, true, true] if is_empty => Ok(()),
            _ => Err(RestoreError::Damaged),
        }
    }

    /// A fresh connection is open; the relay's challenge is its first frame.
    pub fn connected(&mut self, kind: LinkKind) {
        self.disconnected();
        self.link = Some(Link::new(kind));
    }

    /// The connection is gone. What was not answered goes out again on the next one.
    pub fn disconnected(&mut self) {
        self.link = None;
        self.timer = None;
        self.calls.iter_mut().for_each(|call| call.transmitted = false);
        self.outbox.iter_mut().filter_map(Slot::get_mut).for_each(|entry| entry.transmitted = false);
    }

    /// A [`Output::Timer`] came due.
    pub fn tick(&mut self, now: Now) {
        for slot in &mut self.peers {
            if slot.get_mut().is_some_and(|peer| peer.tick(now)) {
                slot.mark_changed();
            }
        }
        if self.link.as_mut().is_some_and(|link| link.tick(now)) {
            self.notify(Event::ConnectionSilent);
        }
    }

    /// How far this device has come.
    pub fn phase(&self) -> Phase {
        match self.device.get().map(|device| &device.progress) {
            None => Phase::Empty,
            Some(Progress::Founding(_)) => Phase::Founding,
            Some(Progress::Requested(_)) => Phase::Enrolling,
            Some(Progress::Granted(_)) => Phase::Granted,
            Some(Progress::Active(_)) => Phase::Active,
        }
    }

    /// This device's public identity, once there is one.
    pub fn public(&self) -> Option<&DevicePublic> {
        self.device.get().map(|device| device.identity.public())
    }

    /// This device's fingerprint, to show to the owner who approves.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.device.get().map(|device| *device.identity.fingerprint())
    }

    /// This device's id.
    pub fn device_id(&self) -> Option<DeviceId> {
        self.device.get().map(|device| *device.identity.device_id())
    }

    /// How this device is called.
    pub fn name(&self) -> Option<&str> {
        self.device.get().map(|device| device.name.as_str())
    }

    /// The tenant of an active device.
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.membership().map(|membership| *membership.tenant_id())
    }

    /// The relay's origin.
    pub fn origin(&self) -> Option<&Origin> {
        self.device.get().map(|device| &device.origin)
    }

    /// The peers, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = PeerView<'_>> {
        self.peers.iter().filter_map(Slot::get).map(|peer| PeerView {
            device_id: peer.device_id,
            fingerprint: peer.device.fingerprint(),
            role: peer.device.role,
            name: &peer.name,
            standing: peer.standing,
            confirmed: peer.is_confirmed(),
        })
    }

    /// Frames that the relay has not answered yet.
    pub fn outbox_len(&self) -> usize {
        self.outbox.iter().filter(|slot| !slot.is_empty()).count() + self.calls.len()
    }

    /// Whether the present connection is authenticated.
    pub fn is_authenticated(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.authenticated)
    }

    fn membership(&self) -> Option<&Membership> {
        self.device.get().and_then(Device::membership)
    }

    fn taken(&self) -> u64 {
        self.meta.get().map_or(0, |meta| meta.taken)
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

fn place<T>(slots: &mut [Slot<T>], index: usize) -> Result<&mut Slot<T>, CodecError> {
    slots.get_mut(index).ok_or(CodecError)
}

fn valid_name(name: &str) -> Result<String<NAME_MAX>, EndpointError> {
    let is_plain = !name.is_empty() && !name.chars().any(char::is_control);
    is_plain.then(|| name.try_into().ok()).flatten().ok_or(EndpointError::InvalidName)
}

/// Reads a record and writes it again: the same bytes, through a writer that marks the secrets in it.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn rewrite_record<A: Aead, const SKIP: usize>(
    key: RecordKey,
    record: &[u8],
    writer: &mut crate::record::codec::Writer<'_>,
) -> Result<(), CodecError> {
    let reader = &mut Reader::new(record);
    let now = Now { uptime: 0, wall: 0 };
    match key.kind {
        RecordKind::Identity => Device::read(reader)?.write(writer),
        RecordKind::Prekeys => Prekeys::<ONE_TIME_PREKEYS>::read(reader)?.write(writer),
        RecordKind::Peer => Peer::<A, SKIP>::read(reader, now)?.write(writer),
        RecordKind::Invite => Invite::read(reader)?.write(writer),
        // Counters; frames that are sealed already; and messages, for which a test searches by itself.
        RecordKind::Meta | RecordKind::Outbox | RecordKind::Inbox => Ok(()),
    }
}
