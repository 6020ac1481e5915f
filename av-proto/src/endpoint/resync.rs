//! Frames that did not open: asked for, answered, and named when they are gone (`PROTOCOL.md` section 6).

use av_wire::{DeviceId, MessageId};
use rand_core::CryptoRng;

use super::Endpoint;
use super::control::{ShortId, ShortIds, kind, short};
use super::event::Event;
use super::history::Fate;
use super::slot::Slot;

use crate::Now;
use crate::crypto::Aead;
use crate::limits::{ANSWER_AFTER, LONGEST_WAIT, RESYNC_DELAY};
use crate::ratchet::RatchetError;

/// A frame that did not open.
#[derive(Clone, Copy)]
pub(super) struct Unopened {
    pub(super) peer: DeviceId,
    pub(super) id: ShortId,
    /// It stands in a place where another message was opened.
    pub(super) is_reused: bool,
    /// A resync that names it is out; not stored.
    pub(super) asked: bool,
}

/// How far asking a peer has come; not stored, so that after a restart it is asked again.
#[derive(Clone, Copy)]
pub(super) struct Resync {
    /// When to ask, or to give up waiting for the answer.
    due: Option<u64>,
    /// It was asked.
    asked: bool,
    /// A message of the peer opened since then on the session that counts.
    heard: bool,
    /// Sessions that were begun since the last answer.
    sessions: u32,
}

impl Resync {
    pub(super) const IDLE: Self = Self { due: None, asked: false, heard: false, sessions: 0 };

    /// A message of the peer opened on the session that counts: if that is a new one, it is asked there.
    pub(super) fn heard(&mut self, now: Now) {
        self.heard = true;
        if !self.asked {
            self.due = self.due.map(|due| due.min(now.uptime));
        }
    }

