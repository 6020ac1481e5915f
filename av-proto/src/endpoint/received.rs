//! What this device knows of the frames that came from a peer, and owes it for them.

use av_wire::layout::Reader;
use heapless::Deque;

use super::control::ShortId;
use super::history::History;
use crate::Now;
use crate::limits::{HAVE_DELAY, SEEN_FRAMES, SEEN_MESSAGES};
use crate::record::codec::{CodecError, ReadRecord, Writer};

pub(super) struct Received {
    /// What was opened: the peer's receipt.
    pub(super) history: History,
    /// First ids of messages, the oldest first. An id in it is a duplicate, whatever frame brings it.
    messages: Deque<ShortId, SEEN_MESSAGES>,
    /// Ids of other frames that were opened. Kept apart, for however many of them come, none may push out a message that
    /// its sender can still send again.
    frames: Deque<ShortId, SEEN_FRAMES>,
    /// Uptime by which a receipt has to go out; after a restart at once.
    have_due: Option<u64>,
}

impl Received {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = History::MAX_LEN + 1 + 8 * SEEN_MESSAGES + 1 + 8 * SEEN_FRAMES + 1;

    pub(super) const fn new() -> Self {
        Self { history: History::new(), messages: Deque::new(), frames: Deque::new(), have_due: None }
    }

    /// Whether a frame with this id came before, or the message that had it first.
    pub(super) fn has_seen(&self, id: &ShortId) -> bool {
        self.has_seen_message(id) || self.frames.iter().any(|seen| seen == id)
    }

    /// Whether the message that had this id first came before.
    pub(super) fn has_seen_message(&self, id: &ShortId) -> bool {
        self.messages.iter().any(|seen| seen == id)
    }

    /// Remembers a message by its first id; the oldest makes room.
    pub(super) fn see_message(&mut self, id: ShortId) {
        remember(&mut self.messages, id);
    }

    /// Remembers another frame that opened; the oldest makes room.
    pub(super) fn see_frame(&mut self, id: ShortId) {
        remember(&mut self.frames, id);
    }

    /// The peer is owed a receipt, at once or together with others.
    pub(super) fn owe(&mut self, now: Now, at_once: bool) {
        let due = if at_once { now.uptime } else { now.uptime.saturating_add(HAVE_DELAY) };
        self.have_due = Some(self.have_due.map_or(due, |known| known.min(due)));
    }

    /// Until when a receipt has to go out.
    pub(super) const fn have_due(&self) -> Option<u64> {
        self.have_due
    }

    /// The receipt stands in a message that goes out.
    pub(super) const fn paid(&mut self) {
        self.have_due = None;
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.history.write(writer)?;
        write_ids(&self.messages, writer)?;
        write_ids(&self.frames, writer)?;
        writer.flag(self.have_due.is_some())
    }

    pub(super) fn read(reader: &mut Reader<'_>, now: Now) -> Result<Self, CodecError> {
        let mut received = Self {
            history: History::read(reader)?,
            messages: read_ids(reader)?,
            frames: read_ids(reader)?,
            have_due: None,
        };
        // It was owed before the restart, whose end nobody could foresee: at once.
        if reader.flag()? {
            received.owe(now, true);
        }
        Ok(received)
    }
}

fn remember<const N: usize>(ids: &mut Deque<ShortId, N>, id: ShortId) {
    if ids.is_full() {
        ids.pop_front();
    }
    // There is room: one was removed.
    let _ = ids.push_back(id);
}

fn write_ids<const N: usize>(ids: &Deque<ShortId, N>, writer: &mut Writer<'_>) -> Result<(), CodecError> {
    writer.u8(u8::try_from(ids.len()).map_err(|_| CodecError)?)?;
    ids.iter().try_for_each(|id| writer.bytes(id))
}

fn read_ids<const N: usize>(reader: &mut Reader<'_>) -> Result<Deque<ShortId, N>, CodecError> {
    let mut ids = Deque::new();
    for _ in 0..reader.u8()? {
        ids.push_back(*reader.array()?).map_err(|_| CodecError)?;
    }
    Ok(ids)
}

#[cfg(test)]
#[path = "received_tests.rs"]
mod tests;
