//! Which messages of a session were opened: what a receipt says (`PROTOCOL.md` section 8).

use av_wire::layout::Reader;
use heapless::Vec;

use crate::limits::HISTORY_CHAINS;
use crate::ratchet::Place;
use crate::record::codec::{CodecError, Writer};

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;

/// What was opened on the sessions held with a peer: this device's own account, or what a peer's `have` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct History {
    sessions: Vec<SessionHistory, 2>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SessionHistory {
    session: [u8; 8],
    /// The newest first.
    chains: Vec<ChainHistory, HISTORY_CHAINS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ChainHistory {
    ratchet: [u8; 8],
    chain: u32,
    opened: OpenedNumbers,
}

/// What a history says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was opened.
    Opened,
    /// It was not, and a message sent after it was, or its session is not held.
    Missing,
    /// Its chain is older than those that are accounted for: it may have been opened.
    Forgotten,
    /// Nothing sent after it was opened either: it may be under way.
    UnderWay,
}

impl History {
    /// Bytes of the largest encoding: count, and a name, a count and the chains for each session.
    pub(super) const MAX_LEN: usize = 1 + 2 * (8 + 1 + HISTORY_CHAINS * ChainHistory::LEN);

    /// Nothing.
    pub(super) const fn new() -> Self {
        Self { sessions: Vec::new() }
    }

    /// Notes that a message was opened.
    pub(super) fn note(&mut self, place: &Place) {
        if !self.sessions.iter().any(|known| known.session == place.session) {
            // Two sessions are held at the most, and those that are not were left out: there is room.
            let _ = self.sessions.push(SessionHistory { session: place.session, chains: Vec::new() });
        }
        if let Some(session) = self.sessions.iter_mut().find(|known| known.session == place.session) {
            session.note(place);
        }
    }

    /// Leaves out the sessions that are no longer held.
    pub(super) fn retain(&mut self, is_held: impl Fn(&[u8; 8]) -> bool) {
        self.sessions.retain(|known| is_held(&known.session));
    }

    /// What became of a message.
    pub(super) fn fate(&self, place: &Place) -> Fate {
        let known = self.sessions.iter().find(|known| known.session == place.session);
        known.map_or(Fate::Missing, |session| session.fate(place))
    }

    /// Writes the body of a `have`: count(1), then for each session name(8) ‖ count(1) ‖ chains, and for each chain
    /// ratchet key(8) ‖ number of the chain u32 ‖ next u32 ‖ window u64.
    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u8(u8::try_from(self.sessions.len()).map_err(|_| CodecError)?)?;
        for session in &self.sessions {
            writer.bytes(&session.session)?;
            writer.u8(u8::try_from(session.chains.len()).map_err(|_| CodecError)?)?;
            for chain in &session.chains {
                writer.bytes(&chain.ratchet)?;
                writer.u32(chain.chain)?;
                writer.u32(chain.opened.next)?;
                writer.u64(chain.opened.window)?;
            }
        }
        Ok(())
    }

    /// Reads what [`History::write`] wrote. What a peer says is believed of its own opening only, so any numbers will
    /// do; more sessions or chains than there can be will not.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut history = Self::new();
        for _ in 0..reader.u8()? {
            let mut session = SessionHistory { session: *reader.array()?, chains: Vec::new() };
            for _ in 0..reader.u8()? {
                let chain = ChainHistory {
                    ratchet: *reader.array()?,
                    chain: reader.u32()?,
                    opened: OpenedNumbers { next: reader.u32()?, window: reader.u64()? },
                };
                session.chains.push(chain).map_err(|_| CodecError)?;
            }
            history.sessions.push(session).map_err(|_| CodecError)?;
        }
        Ok(history)
    }
}

impl SessionHistory {
    fn note(&mut self, place: &Place) {
        if let Some(known) = self.chains.iter_mut().find(|known| known.chain == place.chain) {
            known.opened.note(place.number);
            return;
        }
        if self.chains.first().is_some_and(|newest| newest.chain > place.chain) {
            // Older than what receipts list: its sender sends it again, and it is known by its id.
            return;
        }
        let mut opened = OpenedNumbers { next: 0, window: 0 };
        opened.note(place.number);
        self.chains.truncate(HISTORY_CHAINS - 1);
        // There is room: the oldest was left out.
        let _ = self.chains.insert(0, ChainHistory { ratchet: place.ratchet, chain: place.chain, opened });
    }

    fn fate(&self, place: &Place) -> Fate {
        let newest = self.chains.first().map_or(0, |newest| newest.chain);
        let is_its = |known: &&ChainHistory| known.chain == place.chain && known.ratchet == place.ratchet;
        match self.chains.iter().find(is_its) {
            Some(known) if known.opened.contains(place.number) => Fate::Opened,
            Some(known) if known.opened.is_overtaken(place.number) => Fate::Missing,
            Some(known) if known.chain < newest => Fate::Missing,
            Some(_) => Fate::UnderWay,
            None if self.chains.is_full() && self.chains.iter().all(|known| place.chain < known.chain) => {
                Fate::Forgotten
            }
            None if place.chain <= newest => Fate::Missing,
            None => Fate::UnderWay,
        }
    }
}

impl ChainHistory {
    const LEN: usize = 8 + 4 + 4 + 8;
}

/// Numbers of opened messages of one chain: all below `next`, and some of the 64 behind it.
///
/// Kept apart from the skipped keys, for giving up a key must never look like a receipt. A number beyond the window
/// is not noted: its sender sends that message again, which costs a message and loses none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenedNumbers {
    /// The least number that was never opened.
    next: u32,
    /// Bit i: whether number `next` + 1 + i was opened.
    window: u64,
}

impl OpenedNumbers {
    fn note(&mut self, number: u32) {
        match number.checked_sub(self.next) {
            None => {}
            Some(0) => {
                let run = self.window.trailing_ones();
                self.next = self.next.saturating_add(1 + run);
                // The run and the zero behind it leave the window; in two steps, for together they may be 64 bits.
                self.window = self.window.checked_shr(run).unwrap_or(0) >> 1;
            }
            Some(ahead) => self.window |= 1_u64.checked_shl(ahead - 1).unwrap_or(0),
        }
    }

    fn contains(self, number: u32) -> bool {
        match number.checked_sub(self.next) {
            None => true,
            Some(0) => false,
            Some(ahead) => self.window.checked_shr(ahead - 1).unwrap_or(0) & 1 == 1,
        }
    }

    /// Whether a message behind this one was opened.
    const fn is_overtaken(self, number: u32) -> bool {
        number < self.next || number - self.next < u64::BITS - self.window.leading_zeros()
    }
}
