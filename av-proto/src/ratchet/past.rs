//! Receiving chains that are over: their header keys stay for a while, for messages that come late.

use av_wire::layout::Reader;

use crate::crypto::Secret;
use crate::record::codec::{CodecError, Writer};

/// A receiving chain that the peer has ended.
pub(super) struct PastChain {
    /// Which receiving chain, counted from 1.
    pub(super) chain: u32,
    /// How many messages it had: the `PN` of the chain after it. A number from there on was never sent.
    pub(super) end: u32,
    /// Its header key.
    pub(super) header: Secret<32>,
}

/// Up to `N` chains, the oldest first.
pub(super) struct PastChains<const N: usize> {
    chains: [PastChain; N],
    len: u8,
}

/// The same without the capacity in its type, so that the ratchet's code exists once.
pub(super) struct PastStore<'p> {
    chains: &'p mut [PastChain],
    len: &'p mut u8,
}

impl<const N: usize> PastChains<N> {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = 1 + N * (4 + 4 + 32);

    /// None.
    pub(super) const fn new() -> Self {
        Self { chains: [const { PastChain { chain: 0, end: 0, header: Secret::zero() } }; N], len: 0 }
    }

    pub(super) const fn store(&mut self) -> PastStore<'_> {
        PastStore { chains: &mut self.chains, len: &mut self.len }
    }

    fn kept(&self) -> &[PastChain] {
        self.chains.get(..usize::from(self.len)).unwrap_or(&self.chains)
    }

    /// The newest chains of another store, as many as there is room for.
    pub(super) fn newest_of<const M: usize>(other: &PastChains<M>) -> Self {
        let mut past = Self::new();
        for kept in other.kept().iter().skip(other.kept().len().saturating_sub(N)) {
            past.store().push(kept.chain, kept.end, &kept.header);
        }
        past
    }

    /// Whether this receiving chain is kept.
    pub(super) fn has(&self, chain: u32) -> bool {
        self.kept().iter().any(|past| past.chain == chain)
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u8(self.len)?;
        self.kept().iter().try_for_each(|past| {
            writer.u32(past.chain)?;
            writer.u32(past.end)?;
            writer.secret(past.header.expose())
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut past = Self::new();
        past.len = reader.u8()?;
        for slot in past.chains.get_mut(..usize::from(past.len)).ok_or(CodecError)? {
            slot.chain = reader.u32()?;
            slot.end = reader.u32()?;
            slot.header.expose_mut().copy_from_slice(reader.bytes(32)?);
        }
        Ok(past)
    }
}

impl PastStore<'_> {
    /// From the newest, whose late messages are the likeliest, to the oldest.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PastChain> {
        self.chains.iter().take(usize::from(*self.len)).rev()
    }

    /// Keeps a chain; returns the number of the oldest if that had to be given up.
    pub(super) fn push(&mut self, chain: u32, end: u32, header: &Secret<32>) -> Option<u32> {
        let mut given_up = None;
        if usize::from(*self.len) == self.chains.len() {
            given_up = self.chains.first().map(|oldest| oldest.chain);
            // Rotating swaps, so the oldest key ends where it is overwritten below.
            self.chains.rotate_left(1);
            *self.len -= 1;
        }
        if let Some(slot) = self.chains.get_mut(usize::from(*self.len)) {
            slot.chain = chain;
            slot.end = end;
            slot.header.expose_mut().copy_from_slice(header.expose());
            *self.len += 1;
        }
        given_up
    }
}
