//! Sending, and what the application says of what it received (`PROTOCOL.md` section 8).

use av_wire::frame::ToRelay;
use av_wire::limits::DELIVER_OVERHEAD;
use av_wire::message::message_id;
use av_wire::{DeviceId, EncodeError};
use heapless::Vec;
use rand_core::CryptoRng;

use super::Endpoint;
use super::control::{Head, is_receipted, kind};
use super::error::{EndpointError, SendError};
use super::event::OutboxId;
use super::outbox::{About, Message, OutboxEntry, Sealing, Settled};
use super::output::Ticket;
use super::peer::Peer;
use super::slot::Slot;
use crate::crypto::{Aead, scrubbed};
use crate::limits::{CONTROL_ENTRIES, PADDING_BLOCK, UNRECEIPTED_PER_PEER};
use crate::ratchet::{RatchetError, Sealed};
use crate::record::codec::Writer;

/// Bytes that a message leaves free, so that it fits a frame when it is sent again: kind and id, padded.
pub(super) const AGAIN_ROOM: usize = PADDING_BLOCK;

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Sends a message to a peer. It is in the outbox once the next batch is stored, durable at the relay at
    /// [`Event::Accepted`](super::Event::Accepted), and with the peer's device at
    /// [`Event::Delivered`](super::Event::Delivered).
    ///
    /// In a full outbox the oldest message that the relay has is given up, and reported as
    /// [`Event::Unreceipted`](super::Event::Unreceipted).
    ///
    /// # Errors
    /// [`SendError`]; nothing changed.
    pub fn send(
        &mut self,
        rng: &mut dyn CryptoRng,
        peer: &DeviceId,
        payload: &[u8],
    ) -> Result<OutboxId, SendError> {
        scrubbed(|| self.send_message(rng, peer, payload))
    }

    fn send_message(
        &mut self,
        rng: &mut dyn CryptoRng,
        peer: &DeviceId,
        payload: &[u8],
    ) -> Result<OutboxId, SendError> {
        #[cfg(feature = "owner")]
        self.tell_serials(rng, peer);
        let id = self.send_kind(rng, peer, kind::APPLICATION, payload)?;
        #[cfg(feature = "owner")]
        self.copy_to_siblings(rng, id, payload);
        Ok(id)
    }

    /// The application is done with a message; it is not offered again.
    ///
    /// # Errors
    /// [`EndpointError::TicketUsed`].
    pub fn confirm(&mut self, ticket: &Ticket) -> Result<(), EndpointError> {
        let slot = self.ticket_slot(ticket).ok_or(EndpointError::TicketUsed)?;
        slot.clear();
        Ok(())
    }

    /// Confirms a message and sends the answer in one commit: after a crash either both happened or neither.
    ///
    /// # Errors
    /// [`SendError`]; the message is then still to be confirmed.
    pub fn answer(
        &mut self,
        rng: &mut dyn CryptoRng,
        ticket: &Ticket,
        payload: &[u8],
    ) -> Result<OutboxId, SendError> {
        let from = self.ticket_slot(ticket).and_then(|slot| slot.get()).map(|entry| entry.from);
        let id = self.send(rng, &from.ok_or(SendError::TicketUsed)?, payload)?;
        self.confirm(ticket).map_err(|_| SendError::TicketUsed)?;
        Ok(id)
    }

    fn ticket_slot(&mut self, ticket: &Ticket) -> Option<&mut Slot<super::InboxEntry<BODY>>> {
        let slot = self.inbox.get_mut(ticket.slot)?;
        let is_its = slot.get().is_some_and(|entry| entry.message_id == ticket.message_id);
        is_its.then_some(slot)
    }

    /// The number of the next outbox entry, which [`Self::use_outbox_id`] uses up.
    pub(super) fn next_outbox_id(&self) -> OutboxId {
        OutboxId(self.meta.get().map_or(0, |meta| meta.next_outbox))
    }

    pub(super) fn use_outbox_id(&mut self) {
        if let Some(meta) = self.meta.edit() {
            meta.next_outbox = meta.next_outbox.saturating_add(1);
        }
    }

    /// Seals a message of this kind into the outbox. A receipt that is owed goes with it when there is room.
    pub(super) fn send_kind(
        &mut self,
        rng: &mut dyn CryptoRng,
        to: &DeviceId,
        kind: u8,
        body: &[u8],
    ) -> Result<OutboxId, SendError> {
        self.send_parts(rng, to, &[kind], body)
    }

    /// The same of a plaintext in two parts, its kind the first byte of `head`.
    pub(super) fn send_parts(
        &mut self,
        rng: &mut dyn CryptoRng,
        to: &DeviceId,
        head: &[u8],
        body: &[u8],
    ) -> Result<OutboxId, SendError> {
        if self.is_absent(to) {
            return Err(SendError::NeedPeer(*to));
        }
        let kind = *head.first().ok_or(SendError::Bug)?;
        let index = self.peer_index(to).ok_or(SendError::UnknownPeer)?;
        self.touch(index);
        let device = self.device.get().ok_or(SendError::NotReady)?;
        let membership = device.membership().ok_or(SendError::NotReady)?;
        let place = self.outbox_place(to, kind).ok_or(SendError::OutboxFull)?;
        let id = self.next_outbox_id();
        let slot = self.peers.get_mut(index).ok_or(SendError::UnknownPeer)?;
        let peer = slot.get_mut().ok_or(SendError::UnknownPeer)?;
        let meta = self.meta.get().ok_or(SendError::NotReady)?;
        if !peer.is_in(&meta.revoked) {
            return Err(SendError::PeerNotActive);
        }
        if membership.approver() != Some(*to) && meta.serials.missing(&meta.revoked).next().is_some() {
            return Err(SendError::StatementsMissing);
        }
        let room = Self::room(peer).saturating_sub(if is_receipted(kind) { AGAIN_ROOM } else { 0 });
        let own_id = *device.identity.device_id();
        let introduction = membership.introduction(&own_id);
        let scratch = self.scratch.get_mut(..room).ok_or(SendError::Bug)?;
        let sealed = seal_with_receipt(peer, introduction, &own_id, head, body, rng, scratch)?;
        let message = self.scratch.get(..sealed.len).ok_or(SendError::Bug)?;
        let (header_blob, ciphertext) = message.split_at_checked(sealed.header_len).ok_or(SendError::Bug)?;
        let message_id = message_id(membership.tenant_id(), &own_id, to, header_blob, ciphertext);
        let session = *peer.sending_session().ok_or(SendError::Bug)?;
        let about = About::Message(Message {
            peer: *to,
            message_id,
            kind,
            header_len: u16::try_from(sealed.header_len).map_err(|_| SendError::Bug)?,
        });
        let sealing = is_receipted(kind).then_some(Sealing {
            original: message_id,
            session,
            place: sealed.place,
            key: sealed.key,
        });
        slot.mark_changed();
        let entry = self.outbox.get_mut(place).ok_or(SendError::Bug)?;
        let given_up = entry.get().map(|entry| entry.id);
        entry.set(OutboxEntry::new(id, about, sealing));
        let bytes = entry.get_mut().map(|entry| &mut entry.bytes).ok_or(SendError::Bug)?;
        bytes.extend_from_slice(message).map_err(|_| SendError::Bug)?;
        self.use_outbox_id();
        if let Some(given_up) = given_up {
            self.settle(given_up, Settled::Unreceipted);
        }
        Ok(id)
    }

    /// Bytes of the largest message for this peer.
    pub(super) fn room(peer: &Peer<A, SKIP>) -> usize {
        let limit = usize::try_from(peer.device.max_message).unwrap_or(usize::MAX).min(Self::MAX_MESSAGE);
        limit.saturating_sub(DELIVER_OVERHEAD)
    }

    /// Messages that the outbox has room for, at the cost of those that the relay has.
    pub(super) fn outbox_room(&self) -> usize {
        let empty = self.outbox.iter().filter(|slot| slot.is_empty()).count();
        let entries = self.outbox.iter().filter_map(Slot::get);
        let accepted = entries.filter(|entry| entry.awaits_receipt()).count();
        empty.saturating_sub(CONTROL_ENTRIES).saturating_add(accepted)
    }

    /// Where a message for this peer goes: an empty slot, or for what is receipted the place of the oldest message
    /// that the relay has. What the relay has not is never given up.
    fn outbox_place(&self, to: &DeviceId, kind: u8) -> Option<usize> {
        let free = self.outbox.iter().position(Slot::is_empty);
        if !is_receipted(kind) {
            return free;
        }
        let entries = || self.outbox.iter().filter_map(Slot::get);
        let of_peer = entries().filter(|entry| entry.is_unreceipted_by(to)).count();
        let empty = self.outbox.iter().filter(|slot| slot.is_empty()).count();
        let oldest = |is_candidate: &dyn Fn(&OutboxEntry<BODY>) -> bool| {
            let known = self.outbox.iter().enumerate().filter_map(|(place, slot)| Some((place, slot.get()?)));
            let accepted = known.filter(|(_, entry)| entry.awaits_receipt());
            let oldest = accepted.filter(|(_, entry)| is_candidate(entry)).min_by_key(|(_, entry)| entry.id);
            oldest.map(|(place, _)| place)
        };
        if of_peer >= UNRECEIPTED_PER_PEER {
            oldest(&|entry| entry.is_unreceipted_by(to))
        } else if empty > CONTROL_ENTRIES {
            free
        } else {
            oldest(&|_| true)
        }
    }

    /// Takes the outbox entry that `is_its` names out.
    pub(super) fn take_outbox(
        &mut self,
        is_its: impl Fn(&OutboxEntry<BODY>) -> bool,
    ) -> Option<(OutboxId, About)> {
        let slot = self.outbox.iter_mut().find(|slot| slot.get().is_some_and(&is_its))?;
        let taken = slot.get().map(|entry| (entry.id, entry.about));
        slot.clear();
        taken
    }
}

