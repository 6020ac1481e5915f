//! Reading a record and writing it again, for tests: of the codecs, and of where secrets stand in a record.

use av_wire::layout::Reader;

use super::device::Device;
use super::inbox::InboxEntry;
use super::meta::Meta;
use super::outbox::OutboxEntry;
use super::peer::Peer;
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;
use crate::enroll::{GrantedKey, Invite};
use crate::keys::Prekeys;
use crate::limits::ONE_TIME_PREKEYS;
use crate::record::codec::{CodecError, Writer};
use crate::record::{Head, RecordKey, RecordKind};

/// Bytes of the largest frame or payload that is rewritten.
const BODY: usize = 8_192;

/// Reads an opened record to its end, and writes what it holds.
pub(crate) fn rewrite_record<A: Aead, const SKIP: usize>(
    key: RecordKey,
    record: &[u8],
    writer: &mut Writer<'_>,
) -> Result<(), CodecError> {
    let reader = &mut Reader::new(record);
    let now = Now { uptime: 0, wall: 0 };
    Head::read(reader)?.write(writer)?;
    match key.kind {
        RecordKind::Identity => {
            let mut slot = Slot::<Device>::EMPTY;
            Device::fill(&mut slot, 0, reader)?;
            slot.get().ok_or(CodecError)?.write(writer)
        }
        RecordKind::Meta => Meta::read(reader)?.write(writer),
        RecordKind::Prekeys => Prekeys::<ONE_TIME_PREKEYS>::read(reader)?.write(writer),
        RecordKind::Peer => {
            let mut slot = Slot::<Peer<A, SKIP>>::EMPTY;
            Peer::fill(&mut slot, 0, reader, now)?;
            slot.get().ok_or(CodecError)?.write(writer)
        }
        RecordKind::Invite => Invite::read(reader)?.write(writer),
        RecordKind::ApiKey => GrantedKey::read(reader)?.write(writer),
        RecordKind::Outbox => {
            let mut slot = Slot::<OutboxEntry<BODY>>::EMPTY;
            OutboxEntry::fill(&mut slot, 0, reader)?;
            slot.get().ok_or(CodecError)?.write(writer)
        }
        RecordKind::Inbox => {
            let mut slot = Slot::<InboxEntry<BODY>>::EMPTY;
            InboxEntry::fill(&mut slot, 0, reader)?;
            slot.get().ok_or(CodecError)?.write(writer)
        }
    }?;
    Ok(reader.end()?)
}
