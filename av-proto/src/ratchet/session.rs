//! A session: the AEAD and the capacity as types, around a state that knows neither.

use core::marker::PhantomData;

use av_wire::Suite;
use av_wire::layout::Reader;
use rand_core::CryptoRng;

use super::decrypt::{self, Decrypted, Opened, Receiver};
use super::encrypt::{self, Plaintext, Sealed};
use super::handshake::Handshake;
use super::past::PastChains;
use super::place::Place;
use super::receiving::Receiving;
use super::skipped::SkippedKeys;
use super::state::{PendingKem, PendingPrelude, Sending, SendingChain, State};
use super::{RatchetError, root};
use crate::crypto::{Aead, AgreementSecret, CryptoError, XChaCha20Poly1305};
use crate::record::codec::{CodecError, Writer};
use crate::x3dh::{Agreed, SessionKeys};

/// A Double Ratchet session between this device and a peer; with 16 skipped keys at most 1,280 bytes,
/// and with feature `pq` 1,096 more, for the KEM ciphertext that an unanswered prelude repeats.
///
/// `A` is the AEAD; `SKIP` the number of message keys that are kept for messages that have not come, and the
/// greatest number of messages that may be missing in a row.
pub struct Session<A: Aead, const SKIP: usize> {
    pub(super) state: State,
    pub(super) skipped: SkippedKeys<SKIP>,
    aead: PhantomData<fn() -> A>,
}

/// The size that is promised, held in every build: only a pending KEM ciphertext may come on top.
const _: () = assert!(size_of::<Session<XChaCha20Poly1305, 16>>() <= 1_280 + size_of::<Option<PendingKem>>());

impl<A: Aead, const SKIP: usize> Session<A, SKIP> {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = State::MAX_LEN + SkippedKeys::<SKIP>::MAX_LEN;

