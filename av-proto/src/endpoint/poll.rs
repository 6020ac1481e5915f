//! Draining: outputs are derived from state, in a fixed order, so that persisting comes before speaking by
//! construction and a lost connection loses nothing (`PROTOCOL.md` section 8).

use core::slice::from_mut;

use av_wire::frame::{Rejected, ToRelay};
use av_wire::limits::MAX_REJECTED;
use av_wire::{DeviceId, List};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::Endpoint;
use super::device::Device;
use super::inbox::InboxEntry;
use super::outbox::OutboxEntry;
use super::output::{Delivery, Output, Persist, Records, StoreFailed, Ticket};
use super::peer::Peer;
use super::slot::Slot;
use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::enroll::{GrantedKey, Invite};
use crate::keys::Prekeys;
use crate::record::codec::{CodecError, Writer};
use crate::record::{Head, RecordChange, RecordKey, RecordKind, Seal, Tally};

/// What goes out next; found first and built second, so that each output borrows the endpoint once.
enum Next {
    Persist,
    Event,
    Handshake,
    Pong,
    Call,
    Publish,
    Ack(u64),
    Outbox(usize),
    Ping,
    Deliver(usize),
    Timer(u64),
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// The next output, or `None` when there is nothing to do until the next input.
    ///
    /// In this order: (1) what has to be stored, (2) what happened, (3) frames, (4) messages for the application,
    /// (5) the timer. While anything has to be stored, nothing else is given out.
    pub fn poll(&mut self, now: Now) -> Option<Output<'_>> {
        scrubbed(move || self.next_output(now))
    }

    fn next_output(&mut self, now: Now) -> Option<Output<'_>> {
        match self.next(now)? {
            Next::Persist => Some(Output::Persist(Persist { records: self, is_written: false })),
            Next::Event => self.next_event().map(Output::Event),
            Next::Timer(at) => {
                self.timer = Some(at);
                Some(Output::Timer(at))
            }
            Next::Deliver(slot) => {
                let entry = self.inbox.get_mut(slot).and_then(Slot::get_mut)?;
                entry.offered = true;
                Some(Output::Deliver(Delivery {
                    from: entry.from,
                    copied_to: entry.copied_to,
                    message_id: entry.message_id,
                    payload: &entry.payload,
                    ticket: Ticket { slot, message_id: entry.message_id },
                }))
            }
            Next::Outbox(slot) => {
                let entry = self.outbox.get_mut(slot).and_then(Slot::get_mut)?;
                entry.transmitted = true;
                let Some(message) = entry.about.message() else {
                    return Some(Output::Transmit(&entry.bytes));
                };
                let (header_blob, ciphertext) =
                    entry.bytes.split_at_checked(usize::from(message.header_len))?;
                let frame = ToRelay::Send { recipient: message.peer, header_blob, ciphertext };
                av_wire::encode(&frame, &mut self.scratch).ok().map(Output::Transmit)
            }
            Next::Call => {
                let call = self.calls.iter_mut().find(|call| !call.transmitted)?;
                call.transmitted = true;
                Some(Output::Transmit(&call.frame))
            }
            Next::Publish => self.transmit_prekeys().map(Output::Transmit),
            Next::Handshake => self.transmit_handshake().map(Output::Transmit),
            Next::Ack(sequence) => self.transmit_ack(sequence).map(Output::Transmit),
            Next::Pong => {
                self.link.get_mut()?.pong_due = false;
                self.transmit(&ToRelay::Pong).map(Output::Transmit)
            }
            Next::Ping => {
                self.link.get_mut()?.ping_due = false;
                self.transmit(&ToRelay::Ping).map(Output::Transmit)
            }
        }
    }

    fn next(&self, now: Now) -> Option<Next> {
        if self.has_changes() {
            return Some(Next::Persist);
        }
        if !self.events.is_empty() || !self.settled.is_empty() {
            return Some(Next::Event);
        }
        if let Some(frame) = self.next_frame() {
            return Some(frame);
        }
        let waiting = self.inbox.iter().enumerate().filter_map(|(slot, entry)| Some((slot, entry.get()?)));
        let first = waiting.filter(|(_, entry)| !entry.offered).min_by_key(|(_, entry)| entry.sequence);
        if let Some((slot, _)) = first {
            return Some(Next::Deliver(slot));
        }
        let due = self.next_due(now)?;
        (self.timer != Some(due)).then_some(Next::Timer(due))
    }

    fn next_frame(&self) -> Option<Next> {
        let link = self.link.get()?;
        link.channel?;
        if link.pong_due {
            return Some(Next::Pong);
        }
        let handshake = self.device.get()?.handshake();
        if !link.authenticated {
            return (link.sent != Some(handshake)).then_some(Next::Handshake);
        }
        if self.calls.iter().any(|call| !call.transmitted) {
            return Some(Next::Call);
        }
        let covered = link.publishing.map_or(0, |publishing| publishing.last);
        if self.prekeys.get()?.unpublished().is_some_and(|last| last > covered) {
            return Some(Next::Publish);
        }
        let acknowledged = self.acknowledgeable();
        if acknowledged > link.acknowledged {
            return Some(Next::Ack(acknowledged));
        }
        let waiting = self.outbox.iter().enumerate().filter_map(|(slot, entry)| Some((slot, entry.get()?)));
        let unsent = waiting.filter(|(_, entry)| !entry.transmitted && entry.is_unanswered());
        let unsent =
            unsent.filter(|(_, entry)| entry.about.recipient().is_none_or(|to| self.may_write_to(&to)));
        if let Some((slot, _)) = unsent.min_by_key(|(_, entry)| entry.id) {
            return Some(Next::Outbox(slot));
        }
        link.ping_due.then_some(Next::Ping)
    }

    /// Whether a message may go to this peer, also one that was sealed when it still might.
    fn may_write_to(&self, peer: &DeviceId) -> bool {
        let (Some(meta), Some(own)) = (self.meta.get(), self.membership()) else { return false };
        let known = self.peers.iter().filter_map(Slot::get).find(|known| known.device_id == *peer);
        known.is_some_and(|known| known.is_in(&meta.revoked))
            && (own.approver() == Some(*peer) || meta.serials.missing(&meta.revoked).next().is_none())
    }

    /// The last entry before the first that the application still has to confirm.
    fn acknowledgeable(&self) -> u64 {
        let unconfirmed = self.inbox.iter().filter_map(Slot::get).map(|entry| entry.sequence);
        let first = unconfirmed.filter(|sequence| *sequence > 0).min();
        first.map_or(self.taken(), |sequence| sequence.saturating_sub(1))
    }

    fn transmit_handshake(&mut self) -> Option<&[u8]> {
        let device = self.device.get()?;
        let link = self.link.get_mut()?;
        let prekeys = self.prekeys.get()?;
        let window = u16::try_from(INBOX).unwrap_or(u16::MAX);
        link.sent = Some(device.handshake());
        device.write_handshake(prekeys, &link.channel?, link.kind, window, &mut self.scratch).ok()
    }

    fn transmit_ack(&mut self, sequence: u64) -> Option<&[u8]> {
        let link = self.link.get_mut()?;
        let meta = self.meta.get()?;
        let news =
            |rejected: &&Rejected| rejected.sequence > link.acknowledged && rejected.sequence <= sequence;
        let rejected: heapless::Vec<Rejected, MAX_REJECTED> =
            meta.rejected.iter().filter(news).copied().collect();
        let frame = ToRelay::Ack { inbox_epoch: meta.inbox_epoch?, sequence, rejected: List::new(&rejected) };
        link.acknowledged = sequence;
        av_wire::encode(&frame, &mut self.scratch).ok()
    }

    fn transmit(&mut self, frame: &ToRelay<'_>) -> Option<&[u8]> {
        av_wire::encode(frame, &mut self.scratch).ok()
    }

    fn has_changes(&self) -> bool {
        self.device.is_changed()
            || self.meta.is_changed()
            || self.prekeys.is_changed()
            || self.peers.iter().any(Slot::is_changed)
            || self.invites.iter().any(Slot::is_changed)
            || self.keys.iter().any(Slot::is_changed)
            || self.outbox.iter().any(Slot::is_changed)
            || self.inbox.iter().any(Slot::is_changed)
    }
}

