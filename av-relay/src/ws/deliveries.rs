//! Which inbox entries a connection delivers next (`PROTOCOL.md` section 9): from the last acknowledged on, in
//! order, and never more unacknowledged than the device asked for.

use std::collections::VecDeque;

use crate::service::Welcome;

/// Entries in one read of the database, of which [`PAGE_BYTES`](crate::limits::PAGE_BYTES) bounds the bytes.
const BATCH: u16 = 64;
/// Unacknowledged entries, whatever window a device asks for.
const MAX_WINDOW: u16 = 256;

/// Where delivery stands on one connection.
#[derive(Debug)]
pub(super) struct Deliveries {
    window: u16,
    /// The last entry that was delivered or acknowledged.
    cursor: u64,
    unacknowledged: VecDeque<u64>,
    /// Whether there may be entries behind the cursor.
    may_wait: bool,
}

impl Deliveries {
    pub(super) fn new(welcome: &Welcome, window: u16) -> Self {
        Self {
            window: window.clamp(1, MAX_WINDOW),
            cursor: welcome.inbox.acknowledged,
            unacknowledged: VecDeque::new(),
            may_wait: true,
        }
    }

    /// Something may have come in.
    pub(super) fn wake(&mut self) {
        self.may_wait = true;
    }

    /// From where to read, and how many entries; `None` while there is nothing to read or no room.
    pub(super) fn wanted(&self) -> Option<(u64, u16)> {
        let under_way = u16::try_from(self.unacknowledged.len()).unwrap_or(u16::MAX);
        let room = self.window.saturating_sub(under_way).min(BATCH);
        (self.may_wait && room > 0).then_some((self.cursor, room))
    }

    /// A page was read: if it was not full, no more wait.
    pub(super) fn read(&mut self, is_full: bool) {
        self.may_wait = is_full;
    }

    /// An entry goes out; returns the number of the one before it.
    pub(super) fn deliver(&mut self, sequence: u64) -> u64 {
        let previous = self.cursor;
        self.cursor = sequence;
        self.unacknowledged.push_back(sequence);
        previous
    }

    /// The device has everything up to `sequence`, perhaps some of it from an earlier connection.
    pub(super) fn acknowledged(&mut self, sequence: u64) {
        self.unacknowledged.retain(|delivered| *delivered > sequence);
        self.cursor = self.cursor.max(sequence);
    }
}

#[cfg(test)]
mod tests;
