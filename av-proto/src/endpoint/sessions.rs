//! The sessions with one peer: the winner, on which this device sends, and the loser, which only receives
//! (`PROTOCOL.md` section 6).

use core::cmp::Reverse;

use av_wire::DeviceId;
use av_wire::layout::Reader;

use crate::Now;
use crate::crypto::Aead;
use crate::error::RatchetError;
use crate::limits::LOSER_LIFETIME;
use crate::ratchet::{Opened, PreviousSession, Session};
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// At most two sessions, in the winner's order; together at most 1,950 bytes with 16 skipped keys.
pub(super) struct Sessions<A: Aead, const SKIP: usize> {
    winner: Option<Session<A, SKIP>>,
    loser: Option<PreviousSession<A>>,
    /// Uptime at which the loser is wiped; none before the winner has received. Counted anew after a restart.
    loser_until: Option<u64>,
}

impl<A: Aead, const SKIP: usize> Sessions<A, SKIP> {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = 1 + Session::<A, SKIP>::MAX_LEN + 1 + PreviousSession::<A>::MAX_LEN;

    /// None.
    pub(super) const fn new() -> Self {
        Self { winner: None, loser: None, loser_until: None }
    }

    /// The session on which this device sends.
    pub(super) const fn winner(&self) -> Option<&Session<A, SKIP>> {
        self.winner.as_ref()
    }

    /// The session on which this device sends, to send.
    pub(super) const fn winner_mut(&mut self) -> Option<&mut Session<A, SKIP>> {
        self.winner.as_mut()
    }

    /// Puts a new session in its place: the greater generation wins, on a tie the smaller initiator. Of three the
    /// least goes, even the new one.
    pub(super) fn install(&mut self, new: Session<A, SKIP>, own: &DeviceId, peer: &DeviceId, now: Now) {
        let rank = |generation: u32, is_initiator: bool| {
            (generation, Reverse(if is_initiator { *own } else { *peer }))
        };
        let of_new = rank(new.generation(), new.is_initiator());
        let of_winner = self.winner.as_ref().map(|old| rank(old.generation(), old.is_initiator()));
        let of_loser = self.loser.as_ref().map(|old| rank(old.generation(), old.is_initiator()));
        if Some(of_new) > of_winner {
            if let Some(beaten) = &self.winner {
                self.loser = Some(PreviousSession::of(beaten));
                self.loser_until = None;
            }
            self.winner = Some(new);
        } else if Some(of_new) > of_loser {
            self.loser = Some(PreviousSession::of(&new));
            self.loser_until = None;
        }
        self.time_loser(now);
    }

    /// Opens a message on the winner, else on the loser.
    pub(super) fn decrypt(
        &mut self,
        now: Now,
        header_blob: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, RatchetError> {
        let winner = self.winner.as_mut().ok_or(RatchetError::Unopened)?;
        match (winner.decrypt(header_blob, ciphertext, out), &mut self.loser) {
            (Ok(opened), _) => {
                self.time_loser(now);
                Ok(opened)
            }
            // A header that opened belongs to the winner, whatever became of its body.
            (Err(RatchetError::Unopened | RatchetError::Malformed), Some(loser)) => {
                loser.decrypt(header_blob, ciphertext, out)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The loser's last day begins when the winner has received: from then on the peer holds the winner too.
    fn time_loser(&mut self, now: Now) {
        let has_received = self.winner.as_ref().is_some_and(|winner| winner.receiving_chains() > 0);
        if self.loser.is_some() && self.loser_until.is_none() && has_received {
            self.loser_until = Some(now.uptime.saturating_add(LOSER_LIFETIME));
        }
    }

    /// Wipes the loser when its time is over; returns whether it did.
    pub(super) fn tick(&mut self, now: Now) -> bool {
        if self.loser_until.is_none_or(|until| now.uptime < until) {
            return false;
        }
        self.loser = None;
        self.loser_until = None;
        true
    }

    /// Wipes both, where they stand.
    pub(super) fn wipe(&mut self) {
        self.winner = None;
        self.loser = None;
        self.loser_until = None;
    }

    /// Whether a session with this name, the first 8 bytes of `th`, is held.
    pub(super) fn has(&self, name: &[u8; 8]) -> bool {
        let ids = [self.winner.as_ref().map(Session::id), self.loser.as_ref().map(PreviousSession::id)];
        ids.into_iter().flatten().any(|id| id.starts_with(name))
    }

    /// Whether a session that the peer began in this generation is held.
    pub(super) fn has_responded_in(&self, generation: u32) -> bool {
        let winner = self.winner.as_ref().map(|session| (session.is_initiator(), session.generation()));
        let loser = self.loser.as_ref().map(|session| (session.is_initiator(), session.generation()));
        [winner, loser].contains(&Some((false, generation)))
    }

    /// The sessions made with the invite's psk: whether this side initiated, and from how many receiving chains a
    /// message opened.
    pub(super) fn with_psk(&self) -> impl Iterator<Item = (bool, u8)> {
        let winner = &self.winner;
        let winner = winner.as_ref().map(|it| (it.mode(), it.is_initiator(), it.receiving_chains()));
        let loser = &self.loser;
        let loser = loser.as_ref().map(|it| (it.mode(), it.is_initiator(), it.receiving_chains()));
        let used = winner.into_iter().chain(loser).filter(|(mode, ..)| *mode == 1);
        used.map(|(_, is_initiator, chains)| (is_initiator, chains))
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.flag(self.winner.is_some())?;
        self.winner.as_ref().map_or(Ok(()), |session| session.write(writer))?;
        writer.flag(self.loser.is_some())?;
        self.loser.as_ref().map_or(Ok(()), |session| session.write(writer))
    }

    #[inline(never)]
    fn fill_winner(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        self.winner = if reader.flag()? { Some(Session::read(reader)?) } else { None };
        Ok(())
    }

    #[inline(never)]
    fn fill_loser(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        self.loser = if reader.flag()? { Some(PreviousSession::read(reader)?) } else { None };
        Ok(())
    }

    /// Reads the sessions into their empty places, each in a frame of its own. On an error they are of no use.
    pub(super) fn fill(&mut self, reader: &mut Reader<'_>, now: Now) -> Result<(), CodecError> {
        self.fill_winner(reader)?;
        self.fill_loser(reader)?;
        if self.winner.is_none() && self.loser.is_some() {
            return Err(CodecError);
        }
        self.time_loser(now);
        Ok(())
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
