//! Counters and the inbox cursor: the record that is in every batch.

use av_wire::frame::Rejected;
use av_wire::layout::Reader;
use av_wire::limits::MAX_REJECTED;
use av_wire::{DeviceId, InboxEpoch, RejectCode};
use heapless::Vec;

use super::resync::Unopened;
use crate::enroll::{OwnerSerials, Revoked};
use crate::limits::{ALLOWED_PEERS, UNOPENED_IDS};
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// Agents that may begin sessions with this agent.
pub(super) type Allowed = Vec<DeviceId, ALLOWED_PEERS>;

pub(super) struct Meta {
    /// The sum of all other records' marks, as the last batch left it.
    pub(super) marks: u64,
    /// The epoch that `taken` counts in; `None` before the first connection.
    pub(super) inbox_epoch: Option<InboxEpoch>,
    /// The last inbox entry that this device stored or rejected.
    pub(super) taken: u64,
    /// The latest rejections, told to the relay with the acknowledgement that covers them.
    pub(super) rejected: Vec<Rejected, MAX_REJECTED>,
    /// Serial of this owner's last statement.
    pub(super) statement_serial: u64,
    /// The owners' statements that this device has, and has heard of.
    pub(super) serials: OwnerSerials,
    /// Who is out.
    pub(super) revoked: Revoked,
    /// Agents with whom this agent's application wants sessions.
    pub(super) allowed: Allowed,
    /// The next outbox number.
    pub(super) next_outbox: u64,
    /// Frames that did not open and are to be asked for, the oldest first.
    pub(super) unopened: Vec<Unopened, UNOPENED_IDS>,
}

impl Meta {
    pub(super) const MAX_LEN: usize = 8
        + 1
        + 16
        + 8
        + 1
        + MAX_REJECTED * 9
        + 8
        + OwnerSerials::MAX_LEN
        + Revoked::MAX_LEN
        + 1
        + ALLOWED_PEERS * DeviceId::LEN
        + 8
        + 1
        + UNOPENED_IDS * 25;

    pub(super) const fn new() -> Self {
        Self {
            marks: 0,
            inbox_epoch: None,
            taken: 0,
            rejected: Vec::new(),
            statement_serial: 0,
            serials: OwnerSerials::new(),
            revoked: Revoked::new(),
            allowed: Allowed::new(),
            next_outbox: 1,
            unopened: Vec::new(),
        }
    }

    /// A new epoch begins a new count (`PROTOCOL.md` section 9).
    pub(super) fn enter_epoch(&mut self, epoch: InboxEpoch) {
        self.inbox_epoch = Some(epoch);
        self.taken = 0;
        self.rejected.clear();
    }

    /// Notes that an entry is rejected; the oldest note makes room.
    pub(super) fn reject(&mut self, sequence: u64, code: RejectCode) {
        if self.rejected.is_full() {
            self.rejected.remove(0);
        }
        // There is room: one was removed.
        let _ = self.rejected.push(Rejected { sequence, code });
    }

    /// Notes a frame that is to be asked for; the oldest makes room.
    pub(super) fn note_unopened(&mut self, unopened: Unopened) {
        if self.unopened.iter().any(|known| known.peer == unopened.peer && known.id == unopened.id) {
            return;
        }
        if self.unopened.is_full() {
            self.unopened.remove(0);
        }
        // There is room: one was removed.
        let _ = self.unopened.push(unopened);
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u64(self.marks)?;
        writer.flag(self.inbox_epoch.is_some())?;
        self.inbox_epoch.map_or(Ok(()), |epoch| writer.bytes(&epoch.0))?;
        writer.u64(self.taken)?;
        writer.u8(u8::try_from(self.rejected.len()).map_err(|_| CodecError)?)?;
        for rejected in &self.rejected {
            writer.u64(rejected.sequence)?;
            writer.u8(reject_byte(rejected.code))?;
        }
        writer.u64(self.statement_serial)?;
        self.serials.write(writer)?;
        self.revoked.write(writer)?;
        writer.u8(u8::try_from(self.allowed.len()).map_err(|_| CodecError)?)?;
        self.allowed.iter().try_for_each(|device| writer.bytes(device.as_bytes()))?;
        writer.u64(self.next_outbox)?;
        writer.u8(u8::try_from(self.unopened.len()).map_err(|_| CodecError)?)?;
        self.unopened.iter().try_for_each(|unopened| {
            writer.bytes(unopened.peer.as_bytes())?;
            writer.bytes(&unopened.id)?;
            writer.flag(unopened.is_reused)
        })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let marks = reader.u64()?;
        let inbox_epoch = if reader.flag()? { Some(InboxEpoch(*reader.array()?)) } else { None };
        let taken = reader.u64()?;
        let mut rejected = Vec::new();
        for _ in 0..reader.u8()? {
            let entry = Rejected { sequence: reader.u64()?, code: reject_code(reader.u8()?)? };
            rejected.push(entry).map_err(|_| CodecError)?;
        }
        let statement_serial = reader.u64()?;
        let serials = OwnerSerials::read(reader)?;
        let revoked = Revoked::read(reader)?;
        let mut allowed = Allowed::new();
        for _ in 0..reader.u8()? {
            allowed.push(DeviceId(*reader.array()?)).map_err(|_| CodecError)?;
        }
        let next_outbox = reader.u64()?;
        let mut unopened = Vec::new();
        for _ in 0..reader.u8()? {
            let (peer, id) = (DeviceId(*reader.array()?), *reader.array()?);
            let frame = Unopened { peer, id, is_reused: reader.flag()?, asked: false };
            unopened.push(frame).map_err(|_| CodecError)?;
        }
        Ok(Self {
            marks,
            inbox_epoch,
            taken,
            rejected,
            statement_serial,
            serials,
            revoked,
            allowed,
            next_outbox,
            unopened,
        })
    }
}

const REJECT_CODES: [RejectCode; 4] =
    [RejectCode::Unopened, RejectCode::Malformed, RejectCode::TooLarge, RejectCode::UnknownSender];

fn reject_byte(code: RejectCode) -> u8 {
    REJECT_CODES.iter().zip(1..).find(|(known, _)| **known == code).map_or(0, |(_, byte)| byte)
}

fn reject_code(byte: u8) -> Result<RejectCode, CodecError> {
    REJECT_CODES.iter().zip(1..).find(|(_, known)| *known == byte).map(|(code, _)| *code).ok_or(CodecError)
}
