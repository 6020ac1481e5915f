//! Messages that opened and that the application has not confirmed yet. The ratchet opens a message once, so its
//! payload is stored in the same commit, before the relay is told.

use av_wire::layout::Reader;
use av_wire::{DeviceId, MessageId};
use heapless::Vec;

use super::slot::Slot;
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

    /// An entry without its payload. Inlined, so that nothing but what is in it is moved.
    #[inline(always)]
    pub(super) const fn new(
        sequence: u64,
        from: DeviceId,
        message_id: MessageId,
        copied_to: Option<DeviceId>,
    ) -> Self {
        Self { sequence, from, message_id, copied_to, payload: Vec::new(), offered: false }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u64(self.sequence)?;
        writer.bytes(self.from.as_bytes())?;
        writer.bytes(self.message_id.as_bytes())?;
        writer.flag(self.copied_to.is_some())?;
        self.copied_to.map_or(Ok(()), |to| writer.bytes(to.as_bytes()))?;
        writer.var(&self.payload)
    }

    /// Reads an entry into its slot, its payload where it stays.
    #[inline(never)]
    pub(super) fn fill(slot: &mut Slot<Self>, mark: u64, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let sequence = reader.u64()?;
        let (from, message_id) = (DeviceId(*reader.array()?), MessageId(*reader.array()?));
        let copied_to = if reader.flag()? { Some(DeviceId(*reader.array()?)) } else { None };
        let payload = reader.var()?;
        slot.restore(Self::new(sequence, from, message_id, copied_to), mark);
        let entry = slot.get_mut().ok_or(CodecError)?;
        entry.payload.extend_from_slice(payload).map_err(|_| CodecError)
    }
}