/// Seals the changed records of one kind, one after the other, through the endpoint's own buffer.
struct Sealer<'s, 'p> {
    seal: &'s Seal,
    rng: &'s mut dyn CryptoRng,
    tally: &'s mut Tally,
    scratch: &'s mut [u8],
    put: &'s mut (dyn FnMut(RecordChange<'_>) -> Result<(), StoreFailed> + 'p),
}

impl Sealer<'_, '_> {
    fn slots<T>(
        &mut self,
        kind: RecordKind,
        slots: &mut [Slot<T>],
        write: impl Fn(&T, &mut Writer<'_>) -> Result<(), CodecError>,
    ) -> Result<(), StoreFailed> {
        for (slot, place) in slots.iter_mut().zip(0..) {
            if !slot.is_changed() {
                continue;
            }
            let key = RecordKey::new(kind, if kind == RecordKind::Peer { slot.index } else { place });
            // A batch that fails is written again with other marks; what counts is that every mark is its record's.
            let mark = if slot.is_empty() { 0 } else { self.rng.next_u64() };
            self.tally.replace(slot.replace_mark(mark), mark);
            match slot.get() {
                None => (self.put)(RecordChange::Delete(key))?,
                Some(value) => self.put(key, mark, |writer| write(value, writer))?,
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        key: RecordKey,
        mark: u64,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), CodecError>,
    ) -> Result<(), StoreFailed> {
        let mut writer = Writer::new(self.scratch.get_mut(Seal::PREFIX..).ok_or(StoreFailed)?);
        let head = Head { generation: self.tally.generation, mark };
        head.write(&mut writer).and_then(|()| write(&mut writer)).map_err(|_| StoreFailed)?;
        let len = writer.len();
        let sealed = self.seal.seal_in_place(key, len, self.rng, self.scratch).map_err(|_| StoreFailed)?;
        (self.put)(RecordChange::Put(key, sealed))
    }
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Records for Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    fn write(
        &mut self,
        seal: &Seal,
        rng: &mut dyn CryptoRng,
        put: &mut dyn FnMut(RecordChange<'_>) -> Result<(), StoreFailed>,
    ) -> Result<(), StoreFailed> {
        // Never the number of a batch that failed: what it left on a torn page is older than this one.
        self.tally.generation = self.tally.generation.checked_add(1).ok_or(StoreFailed)?;
        let mut sealer = Sealer { seal, rng, tally: &mut self.tally, scratch: &mut self.scratch, put };
        let result = (|| {
            sealer.slots(RecordKind::Identity, from_mut(&mut self.device), Device::write)?;
            sealer.slots(RecordKind::Prekeys, from_mut(&mut self.prekeys), Prekeys::write)?;
            sealer.slots(RecordKind::Peer, &mut self.peers, Peer::write)?;
            sealer.slots(RecordKind::Invite, &mut self.invites, Invite::write)?;
            sealer.slots(RecordKind::ApiKey, &mut self.keys, GrantedKey::write)?;
            sealer.slots(RecordKind::Outbox, &mut self.outbox, OutboxEntry::write)?;
            sealer.slots(RecordKind::Inbox, &mut self.inbox, InboxEntry::write)?;
            // Last, for it says what all the others add up to.
            let key = RecordKey::new(RecordKind::Meta, 0);
            let Some(meta) = self.meta.get_mut() else {
                // A device whose enrollment ended for good: there are no others.
                return (sealer.put)(RecordChange::Delete(key));
            };
            meta.marks = sealer.tally.marks;
            sealer.put(key, 0, |writer| meta.write(writer))
        })();
        // On an error a record may still stand there unsealed.
        self.scratch.as_mut_slice().zeroize();
        result
    }

    fn mark_stored(&mut self) {
        self.device.mark_stored();
        self.meta.mark_stored();
        self.prekeys.mark_stored();
        self.peers.iter_mut().for_each(Slot::mark_stored);
        self.invites.iter_mut().for_each(Slot::mark_stored);
        self.keys.iter_mut().for_each(Slot::mark_stored);
        self.outbox.iter_mut().for_each(Slot::mark_stored);
        self.inbox.iter_mut().for_each(Slot::mark_stored);
    }
}
