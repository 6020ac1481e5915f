//! Receiving chains that are over: their header keys stay for a while, for messages that come late.

use av_wire::layout::Reader;

use crate::crypto::Secret;
use crate::limits::PAST_CHAINS;
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

/// Up to [`PAST_CHAINS`] chains, the oldest first.
pub(super) struct PastChains {
    chains: [PastChain; PAST_CHAINS],
    len: usize,
}

impl PastChains {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = 1 + PAST_CHAINS * (4 + 4 + 32);

    /// None.
    pub(super) const fn new() -> Self {
        Self {
            chains: [const { PastChain { chain: 0, end: 0, header: Secret::zero() } }; PAST_CHAINS],
            len: 0,
        }
    }

    /// From the newest, whose late messages are the likeliest, to the oldest.
    pub(super) fn iter(&self) -> impl Iterator<Item = &PastChain> {
        self.chains.iter().take(self.len).rev()
    }

    /// Keeps a chain; returns the number of the oldest if that had to be given up.
    pub(super) fn push(&mut self, chain: u32, end: u32, header: &Secret<32>) -> Option<u32> {
        let mut given_up = None;
        if self.len == PAST_CHAINS {
            given_up = self.chains.first().map(|oldest| oldest.chain);
            // Rotating swaps, so the oldest key ends where it is overwritten below.
            self.chains.rotate_left(1);
            self.len -= 1;
        }
        if let Some(slot) = self.chains.get_mut(self.len) {
            slot.chain = chain;
            slot.end = end;
            slot.header.expose_mut().copy_from_slice(header.expose());
            self.len += 1;
        }
        given_up
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u8(u8::try_from(self.len).map_err(|_| CodecError)?)?;
        self.chains.iter().take(self.len).try_for_each(|past| {
            writer.u32(past.chain)?;
            writer.u32(past.end)?;
            writer.secret(past.header.expose())
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut past = Self::new();
        past.len = usize::from(reader.u8()?);
        if past.len > PAST_CHAINS {
            return Err(CodecError);
        }
        for slot in past.chains.iter_mut().take(past.len) {
            slot.chain = reader.u32()?;
            slot.end = reader.u32()?;
            slot.header.expose_mut().copy_from_slice(reader.bytes(32)?);
        }
        Ok(past)
    }
}
