//! Calls that only an owner makes and that outlive a restart: each waits in the outbox until the relay has answered.

use av_wire::frame::ToRelay;
use av_wire::statement::Verdict;
use av_wire::{DeviceId, EncodeError, KeyId, RefusalCode};

use crate::crypto::Aead;
use crate::endpoint::Endpoint;
use crate::endpoint::calls::CallAbout;
use crate::endpoint::event::{Event, OutboxId};
use crate::endpoint::outbox::{About, OutboxEntry};
use crate::endpoint::send::encode_into;
use crate::endpoint::slot::Slot;
use crate::record::codec::CodecError;

/// What a call asks of the relay, and of which device or key; 17 bytes in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoint) enum OwnersCall {
    /// The approval of a device.
    Approve(DeviceId),
    /// The rejection of a device.
    Reject(DeviceId),
    /// The new certificate of a device.
    Recertify(DeviceId),
    /// A statement of this owner.
    Statement(DeviceId, Verdict),
    /// The grant of an API key.
    GrantKey(KeyId),
}

impl OwnersCall {
    pub(in crate::endpoint) const fn device(&self) -> DeviceId {
        match self {
            Self::Approve(device)
            | Self::Reject(device)
            | Self::Recertify(device)
            | Self::Statement(device, _) => *device,
            Self::GrantKey(key) => key.as_issuer(),
        }
    }

    pub(in crate::endpoint) const fn byte(&self) -> u8 {
        match self {
            Self::Approve(_) => 2,
            Self::Reject(_) => 3,
            Self::Statement(_, Verdict::Revoked) => 4,
            Self::Statement(_, Verdict::Suspended) => 5,
            Self::Statement(_, Verdict::Resumed) => 6,
            Self::Recertify(_) => 7,
            Self::Statement(_, Verdict::LinkKeys) => 8,
            Self::GrantKey(_) => 9,
        }
    }

    pub(in crate::endpoint) const fn from_byte(byte: u8, device: DeviceId) -> Result<Self, CodecError> {
        Ok(match byte {
            2 => Self::Approve(device),
            3 => Self::Reject(device),
            4 => Self::Statement(device, Verdict::Revoked),
            5 => Self::Statement(device, Verdict::Suspended),
            6 => Self::Statement(device, Verdict::Resumed),
            7 => Self::Recertify(device),
            8 => Self::Statement(device, Verdict::LinkKeys),
            9 => Self::GrantKey(KeyId(device.0)),
            _ => return Err(CodecError),
        })
    }
}

/// The request number of the call with this outbox number. Answers match within one connection, where at most
/// a handful of calls are under way; 0 is kept for the connection itself.
pub(super) fn request_number(id: OutboxId) -> u32 {
    u32::try_from(id.number() % u64::from(u32::MAX)).unwrap_or(0).saturating_add(1)
}

/// Encodes a call into an empty slot, where it stays; on an error the slot is empty again.
pub(super) fn put_call<const BODY: usize>(
    slot: &mut Slot<OutboxEntry<BODY>>,
    id: OutboxId,
    call: OwnersCall,
    frame: &ToRelay<'_>,
) -> Result<(), EncodeError> {
    slot.set(OutboxEntry::new(id, About::Call(call), None));
    let encoded = slot.get_mut().ok_or(EncodeError).and_then(|entry| encode_into(&mut entry.bytes, frame));
    if encoded.is_err() {
        slot.clear();
    }
    encoded
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// The relay did what a call of an owner asked; `false` when no such call waits.
    pub(in crate::endpoint) fn owners_call_done(&mut self, request: u32) -> bool {
        let event = match (self.call_about(request), self.take_call(request)) {
            (Some(CallAbout::CreateInvite(lookup_hash)), _) => Event::InviteReady(lookup_hash),
            (Some(CallAbout::ListPending), _) => Event::PendingListed,
            (_, Some(OwnersCall::Approve(device))) => Event::Approved(device),
            (_, Some(OwnersCall::Reject(device))) => Event::Rejected(device),
            (_, Some(OwnersCall::Statement(device, verdict))) => Event::StatementPosted(device, verdict),
            (_, Some(OwnersCall::Recertify(device))) => Event::PeerRecertified(device),
            (_, Some(OwnersCall::GrantKey(key))) => Event::KeyReady(key),
            _ => return false,
        };
        self.end_call(request);
        self.notify(event);
        true
    }

    /// The relay refused what a call of an owner asked; `false` when no such call waits.
    pub(in crate::endpoint) fn owners_call_failed(&mut self, request: u32, code: RefusalCode) -> bool {
        let event = match (self.call_about(request), self.take_call(request)) {
            (Some(CallAbout::CreateInvite(lookup_hash)), _) => {
                self.forget_invite(lookup_hash);
                Event::InviteFailed(lookup_hash, code)
            }
            (Some(CallAbout::ListPending), _) => Event::PendingListed,
            // It has shown itself since, with the approved keys: the relay let it in, whatever it says of it now. To forget
            // it would lose its generation, and what it sent could be played again.
            (_, Some(OwnersCall::Approve(device))) if self.has_shown_itself(&device) => {
                Event::Approved(device)
            }
            (_, Some(OwnersCall::Approve(device))) => {
                self.forget_peer(&device);
                Event::ApprovalFailed(device, code)
            }
            (_, Some(OwnersCall::Reject(device))) => Event::RejectionFailed(device, code),
            (_, Some(OwnersCall::Statement(device, _))) => Event::StatementFailed(device, code),
            (_, Some(OwnersCall::Recertify(device))) => Event::RecertificationFailed(device, code),
            (_, Some(OwnersCall::GrantKey(key))) => {
                self.forget_key(&key);
                Event::KeyFailed(key, code)
            }
            _ => return false,
        };
        self.end_call(request);
        self.notify(event);
        true
    }

    fn take_call(&mut self, request: u32) -> Option<OwnersCall> {
        let is_its = |entry: &OutboxEntry<BODY>| {
            matches!(entry.about, About::Call(_)) && request_number(entry.id) == request
        };
        match self.take_outbox(is_its)? {
            (_, About::Call(call)) => Some(call),
            (_, About::Message(_)) => None,
        }
    }
}
