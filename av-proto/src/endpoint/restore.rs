//! Beginning again with what the store holds.

use core::slice::from_mut;

use av_wire::layout::Reader;
use zeroize::Zeroize;

use super::Endpoint;
use super::device::Device;
use super::error::RestoreError;
use super::event::PeerView;
use super::inbox::InboxEntry;
use super::meta::Meta;
use super::outbox::OutboxEntry;
use super::slot::Slot;
use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::enroll::{GrantedKey, Invite};
use crate::keys::Prekeys;
use crate::record::codec::CodecError;
use crate::record::{Head, RecordKey, RecordKind, Seal};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Feeds back one record that the store holds, in any order; [`Endpoint::resume`] ends it. A driver that lends
    /// ([`Endpoint::keep_peers`]) feeds the peers last, so that those with work to do are in memory from the start.
    ///
    /// Returns the peer when the record is a peer's.
    ///
    /// # Errors
    /// [`RestoreError`]; the endpoint is then of no use and nothing was written anywhere.
    pub fn restore(
        &mut self,
        now: Now,
        seal: &Seal,
        key: RecordKey,
        sealed: &[u8],
    ) -> Result<Option<PeerView>, RestoreError> {
        scrubbed(|| self.restore_record(now, seal, key, sealed))
    }

    fn restore_record(
        &mut self,
        now: Now,
        seal: &Seal,
        key: RecordKey,
        sealed: &[u8],
    ) -> Result<Option<PeerView>, RestoreError> {
        // Taken apart, so that a record is read out of the buffer straight into its slot.
        let Self {
            scratch,
            tally,
            working_set,
            device,
            meta,
            prekeys,
            peers,
            invites,
            keys,
            outbox,
            inbox,
            ..
        } = self;
        let index = usize::from(key.index);
        let result = seal.open(key, sealed, scratch).map_err(RestoreError::from).and_then(|record| {
            let reader = &mut Reader::new(record);
            let head = Head::read(reader)?;
            match key.kind {
                RecordKind::Meta => tally.generation = head.generation,
                _ => tally.add(head),
            }
            let mut view = None;
            match key.kind {
                RecordKind::Identity => Device::fill(place(from_mut(device), index)?, head.mark, reader)?,
                RecordKind::Meta => place(from_mut(meta), index)?.fill(head.mark, || Meta::read(reader))?,
                RecordKind::Prekeys => {
                    place(from_mut(prekeys), index)?.fill(head.mark, || Prekeys::read(reader))?
                }
                RecordKind::Peer => {
                    view = Some(working_set.restore(peers, outbox, now, (key.index, head.mark), reader)?);
                }
                RecordKind::Invite => place(invites, index)?.fill(head.mark, || Invite::read(reader))?,
                RecordKind::ApiKey => place(keys, index)?.fill(head.mark, || GrantedKey::read(reader))?,
                RecordKind::Outbox => OutboxEntry::fill(place(outbox, index)?, head.mark, reader)?,
                RecordKind::Inbox => InboxEntry::fill(place(inbox, index)?, head.mark, reader)?,
            }
            reader.end().map_err(CodecError::from)?;
            Ok(view)
        });
        scratch.as_mut_slice().zeroize();
        result
    }

    /// Ends restoring: the records have to be the very set that one batch left. An endpoint whose records are not
    /// must not send: a message key could be used twice.
    ///
    /// A set that is older as a whole cannot be told here; the peers see it (`PROTOCOL.md` section 8).
    ///
    /// # Errors
    /// [`RestoreError::Damaged`] when a record is missing, or is older or newer than the others;
    /// [`RestoreError::PeersFirst`].
    pub fn resume(&self) -> Result<(), RestoreError> {
        let is_whole = match (self.device.get(), self.meta.get(), self.prekeys.get()) {
            (Some(_), Some(meta), Some(_)) => self.tally.is_whole(meta.marks),
            (None, None, None) => self.tally.is_whole(0),
            _ => false,
        };
        if !is_whole {
            return Err(RestoreError::Damaged);
        }
        let mut awaited = self.outbox.iter().filter_map(Slot::get).filter_map(|entry| entry.about.peer());
        if awaited.any(|peer| self.is_absent(&peer)) {
            return Err(RestoreError::PeersFirst);
        }
        Ok(())
    }
}

fn place<T>(slots: &mut [Slot<T>], index: usize) -> Result<&mut Slot<T>, RestoreError> {
    slots.get_mut(index).ok_or(RestoreError::TooMany)
}
