//! Inbox entries: messages and activations; statements have a file of their own. Each is taken or rejected, stored, and
//! then acknowledged.

use av_wire::enroll::{EnrollTranscript, verify_activation};
use av_wire::message::message_id;
use av_wire::{DeviceId, MessageId, RejectCode, Signature};
use rand_core::CryptoRng;

use super::Endpoint;
use super::error::ConnectionError;
use super::event::{Event, Standing};
use super::inbox::InboxEntry;
use super::peer::{Context, Peer, kind};
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;
use crate::ratchet::Opened;

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
        let is_first = !core::mem::replace(&mut link.has_entries, true);
        let has_gap = entry.previous > taken;
        if (has_gap && !is_first) || !has_room {
            // A gap, or more than the receive window: the next connection begins at the last acknowledgement.
            return Err(ConnectionError::Violation);
        }
        if has_gap {
            self.notify(Event::InboxGap { taken, previous: entry.previous });
        }
        Ok(true)
    }

    pub(super) fn take_entry(&mut self, entry: Entry) {
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
        let Some(index) = known.or_else(|| self.introduced(now, &sender, header_blob)) else {
            self.reject(entry, sender, RejectCode::UnknownSender);
            return;
        };
        self.touch(index);
        let revoked = self.meta.get().map(|meta| &meta.revoked);
        let peer = self.peers.get(index).and_then(Slot::get);
        if !peer.zip(revoked).is_some_and(|(peer, revoked)| peer.is_in(revoked)) {
            self.reject(entry, sender, RejectCode::UnknownSender);
            return;
        }
        match self.open(now, index, header_blob, ciphertext) {
            None => {
                if known.is_none() {
                    self.remove_peer(index);
                }
                self.reject(entry, sender, RejectCode::Unopened);
            }
            Some((opened, tenant_id, own_id)) => {
                let message_id = message_id(&tenant_id, &sender, &own_id, header_blob, ciphertext);
                self.opened(entry, index, sender, message_id, opened);
            }
        }
    }

    /// Opens a message into the scratch buffer; on `None` every record is as it was.
    fn open(
        &mut self,
        now: Now,
        index: usize,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) -> Option<(Opened, av_wire::TenantId, DeviceId)> {
        let device = self.device.get()?;
        let tenant = *device.membership()?.tenant_id();
        let context = Context { tenant: &tenant, identity: &device.identity, now };
        let peer = self.peers.get_mut(index)?.get_mut()?;
        let prekeys = self.prekeys.get_mut()?;
        let before = prekeys.one_time_len();
        let opened = peer.open(&context, prekeys, header_blob, ciphertext, &mut self.scratch).ok()?;
        if prekeys.one_time_len() != before {
            self.prekeys.mark_changed();
        }
        Some((opened, tenant, *device.identity.device_id()))
    }

    fn opened(&mut self, entry: Entry, index: usize, from: DeviceId, message_id: MessageId, opened: Opened) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::edit) else {
            return;
        };
        if peer.standing == Standing::Approved {
            // Only the device that holds the approved keys can have sealed this.
            peer.standing = Standing::Active;
        }
        let is_confirmed = peer.is_confirmed();
        let was_confirmed = core::mem::replace(&mut peer.was_confirmed, is_confirmed);
        let mut copied = None;
        let code = match opened.kind {
            kind::APPLICATION => None,
            kind::COPY => match self.copy_came(&from, opened.len) {
                Ok(copy) => {
                    copied = Some(copy);
                    None
                }
                Err(code) => Some(code),
            },
            kind::HELLO => {
                peer.answer_due = true;
                None
            }
            kind::HELLO_ANSWER => None,
            kind::SERIALS => self.serials_came(&from, opened.len),
            _ => Some(RejectCode::Malformed),
        };
        if let Some(code) = code {
            self.reject(entry, from, code);
            return;
        }
        self.take_entry(entry);
        if opened.kind == kind::APPLICATION || copied.is_some() {
            let payload = self.scratch.get(copied.map_or(0, |(_, start)| start)..opened.len);
            // `is_next` has seen that there is room.
            let slot = self.inbox.iter_mut().find(|slot| slot.is_empty());
            if let (Some(payload), Some(slot)) = (payload, slot) {
                let copied_to = copied.map(|(recipient, _)| recipient);
                slot.set(InboxEntry { copied_to, ..InboxEntry::new(entry.sequence, from, message_id) });
                // A payload is shorter than the buffer that it was opened into, and the entry's is as long.
                slot.get_mut().map(|entry| entry.payload.extend_from_slice(payload));
            }
        }
        if is_confirmed && !was_confirmed {
            self.notify(Event::PeerConfirmed(from));
        }
    }

    /// Answers hellos that wait, as soon as the outbox has room.
    pub(super) fn answer_hellos(&mut self, rng: &mut dyn CryptoRng) {
        let due =
            self.peers.iter().filter_map(Slot::get).find(|peer| peer.answer_due).map(|peer| peer.device_id);
        let Some(device_id) = due else { return };
        if self.send_kind(rng, &device_id, kind::HELLO_ANSWER, &[]).is_ok()
            && let Some(peer) = self.peer_slot(&device_id).and_then(Slot::edit)
        {
            peer.answer_due = false;
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
