//! The receiving half of a session: what both a session and a receive-only one have.

use av_wire::layout::Reader;

use super::fields::{count, secret};
use crate::crypto::Secret;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// The keys of the peer's messages.
pub(super) struct Receiving {
    /// The peer's chain; none before its first message.
    pub(super) chain: Option<ReceivingChain>,
    /// `NHKr`: header key of the peer's next chain.
    pub(super) next_header: Secret<32>,
    /// Receiving chains so far, the present one among them.
    pub(super) chains: u32,
}

/// The chain that the peer's messages take their keys from.
pub(super) struct ReceivingChain {
    /// The peer's ratchet public key, `DHr`.
    pub(super) ratchet: [u8; 32],
    /// `HKr`.
    pub(super) header: Secret<32>,
    /// `CKr`.
    pub(super) chain: Secret<32>,
    /// `Nr`.
    pub(super) next: u32,
}

impl Receiving {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = (1 + 32 + 32 + 32 + 4) + 32 + 4;

    /// Before the peer's first message, whose header is sealed under `next_header`.
    pub(super) const fn nothing_yet(next_header: Secret<32>) -> Self {
        Self { chain: None, next_header, chains: 0 }
    }

    /// A second copy, for the receive-only session that takes over from this one.
    pub(super) fn duplicate(&self) -> Self {
        let copy = |from: &ReceivingChain| ReceivingChain {
            ratchet: from.ratchet,
            header: from.header.duplicate(),
            chain: from.chain.duplicate(),
            next: from.next,
        };
        Self {
            chain: self.chain.as_ref().map(copy),
            next_header: self.next_header.duplicate(),
            chains: self.chains,
        }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.flag(self.chain.is_some())?;
        if let Some(receiving) = &self.chain {
            writer.bytes(&receiving.ratchet)?;
            writer.secret(receiving.header.expose())?;
            writer.secret(receiving.chain.expose())?;
            writer.u32(receiving.next)?;
        }
        writer.secret(self.next_header.expose())?;
        writer.u32(self.chains)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let chain = if reader.flag()? {
            Some(ReceivingChain {
                ratchet: *reader.array()?,
                header: secret(reader)?,
                chain: secret(reader)?,
                next: count(reader)?,
            })
        } else {
            None
        };
        let receiving = Self { chain, next_header: secret(reader)?, chains: reader.u32()? };
        if receiving.chain.is_some() == (receiving.chains > 0) { Ok(receiving) } else { Err(CodecError) }
    }
}
