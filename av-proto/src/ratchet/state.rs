//! All that a session is but its skipped keys: what the ratchet's steps read and change, and its record.

use av_wire::Suite;
use av_wire::layout::Reader;

use super::past::PastChains;
use crate::crypto::{AgreementSecret, Secret};
use crate::limits::MAX_CHAIN_MESSAGES;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// The state of one session.
pub(super) struct State {
    /// `th`, which names the session and stands before everything that it seals.
    pub(super) id: [u8; 32],
    pub(super) suite: Suite,
    pub(super) generation: u32,
    pub(super) mode: u8,
    pub(super) is_initiator: bool,
    /// `RK`.
    pub(super) root: Secret<32>,
    pub(super) sending: Sending,
    /// `PN` of the messages sent now: how many the sending chain before had.
    pub(super) previous: u32,
    /// `NHKs`.
    pub(super) next_sending_header: Secret<32>,
    pub(super) receiving: Option<ReceivingChain>,
    /// `NHKr`.
    pub(super) next_receiving_header: Secret<32>,
    /// Receiving chains so far; the number of the current one.
    pub(super) chains: u32,
    pub(super) past: PastChains,
    /// What an initiator puts before its messages until one of the responder's opens.
    pub(super) prelude: Option<PendingPrelude>,
}

/// Whose turn it is to step.
pub(super) enum Sending {
    /// A responder before its peer's first message: its ratchet key is a copy of its signed prekey.
    NotYet(AgreementSecret),
    /// Our ratchet key is out; the peer may answer it with a step.
    Chain(SendingChain),
    /// The peer has stepped. Ours waits for our next message, which brings a fresh ratchet key; the one before is
    /// wiped already, because no honest peer steps twice in a row.
    Due,
}

/// The chain that our messages take their keys from.
pub(super) struct SendingChain {
    /// Our ratchet key pair, `DHs`.
    pub(super) own: AgreementSecret,
    /// `HKs`.
    pub(super) header: Secret<32>,
    /// `CKs`.
    pub(super) chain: Secret<32>,
    /// `Ns`.
    pub(super) next: u32,
}

/// The chain that the peer's messages take their keys from.
pub(super) struct ReceivingChain {
    /// The peer's ratchet public key, `DHr`.
    pub(super) ratchet: [u8; 32],
    /// `HKr`.
    pub(super) header: Secret<32>,
    /// `CKr`.
    pub(super) chain: Secret<32>,
    /// `Nr`.
    pub(super) next: u32,
}

/// What a prelude says beside generation, mode and sender.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PendingPrelude {
    /// The initiator's ephemeral public key.
    pub(crate) ephemeral: [u8; 32],
    /// The responder's signed prekey.
    pub(crate) signed_prekey: u32,
    /// The responder's one-time prekey, if one was handed out.
    pub(crate) one_time_prekey: Option<u32>,
}

impl Sending {
    /// The ratchet key pair that a step of the peer's would be made with; none when it is our turn.
    pub(super) const fn own(&self) -> Option<&AgreementSecret> {
        match self {
            Self::NotYet(own) | Self::Chain(SendingChain { own, .. }) => Some(own),
            Self::Due => None,
        }
    }
}

