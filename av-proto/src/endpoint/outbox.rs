//! Frames that the relay has not answered yet: kept until it does, sent again on every connection.

use av_wire::layout::Reader;
use av_wire::statement::Verdict;
use av_wire::{DeviceId, MessageId};
use heapless::Vec;

use super::event::OutboxId;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// What a frame is about, to make sense of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A message to a peer.
    Message { peer: DeviceId, message_id: MessageId },
    /// The approval of a device.
    Approve(DeviceId),
    /// The rejection of a device.
    Reject(DeviceId),
    /// The new certificate of a device.
    Recertify(DeviceId),
    /// A statement of this owner.
    Statement(DeviceId, Verdict),
}

impl About {
    /// Whose record the entry goes together with: a message's and an approval's outcome changes the peer.
    pub(super) const fn peer(&self) -> Option<DeviceId> {
        match self {
            Self::Message { peer, .. } | Self::Approve(peer) => Some(*peer),
            Self::Reject(_) | Self::Recertify(_) | Self::Statement(..) => None,
        }
    }
}

/// A frame with its number; calls use the number's low half as their request number.
pub(super) struct OutboxEntry<const BODY: usize> {
    pub(super) id: OutboxId,
    pub(super) about: About,
    pub(super) frame: Vec<u8, BODY>,
    /// Whether it went out on this connection; not stored.
    pub(super) transmitted: bool,
}

/// The request number of the call with this outbox number. Answers match within one connection, where at most
/// a handful of calls are under way; 0 is kept for the connection itself.
pub(super) fn request_number(id: OutboxId) -> u32 {
    u32::try_from(id.number() % u64::from(u32::MAX)).unwrap_or(0).saturating_add(1)
}

impl<const BODY: usize> OutboxEntry<BODY> {
    /// Bytes that an entry's record is longer than its frame: number, kind, two ids, length.
    pub(super) const OVERHEAD: usize = 8 + 1 + 16 + 16 + 2;

    /// An entry without its frame.
    pub(super) const fn new(id: OutboxId, about: About) -> Self {
        Self { id, about, frame: Vec::new(), transmitted: false }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u64(self.id.0)?;
        match self.about {
            About::Message { peer, message_id } => {
                writer.u8(1)?;
                writer.bytes(peer.as_bytes())?;
                writer.bytes(message_id.as_bytes())?;
            }
            About::Approve(device) => {
                writer.u8(2)?;
                writer.bytes(device.as_bytes())?;
            }
            About::Reject(device) => {
                writer.u8(3)?;
                writer.bytes(device.as_bytes())?;
            }
            About::Recertify(device) => {
                writer.u8(7)?;
                writer.bytes(device.as_bytes())?;
            }
            About::Statement(device, verdict) => {
                writer.u8(match verdict {
                    Verdict::Revoked => 4,
                    Verdict::Suspended => 5,
                    Verdict::Resumed => 6,
                })?;
                writer.bytes(device.as_bytes())?;
            }
        }
        writer.var(&self.frame)
    }

    /// An entry and its frame, which the caller puts into it where it stands: an entry is too large to be moved
    /// about on a microcontroller's stack.
    pub(super) fn read<'b>(reader: &mut Reader<'b>) -> Result<(Self, &'b [u8]), CodecError> {
        let id = OutboxId(reader.u64()?);
        let kind = reader.u8()?;
        let device = DeviceId(*reader.array()?);
        let about = match kind {
            1 => About::Message { peer: device, message_id: MessageId(*reader.array()?) },
            2 => About::Approve(device),
            3 => About::Reject(device),
            4 => About::Statement(device, Verdict::Revoked),
            5 => About::Statement(device, Verdict::Suspended),
            6 => About::Statement(device, Verdict::Resumed),
            7 => About::Recertify(device),
            _ => return Err(CodecError),
        };
        Ok((Self::new(id, about), reader.var()?))
    }
}
