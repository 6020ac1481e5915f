//! A peer's record (`PROTOCOL.md` section 8): a head that can be read alone, and what is behind it.

use av_wire::DeviceId;
use av_wire::layout::Reader;
use av_wire::limits::MAX_OWNERS;

use super::psk::InvitePsk;
use super::{NewPeer, Peer};
use crate::Now;
use crate::crypto::Aead;
use crate::endpoint::peer_head::PeerHead;
use crate::endpoint::received::Received;
use crate::endpoint::sessions::Sessions;
use crate::endpoint::slot::Slot;
use crate::enroll::Certification;
use crate::record::codec::{CodecError, ReadRecord, Writer};

impl<A: Aead, const SKIP: usize> Peer<A, SKIP> {
    pub(in crate::endpoint) const MAX_LEN: usize = PeerHead::MAX_LEN
        + Certification::MAX_LEN
        + 1
        + (MAX_OWNERS + 1) * DeviceId::LEN
        + InvitePsk::MAX_LEN
        + 4
        + 4
        + 8
        + 1
        + 1
        + 65
        + Sessions::<A, SKIP>::MAX_LEN
        + Received::MAX_LEN;

    /// What is known of it without its sessions.
    pub(in crate::endpoint) fn head(&self) -> PeerHead {
        PeerHead {
            is_due: self.has_due_work(),
            is_confirmed: self.is_confirmed(),
            device: self.device,
            name: self.name.clone(),
            standing: self.standing,
            diverged: self.diverged,
        }
    }

    pub(in crate::endpoint) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.head().write(writer)?;
        self.certification.write(writer)?;
        writer.u8(u8::try_from(self.suspended_by.len()).map_err(|_| CodecError)?)?;
        self.suspended_by.iter().try_for_each(|owner| writer.bytes(owner.as_bytes()))?;
        self.psk.write(writer)?;
        writer.u32(self.accepted_generation)?;
        writer.u32(self.sent_generation)?;
        writer.u64(self.newest_prekey)?;
        writer.flag(self.knows_us)?;
        writer.flag(self.was_confirmed)?;
        writer.flag(self.enrollment.is_some())?;
        if let Some((transcript, chain_hash)) = &self.enrollment {
            writer.bytes(transcript)?;
            writer.bytes(chain_hash)?;
        }
        self.sessions.write(writer)?;
        self.received.write(writer)
    }

    /// Reads a peer into its slot, and its sessions where they stay: they are too large to be moved about on a
    /// microcontroller's stack. On an error the slot is of no use.
    #[inline(never)]
    pub(in crate::endpoint) fn fill(
        slot: &mut Slot<Self>,
        mark: u64,
        reader: &mut Reader<'_>,
        now: Now,
    ) -> Result<(), CodecError> {
        let (is_due, is_confirmed) = Self::place(slot, mark, reader)?;
        let peer = slot.get_mut().ok_or(CodecError)?;
        peer.sessions.fill(reader, now)?;
        peer.fill_received(reader, now)?;
        let is_whole = (is_due, is_confirmed) == (peer.has_due_work(), peer.is_confirmed());
        if is_whole { Ok(()) } else { Err(CodecError) }
    }

    #[inline(never)]
    fn fill_received(&mut self, reader: &mut Reader<'_>, now: Now) -> Result<(), CodecError> {
        self.received = Received::read(reader, now)?;
        Ok(())
    }

    /// Puts a peer without its sessions into its slot, made there before the rest is read into it. Returns what its head
    /// says of them: whether something is due, and whether it is confirmed.
    #[inline(never)]
    fn place(slot: &mut Slot<Self>, mark: u64, reader: &mut Reader<'_>) -> Result<(bool, bool), CodecError> {
        let PeerHead { is_due, is_confirmed, device, name, standing, diverged } = PeerHead::read(reader)?;
        let certification = Certification::read(reader)?;
        let new =
            NewPeer { device: &device, name: &name, standing, certification: &certification, psk: None };
        slot.restore(Self::new(&new), mark);
        let peer = slot.get_mut().ok_or(CodecError)?;
        for _ in 0..reader.u8()? {
            peer.suspended_by.push(DeviceId(*reader.array()?)).map_err(|_| CodecError)?;
        }
        peer.psk = InvitePsk::read(reader)?;
        peer.accepted_generation = reader.u32()?;
        peer.sent_generation = reader.u32()?;
        peer.newest_prekey = reader.u64()?;
        peer.knows_us = reader.flag()?;
        peer.was_confirmed = reader.flag()?;
        peer.diverged = diverged;
        peer.enrollment = if reader.flag()? { Some((*reader.array()?, *reader.array()?)) } else { None };
        Ok((is_due, is_confirmed))
    }
}
