//! Inbox entries: messages and activations; statements have a file of their own. Each is taken or rejected, stored, and
//! then acknowledged.

use core::ops::Range;

use av_wire::enroll::{EnrollTranscript, verify_activation};
use av_wire::layout::Reader;
use av_wire::message::message_id;
use av_wire::{DeviceId, MessageId, RejectCode, Signature};
use rand_core::CryptoRng;

use super::Endpoint;
use super::control::{is_receipted, kind, read_ids, short};
use super::error::ConnectionError;
use super::event::{Event, Standing};
use super::history::History;
use super::inbox::InboxEntry;
use super::introduce::{Introduction, may_begin};
use super::peer::{Context, Peer};
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;
use crate::ratchet::{Opened, RatchetError, first_8};

/// A plaintext in the scratch buffer.
struct Content {
    kind: u8,
    body: Range<usize>,
}

/// The inbox entry in hand.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) previous: u64,
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Whether an inbox entry is the next one. One that was taken before is only acknowledged again.
    ///
    /// The first entry of a connection may name a later one as the one before it: then this store is an older copy,
    /// whose successor acknowledged more (`PROTOCOL.md` section 9). What was taken in between is not in it; to insist
    /// on it would end every connection for ever.
    pub(super) fn is_next(&mut self, entry: Entry) -> Result<bool, ConnectionError> {
        let taken = self.taken();
        if entry.sequence <= taken {
            return Ok(false);
        }
        let has_room = self.inbox.iter().any(Slot::is_empty);
        let link = self.link.get_mut().ok_or(ConnectionError::Violation)?;
        if let Some(awaited) = &mut link.awaited {
            awaited.has_followers = true;
            return Ok(false);
        }
        let has_gap = entry.previous > taken;
        if (has_gap && link.has_entries) || !has_room {
            // A gap, or more than the receive window: the next connection begins at the last acknowledgement.
            return Err(ConnectionError::Violation);
        }
        Ok(true)
    }

    pub(super) fn take_entry(&mut self, entry: Entry) {
        let taken = self.taken();
        if entry.previous > taken {
            self.notify(Event::InboxGap { taken, previous: entry.previous });
            if let Some(prekeys) = self.prekeys.get_mut() {
                prekeys.replace_all();
            }
        }
        if let Some(link) = self.link.get_mut() {
            link.has_entries = true;
        }
        if let Some(meta) = self.meta.edit() {
            meta.taken = entry.sequence;
        }
    }

    pub(super) fn reject(&mut self, entry: Entry, from: DeviceId, code: RejectCode) {
        self.take_entry(entry);
        if let Some(meta) = self.meta.edit() {
            meta.reject(entry.sequence, code);
        }
        self.notify(Event::MessageRejected { from, code });
    }

    pub(super) fn delivered(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        entry: Entry,
        sender: DeviceId,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) {
        if header_blob.len().saturating_add(ciphertext.len()) > Self::MAX_MESSAGE {
            self.reject(entry, sender, RejectCode::TooLarge);
            return;
        }
        let known = self.peer_index(&sender);
        let index = match known
            .map_or_else(|| self.introduced(now, entry, &sender, header_blob), Introduction::Peer)
        {
            Introduction::Peer(index) => index,
            Introduction::Awaited => return,
            Introduction::Unknown => {
                self.reject(entry, sender, RejectCode::UnknownSender);
                return;
            }
        };
        self.touch(index);
        let revoked = self.meta.get().map(|meta| &meta.revoked);
        let peer = self.peers.get(index).and_then(Slot::get);
        if !peer.zip(revoked).is_some_and(|(peer, revoked)| peer.is_in(revoked)) {
            self.reject(entry, sender, RejectCode::UnknownSender);
            return;
        }
        match self.open(now, index, header_blob, ciphertext) {
            Ok(opened) => {
                let Some(id) = self.message_id(&sender, header_blob, ciphertext) else { return };
                self.opened(now, rng, entry, index, id, &opened);
            }
            Err(error) => {
                match (known, self.message_id(&sender, header_blob, ciphertext)) {
                    (None, _) => self.remove_peer(index),
                    (Some(_), Some(id)) => self.note_unopened(now, index, &id, header_blob, error),
                    (Some(_), None) => {}
                }
                self.reject(entry, sender, RejectCode::Unopened);
            }
        }
    }

    fn message_id(&self, sender: &DeviceId, header_blob: &[u8], ciphertext: &[u8]) -> Option<MessageId> {
        let device = self.device.get()?;
        let tenant = device.membership()?.tenant_id();
        Some(message_id(tenant, sender, device.identity.device_id(), header_blob, ciphertext))
    }

    /// Opens a message into the scratch buffer; on an error every record is as it was. In a frame of its own, as what
    /// follows it.
    #[inline(never)]
    pub(super) fn open(
        &mut self,
        now: Now,
        index: usize,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) -> Result<Opened, RatchetError> {
        let missing = RatchetError::Unopened;
        let device = self.device.get().ok_or(missing)?;
        let tenant = device.membership().ok_or(missing)?.tenant_id();
        let allowed = &self.meta.get().ok_or(missing)?.allowed;
        let peer = self.peers.get_mut(index).and_then(Slot::get_mut).ok_or(missing)?;
        let may_begin = may_begin(device.identity.public().role, &peer.device, &peer.device_id, allowed);
        let context = Context { tenant, identity: &device.identity, now, may_begin };
        let prekeys = self.prekeys.get_mut().ok_or(missing)?;
        let before = prekeys.one_time_len();
        let opened = peer.open(&context, prekeys, header_blob, ciphertext, &mut self.scratch)?;
        if prekeys.one_time_len() != before {
            self.prekeys.mark_changed();
        }
        Ok(opened)
    }

    /// A message opened: its plaintext stands in the scratch buffer.
    #[inline(never)]
    fn opened(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        entry: Entry,
        index: usize,
        message_id: MessageId,
        opened: &Opened,
    ) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::edit) else {
            return;
        };
        if peer.standing == Standing::Approved {
            // Only the device that holds the approved keys can have sealed this.
            peer.standing = Standing::Active;
        }
        let from = peer.device_id;
        if peer.sending_session().map(first_8) == Some(opened.place.session) {
            peer.resync.heard(now);
        }
        let is_confirmed = peer.is_confirmed();
        let was_confirmed = core::mem::replace(&mut peer.was_confirmed, is_confirmed);
        let apart = self.take_apart(opened);
        let is_message = matches!(&apart, Some((_, Some(content))) if is_receipted(content.kind));
        if !is_message && let Some(peer) = self.peers.get_mut(index).and_then(Slot::get_mut) {
            peer.received.see_frame(short(&message_id));
        }
        let Some((receipt, content)) = apart else {
            self.reject(entry, from, RejectCode::Malformed);
            return;
        };
        let taken = content.map_or(Ok(()), |content| self.take(now, rng, entry, index, message_id, &content));
        match taken {
            Ok(()) => self.take_entry(entry),
            Err(code) => self.reject(entry, from, code),
        }
        if let Some(receipt) = receipt {
            self.receipted(now, rng, index, &receipt);
        }
        self.move_to_winner(rng, index);
        if is_confirmed && !was_confirmed {
            self.notify(Event::PeerConfirmed(from));
        }
    }

    /// The receipt that stands before a plaintext, and the plaintext behind it; `None` when the peer broke the layout.
    fn take_apart(&self, opened: &Opened) -> Option<(Option<History>, Option<Content>)> {
        let whole = Content { kind: opened.kind, body: 0..opened.len };
        if opened.kind != kind::HAVE {
            return Some((None, Some(whole)));
        }
        let mut reader = Reader::new(self.scratch.get(whole.body)?);
        let receipt = History::read(&mut reader).ok()?;
        let rest = reader.rest();
        let Some((kind, body)) = rest.split_first() else {
            return Some((Some(receipt), None));
        };
        let content = Content { kind: *kind, body: opened.len - body.len()..opened.len };
        (*kind != kind::HAVE).then_some((Some(receipt), Some(content)))
    }

    /// Does what a plaintext says.
    fn take(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        entry: Entry,
        index: usize,
        message_id: MessageId,
        content: &Content,
    ) -> Result<(), RejectCode> {
        let malformed = RejectCode::Malformed;
        let peer = self.peers.get_mut(index).and_then(Slot::edit).ok_or(malformed)?;
        let body = self.scratch.get(content.body.clone()).ok_or(malformed)?;
        match content.kind {
            kind::APPLICATION => {
                peer.received.owe(now, false);
                peer.received.see_message(short(&message_id));
                self.store_payload(entry, index, message_id, None, content.body.clone());
            }
            #[cfg(feature = "owner")]
            kind::COPY => {
                peer.received.owe(now, false);
                peer.received.see_message(short(&message_id));
                let from = peer.device_id;
                let (recipient, start) = self.copy_came(&from, content.body.clone())?;
                self.store_payload(entry, index, message_id, Some(recipient), start..content.body.end);
            }
            kind::SERIALS => {
                let from = peer.device_id;
                return self.serials_came(&from, content.body.clone()).map_or(Ok(()), Err);
            }
            kind::AGAIN => {
                let (original, inner) = body.split_first_chunk().ok_or(malformed)?;
                let (kind, payload) = inner.split_first().ok_or(malformed)?;
                if !is_receipted(*kind) {
                    return Err(malformed);
                }
                peer.received.owe(now, false);
                let original = MessageId(*original);
                let start = content.body.end - payload.len();
                let inner = Content { kind: *kind, body: start..content.body.end };
                if !peer.received.has_seen_message(&short(&original)) {
                    self.take(now, rng, entry, index, original, &inner)?;
                }
                self.came_again(index, &original);
            }
            kind::HELLO | kind::CHECK if body.is_empty() => peer.received.owe(now, true),
            kind::RESYNC => {
                let ids = read_ids(body).ok_or(malformed)?;
                self.answer_resync(rng, index, &ids);
            }
            kind::GONE => {
                let ids = read_ids(body).ok_or(malformed)?;
                self.resync_answered(index, &ids);
            }
            _ => return Err(malformed),
        }
        Ok(())
    }

    fn store_payload(
        &mut self,
        entry: Entry,
        index: usize,
        id: MessageId,
        copied_to: Option<DeviceId>,
        payload: Range<usize>,
    ) {
        let from = self.peers.get(index).and_then(Slot::get).map(|peer| peer.device_id);
        // `is_next` has seen that there is room.
        let slot = self.inbox.iter_mut().find(|slot| slot.is_empty());
        if let (Some(from), Some(payload), Some(slot)) = (from, self.scratch.get(payload), slot) {
            slot.set(InboxEntry::new(entry.sequence, from, id, copied_to));
            // A payload is shorter than the buffer that it was opened into, and the entry's is as long.
            slot.get_mut().map(|entry| entry.payload.extend_from_slice(payload));
        }
    }

    pub(super) fn peer_activated(&mut self, entry: Entry, device_id: &DeviceId, signature: &Signature) {
        let is_valid = |peer: &Peer<A, SKIP>| {
            peer.enrollment.is_some_and(|(transcript, chain_hash)| {
                verify_activation(&peer.device, &EnrollTranscript(transcript), &chain_hash, signature).is_ok()
            })
        };
        let slot = self.peer_slot(device_id).filter(|slot| slot.get().is_some_and(is_valid));
        let Some(slot) = slot else {
            self.reject(entry, *device_id, RejectCode::Unopened);
            return;
        };
        if let Some(peer) = slot.edit() {
            peer.enrollment = None;
            if peer.standing == Standing::Approved {
                peer.standing = Standing::Active;
            }
        }
        self.take_entry(entry);
        self.notify(Event::PeerActive(*device_id));
    }
}
