//! Beginning again with what the store holds.

use av_wire::layout::Reader;
use zeroize::Zeroize;

use super::Endpoint;
use super::device::Device;
use super::error::RestoreError;
use super::inbox::InboxEntry;
use super::meta::Meta;
use super::outbox::OutboxEntry;
use super::peer::Peer;
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;
use crate::enroll::Invite;
use crate::keys::Prekeys;
use crate::limits::INVITES;
use crate::record::codec::CodecError;
use crate::record::{Head, RecordKey, RecordKind, Seal, SealError};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Feeds back one record that the store holds, in any order; [`Endpoint::resume`] ends it.
    ///
    /// # Errors
    /// [`RestoreError`]; the endpoint is then of no use and nothing was written anywhere.
    pub fn restore(
        &mut self,
        now: Now,
        seal: &Seal,
        key: RecordKey,
        sealed: &[u8],
    ) -> Result<(), RestoreError> {
        // Taken apart, so that a record is read out of the buffer straight into its slot.
        let Self { scratch, tally, device, meta, prekeys, peers, invites, outbox, inbox, .. } = self;
        let index = usize::from(key.index);
        let result = match seal.open(key, sealed, scratch) {
            Err(SealError::TooNew) => return Err(RestoreError::TooNew),
            Err(SealError::DoesNotOpen | SealError::TooLong) => return Err(RestoreError::DoesNotOpen),
            Ok(record) => (|| {
                let reader = &mut Reader::new(record);
                let head = Head::read(reader)?;
                match key.kind {
                    RecordKind::Meta => tally.generation = head.generation,
                    _ => tally.add(head),
                }
                match key.kind {
                    RecordKind::Identity => fill(device, head, || Device::read(reader))?,
                    RecordKind::Meta => fill(meta, head, || Meta::read(reader))?,
                    RecordKind::Prekeys => fill(prekeys, head, || Prekeys::read(reader))?,
                    RecordKind::Peer => fill(place(peers, index)?, head, || Peer::read(reader, now))?,
                    RecordKind::Invite => fill(place(invites, index)?, head, || Invite::read(reader))?,
                    RecordKind::Outbox => {
                        let (entry, frame) = OutboxEntry::read(reader)?;
                        let slot = place(outbox, index)?;
                        slot.restore(entry, head.mark);
                        let entry = slot.get_mut().ok_or(CodecError)?;
                        entry.frame.extend_from_slice(frame).map_err(|_| CodecError)?;
                    }
                    RecordKind::Inbox => {
                        let (entry, payload) = InboxEntry::read(reader)?;
                        let slot = place(inbox, index)?;
                        slot.restore(entry, head.mark);
                        let entry = slot.get_mut().ok_or(CodecError)?;
                        entry.payload.extend_from_slice(payload).map_err(|_| CodecError)?;
                    }
                }
                reader.end().map_err(CodecError::from)
            })(),
        };
        scratch.zeroize();
        let capacity = match key.kind {
            RecordKind::Identity | RecordKind::Meta | RecordKind::Prekeys => 1,
            RecordKind::Peer => PEERS,
            RecordKind::Invite => INVITES,
            RecordKind::Outbox => OUTBOX,
            RecordKind::Inbox => INBOX,
        };
        if index >= capacity { Err(RestoreError::TooMany) } else { result.map_err(|_| RestoreError::Damaged) }
    }

    /// Ends restoring: the records have to be the very set that one batch left. An endpoint whose records are not
    /// must not send: a message key could be used twice.
    ///
    /// A set that is older as a whole cannot be told here; the peers see it (`PROTOCOL.md` section 8).
    ///
    /// # Errors
    /// [`RestoreError::Damaged`] when a record is missing, or is older or newer than the others.
    pub fn resume(&self) -> Result<(), RestoreError> {
        let is_whole = match (self.device.get(), self.meta.get(), self.prekeys.get()) {
            (Some(_), Some(meta), Some(_)) => self.tally.is_whole(meta.marks),
            (None, None, None) => self.tally.is_whole(0),
            _ => false,
        };
        if is_whole { Ok(()) } else { Err(RestoreError::Damaged) }
    }
}

/// In a frame of its own for each kind of record: their temporaries would lie side by side otherwise, ten kilobytes
/// in all.
#[inline(never)]
fn fill<T>(
    slot: &mut Slot<T>,
    head: Head,
    read: impl FnOnce() -> Result<T, CodecError>,
) -> Result<(), CodecError> {
    slot.restore(read()?, head.mark);
    Ok(())
}

fn place<T>(slots: &mut [Slot<T>], index: usize) -> Result<&mut Slot<T>, CodecError> {
    slots.get_mut(index).ok_or(CodecError)
}
