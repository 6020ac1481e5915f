//! Sending, and what the application says of what it received.

use av_wire::frame::ToRelay;
use av_wire::limits::DELIVER_OVERHEAD;
use av_wire::message::message_id;
use av_wire::{DeviceId, EncodeError};
use heapless::Vec;
use rand_core::CryptoRng;

use super::Endpoint;
use super::error::{EndpointError, SendError};
use super::event::OutboxId;
use super::outbox::{About, OutboxEntry};
use super::output::Ticket;
use super::peer::kind;
use super::slot::Slot;
use crate::crypto::Aead;
use crate::ratchet::RatchetError;

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Sends a message to a peer. It is in the outbox once the next batch is stored, and durable at the relay at
    /// [`Event::Accepted`](super::Event::Accepted).
    ///
    /// # Errors
    /// [`SendError`]; nothing changed.
    pub fn send(
        &mut self,
        rng: &mut dyn CryptoRng,
        peer: &DeviceId,
        payload: &[u8],
    ) -> Result<OutboxId, SendError> {
        self.tell_serials(rng, peer);
        let id = self.send_kind(rng, peer, kind::APPLICATION, payload)?;
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
        let index = self.peer_index(to).ok_or(SendError::UnknownPeer)?;
        self.touch(index);
        let device = self.device.get().ok_or(SendError::NotReady)?;
        let membership = device.membership().ok_or(SendError::NotReady)?;
        let free = self.outbox.iter().position(Slot::is_empty).ok_or(SendError::OutboxFull)?;
        let slot = self.peers.get_mut(index).ok_or(SendError::UnknownPeer)?;
        let peer = slot.get_mut().ok_or(SendError::UnknownPeer)?;
        let meta = self.meta.get().ok_or(SendError::NotReady)?;
        if !peer.is_in(&meta.revoked) {
            return Err(SendError::PeerNotActive);
        }
        if membership.approver() != Some(*to) && meta.serials.missing().next().is_some() {
            return Err(SendError::StatementsMissing);
        }
        if !peer.is_ready() {
            return Err(SendError::NotReady);
        }
        let limit = usize::try_from(peer.device.max_message).unwrap_or(usize::MAX).min(Self::MAX_MESSAGE);
        let room = limit.saturating_sub(DELIVER_OVERHEAD);
        let own_id = *device.identity.device_id();
        let introduction = membership.introduction(&own_id);
        let scratch = self.scratch.get_mut(..room).ok_or(SendError::Bug)?;
        let sealed =
            peer.seal(introduction, &own_id, head, body, rng, scratch).map_err(|error| match error {
                RatchetError::Length => SendError::TooLong,
                RatchetError::NotReady => SendError::NotReady,
                _ => SendError::Bug,
            })?;
        let message = self.scratch.get(..sealed.len).ok_or(SendError::Bug)?;
        let (header_blob, ciphertext) = message.split_at_checked(sealed.header_len).ok_or(SendError::Bug)?;
        let message_id = message_id(membership.tenant_id(), &own_id, to, header_blob, ciphertext);
        let frame = ToRelay::Send { recipient: *to, header_blob, ciphertext };
        let id = OutboxId(self.meta.get().map_or(0, |meta| meta.next_outbox));
        let about = About::Message { peer: *to, message_id };
        let outbox = self.outbox.get_mut(free).ok_or(SendError::Bug)?;
        put_frame(outbox, id, about, &frame).map_err(|_| SendError::Bug)?;
        slot.mark_changed();
        self.use_outbox_id();
        Ok(id)
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

/// Encodes a frame into an empty slot, where it stays; on an error the slot is empty again.
pub(super) fn put_frame<const BODY: usize>(
    slot: &mut Slot<OutboxEntry<BODY>>,
    id: OutboxId,
    about: About,
    frame: &ToRelay<'_>,
) -> Result<(), EncodeError> {
    slot.set(OutboxEntry::new(id, about));
    let encoded = slot.get_mut().ok_or(EncodeError).and_then(|entry| encode_into(&mut entry.frame, frame));
    if encoded.is_err() {
        slot.clear();
    }
    encoded
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