impl State {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = 32
        + 1
        + 4
        + 1
        + 1
        + 32
        + (1 + 64 + 32 + 32 + 4)
        + 4
        + 32
        + (1 + 32 + 32 + 32 + 4)
        + 32
        + 4
        + PastChains::MAX_LEN
        + (1 + 32 + 4 + 1 + 4);

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.bytes(&self.id)?;
        writer.u8(self.suite.byte())?;
        writer.u32(self.generation)?;
        writer.u8(self.mode)?;
        writer.flag(self.is_initiator)?;
        writer.secret(self.root.expose())?;
        self.sending.write(writer)?;
        writer.u32(self.previous)?;
        writer.secret(self.next_sending_header.expose())?;
        writer.flag(self.receiving.is_some())?;
        if let Some(receiving) = &self.receiving {
            writer.bytes(&receiving.ratchet)?;
            writer.secret(receiving.header.expose())?;
            writer.secret(receiving.chain.expose())?;
            writer.u32(receiving.next)?;
        }
        writer.secret(self.next_receiving_header.expose())?;
        writer.u32(self.chains)?;
        self.past.write(writer)?;
        writer.flag(self.prelude.is_some())?;
        if let Some(prelude) = &self.prelude {
            writer.bytes(&prelude.ephemeral)?;
            writer.u32(prelude.signed_prekey)?;
            writer.flag(prelude.one_time_prekey.is_some())?;
            prelude.one_time_prekey.map_or(Ok(()), |id| writer.u32(id))?;
        }
        Ok(())
    }

    pub(super) fn read(reader: &mut Reader<'_>, suite: Suite) -> Result<Self, CodecError> {
        let id = *reader.array()?;
        if reader.u8()? != suite.byte() {
            return Err(CodecError);
        }
        let state = Self {
            id,
            suite,
            generation: reader.u32()?,
            mode: reader.u8()?,
            is_initiator: reader.flag()?,
            root: secret(reader)?,
            sending: Sending::read(reader)?,
            previous: reader.u32()?,
            next_sending_header: secret(reader)?,
            receiving: if reader.flag()? { Some(ReceivingChain::read(reader)?) } else { None },
            next_receiving_header: secret(reader)?,
            chains: reader.u32()?,
            past: PastChains::read(reader)?,
            prelude: if reader.flag()? { Some(PendingPrelude::read(reader)?) } else { None },
        };
        if state.is_consistent() { Ok(state) } else { Err(CodecError) }
    }

    /// The number of the sending chain that our next message is in. Both directions take turns, the initiator's first.
    pub(super) const fn sending_chain(&self) -> u32 {
        if self.is_initiator { self.chains.saturating_add(1) } else { self.chains }
    }

    /// What every sequence of steps leaves true; a record without it is none that this crate wrote.
    fn is_consistent(&self) -> bool {
        let turn_fits = match self.sending {
            Sending::NotYet(_) => !self.is_initiator && self.receiving.is_none(),
            Sending::Chain(_) => self.is_initiator || self.receiving.is_some(),
            Sending::Due => self.receiving.is_some(),
        };
        let prelude_fits = self.prelude.is_none() || (self.is_initiator && self.receiving.is_none());
        turn_fits && prelude_fits && self.mode <= 1 && self.receiving.is_some() == (self.chains > 0)
    }
}

impl Sending {
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        match self {
            Self::NotYet(own) => {
                writer.u8(0)?;
                write_pair(own, writer)
            }
            Self::Chain(chain) => {
                writer.u8(1)?;
                write_pair(&chain.own, writer)?;
                writer.secret(chain.header.expose())?;
                writer.secret(chain.chain.expose())?;
                writer.u32(chain.next)
            }
            Self::Due => writer.u8(2),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        match reader.u8()? {
            0 => Ok(Self::NotYet(pair(reader)?)),
            1 => Ok(Self::Chain(SendingChain {
                own: pair(reader)?,
                header: secret(reader)?,
                chain: secret(reader)?,
                next: count(reader)?,
            })),
            2 => Ok(Self::Due),
            _ => Err(CodecError),
        }
    }
}

impl ReceivingChain {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            ratchet: *reader.array()?,
            header: secret(reader)?,
            chain: secret(reader)?,
            next: count(reader)?,
        })
    }
}

impl PendingPrelude {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            ephemeral: *reader.array()?,
            signed_prekey: reader.u32()?,
            one_time_prekey: if reader.flag()? { Some(reader.u32()?) } else { None },
        })
    }
}

fn secret(reader: &mut Reader<'_>) -> Result<Secret<32>, CodecError> {
    Ok(Secret::new(*reader.array()?))
}

fn count(reader: &mut Reader<'_>) -> Result<u32, CodecError> {
    let count = reader.u32()?;
    if count <= MAX_CHAIN_MESSAGES { Ok(count) } else { Err(CodecError) }
}

fn pair(reader: &mut Reader<'_>) -> Result<AgreementSecret, CodecError> {
    Ok(AgreementSecret::from_parts(reader.array()?, reader.array()?))
}

fn write_pair(pair: &AgreementSecret, writer: &mut Writer<'_>) -> Result<(), CodecError> {
    writer.secret(pair.expose())?;
    writer.bytes(pair.public())
}