/// Seals a plaintext; the receipt that is owed stands before it, unless both are too long together.
fn seal_with_receipt<A: Aead, const SKIP: usize>(
    peer: &mut Peer<A, SKIP>,
    introduction: &[u8],
    own_id: &DeviceId,
    head: &[u8],
    body: &[u8],
    rng: &mut dyn CryptoRng,
    out: &mut [u8],
) -> Result<Sealed, SendError> {
    let refused = |error| match error {
        RatchetError::Length => SendError::TooLong,
        RatchetError::NotReady => SendError::NotReady,
        _ => SendError::Bug,
    };
    let is_receipt = head == [kind::HAVE];
    if is_receipt || peer.received.have_due().is_some() {
        let with_receipt = receipt_before(peer, if is_receipt { &[] } else { head }).ok_or(SendError::Bug)?;
        match peer.seal(introduction, own_id, &with_receipt, body, rng, out) {
            Err(RatchetError::Length) if !is_receipt => {}
            result => {
                let sealed = result.map_err(refused)?;
                peer.received.paid();
                return Ok(sealed);
            }
        }
    }
    peer.seal(introduction, own_id, head, body, rng, out).map_err(refused)
}

/// A receipt, and the head of what stands behind it.
fn receipt_before<A: Aead, const SKIP: usize>(peer: &Peer<A, SKIP>, behind: &[u8]) -> Option<Head> {
    let mut head = Head::new();
    head.resize_default(head.capacity()).ok()?;
    let mut writer = Writer::new(&mut head);
    writer.u8(kind::HAVE).and_then(|()| peer.received.history.write(&mut writer)).ok()?;
    writer.bytes(behind).ok()?;
    let len = writer.len();
    head.truncate(len);
    Some(head)
}

/// Encodes a frame into an empty vector in its place.
pub(super) fn encode_into<const N: usize>(
    buffer: &mut Vec<u8, N>,
    frame: &ToRelay<'_>,
) -> Result<(), EncodeError> {
    buffer.resize_default(N).map_err(|_| EncodeError)?;
    let len = av_wire::encode(frame, buffer)?.len();
    buffer.truncate(len);
    Ok(())
}
