//! A place for one record: what it holds, and whether the store has to hear of a change.

/// A record's place in memory.
pub(super) struct Slot<T> {
    value: Option<T>,
    changed: bool,
}

impl<T> Slot<T> {
    /// Nothing in it, nothing to tell the store.
    pub(super) const EMPTY: Self = Self { value: None, changed: false };

    pub(super) const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Access that is no change of the record: for fields that are not stored, and for work that may fail.
    pub(super) const fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }

    /// Access that changes the record.
    pub(super) const fn edit(&mut self) -> Option<&mut T> {
        if self.value.is_some() {
            self.changed = true;
        }
        self.value.as_mut()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.value.is_none()
    }

    pub(super) fn set(&mut self, value: T) {
        self.value = Some(value);
        self.changed = true;
    }

    /// Takes the record out; unless another is set, the store deletes it.
    pub(super) fn take(&mut self) -> Option<T> {
        let value = self.value.take();
        self.changed |= value.is_some();
        value
    }

    /// Fills the slot with what the store holds.
    pub(super) fn restore(&mut self, value: T) {
        self.value = Some(value);
        self.changed = false;
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
