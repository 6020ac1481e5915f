//! Which peers are in memory, and how the others come there and leave again (`PROTOCOL.md` section 8).
//!
//! Whoever the endpoint may have to act for unasked is in memory: a peer with due work, or with a message in the
//! outbox. So only an input can be about a peer that is not, and such an input changes nothing before the peer was
//! lent. A peer is sent home by forgetting it: its record is in the store as it is.

use av_wire::layout::Reader;
use av_wire::{DeviceId, Role};
use zeroize::Zeroize;

use super::Endpoint;
use super::error::{LendError, RestoreError};
use super::event::{PeerView, Standing};
use super::outbox::OutboxEntry;
use super::peer::{NewPeer, Peer};
use super::peer_head::PeerHead;
use super::slot::Slot;
use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::record::codec::CodecError;
use crate::record::{Head, RecordKey, RecordKind, Seal};

/// Which record a peer's is: what a driver that lends keeps of each peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRecord {
    pub(super) device_id: DeviceId,
    pub(super) index: u16,
    /// Which version of the record; an older one is not taken.
    pub(super) mark: u64,
}

impl PeerRecord {
    /// Whose it is.
    pub const fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// The record, 3 bytes, by which the store finds it.
    pub const fn key(&self) -> RecordKey {
        RecordKey::new(RecordKind::Peer, self.index)
    }
}

/// The bookkeeping of the peers in memory. All zeros at first, as an endpoint in a `static` has to be.
pub(super) struct WorkingSet {
    /// Peers that the store may have beyond the number of slots.
    beyond: u16,
    /// Peers in all, in memory or not.
    known: u16,
    /// The least index above every record's.
    next_index: u32,
    /// Counts uses, to tell the least recent one.
    uses: u32,
    /// Of whom the driver said last that it has no record.
    unknown: Option<DeviceId>,
}

/// A slot for a peer that is new to this device, and its record's index.
pub(super) struct Vacancy {
    pub(super) slot: usize,
    index: u16,
    /// Whether the number of peers grows.
    is_new: bool,
}

impl WorkingSet {
    pub(super) const NEW: Self = Self { beyond: 0, known: 0, next_index: 0, uses: 0, unknown: None };

    fn limit(&self, slots: usize) -> usize {
        slots.saturating_add(usize::from(self.beyond))
    }

    fn touch<T>(&mut self, slot: &mut Slot<T>) {
        self.uses = self.uses.saturating_add(1);
        slot.used = self.uses;
    }

    /// Takes in a peer's record at start: into memory while there is room, and in any case if there may be work
    /// for it.
    pub(super) fn restore<A: Aead, const SKIP: usize, const BODY: usize>(
        &mut self,
        peers: &mut [Slot<Peer<A, SKIP>>],
        outbox: &[Slot<OutboxEntry<BODY>>],
        now: Now,
        (index, mark): (u16, u64),
        reader: &mut Reader<'_>,
    ) -> Result<PeerView, RestoreError> {
        if usize::from(self.known) >= self.limit(peers.len()) {
            return Err(RestoreError::TooMany);
        }
        let head = PeerHead::read(&mut reader.clone())?;
        let device_id = head.device.device_id();
        self.known = self.known.checked_add(1).ok_or(RestoreError::TooMany)?;
        self.next_index = self.next_index.max(u32::from(index) + 1);
        let is_wanted = head.is_due || is_in(outbox, &device_id);
        let is_owner = head.device.role == Role::Owner;
        let free = peers.iter().position(Slot::is_empty);
        let place =
            free.or_else(|| (is_wanted || is_owner).then(|| least_recent(peers, outbox, now)).flatten());
        match place.and_then(|place| peers.get_mut(place)) {
            Some(slot) => {
                Peer::fill(slot, mark, reader, now)?;
                slot.index = index;
            }
            None if is_wanted => return Err(RestoreError::TooMany),
            None => *reader = Reader::new(&[]),
        }
        Ok(head.view(PeerRecord { device_id, index, mark }))
    }
}

/// Whether a message to this peer, or its approval, is in the outbox.
fn is_in<const BODY: usize>(outbox: &[Slot<OutboxEntry<BODY>>], peer: &DeviceId) -> bool {
    outbox.iter().filter_map(Slot::get).any(|entry| entry.about.peer() == Some(*peer))
}

