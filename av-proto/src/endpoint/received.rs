//! What this device knows of the frames that came from a peer, and owes it for them.

use av_wire::layout::Reader;
use heapless::Deque;

use super::control::ShortId;
use super::history::History;
use crate::Now;
use crate::limits::{HAVE_DELAY, SEEN_IDS};
use crate::record::codec::{CodecError, ReadRecord, Writer};

pub(super) struct Received {
    /// What was opened: the peer's receipt.
    pub(super) history: History,
    /// Ids of frames that were opened and of messages that were sent again, the oldest first. An id in it is a
    /// duplicate, whatever frame brings it.
    seen: Deque<ShortId, SEEN_IDS>,
    /// Uptime by which a receipt has to go out; after a restart at once.
    have_due: Option<u64>,
}

impl Received {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = History::MAX_LEN + 1 + 8 * SEEN_IDS + 1;

    pub(super) const fn new() -> Self {
        Self { history: History::new(), seen: Deque::new(), have_due: None }
    }

    /// Whether a frame or message with this id came before.
    pub(super) fn has_seen(&self, id: &ShortId) -> bool {
        self.seen.iter().any(|seen| seen == id)
    }

    /// Remembers an id; the oldest makes room.
    pub(super) fn see(&mut self, id: ShortId) {
        if self.seen.is_full() {
            self.seen.pop_front();
        }
        // There is room: one was removed.
        let _ = self.seen.push_back(id);
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
        writer.u8(u8::try_from(self.seen.len()).map_err(|_| CodecError)?)?;
        self.seen.iter().try_for_each(|id| writer.bytes(id))?;
        writer.flag(self.have_due.is_some())
    }

    pub(super) fn read(reader: &mut Reader<'_>, now: Now) -> Result<Self, CodecError> {
        let mut received = Self { history: History::read(reader)?, ..Self::new() };
        for _ in 0..reader.u8()? {
            received.seen.push_back(*reader.array()?).map_err(|_| CodecError)?;
        }
        // It was owed before the restart, whose end nobody could foresee: at once.
        if reader.flag()? {
            received.owe(now, true);
        }
        Ok(received)
    }
}
