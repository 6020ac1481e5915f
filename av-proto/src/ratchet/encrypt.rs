//! Sending (`PROTOCOL.md` section 7): our step of the root chain when it is due, one step of the message chain, then
//! the bytes.

use av_wire::chain::MAX_CERTS_BYTES;
use av_wire::message::{MessageType, Prelude};
use rand_core::CryptoRng;

use super::header::{Header, SEALED};
use super::message::{AssociatedData, TYPE_AND_SUITE, associate};
use super::place::Place;
use super::root::{self, RootStep};
use super::state::{Sending, SendingChain, State};
use super::{RatchetError, chain, padding};
use crate::crypto::{Aead, AgreementSecret, KEM_CIPHERTEXT, Secret, TAG};
use crate::limits::{MAX_CHAIN_MESSAGES, MAX_HEADER_BLOB};

/// What was written: where the relay's two columns end, and what the sender keeps until the receipt.
pub struct Sealed {
    /// Bytes of `header_blob`.
    pub header_len: usize,
    /// Bytes of `header_blob` and `ciphertext`.
    pub len: usize,
    /// Where the message stands, which the peer's receipt names.
    pub place: Place,
    /// The message key, by which its sender can read it again to send it on another session.
    pub(crate) key: Secret<32>,
}

/// What is encrypted: `head`, which begins with the kind, and `body` behind it.
pub(super) struct Plaintext<'p> {
    pub(super) head: &'p [u8],
    pub(super) body: &'p [u8],
    pub(super) block: usize,
}

/// Our step, computed and not taken yet.
struct DueStep {
    own: AgreementSecret,
    step: RootStep,
}

pub(super) fn encrypt<A: Aead>(
    state: &mut State,
    rng: &mut dyn CryptoRng,
    initiator: &[u8],
    plaintext: &Plaintext<'_>,
    out: &mut [u8],
) -> Result<Sealed, RatchetError> {
    let padded = plaintext.padded_len()?;
    let due = due_step(state, rng)?;
    let (own, header_key, chain_key, number) = match (&due, &state.sending) {
        (Some(due), _) => (&due.own, &state.next_sending_header, &due.step.chain, 0),
        (None, Sending::Chain(current)) => (&current.own, &current.header, &current.chain, current.next),
        (None, Sending::NotYet(_) | Sending::Due) => return Err(RatchetError::NotReady),
    };
    if number >= MAX_CHAIN_MESSAGES {
        return Err(RatchetError::Exhausted);
    }
    let (chain_after, message_key) = chain::step(chain_key);

    let prefix_len = write_prefix(state, initiator, out)?;
    let header_len = prefix_len + A::NONCE + SEALED;
    let len =
        header_len.checked_add(padded).and_then(|len| len.checked_add(TAG)).ok_or(RatchetError::Length)?;
    let message = out.get_mut(..len).ok_or(RatchetError::Length)?;
    let (header_blob, ciphertext) = message.split_at_mut_checked(header_len).ok_or(RatchetError::Length)?;
    let (prefix, rest) = header_blob.split_at_mut_checked(prefix_len).ok_or(RatchetError::Length)?;
    let (nonce, sealed_header) = rest.split_at_mut_checked(A::NONCE).ok_or(RatchetError::Length)?;
    let (text, tag) = ciphertext.split_last_chunk_mut::<TAG>().ok_or(RatchetError::Length)?;

    rng.fill_bytes(nonce);
    let header = Header { ratchet: *own.public(), previous: state.previous, number };
    let mut ad = AssociatedData::new();
    associate(&mut ad, &state.handshake.id, prefix)?;
    let sealed = header.seal::<A>(header_key, nonce, &ad).map_err(|_| RatchetError::Length)?;
    sealed_header.copy_from_slice(&sealed);
    ad.extend_from_slice(nonce).map_err(|_| RatchetError::Length)?;
    ad.extend_from_slice(&sealed).map_err(|_| RatchetError::Length)?;
    padding::pad(plaintext.head, plaintext.body, text);
    match A::seal(&message_key, nonce, &ad, text) {
        Ok(computed) => *tag = computed,
        Err(_) => {
            text.fill(0);
            return Err(RatchetError::Length);
        }
    }

    // Nothing below can fail.
    let place = Place::new(&state.handshake.id, own.public(), state.sending_chain(), number);
    if let Some(DueStep { own, step }) = due {
        let header = state.next_sending_header.duplicate();
        state.sending = Sending::Chain(SendingChain { own, header, chain: chain_after, next: 1 });
        state.root = step.root;
        state.next_sending_header = step.next_header;
    } else if let Sending::Chain(current) = &mut state.sending {
        current.chain = chain_after;
        current.next += 1;
    }
    Ok(Sealed { header_len, len, place, key: message_key })
}

