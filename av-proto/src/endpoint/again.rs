//! A message sent again: sealed anew on the session that counts, under its first id (`PROTOCOL.md` section 6).

use av_wire::layout::Reader;
use av_wire::message::message_id;
use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::Endpoint;
use super::control::{Head, kind};
use super::history::History;
use super::outbox::Message;
use super::slot::Slot;
use crate::crypto::Aead;
use crate::ratchet::{RatchetError, reopen};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Seals the message in this outbox slot again. On an error it stays as it is: its time comes with the next
    /// receipt.
    pub(super) fn send_again(&mut self, rng: &mut dyn CryptoRng, place: usize) -> Result<(), RatchetError> {
        let again = self.seal_again(rng, place);
        // The plaintext stood there.
        self.scratch.zeroize();
        again
    }

    fn seal_again(&mut self, rng: &mut dyn CryptoRng, place: usize) -> Result<(), RatchetError> {
        let device = self.device.get().ok_or(RatchetError::NotReady)?;
        let membership = device.membership().ok_or(RatchetError::NotReady)?;
        let own_id = *device.identity.device_id();
        let recipient = self.outbox.get(place).and_then(Slot::get).and_then(|entry| entry.about.recipient());
        let to = recipient.ok_or(RatchetError::NotReady)?;
        let index = self.peer_index(&to).ok_or(RatchetError::NotReady)?;
        let slot = self.outbox.get_mut(place).ok_or(RatchetError::NotReady)?;
        let entry = slot.get_mut().ok_or(RatchetError::NotReady)?;
        let (Some(message), Some(sealing)) = (entry.about.message_mut(), &mut entry.sealing) else {
            return Err(RatchetError::NotReady);
        };
        let peer_slot = self.peers.get_mut(index).ok_or(RatchetError::NotReady)?;
        let peer = peer_slot.get_mut().ok_or(RatchetError::NotReady)?;

        let header_len = usize::from(message.header_len);
        let (header_blob, ciphertext) =
            entry.bytes.split_at_checked(header_len).ok_or(RatchetError::Length)?;
        let copy = self.scratch.get_mut(..ciphertext.len()).ok_or(RatchetError::Length)?;
        copy.copy_from_slice(ciphertext);
        let len = reopen::<A>(&sealing.session, &sealing.key, header_blob, copy)?;
        let plaintext = copy.get(..len).and_then(innermost).ok_or(RatchetError::Contradiction)?;

        let mut head = Head::new();
        let written = head
            .push(kind::AGAIN)
            .and_then(|()| head.extend_from_slice(sealing.original.as_bytes()).map_err(|_| kind::AGAIN));
        written.map_err(|_| RatchetError::Length)?;
        let introduction = membership.introduction(&own_id);
        // Known before the entry's own bytes are written over.
        let body_len = head.len() - 1 + plaintext.len();
        let needed = peer.sealed_len(introduction, body_len)?;
        if needed > Self::room(peer) {
            return Err(RatchetError::Length);
        }
        let before = entry.bytes.len();
        entry.bytes.resize_default(needed.max(before)).map_err(|_| RatchetError::Length)?;
        let sealed = peer.seal(introduction, &own_id, &head, plaintext, rng, &mut entry.bytes);
        entry.bytes.truncate(sealed.as_ref().map_or(before, |sealed| sealed.len));
        let sealed = sealed?;
        let (header_blob, ciphertext) =
            entry.bytes.split_at_checked(sealed.header_len).ok_or(RatchetError::Length)?;
        *message = Message {
            message_id: message_id(membership.tenant_id(), &own_id, &to, header_blob, ciphertext),
            header_len: u16::try_from(sealed.header_len).map_err(|_| RatchetError::Length)?,
            ..*message
        };
        sealing.session = *peer.sending_session().ok_or(RatchetError::NotReady)?;
        sealing.place = sealed.place;
        sealing.key = sealed.key;
        (entry.transmitted, entry.accepted) = (false, None);
        slot.mark_changed();
        peer_slot.mark_changed();
        Ok(())
    }
}

/// The message itself, kind first, without the receipt and the first id that may stand before it.
fn innermost(plaintext: &[u8]) -> Option<&[u8]> {
    let mut rest = plaintext;
    if let Some((&kind::HAVE, behind)) = rest.split_first() {
        let mut reader = Reader::new(behind);
        History::read(&mut reader).ok()?;
        rest = reader.rest();
    }
    if let Some((&kind::AGAIN, behind)) = rest.split_first() {
        rest = behind.get(16..)?;
    }
    Some(rest)
}
