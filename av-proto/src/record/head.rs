//! What stands before every record's content: generation u64 ‖ mark u64.
//!
//! Each record's seal shows that this device wrote it into this place; it does not show when. A store that loses
//! writes, falls back to an older page, or is restored from a backup in part would hand back records that never
//! stood together, and a peer's old record beside newer ones means a message key used twice. So each version of a
//! record has a random mark, and the counters' record, which is in every batch, holds the sum of all marks: only the
//! very set that one batch left adds up. Marks stand under the seal, so that nobody can choose old records that do.

use av_wire::layout::Reader;

use super::codec::{CodecError, Writer};

/// The first 16 bytes of a record.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    /// Which batch wrote the record; 1 is the first.
    pub(crate) generation: u64,
    /// Random, new with every version of the record.
    pub(crate) mark: u64,
}

impl Head {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn write(self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u64(self.generation)?;
        writer.u64(self.mark)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { generation: reader.u64()?, mark: reader.u64()? })
    }
}

/// What the records of a device add up to.
pub(crate) struct Tally {
    /// The last batch's number; the counters' record is of that batch.
    pub(crate) generation: u64,
    /// The sum of the marks of all other records, modulo 2^64.
    pub(crate) marks: u64,
    /// The newest of those records.
    newest: u64,
}

impl Tally {
    pub(crate) const EMPTY: Self = Self { generation: 0, marks: 0, newest: 0 };

    /// Counts a stored record.
    pub(crate) fn add(&mut self, head: Head) {
        self.marks = self.marks.wrapping_add(head.mark);
        self.newest = self.newest.max(head.generation);
    }

    /// A record's new version takes the place of the one with the mark `old`; a mark of 0 is no record.
    pub(crate) const fn replace(&mut self, old: u64, new: u64) {
        self.marks = self.marks.wrapping_sub(old).wrapping_add(new);
    }

    /// Whether the counted records are the set that the last batch left, whose marks added up to `marks`.
    pub(crate) const fn is_whole(&self, marks: u64) -> bool {
        self.marks == marks && self.newest <= self.generation
    }
}
