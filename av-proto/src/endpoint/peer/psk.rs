//! The invite's psk between a device and the owner that approved it: which sessions are made with it, and when it ends
//! (`PROTOCOL.md` section 6, mode).

use av_wire::layout::Reader;

use crate::crypto::Aead;
use crate::endpoint::sessions::Sessions;
use crate::error::RatchetError;
use crate::keys::Secret;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// How far a session made with the psk has come: k receiving chains from which a message opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// k = 0.
    Unused,
    /// k = 1, on sessions that the peer initiated alone: the peer may not have heard this side yet.
    Heard,
    /// k = 1, on a session that this side initiated: the peer has heard this side, and may be done with the psk.
    Answered,
    /// k = 2, or there never was a psk.
    Over,
}

pub(super) struct InvitePsk {
    secret: Option<Secret<32>>,
    stage: Stage,
}

impl InvitePsk {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = 1 + 32 + 1;

    pub(super) const fn new(secret: Option<Secret<32>>) -> Self {
        let stage = if secret.is_some() { Stage::Unused } else { Stage::Over };
        Self { secret, stage }
    }

    /// What this side's next session is made with; `None` is mode 0.
    pub(super) fn to_initiate(&self) -> Option<&Secret<32>> {
        self.secret.as_ref().filter(|_| self.stage <= Stage::Heard)
    }

    /// What a prelude of this mode is answered with.
    ///
    /// # Errors
    /// [`RatchetError::Unopened`] for a prelude of a mode that is not taken, or of none.
    pub(super) fn to_respond(&self, mode: u8) -> Result<Option<&Secret<32>>, RatchetError> {
        match mode {
            0 if self.stage > Stage::Unused => Ok(None),
            1 => self.secret.as_ref().map(Some).ok_or(RatchetError::Unopened),
            _ => Err(RatchetError::Unopened),
        }
    }

    /// Notes how far the sessions have come. The psk ends when two receiving chains of one are in use, never before:
    /// wiping at the first received message leaves, after a lost reply, each side refusing the other's preludes for
    /// ever.
    pub(super) fn note<A: Aead, const SKIP: usize>(&mut self, sessions: &Sessions<A, SKIP>) {
        for (is_initiator, chains) in sessions.with_psk() {
            let stage = match (chains, is_initiator) {
                (0, _) => Stage::Unused,
                (1, false) => Stage::Heard,
                (1, true) => Stage::Answered,
                _ => Stage::Over,
            };
            self.stage = self.stage.max(stage);
        }
        if self.stage == Stage::Over {
            self.secret = None;
        }
    }

    /// Wipes it.
    pub(super) fn end(&mut self) {
        *self = Self::new(None);
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.flag(self.secret.is_some())?;
        self.secret.as_ref().map_or(Ok(()), |secret| writer.secret(secret.expose()))?;
        writer.u8(self.stage as u8)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let secret = if reader.flag()? { Some(Secret::new(*reader.array()?)) } else { None };
        let stages = [Stage::Unused, Stage::Heard, Stage::Answered, Stage::Over];
        let stage = *stages.get(usize::from(reader.u8()?)).ok_or(CodecError)?;
        if secret.is_some() == (stage == Stage::Over) {
            return Err(CodecError);
        }
        Ok(Self { secret, stage })
    }
}
