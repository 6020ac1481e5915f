//! What the handshake fixed for a session's whole life.

use av_wire::Suite;
use av_wire::layout::Reader;

use crate::record::codec::{CodecError, ReadRecord, Writer};
use crate::x3dh::Agreed;

/// How a session began.
#[derive(Clone, Copy)]
pub(super) struct Handshake {
    /// `th`, which names the session and stands before everything that it seals.
    pub(super) id: [u8; 32],
    pub(super) suite: Suite,
    pub(super) generation: u32,
    pub(super) mode: u8,
    pub(super) is_initiator: bool,
}

impl Handshake {
    /// Bytes of the encoding in a record.
    pub(super) const LEN: usize = 32 + 1 + 4 + 1 + 1;

    pub(super) const fn new(agreed: Agreed, is_initiator: bool) -> Self {
        let Agreed { id, suite, generation, mode } = agreed;
        Self { id, suite, generation, mode, is_initiator }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.bytes(&self.id)?;
        writer.u8(self.suite.byte())?;
        writer.u32(self.generation)?;
        writer.u8(self.mode)?;
        writer.flag(self.is_initiator)
    }

    /// `aead` is the suite without KEM that the reader's type is for.
    pub(super) fn read(reader: &mut Reader<'_>, aead: Suite) -> Result<Self, CodecError> {
        let id = *reader.array()?;
        let suite = Suite::from_byte(reader.u8()?).filter(|suite| suite.without_kem() == aead);
        let suite = suite.ok_or(CodecError)?;
        let handshake =
            Self { id, suite, generation: reader.u32()?, mode: reader.u8()?, is_initiator: reader.flag()? };
        if handshake.mode <= 1 { Ok(handshake) } else { Err(CodecError) }
    }
}
