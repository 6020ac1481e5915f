//! Messages that opened and that the application has not confirmed yet. The ratchet opens a message once, so its
//! payload is stored in the same commit, before the relay is told.

use av_wire::layout::Reader;
use av_wire::{DeviceId, MessageId};
use heapless::Vec;

use crate::record::codec::{CodecError, ReadRecord, Writer};

pub(super) struct InboxEntry<const BODY: usize> {
    /// Its number in the relay's inbox; 0 when that inbox is gone, and nothing is to be acknowledged.
    pub(super) sequence: u64,
    pub(super) from: DeviceId,
    pub(super) message_id: MessageId,
    /// Another device of the owner sent it to this one; a copy for this device.
    pub(super) copied_to: Option<DeviceId>,
    pub(super) payload: Vec<u8, BODY>,
    /// Whether the application has it in its hands in this run; not stored.
    pub(super) offered: bool,
}

impl<const BODY: usize> InboxEntry<BODY> {
    /// Bytes that an entry's record is longer than its payload: sequence, two ids, length.
    pub(super) const OVERHEAD: usize = 8 + 16 + 16 + 17 + 2;

    /// An entry without its payload.
    pub(super) const fn new(sequence: u64, from: DeviceId, message_id: MessageId) -> Self {
        Self { sequence, from, message_id, copied_to: None, payload: Vec::new(), offered: false }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u64(self.sequence)?;
        writer.bytes(self.from.as_bytes())?;
        writer.bytes(self.message_id.as_bytes())?;
        writer.flag(self.copied_to.is_some())?;
        self.copied_to.map_or(Ok(()), |to| writer.bytes(to.as_bytes()))?;
        writer.var(&self.payload)
    }

    /// An entry and its payload, which the caller puts into it where it stands.
    pub(super) fn read<'b>(reader: &mut Reader<'b>) -> Result<(Self, &'b [u8]), CodecError> {
        let sequence = reader.u64()?;
        let mut entry = Self::new(sequence, DeviceId(*reader.array()?), MessageId(*reader.array()?));
        entry.copied_to = if reader.flag()? { Some(DeviceId(*reader.array()?)) } else { None };
        Ok((entry, reader.var()?))
    }
}
