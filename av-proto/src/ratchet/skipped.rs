//! Keys of messages that were passed over: a bounded store, oldest out first, each used once and wiped.

use av_wire::layout::Reader;

use crate::crypto::Secret;
use crate::limits::MAX_SKIP;
use crate::record::codec::{CodecError, Writer};

/// The key of a message that has not come.
pub(super) struct SkippedKey {
    /// The receiving chain it belongs to, counted from 1.
    chain: u32,
    /// Its number in that chain.
    number: u32,
    key: Secret<32>,
}

/// Up to `SKIP` keys in the order in which they were passed over.
pub(super) struct SkippedKeys<const SKIP: usize> {
    keys: [SkippedKey; SKIP],
    len: u16,
}

/// The same without the capacity in its type, so that the ratchet's code exists once.
pub(super) struct SkippedStore<'s> {
    keys: &'s mut [SkippedKey],
    len: &'s mut u16,
}

impl<const SKIP: usize> SkippedKeys<SKIP> {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = 2 + SKIP * (4 + 4 + 32);

    /// None.
    pub(super) const fn new() -> Self {
        const { assert!(SKIP >= 1 && SKIP <= MAX_SKIP, "a session skips at least one message") }
        Self { keys: [const { SkippedKey { chain: 0, number: 0, key: Secret::zero() } }; SKIP], len: 0 }
    }

    pub(super) const fn store(&mut self) -> SkippedStore<'_> {
        SkippedStore { keys: &mut self.keys, len: &mut self.len }
    }

    fn kept(&self) -> &[SkippedKey] {
        self.keys.get(..usize::from(self.len)).unwrap_or(&self.keys)
    }

    /// The newest keys of another store that belong to chains which `is_kept` names, as many as there is room for.
    pub(super) fn newest_of<const M: usize>(other: &SkippedKeys<M>, is_kept: impl Fn(u32) -> bool) -> Self {
        let mut keys = Self::new();
        for kept in other.kept().iter().filter(|kept| is_kept(kept.chain)) {
            keys.store().push(kept.chain, kept.number, &kept.key);
        }
        keys
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u16(self.len)?;
        self.kept().iter().try_for_each(|skipped| {
            writer.u32(skipped.chain)?;
            writer.u32(skipped.number)?;
            writer.secret(skipped.key.expose())
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut keys = Self::new();
        keys.len = reader.u16()?;
        for skipped in keys.keys.get_mut(..usize::from(keys.len)).ok_or(CodecError)? {
            skipped.chain = reader.u32()?;
            skipped.number = reader.u32()?;
            skipped.key.expose_mut().copy_from_slice(reader.bytes(32)?);
        }
        Ok(keys)
    }
}

impl SkippedStore<'_> {
    /// How many keys there is room for, and the greatest number of messages that may be passed over at once.
    pub(super) const fn capacity(&self) -> usize {
        self.keys.len()
    }

    fn len(&self) -> usize {
        usize::from(*self.len)
    }

    /// A copy of the key of this message; the store keeps its own until the message has opened.
    pub(super) fn find(&self, chain: u32, number: u32) -> Option<Secret<32>> {
        let mut kept = self.keys.iter().take(self.len());
        kept.find(|skipped| skipped.chain == chain && skipped.number == number)
            .map(|skipped| skipped.key.duplicate())
    }

    /// Keeps a key; the oldest makes room for it.
    pub(super) fn push(&mut self, chain: u32, number: u32, key: &Secret<32>) {
        if self.len() == self.keys.len() {
            self.remove_at(0);
        }
        if let Some(slot) = self.keys.get_mut(usize::from(*self.len)) {
            slot.chain = chain;
            slot.number = number;
            slot.key.expose_mut().copy_from_slice(key.expose());
            *self.len += 1;
        }
    }

    /// Wipes the key of this message.
    pub(super) fn remove(&mut self, chain: u32, number: u32) {
        let mut kept = self.keys.iter().take(self.len());
        if let Some(index) = kept.position(|skipped| skipped.chain == chain && skipped.number == number) {
            self.remove_at(index);
        }
    }

    /// Wipes all keys of a chain that is given up.
    pub(super) fn remove_chain(&mut self, chain: u32) {
        while let Some(index) = self.keys.iter().take(self.len()).position(|skipped| skipped.chain == chain) {
            self.remove_at(index);
        }
    }

    /// Closes the gap by rotating, which swaps: the key to wipe ends in the last place and no copy stays behind.
    fn remove_at(&mut self, index: usize) {
        let len = self.len();
        let Some(kept) = self.keys.get_mut(..len) else {
            return;
        };
        if let Some(tail) = kept.get_mut(index..) {
            tail.rotate_left(1);
        }
        if let Some(last) = kept.last_mut() {
            *last = SkippedKey { chain: 0, number: 0, key: Secret::zero() };
            *self.len -= 1;
        }
    }
}
