//! The loser of two sessions with a peer: it only receives, until the peer's messages under it have come
//! (`PROTOCOL.md` section 6).

use core::marker::PhantomData;

use av_wire::layout::Reader;

use super::decrypt::{self, Decrypted, Opened, Receiver};
use super::fields::{pair, secret, write_pair};
use super::handshake::Handshake;
use super::past::PastChains;
use super::receiving::Receiving;
use super::session::Session;
use super::skipped::SkippedKeys;
use super::{RatchetError, state::Sending};
use crate::crypto::{Aead, AgreementSecret, Secret};
use crate::limits::{PREVIOUS_PAST_CHAINS, PREVIOUS_SKIP};
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// A session that only receives; at most 696 bytes.
///
/// It has no sending chain and no prelude, and keeps fewer past chains and skipped keys than the [`Session`] that it
/// is made of. The peer may step once more, in answer to the last ratchet key that we sent; then never again, since
/// we send no other.
pub struct PreviousSession<A: Aead> {
    handshake: Handshake,
    receiving: Receiving,
    turn: Option<Turn>,
    past: PastChains<PREVIOUS_PAST_CHAINS>,
    skipped: SkippedKeys<PREVIOUS_SKIP>,
    aead: PhantomData<fn() -> A>,
}

/// What the peer's one step still needs.
struct Turn {
    root: Secret<32>,
    own: AgreementSecret,
}

impl<A: Aead> PreviousSession<A> {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = Handshake::LEN
        + Receiving::MAX_LEN
        + (1 + 32 + 64)
        + PastChains::<PREVIOUS_PAST_CHAINS>::MAX_LEN
        + SkippedKeys::<PREVIOUS_SKIP>::MAX_LEN;

    /// What receiving needs of `session`, which the caller wipes where it stands: moving it out would leave copies
    /// of its keys behind.
    pub(crate) fn of<const SKIP: usize>(session: &Session<A, SKIP>) -> Self {
        let state = &session.state;
        let past = PastChains::newest_of(&state.past);
        let is_kept = |chain| chain == state.receiving.chains || past.has(chain);
        let own = match &state.sending {
            Sending::NotYet(own) => Some(own),
            Sending::Chain(chain) => Some(&chain.own),
            Sending::Due => None,
        };
        Self {
            handshake: state.handshake,
            receiving: state.receiving.duplicate(),
            turn: own.map(|own| Turn { root: state.root.duplicate(), own: own.duplicate() }),
            skipped: SkippedKeys::newest_of(&session.skipped, is_kept),
            past,
            aead: PhantomData,
        }
    }

    /// Decrypts a message into the start of `out`, as [`Session::decrypt`] does.
    ///
    /// # Errors
    /// [`RatchetError`]; the session is then as it was, byte by byte, and `out` holds no plaintext.
    pub fn decrypt(
        &mut self,
        header_blob: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, RatchetError> {
        let mut receiver = Receiver {
            handshake: &self.handshake,
            receiving: &mut self.receiving,
            turn: self.turn.as_ref().map(|turn| (&turn.root, &turn.own)),
            past: self.past.store(),
            skipped: self.skipped.store(),
        };
        let Decrypted { opened, stepped } =
            decrypt::decrypt::<A>(&mut receiver, header_blob, ciphertext, out)?;
        if stepped.is_some() {
            // The keys behind the step belong to an answer of ours that is never sent.
            self.turn = None;
            self.receiving.next_header = Secret::zero();
        }
        Ok(opened)
    }

    /// Whether this device began the session.
    pub const fn is_initiator(&self) -> bool {
        self.handshake.is_initiator
    }

    /// The session's generation.
    pub const fn generation(&self) -> u32 {
        self.handshake.generation
    }

    /// 1 if the invite's key went into the session, else 0.
    pub const fn mode(&self) -> u8 {
        self.handshake.mode
    }

    /// 32 bytes: `th`, the same on both sides.
    pub const fn id(&self) -> &[u8; 32] {
        &self.handshake.id
    }

    /// Number of receiving chains from which a message was opened, at most 255.
    pub fn receiving_chains(&self) -> u8 {
        u8::try_from(self.receiving.chains).unwrap_or(u8::MAX)
    }

    /// Writes the session into a record.
    ///
    /// # Errors
    /// [`CodecError`] when the record is full.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.handshake.write(writer)?;
        self.receiving.write(writer)?;
        writer.flag(self.turn.is_some())?;
        if let Some(turn) = &self.turn {
            writer.secret(turn.root.expose())?;
            write_pair(&turn.own, writer)?;
        }
        self.past.write(writer)?;
        self.skipped.write(writer)
    }

    /// Reads a session from a record.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are no receive-only session's of this suite.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let session = Self {
            handshake: Handshake::read(reader, A::SUITE)?,
            receiving: Receiving::read(reader)?,
            turn: if reader.flag()? {
                Some(Turn { root: secret(reader)?, own: pair(reader)? })
            } else {
                None
            },
            past: PastChains::read(reader)?,
            skipped: SkippedKeys::read(reader)?,
            aead: PhantomData,
        };
        // One that can never receive is none that this crate wrote.
        if session.turn.is_some() || session.receiving.chain.is_some() {
            Ok(session)
        } else {
            Err(CodecError)
        }
    }
}
