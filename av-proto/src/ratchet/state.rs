//! All that a session is but its skipped keys: what the ratchet's steps read and change, and its record.

use av_wire::Suite;
use av_wire::layout::Reader;

use super::fields::{count, pair, secret, write_pair};
use super::handshake::Handshake;
use super::past::PastChains;
use super::receiving::Receiving;
use crate::crypto::{AgreementSecret, KEM_CIPHERTEXT, KemCiphertext, Secret};
use crate::limits::PAST_CHAINS;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// The state of one session.
pub(super) struct State {
    pub(super) handshake: Handshake,
    /// `RK`.
    pub(super) root: Secret<32>,
    pub(super) sending: Sending,
    /// `PN` of the messages sent now: how many the sending chain before had.
    pub(super) previous: u32,
    /// `NHKs`.
    pub(super) next_sending_header: Secret<32>,
    pub(super) receiving: Receiving,
    pub(super) past: PastChains<PAST_CHAINS>,
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

/// What a prelude says beside generation, mode and sender.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PendingPrelude {
    /// The initiator's ephemeral public key.
    pub(crate) ephemeral: [u8; 32],
    /// The responder's signed prekey.
    pub(crate) signed_prekey: u32,
    /// The responder's one-time prekey, if one was handed out.
    pub(crate) one_time_prekey: Option<u32>,
    /// In suites with a KEM.
    pub(crate) kem: Option<PendingKem>,
}

/// The KEM's part of a prelude.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PendingKem {
    /// The responder's KEM key.
    pub(crate) id: u32,
    pub(crate) ciphertext: KemCiphertext,
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
    pub(super) const MAX_LEN: usize = Handshake::LEN
        + 32
        + (1 + 64 + 32 + 32 + 4)
        + 4
        + 32
        + Receiving::MAX_LEN
        + PastChains::<PAST_CHAINS>::MAX_LEN
        + (1 + 32 + 4 + 1 + 4 + 1)
        + size_of::<Option<PendingKem>>();

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.handshake.write(writer)?;
        writer.secret(self.root.expose())?;
        self.sending.write(writer)?;
        writer.u32(self.previous)?;
        writer.secret(self.next_sending_header.expose())?;
        self.receiving.write(writer)?;
        self.past.write(writer)?;
        writer.flag(self.prelude.is_some())?;
        if let Some(prelude) = &self.prelude {
            writer.bytes(&prelude.ephemeral)?;
            writer.u32(prelude.signed_prekey)?;
            writer.flag(prelude.one_time_prekey.is_some())?;
            prelude.one_time_prekey.map_or(Ok(()), |id| writer.u32(id))?;
            writer.flag(prelude.kem.is_some())?;
            if let Some(kem) = &prelude.kem {
                writer.u32(kem.id)?;
                writer.bytes(kem.ciphertext.as_bytes())?;
            }
        }
        Ok(())
    }

    pub(super) fn read(reader: &mut Reader<'_>, suite: Suite) -> Result<Self, CodecError> {
        let state = Self {
            handshake: Handshake::read(reader, suite)?,
            root: secret(reader)?,
            sending: Sending::read(reader)?,
            previous: reader.u32()?,
            next_sending_header: secret(reader)?,
            receiving: Receiving::read(reader)?,
            past: PastChains::read(reader)?,
            prelude: if reader.flag()? { Some(PendingPrelude::read(reader)?) } else { None },
        };
        if state.is_consistent() { Ok(state) } else { Err(CodecError) }
    }

    /// The number of the sending chain that our next message is in. Both directions take turns, the initiator's first.
    pub(super) const fn sending_chain(&self) -> u32 {
        if self.handshake.is_initiator {
            self.receiving.chains.saturating_add(1)
        } else {
            self.receiving.chains
        }
    }

    /// What every sequence of steps leaves true; a record without it is none that this crate wrote.
    fn is_consistent(&self) -> bool {
        let is_initiator = self.handshake.is_initiator;
        let has_received = self.receiving.chain.is_some();
        let turn_fits = match self.sending {
            Sending::NotYet(_) => !is_initiator && !has_received,
            Sending::Chain(_) => is_initiator || has_received,
            Sending::Due => has_received,
        };
        let prelude_fits = self.prelude.as_ref().is_none_or(|prelude| {
            is_initiator && !has_received && prelude.kem.is_some() == self.handshake.suite.has_kem()
        });
        turn_fits && prelude_fits
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

impl PendingPrelude {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            ephemeral: *reader.array()?,
            signed_prekey: reader.u32()?,
            one_time_prekey: if reader.flag()? { Some(reader.u32()?) } else { None },
            kem: if reader.flag()? {
                let (id, ciphertext) = (reader.u32()?, reader.bytes(KEM_CIPHERTEXT)?);
                Some(PendingKem { id, ciphertext: KemCiphertext::from_slice(ciphertext).ok_or(CodecError)? })
            } else {
                None
            },
        })
    }
}
