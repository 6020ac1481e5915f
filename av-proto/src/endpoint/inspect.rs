//! Every record as it stands in memory, for tests: what must not have changed, and what must be stored.

use core::slice::from_ref;

use zeroize::Zeroize;

use super::Endpoint;
use super::device::Device;
use super::inbox::InboxEntry;
use super::meta::Meta;
use super::outbox::OutboxEntry;
use super::peer::Peer;
use super::slot::Slot;
use crate::crypto::Aead;
use crate::enroll::{GrantedKey, Invite};
use crate::keys::Prekeys;
use crate::record::codec::{CodecError, Writer};
use crate::record::{RecordKey, RecordKind};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Gives every record to `put`, in the clear, whether or not it is stored already. Changes nothing.
    pub fn each_record(&mut self, mut put: impl FnMut(RecordKey, &[u8])) {
        let Self { device, meta, prekeys, peers, invites, keys, outbox, inbox, scratch, .. } = self;
        let mut reader = Inspector { scratch: &mut scratch[..], put: &mut put };
        reader.slots(RecordKind::Identity, from_ref(device), Device::write);
        reader.slots(RecordKind::Meta, from_ref(meta), Meta::write);
        reader.slots(RecordKind::Prekeys, from_ref(prekeys), Prekeys::write);
        reader.slots(RecordKind::Peer, peers, Peer::write);
        reader.slots(RecordKind::Invite, invites, Invite::write);
        reader.slots(RecordKind::ApiKey, keys, GrantedKey::write);
        reader.slots(RecordKind::Outbox, outbox, OutboxEntry::write);
        reader.slots(RecordKind::Inbox, inbox, InboxEntry::write);
        scratch.as_mut_slice().zeroize();
    }
}

struct Inspector<'s, 'p> {
    scratch: &'s mut [u8],
    put: &'p mut dyn FnMut(RecordKey, &[u8]),
}

impl Inspector<'_, '_> {
    fn slots<T>(
        &mut self,
        kind: RecordKind,
        slots: &[Slot<T>],
        write: impl Fn(&T, &mut Writer<'_>) -> Result<(), CodecError>,
    ) {
        for (slot, index) in slots.iter().zip(0..) {
            let Some(value) = slot.get() else { continue };
            let mut writer = Writer::new(self.scratch);
            // A record that cannot be written shows as an empty one, which none is.
            let len = write(value, &mut writer).map_or(0, |()| writer.len());
            (self.put)(RecordKey::new(kind, index), self.scratch.get(..len).unwrap_or_default());
        }
    }
}
