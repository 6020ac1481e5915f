//! What waits in the outbox: calls until the relay has answered them, messages until their receipt has come.

use av_wire::layout::Reader;
use av_wire::{DeviceId, MessageId};
use heapless::Vec;

use super::event::OutboxId;
#[cfg(feature = "owner")]
use super::owner::OwnersCall;
use super::slot::Slot;
use super::wait::Wait;
use crate::crypto::Secret;
use crate::ratchet::{Place, first_8};
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// What an entry is about, to make sense of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A message to a peer, as it was last sealed; the entry holds header blob and ciphertext.
    Message(Message),
    /// A call that only an owner makes.
    #[cfg(feature = "owner")]
    Call(OwnersCall),
}

/// A sealed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) peer: DeviceId,
    pub(super) message_id: MessageId,
    pub(super) kind: u8,
    /// Bytes of the header blob.
    pub(super) header_len: u16,
}

/// What is kept of a message until its receipt: how the receipt names it, and how this device reads it again.
///
/// The message key takes the place of the plaintext: both stand under the same record seal, and either tells the
/// other, since the ciphertext stands beside it.
pub(super) struct Sealing {
    /// The id under which the peer delivers it, however often it is sealed again.
    pub(super) original: MessageId,
    /// `th`.
    pub(super) session: [u8; 32],
    pub(super) place: Place,
    pub(super) key: Secret<32>,
}

pub(super) struct OutboxEntry<const BODY: usize> {
    /// Its number, from which a call's request number follows.
    pub(super) id: OutboxId,
    pub(super) about: About,
    /// The call's frame, or the message.
    pub(super) bytes: Vec<u8, BODY>,
    /// For a message that is receipted.
    pub(super) sealing: Option<Sealing>,
    // What follows is not stored: after a restart the entry is sent once more, and the relay knows it by its id.
    /// Whether it went out on this connection.
    pub(super) transmitted: bool,
    /// Uptime at which the relay took it.
    pub(super) accepted: Option<u64>,
    /// When to ask for its receipt.
    pub(super) check: Wait,
}

/// How a record marks a message; calls have other marks.
const MESSAGE: u8 = 1;

/// How the wait for a receipt ended.
#[derive(Clone, Copy)]
pub(super) enum Settled {
    Delivered,
    Unreceipted,
}

impl About {
    /// The message, unless it is a call.
    pub(super) const fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            #[cfg(feature = "owner")]
            Self::Call(_) => None,
        }
    }

    pub(super) const fn message_mut(&mut self) -> Option<&mut Message> {
        match self {
            Self::Message(message) => Some(message),
            #[cfg(feature = "owner")]
            Self::Call(_) => None,
        }
    }

    /// The peer that a message is for.
    pub(super) fn recipient(&self) -> Option<DeviceId> {
        self.message().map(|message| message.peer)
    }

    /// The message id of a message.
    pub(super) fn message_id(&self) -> Option<MessageId> {
        self.message().map(|message| message.message_id)
    }

    /// Whose record the entry goes together with: a message's and an approval's outcome changes the peer.
    pub(super) const fn peer(&self) -> Option<DeviceId> {
        match self {
            Self::Message(Message { peer, .. }) => Some(*peer),
            #[cfg(feature = "owner")]
            Self::Call(OwnersCall::Approve(peer)) => Some(*peer),
            #[cfg(feature = "owner")]
            Self::Call(_) => None,
        }
    }
}

impl<const BODY: usize> OutboxEntry<BODY> {
    /// Bytes of the largest record beside a call's frame or a message: number, kind, peer, id, kind, header's length,
    /// flag, original id, session, place, key, length.
    pub(super) const OVERHEAD: usize = 8 + 1 + 16 + 16 + 1 + 2 + 1 + 16 + 32 + 16 + 32 + 2;

    /// An entry without its bytes. Inlined, so that nothing but what is in it is moved.
    #[inline(always)]
    pub(super) const fn new(id: OutboxId, about: About, sealing: Option<Sealing>) -> Self {
        Self { id, about, bytes: Vec::new(), sealing, transmitted: false, accepted: None, check: Wait::NONE }
    }

    /// Whether the relay has yet to answer.
    pub(super) const fn is_unanswered(&self) -> bool {
        self.accepted.is_none()
    }

    /// Whether it is a message of the endpoint's own, which needs no receipt.
    pub(super) const fn is_control(&self) -> bool {
        self.about.message().is_some() && self.sealing.is_none()
    }

    /// Whether the relay has it and only its receipt is missing: it may be given up.
    pub(super) const fn awaits_receipt(&self) -> bool {
        self.sealing.is_some() && self.accepted.is_some()
    }

    /// Whether it is a message for this peer that waits for a receipt.
    pub(super) fn is_unreceipted_by(&self, peer: &DeviceId) -> bool {
        self.sealing.is_some() && self.about.recipient() == Some(*peer)
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u64(self.id.0)?;
        let (kind, device) = match &self.about {
            About::Message(message) => (MESSAGE, message.peer),
            #[cfg(feature = "owner")]
            About::Call(call) => (call.byte(), call.device()),
        };
        writer.u8(kind)?;
        writer.bytes(device.as_bytes())?;
        if let Some(message) = self.about.message() {
            writer.bytes(message.message_id.as_bytes())?;
            writer.u8(message.kind)?;
            writer.u16(message.header_len)?;
            writer.flag(self.sealing.is_some())?;
        }
        if let Some(sealing) = &self.sealing {
            writer.bytes(sealing.original.as_bytes())?;
            writer.bytes(&sealing.session)?;
            writer.bytes(&sealing.place.ratchet)?;
            writer.u32(sealing.place.chain)?;
            writer.u32(sealing.place.number)?;
            writer.secret(sealing.key.expose())?;
        }
        writer.var(&self.bytes)
    }

    /// Reads an entry into its slot, its bytes where they stay: they are too many to be moved about on a
    /// microcontroller's stack.
    #[inline(never)]
    pub(super) fn fill(slot: &mut Slot<Self>, mark: u64, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let id = OutboxId(reader.u64()?);
        let kind = reader.u8()?;
        let device = DeviceId(*reader.array()?);
        let about = match kind {
            MESSAGE => About::Message(Message {
                peer: device,
                message_id: MessageId(*reader.array()?),
                kind: reader.u8()?,
                header_len: reader.u16()?,
            }),
            #[cfg(feature = "owner")]
            call => About::Call(OwnersCall::from_byte(call, device)?),
            #[cfg(not(feature = "owner"))]
            _ => return Err(CodecError),
        };
        let is_kept = kind == MESSAGE && reader.flag()?;
        let sealing = if is_kept { Some(Sealing::read(reader)?) } else { None };
        let bytes = reader.var()?;
        slot.restore(Self::new(id, about, sealing), mark);
        let entry = slot.get_mut().ok_or(CodecError)?;
        entry.bytes.extend_from_slice(bytes).map_err(|_| CodecError)
    }
}

impl Sealing {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (original, session) = (MessageId(*reader.array()?), *reader.array()?);
        let place = Place {
            session: first_8(&session),
            ratchet: *reader.array()?,
            chain: reader.u32()?,
            number: reader.u32()?,
        };
        Ok(Self { original, session, place, key: Secret::new(*reader.array()?) })
    }
}
