//! Receipts: what is owed to a peer, what its receipts settle, and asking for one (`PROTOCOL.md` section 8).

use av_wire::DeviceId;
use rand_core::CryptoRng;

use super::Endpoint;
use super::control::kind;
use super::history::{Fate, History};
use super::outbox::{OutboxEntry, Settled};
use super::slot::Slot;
use super::wait::Wait;
use crate::Now;
use crate::crypto::Aead;
use crate::limits::{AGAIN_AFTER, CHECK_AFTER};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// A peer says what it opened: that is done with, and what it misses is sent again.
    pub(super) fn receipted(&mut self, now: Now, rng: &mut dyn CryptoRng, index: usize, receipt: &History) {
        let Some(peer) = self.peers.get(index).and_then(Slot::get) else { return };
        let (from, is_established) = (peer.device_id, peer.is_established());
        for place in 0..OUTBOX {
            let Some(slot) = self.outbox.get_mut(place) else { return };
            let Some(entry) = slot.get_mut().filter(|entry| entry.is_unreceipted_by(&from)) else { continue };
            let Some(sealing) = &entry.sealing else { continue };
            let is_late = entry.accepted.is_some_and(|at| now.uptime.saturating_sub(at) >= AGAIN_AFTER);
            let fate = receipt.fate(&sealing.place);
            match fate {
                Fate::Opened => {
                    let id = entry.id;
                    slot.clear();
                    self.settle(id, Settled::Delivered);
                }
                // What is forgotten is sent again while the peer still knows its id, before many more are taken.
                Fate::Missing | Fate::Forgotten if is_established && (is_late || fate == Fate::Forgotten) => {
                    // What does not fit now stays, and is missed again.
                    let _ = self.send_again(rng, place);
                }
                Fate::Missing | Fate::Forgotten | Fate::UnderWay => {
                    entry.check = Wait::begin(now, CHECK_AFTER)
                }
            }
        }
    }

    /// Once the peer is known to hold the winner, what was sent on other sessions is sent again there.
    pub(super) fn move_to_winner(&mut self, rng: &mut dyn CryptoRng, index: usize) {
        let Some(peer) = self.peers.get(index).and_then(Slot::get).filter(|peer| peer.is_established())
        else {
            return;
        };
        let Some(winner) = peer.sending_session().copied() else { return };
        let to = peer.device_id;
        for place in 0..OUTBOX {
            let entry = self.outbox.get(place).and_then(Slot::get);
            let sealing =
                entry.filter(|entry| entry.is_unreceipted_by(&to)).and_then(|entry| entry.sealing.as_ref());
            if sealing.is_some_and(|sealing| sealing.session != winner) {
                // What does not fit now stays, and is missed by the peer's receipts.
                let _ = self.send_again(rng, place);
            }
        }
    }

    /// Sends what is due: the receipt that is owed, the first flight once more, the question for a receipt.
    pub(super) fn attend_receipts(&mut self, now: Now, rng: &mut dyn CryptoRng, index: usize) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::get_mut) else { return };
        let is_in = self.meta.get().is_some_and(|meta| peer.is_in(&meta.revoked));
        if !peer.is_ready() || !is_in {
            return;
        }
        let to = peer.device_id;
        let is_receipt_due = peer.received.have_due().is_some_and(|due| due <= now.uptime);
        let is_flight_due = peer.flight(now).is_some_and(|flight| flight.is_due(now));
        if is_receipt_due {
            self.send_control(rng, &to, kind::HAVE, &[]);
        }
        if is_flight_due && self.send_control(rng, &to, kind::HELLO, &[]) {
            let peer = self.peers.get_mut(index).and_then(Slot::get_mut);
            if let Some(flight) = peer.and_then(|peer| peer.flight(now)) {
                flight.tried(now);
            }
        }
        if self.unreceipted_by(&to).any(|entry| entry.check.is_due(now))
            && self.send_control(rng, &to, kind::CHECK, &[])
        {
            let entries = self.outbox.iter_mut().filter_map(Slot::get_mut);
            let waiting = entries.filter(|entry| entry.is_unreceipted_by(&to) && entry.accepted.is_some());
            waiting.for_each(|entry| entry.check.tried(now));
        }
    }

    /// Messages that the relay has and this peer has not receipted.
    fn unreceipted_by(&self, to: &DeviceId) -> impl Iterator<Item = &OutboxEntry<BODY>> {
        let entries = self.outbox.iter().filter_map(Slot::get);
        entries.filter(move |entry| entry.is_unreceipted_by(to) && entry.accepted.is_some())
    }

    /// Sends a control, unless one of its kind still waits for the relay: it would say the same.
    pub(super) fn send_control(
        &mut self,
        rng: &mut dyn CryptoRng,
        to: &DeviceId,
        kind: u8,
        body: &[u8],
    ) -> bool {
        let mut messages = self.outbox.iter().filter_map(Slot::get).filter_map(|entry| entry.about.message());
        let waits = messages.any(|message| message.kind == kind && message.peer == *to);
        !waits && self.send_kind(rng, to, kind, body).is_ok()
    }
}
