//! A place for one record: what it holds, and whether the store has to hear of a change.

use crate::record::codec::CodecError;

/// A record's place in memory.
pub(super) struct Slot<T> {
    value: Held<T>,
    changed: bool,
    /// The mark of the record's last written version; 0 when there is none.
    mark: u64,
    /// The record's index, of a peer: the other records stand where their slots do.
    pub(super) index: u16,
    /// When a peer was used last, counted in uses.
    pub(super) used: u32,
}

/// An `Option` whose empty value is all zeros: an empty endpoint in a `static` then costs RAM and no flash. The
/// representation keeps the compiler from hiding "empty" in some invalid value of `T`.
#[repr(u8)]
pub(super) enum Held<T> {
    Empty = 0,
    Full(T) = 1,
}

impl<T> Held<T> {
    pub(super) const fn get(&self) -> Option<&T> {
        match self {
            Self::Empty => None,
            Self::Full(value) => Some(value),
        }
    }

    pub(super) const fn get_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Empty => None,
            Self::Full(value) => Some(value),
        }
    }
}

impl<T> Slot<T> {
    /// Nothing in it, nothing to tell the store.
    pub(super) const EMPTY: Self = Self { value: Held::Empty, changed: false, mark: 0, index: 0, used: 0 };

    pub(super) const fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Access that is no change of the record: for fields that are not stored, and for work that may fail.
    pub(super) const fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Access that changes the record.
    pub(super) const fn edit(&mut self) -> Option<&mut T> {
        let value = self.value.get_mut();
        if value.is_some() {
            self.changed = true;
        }
        value
    }

    pub(super) const fn is_empty(&self) -> bool {
        matches!(self.value, Held::Empty)
    }

    /// Inlined, as [`Self::restore`]: a value that is made in the call's argument is then made in the slot, and its
    /// empty buffers are not moved.
    #[inline(always)]
    pub(super) fn set(&mut self, value: T) {
        self.value = Held::Full(value);
        self.changed = true;
    }

    /// Takes the record out; unless another is set, the store deletes it.
    #[cfg(feature = "owner")]
    pub(super) fn take(&mut self) -> Option<T> {
        match core::mem::replace(&mut self.value, Held::Empty) {
            Held::Empty => None,
            Held::Full(value) => {
                self.changed = true;
                Some(value)
            }
        }
    }

    /// Empties the slot where it is, without moving what it held.
    pub(super) fn clear(&mut self) {
        if !self.is_empty() {
            self.value = Held::Empty;
            self.changed = true;
        }
    }

    /// Fills the slot with what the store holds.
    #[inline(always)]
    pub(super) fn restore(&mut self, value: T, mark: u64) {
        self.value = Held::Full(value);
        self.changed = false;
        self.mark = mark;
    }

    /// Fills the slot with what is read of a stored record. In a frame of its own for each kind of record: their
    /// temporaries would lie side by side otherwise, ten kilobytes in all.
    #[inline(never)]
    pub(super) fn fill(
        &mut self,
        mark: u64,
        read: impl FnOnce() -> Result<T, CodecError>,
    ) -> Result<(), CodecError> {
        self.restore(read()?, mark);
        Ok(())
    }

    /// Empties the slot; its record stays in the store.
    pub(super) fn vacate(&mut self) {
        self.value = Held::Empty;
        self.changed = false;
        self.mark = 0;
    }

    /// The mark of the record's last written version.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// Gives the record's next version its mark; returns the one before.
    pub(super) const fn replace_mark(&mut self, mark: u64) -> u64 {
        core::mem::replace(&mut self.mark, mark)
    }

    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) const fn mark_changed(&mut self) {
        self.changed = true;
    }

    pub(super) const fn mark_stored(&mut self) {
        self.changed = false;
    }
}