impl Plaintext<'_> {
    fn padded_len(&self) -> Result<usize, RatchetError> {
        // `padded_len` counts the kind by itself.
        let head = self.head.len().checked_sub(1).ok_or(RatchetError::Length)?;
        padding::padded_len(head.checked_add(self.body.len()).ok_or(RatchetError::Length)?, self.block)
    }
}

/// Our step if it is due, with a fresh ratchet key.
fn due_step(state: &State, rng: &mut dyn CryptoRng) -> Result<Option<DueStep>, RatchetError> {
    let (Sending::Due, Some(receiving)) = (&state.sending, &state.receiving.chain) else {
        return Ok(None);
    };
    let own = AgreementSecret::generate(rng);
    let step = root::step(&state.root, &own, &receiving.ratchet).map_err(|_| RatchetError::Contradiction)?;
    Ok(Some(DueStep { own, step }))
}

/// Writes type, suite and, while it is pending, the prelude; returns the bytes written.
fn write_prefix(state: &State, initiator: &[u8], out: &mut [u8]) -> Result<usize, RatchetError> {
    let (head, rest) = out.split_first_chunk_mut::<TYPE_AND_SUITE>().ok_or(RatchetError::Length)?;
    let Some(pending) = &state.prelude else {
        *head = [MessageType::Ratchet as u8, state.handshake.suite.byte()];
        return Ok(TYPE_AND_SUITE);
    };
    if initiator.len() > MAX_CERTS_BYTES {
        return Err(RatchetError::Length);
    }
    *head = [MessageType::WithPrelude as u8, state.handshake.suite.byte()];
    let (len, rest) = rest.split_first_chunk_mut::<2>().ok_or(RatchetError::Length)?;
    let prelude = Prelude {
        generation: state.handshake.generation,
        mode: state.handshake.mode,
        ephemeral: pending.ephemeral,
        signed_prekey: pending.signed_prekey,
        one_time_prekey: pending.one_time_prekey,
        kem_key: pending.kem.as_ref().map(|kem| kem.id),
        kem_ciphertext: pending.kem.as_ref().map(|kem| kem.ciphertext.as_bytes()),
        initiator,
    };
    let written = av_wire::encode(&prelude, rest).map_err(|_| RatchetError::Length)?.len();
    *len = u16::try_from(written).map_err(|_| RatchetError::Length)?.to_be_bytes();
    Ok(TYPE_AND_SUITE + len.len() + written)
}

pub(super) fn sealed_len<A: Aead>(
    state: &State,
    initiator_len: usize,
    body_len: usize,
    block: usize,
) -> Result<usize, RatchetError> {
    let prelude = match &state.prelude {
        None => 0,
        Some(pending) => {
            let ids = uint_len(pending.signed_prekey) + pending.one_time_prekey.map_or(1, uint_len);
            let head = u32::try_from(initiator_len).map(uint_len).map_err(|_| RatchetError::Length)?;
            let kem = pending.kem.as_ref().map_or(2, |kem| uint_len(kem.id) + 3 + KEM_CIPHERTEXT);
            2 + 1 + uint_len(state.handshake.generation) + 1 + 34 + ids + kem + head + initiator_len
        }
    };
    let header_len = TYPE_AND_SUITE + prelude + A::NONCE + SEALED;
    let padded = padding::padded_len(body_len, block)?;
    if (prelude > 0 && initiator_len > MAX_CERTS_BYTES) || header_len > MAX_HEADER_BLOB {
        return Err(RatchetError::Length);
    }
    padded.checked_add(header_len + TAG).ok_or(RatchetError::Length)
}

/// Bytes of a CBOR unsigned integer, or of the head of a byte string of that length.
const fn uint_len(value: u32) -> usize {
    match value {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}
