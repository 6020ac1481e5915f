//! What an owner's device tells its siblings and its peers unasked (`PROTOCOL.md` section 8).

use core::ops::Range;

use av_wire::{DeviceId, MessageId, RejectCode, Role};
use rand_core::CryptoRng;

use crate::Now;
use crate::crypto::Aead;
use crate::endpoint::Endpoint;
use crate::endpoint::control::kind;
use crate::endpoint::event::OutboxId;
use crate::endpoint::outbox::Message;
use crate::endpoint::slot::Slot;

/// Milliseconds of uptime after which a peer is told an owner's last serial again.
const SERIALS_PERIOD: u64 = 24 * 3_600 * 1_000;
/// Bytes before the body of a copy: recipient 16, id of the message 16, its kind 1.
const COPY_HEAD: usize = DeviceId::LEN + MessageId::LEN + 1;

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    fn free_outbox(&self) -> usize {
        self.outbox.iter().filter(|slot| slot.is_empty()).count()
    }

    /// Before an owner's first message of a day to a peer, and after each statement, its last serial goes out: so a relay
    /// that withholds a statement is noticed. With room for the message alone it waits for the next one.
    pub(in crate::endpoint) fn tell_serials(&mut self, rng: &mut dyn CryptoRng, to: &DeviceId) {
        let serial = self.meta.get().map_or(0, |meta| meta.statement_serial);
        let told = self.peer_slot(to).and_then(|slot| slot.get()).map(|peer| peer.told_serial);
        let is_due = told.is_some_and(|told| told != Some(serial));
        if !self.is_owner() || serial == 0 || !is_due {
            return;
        }
        if self.free_outbox() >= 2
            && self.send_kind(rng, to, kind::SERIALS, &serial.to_be_bytes()).is_ok()
            && let Some(peer) = self.peer_slot(to).and_then(Slot::get_mut)
        {
            peer.told_serial = Some(serial);
        }
    }

    /// A day is over.
    pub(in crate::endpoint) fn forget_told_serials(&mut self, now: Now) {
        let day = now.uptime / SERIALS_PERIOD;
        if core::mem::replace(&mut self.day, day) != day {
            self.peers.iter_mut().filter_map(Slot::get_mut).for_each(|peer| peer.told_serial = None);
        }
    }

    /// What this owner's device sent to somebody, its other devices get a copy of. A copy that finds no room, or is too
    /// long for the other device, is left out: the message itself is on its way.
    pub(in crate::endpoint) fn copy_to_siblings(
        &mut self,
        rng: &mut dyn CryptoRng,
        id: OutboxId,
        payload: &[u8],
    ) {
        if !self.is_owner() {
            return;
        }
        let about = self.outbox.iter().filter_map(Slot::get).find(|entry| entry.id == id);
        let message = about.and_then(|entry| entry.about.message()).copied();
        let Some(Message { peer, message_id, .. }) = message else { return };
        let mut head = [0; 1 + COPY_HEAD];
        let fields: [&[u8]; 4] =
            [&[kind::COPY], peer.as_bytes(), message_id.as_bytes(), &[kind::APPLICATION]];
        for (place, byte) in head.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        for sibling in self.ready_owners().iter().filter(|sibling| **sibling != peer) {
            let _ = self.send_parts(rng, sibling, &head, payload);
        }
    }

    /// A copy came, its body at this place of the scratch buffer: whom the message went to, and where its text begins.
    pub(in crate::endpoint) fn copy_came(
        &mut self,
        from: &DeviceId,
        body: Range<usize>,
    ) -> Result<(DeviceId, usize), RejectCode> {
        let start = body.start + COPY_HEAD;
        let role = self.peer_slot(from).and_then(|slot| slot.get()).map(|peer| peer.device.role);
        let head = self.scratch.get(body).and_then(|body| body.first_chunk::<COPY_HEAD>());
        match (head, role) {
            (Some(head), Some(Role::Owner)) if self.is_owner() && head.last() == Some(&kind::APPLICATION) => {
                let recipient = head.first_chunk().map_or(DeviceId::ROOT, |id| DeviceId(*id));
                Ok((recipient, start))
            }
            _ => Err(RejectCode::Malformed),
        }
    }
}