    /// The initiator's side: it has a ratchet key of its own and can send at once.
    pub(crate) fn of_initiator(
        agreed: Agreed,
        keys: &SessionKeys,
        prelude: PendingPrelude,
        signed_prekey: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, CryptoError> {
        let own = AgreementSecret::generate(rng);
        let step = root::step(&keys.root, &own, signed_prekey)?;
        let header = keys.initiator_header.duplicate();
        Ok(Self::new(State {
            handshake: Handshake::new(agreed, true),
            root: step.root,
            sending: Sending::Chain(SendingChain { own, header, chain: step.chain, next: 0 }),
            previous: 0,
            next_sending_header: step.next_header,
            receiving: Receiving::nothing_yet(keys.responder_header.duplicate()),
            past: PastChains::new(),
            prelude: Some(prelude),
        }))
    }

    /// The responder's side: its first ratchet key is its signed prekey, until the first message has opened.
    pub(crate) fn of_responder(agreed: Agreed, keys: &SessionKeys, signed_prekey: &AgreementSecret) -> Self {
        Self::new(State {
            handshake: Handshake::new(agreed, false),
            root: keys.root.duplicate(),
            sending: Sending::NotYet(signed_prekey.duplicate()),
            previous: 0,
            next_sending_header: keys.responder_header.duplicate(),
            receiving: Receiving::nothing_yet(keys.initiator_header.duplicate()),
            past: PastChains::new(),
            prelude: None,
        })
    }

    const fn new(state: State) -> Self {
        Self { state, skipped: SkippedKeys::new(), aead: PhantomData }
    }

    /// Encrypts `body` as a plaintext of this `kind`, padded to a multiple of `block`, into `out`: the header blob,
    /// and the ciphertext behind it. While the prelude is pending it carries `initiator`, this device's chain or
    /// id.
    ///
    /// The caller stores the session before the message leaves (`PROTOCOL.md` section 7): a message key is never
    /// used twice, whatever crashes.
    ///
    /// # Errors
    /// [`RatchetError::Length`], [`RatchetError::NotReady`] or [`RatchetError::Exhausted`]; nothing has changed.
    pub fn encrypt(
        &mut self,
        rng: &mut dyn CryptoRng,
        initiator: &[u8],
        kind: u8,
        body: &[u8],
        block: usize,
        out: &mut [u8],
    ) -> Result<Sealed, RatchetError> {
        self.encrypt_parts(rng, initiator, &[kind], body, block, out)
    }

    /// [`Session::encrypt`] of a plaintext in two parts, the kind first.
    pub(crate) fn encrypt_parts(
        &mut self,
        rng: &mut dyn CryptoRng,
        initiator: &[u8],
        head: &[u8],
        body: &[u8],
        block: usize,
        out: &mut [u8],
    ) -> Result<Sealed, RatchetError> {
        encrypt::encrypt::<A>(&mut self.state, rng, initiator, &Plaintext { head, body, block }, out)
    }

    /// Bytes that [`Session::encrypt`] writes for a body of this length.
    ///
    /// # Errors
    /// [`RatchetError::Length`] for a block that is not allowed, or lengths that no message has.
    pub fn sealed_len(
        &self,
        initiator_len: usize,
        body_len: usize,
        block: usize,
    ) -> Result<usize, RatchetError> {
        encrypt::sealed_len::<A>(&self.state, initiator_len, body_len, block)
    }

    /// Decrypts a message into the start of `out`, which takes at least the ciphertext without its tag of 16 bytes.
    ///
    /// # Errors
    /// [`RatchetError`]; the session is then as it was, byte by byte, and `out` holds no plaintext.
    pub fn decrypt(
        &mut self,
        header_blob: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, RatchetError> {
        let Decrypted { opened, stepped } =
            decrypt::decrypt::<A>(&mut self.receiver(), header_blob, ciphertext, out)?;
        // Nothing below can fail.
        let state = &mut self.state;
        if let Some(root) = stepped {
            if let Sending::Chain(ended) = &state.sending {
                state.previous = ended.next;
            }
            state.sending = Sending::Due;
            state.root = root;
        }
        state.prelude = None;
        Ok(opened)
    }

    /// Where a message of the peer stands whose header opens here; costs what a forged one costs.
    pub(crate) fn place_of(&mut self, header_blob: &[u8]) -> Option<Place> {
        decrypt::place_of::<A>(&self.receiver(), header_blob)
    }

    const fn receiver(&mut self) -> Receiver<'_> {
        let state = &mut self.state;
        let turn = match state.sending.own() {
            Some(own) => Some((&state.root, own)),
            None => None,
        };
        Receiver {
            handshake: &state.handshake,
            receiving: &mut state.receiving,
            turn,
            past: state.past.store(),
            skipped: self.skipped.store(),
        }
    }

    /// Whether the peer is known to hold the session: for an initiator once a reply has opened, for a responder
    /// always.
    pub const fn is_confirmed(&self) -> bool {
        self.state.prelude.is_none()
    }

    /// Whether this device began the session.
    pub const fn is_initiator(&self) -> bool {
        self.state.handshake.is_initiator
    }

    /// The suite that the handshake chose.
    pub const fn suite(&self) -> Suite {
        self.state.handshake.suite
    }

    /// The session's generation.
    pub const fn generation(&self) -> u32 {
        self.state.handshake.generation
    }

    /// 1 if the invite's key went into the session, else 0.
    pub const fn mode(&self) -> u8 {
        self.state.handshake.mode
    }

    /// 32 bytes: `th`, the same on both sides.
    pub const fn id(&self) -> &[u8; 32] {
        &self.state.handshake.id
    }

    /// Number of receiving chains from which a message was opened, at most 255.
    pub fn receiving_chains(&self) -> u8 {
        u8::try_from(self.state.receiving.chains).unwrap_or(u8::MAX)
    }

    /// Writes the session into a record.
    ///
    /// # Errors
    /// [`CodecError`] when the record is full.
    pub fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.state.write(writer)?;
        self.skipped.write(writer)
    }

    /// Reads a session from a record.
    ///
    /// # Errors
    /// [`CodecError`] when the bytes are no session's of this suite, or it has more skipped keys than `SKIP`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let state = State::read(reader, A::SUITE)?;
        Ok(Self { state, skipped: SkippedKeys::read(reader)?, aead: PhantomData })
    }
}