    pub(super) const fn due(&self) -> Option<u64> {
        self.due
    }
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Notes that a frame did not open, unless it came before. It changes the record of counters alone, which the
    /// inbox cursor changes anyway.
    pub(super) fn note_unopened(
        &mut self,
        now: Now,
        index: usize,
        message_id: &MessageId,
        header_blob: &[u8],
        error: RatchetError,
    ) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::get_mut) else { return };
        let id = short(message_id);
        if error == RatchetError::Malformed || peer.received.has_seen(&id) {
            return;
        }
        let place = if error == RatchetError::Spent { peer.place_of(header_blob) } else { None };
        let is_reused = place.is_some_and(|place| peer.received.history.fate(&place) == Fate::Opened);
        peer.resync.due.get_or_insert(now.uptime.saturating_add(RESYNC_DELAY));
        let peer = peer.device_id;
        if let Some(meta) = self.meta.edit() {
            meta.note_unopened(Unopened { peer, id, is_reused, asked: false });
        }
    }

    /// Asks for the frames of this peer that did not open, when it is time.
    pub(super) fn attend_resync(&mut self, now: Now, rng: &mut dyn CryptoRng, index: usize) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::get_mut) else { return };
        let Some(meta) = self.meta.get_mut() else { return };
        let to = peer.device_id;
        if !meta.unopened.iter().any(|unopened| unopened.peer == to) {
            peer.resync = Resync::IDLE;
            return;
        }
        let due = *peer.resync.due.get_or_insert(now.uptime.saturating_add(RESYNC_DELAY));
        if due > now.uptime || !peer.is_in(&meta.revoked) {
            return;
        }
        let is_unanswered = peer.resync.asked && !peer.resync.heard;
        if is_unanswered || !peer.is_established() {
            self.begin_anew(now, index, &to);
            return;
        }
        let mut ids = ShortIds::new();
        for unopened in meta.unopened.iter_mut().filter(|unopened| unopened.peer == to) {
            unopened.asked = true;
            // Both lists have the same limit.
            let _ = ids.push(unopened.id);
        }
        if self.send_control(rng, &to, kind::RESYNC, ids.as_flattened())
            && let Some(peer) = self.peers.get_mut(index).and_then(Slot::get_mut)
        {
            let due = Some(now.uptime.saturating_add(ANSWER_AFTER));
            peer.resync = Resync { due, asked: true, heard: false, ..peer.resync };
        }
    }

    /// There is no session to ask on, or the peer does not answer there: begins another, less and less often.
    fn begin_anew(&mut self, now: Now, index: usize, to: &DeviceId) {
        let has_begun = self.start_session(to, false).is_ok();
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::get_mut) else { return };
        let factor = 1_u64.checked_shl(peer.resync.sessions).unwrap_or(u64::MAX);
        let wait = ANSWER_AFTER.saturating_mul(factor).min(LONGEST_WAIT);
        let sessions = peer.resync.sessions.saturating_add(u32::from(has_begun));
        let due = Some(now.uptime.saturating_add(wait));
        peer.resync = Resync { due, asked: false, heard: false, sessions };
    }

    /// Sends what a peer could not open again, and says what this device no longer holds.
    pub(super) fn answer_resync(&mut self, rng: &mut dyn CryptoRng, index: usize, ids: &ShortIds) {
        let Some(peer) = self.peers.get(index).and_then(Slot::get) else { return };
        let (from, is_established) = (peer.device_id, peer.is_established());
        let mut gone = ShortIds::new();
        for id in ids {
            let is_named = |slot: &Slot<super::OutboxEntry<BODY>>| {
                slot.get().filter(|entry| entry.is_unreceipted_by(&from)).is_some_and(|entry| {
                    let original = entry.sealing.as_ref().map(|sealing| sealing.original);
                    [entry.about.message_id(), original]
                        .into_iter()
                        .flatten()
                        .any(|known| short(&known) == *id)
                })
            };
            match self.outbox.iter().position(is_named) {
                // One that goes out for the first time on its session, or just now again, needs no second sealing.
                Some(place) if is_established && self.was_transmitted(place) => {
                    // What does not fit now stays, and is missed by the peer's receipts.
                    let _ = self.send_again(rng, place);
                }
                Some(_) => {}
                // Both lists have the same limit.
                None => _ = gone.push(*id),
            }
        }
        // When there is no room for the answer, the peer asks again.
        self.send_control(rng, &from, kind::GONE, gone.as_flattened());
    }

    fn was_transmitted(&self, place: usize) -> bool {
        self.outbox.get(place).and_then(Slot::get).is_some_and(|entry| entry.transmitted)
    }

    /// The peer's answer is complete: what it no longer holds is named, all else is on its way.
    pub(super) fn resync_answered(&mut self, index: usize, gone: &ShortIds) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::get_mut) else { return };
        let Some(meta) = self.meta.edit() else { return };
        let from = peer.device_id;
        let is_answered = |unopened: &Unopened| unopened.peer == from && unopened.asked;
        let mut lost = ShortIds::new();
        let mut diverged = false;
        for unopened in meta.unopened.iter().filter(|unopened| is_answered(unopened)) {
            if gone.contains(&unopened.id) {
                // Both lists have the same limit.
                let _ = lost.push(unopened.id);
            } else {
                diverged |= unopened.is_reused;
            }
        }
        meta.unopened.retain(|unopened| !is_answered(unopened));
        peer.resync = Resync::IDLE;
        if !lost.is_empty() {
            self.notify(Event::Gone { from, ids: lost });
        }
        if diverged {
            self.note_diverged(index);
        }
    }

    /// A message came again: it is not missed any more.
    pub(super) fn came_again(&mut self, index: usize, original: &MessageId) {
        let Some(peer) = self.peers.get(index).and_then(Slot::get) else { return };
        let (from, id) = (peer.device_id, short(original));
        let Some(meta) = self.meta.edit() else { return };
        let is_its = |unopened: &Unopened| unopened.peer == from && unopened.id == id;
        let diverged = meta.unopened.iter().any(|unopened| is_its(unopened) && unopened.is_reused);
        meta.unopened.retain(|unopened| !is_its(unopened));
        if diverged {
            self.note_diverged(index);
        }
    }

    /// The peer made two messages in one place, and holds the second: its storage went back.
    fn note_diverged(&mut self, index: usize) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::edit) else { return };
        peer.diverged = true;
        let from = peer.device_id;
        self.notify(Event::Diverged(from));
    }
}