/// The slot of the peer that was used longest ago, of those that can be sent home. An owner goes last: what is sent to
/// all owners, and the copies for them, go to those in memory.
fn least_recent<A: Aead, const SKIP: usize, const BODY: usize>(
    peers: &[Slot<Peer<A, SKIP>>],
    outbox: &[Slot<OutboxEntry<BODY>>],
    now: Now,
) -> Option<usize> {
    let is_idle = |slot: &Slot<Peer<A, SKIP>>| {
        let peer = slot.get().filter(|_| !slot.is_changed());
        peer.is_some_and(|peer| peer.is_idle(now) && !is_in(outbox, &peer.device_id))
    };
    let is_owner =
        |slot: &Slot<Peer<A, SKIP>>| slot.get().is_some_and(|peer| peer.device.role == Role::Owner);
    let idle = peers.iter().enumerate().filter(|(_, slot)| is_idle(slot));
    idle.min_by_key(|(_, slot)| (is_owner(slot), slot.used)).map(|(place, _)| place)
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Allows for this many peers, of which `PEERS` are in memory at a time; call it before anything is restored.
    ///
    /// Whoever calls it keeps the [`PeerView::record`] of every peer, as [`Endpoint::restore`] and, after each stored
    /// batch, [`Endpoint::peers`] show it, and answers every `NeedPeer` with [`Endpoint::lend`] or
    /// [`Endpoint::has_no_record`] and with the same input again. Whoever does not call it never sees a `NeedPeer`.
    pub fn keep_peers(&mut self, peers: u16) {
        const { assert!(PEERS > OUTBOX, "a peer with a message in the outbox stays in memory") };
        self.working_set.beyond = peers.saturating_sub(u16::try_from(PEERS).unwrap_or(u16::MAX));
    }

    /// Brings a peer into memory; the one that was used longest ago makes room. The record is taken only in the
    /// version that `record` names.
    ///
    /// # Errors
    /// [`LendError`]; no record changed.
    pub fn lend(
        &mut self,
        now: Now,
        seal: &Seal,
        record: &PeerRecord,
        sealed: &[u8],
    ) -> Result<(), LendError> {
        scrubbed(|| self.lend_record(now, seal, record, sealed))
    }

    fn lend_record(
        &mut self,
        now: Now,
        seal: &Seal,
        record: &PeerRecord,
        sealed: &[u8],
    ) -> Result<(), LendError> {
        if self.peer_index(&record.device_id).is_some() {
            return Ok(());
        }
        let place = self.free_slot(now).ok_or(LendError::NoRoom)?;
        let Self { scratch, peers, working_set, .. } = self;
        let slot = peers.get_mut(place).ok_or(LendError::NoRoom)?;
        let opened = seal.open(record.key(), sealed, scratch).map_err(RestoreError::from);
        let read = opened.and_then(|opened| {
            let reader = &mut Reader::new(opened);
            if Head::read(reader)?.mark != record.mark {
                return Err(RestoreError::Damaged);
            }
            Peer::fill(slot, record.mark, reader, now)?;
            slot.index = record.index;
            let is_its = slot.get().is_some_and(|peer| peer.device_id == record.device_id);
            if is_its { Ok(reader.end().map_err(CodecError::from)?) } else { Err(RestoreError::Damaged) }
        });
        if read.is_err() {
            slot.vacate();
        }
        working_set.touch(slot);
        scratch.as_mut_slice().zeroize();
        read.map_err(LendError::Record)
    }

    /// The store has no record of this peer: it is unknown to this device.
    pub const fn has_no_record(&mut self, peer: DeviceId) {
        self.working_set.unknown = Some(peer);
    }

    /// Whether the store may have a record of this peer that is not in memory. Asked before an input changes
    /// anything.
    pub(super) fn is_absent(&self, peer: &DeviceId) -> bool {
        let in_memory = self.peers.iter().filter(|slot| !slot.is_empty()).count();
        usize::from(self.working_set.known) > in_memory
            && self.working_set.unknown != Some(*peer)
            && self.peer_index(peer).is_none()
    }

    /// Notes that a peer is in use.
    pub(super) fn touch(&mut self, place: usize) {
        if let Some(slot) = self.peers.get_mut(place) {
            self.working_set.touch(slot);
        }
    }

    /// A slot for a new peer; if this device has all the peers it may have, that of a revoked one: revoked is final,
    /// so its generation guards nothing any more.
    pub(super) fn vacancy(&mut self, now: Now) -> Option<Vacancy> {
        let set = &self.working_set;
        if usize::from(set.known) >= set.limit(PEERS) {
            let is_revoked = |slot: &Slot<Peer<A, SKIP>>| {
                slot.get().is_some_and(|peer| peer.standing == Standing::Revoked)
            };
            let slot = self.peers.iter().position(is_revoked)?;
            let index = self.peers.get(slot)?.index;
            return Some(Vacancy { slot, index, is_new: false });
        }
        // A slot whose peer was forgotten in this very batch keeps its index: the record is overwritten, not left.
        let forgotten = self.peers.iter().position(|slot| slot.is_empty() && slot.is_changed());
        if let Some(slot) = forgotten {
            let index = self.peers.get(slot)?.index;
            return Some(Vacancy { slot, index, is_new: true });
        }
        let index = u16::try_from(set.next_index).ok()?;
        let slot = self.free_slot(now)?;
        Some(Vacancy { slot, index, is_new: true })
    }

    /// Makes a new peer in its slot: it is too large to be moved about on a microcontroller's stack.
    #[inline(never)]
    pub(super) fn add_peer(&mut self, vacancy: &Vacancy, new: &NewPeer<'_>) {
        let set = &mut self.working_set;
        let Some(slot) = self.peers.get_mut(vacancy.slot) else { return };
        let device_id = new.device.device_id();
        set.unknown = set.unknown.filter(|unknown| *unknown != device_id);
        slot.set(Peer::new(new));
        slot.index = vacancy.index;
        set.known = set.known.saturating_add(u16::from(vacancy.is_new));
        set.next_index = set.next_index.max(u32::from(vacancy.index) + 1);
        set.touch(slot);
    }

    /// Forgets a peer for good.
    pub(super) fn remove_peer(&mut self, place: usize) {
        if let Some(slot) = self.peers.get_mut(place).filter(|slot| !slot.is_empty()) {
            slot.clear();
            self.working_set.known = self.working_set.known.saturating_sub(1);
        }
    }

    /// An empty slot, if need be that of the peer used longest ago.
    fn free_slot(&mut self, now: Now) -> Option<usize> {
        let is_free = |slot: &Slot<Peer<A, SKIP>>| slot.is_empty() && !slot.is_changed();
        if let Some(place) = self.peers.iter().position(is_free) {
            return Some(place);
        }
        let place = least_recent(&self.peers, &self.outbox, now)?;
        self.peers.get_mut(place).map(Slot::vacate);
        Some(place)
    }
}
