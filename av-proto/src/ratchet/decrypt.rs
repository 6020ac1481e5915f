//! Receiving (`PROTOCOL.md` section 7): find the key that opens the header, derive the message key beside the state,
//! verify the body, and only then change the state, by steps that cannot fail.

use super::handshake::Handshake;
use super::header::{Header, SEALED};
use super::message::{AssociatedData, HeaderBlob, associate};
use super::past::PastStore;
use super::place::Place;
use super::receiving::{Receiving, ReceivingChain};
use super::root::{self, RootStep};
use super::skipped::SkippedStore;
use super::{RatchetError, chain, padding};
use crate::crypto::{Aead, AgreementSecret, Secret, TAG};
use crate::limits::MAX_CHAIN_MESSAGES;

/// What was decrypted: the body stands in the first `len` bytes of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The plaintext's kind.
    pub kind: u8,
    /// Bytes of the body.
    pub len: usize,
    /// Where the message stands.
    pub place: Place,
}

/// Under which header key a header opened.
enum Located {
    Current,
    Next,
    Past { chain: u32, end: u32 },
}

/// What the message changes once its body has verified.
enum Change {
    /// A skipped key is used up.
    UseSkipped { chain: u32, number: u32 },
    /// The current chain goes on behind this message; `missing` keys before it are kept.
    Advance { missing: u32, after: Secret<32> },
    /// The peer's step: its new chain goes on behind this message.
    Step { header: Header, step: RootStep, after: Secret<32> },
}

/// All that opening a message needs of a session; one that only receives has the same.
pub(super) struct Receiver<'s> {
    pub(super) handshake: &'s Handshake,
    pub(super) receiving: &'s mut Receiving,
    /// The root key and our ratchet key pair while the peer may step; none when it is our turn.
    pub(super) turn: Option<(&'s Secret<32>, &'s AgreementSecret)>,
    pub(super) past: PastStore<'s>,
    pub(super) skipped: SkippedStore<'s>,
}

/// A message that has opened. What concerns receiving has changed already.
pub(super) struct Decrypted {
    pub(super) opened: Opened,
    /// The root key behind the peer's step, if the message brought one.
    pub(super) stepped: Option<Secret<32>>,
}

pub(super) fn decrypt<A: Aead>(
    receiver: &mut Receiver<'_>,
    header_blob: &[u8],
    ciphertext: &[u8],
    out: &mut [u8],
) -> Result<Decrypted, RatchetError> {
    let handshake = receiver.handshake;
    let blob = HeaderBlob::parse(header_blob)?;
    if blob.suite != handshake.suite.byte() {
        return Err(RatchetError::Malformed);
    }
    let (text, tag) = ciphertext.split_last_chunk::<TAG>().ok_or(RatchetError::Malformed)?;
    let sealed_header = blob.header_ct.try_into().map_err(|_| RatchetError::Malformed)?;
    let out = out.get_mut(..text.len()).ok_or(RatchetError::Length)?;
    if !may_belong(handshake, &blob) {
        return Err(RatchetError::Unopened);
    }

    let mut body_ad = AssociatedData::new();
    associate(&mut body_ad, &handshake.id, header_blob)?;
    let header_ad = body_ad.get(..handshake.id.len() + blob.prefix.len()).ok_or(RatchetError::Malformed)?;
    let (located, header) = locate::<A>(receiver, blob.nonce, header_ad, sealed_header)?;
    let place = located.place(&handshake.id, receiver.receiving, &header);
    let (message_key, change) = stage(receiver, located, header)?;

    out.copy_from_slice(text);
    let opened = match A::open(&message_key, blob.nonce, &body_ad, out, tag) {
        Ok(()) => padding::strip(out).map(|(kind, body)| Opened { kind, len: body.len(), place }),
        Err(_) => {
            out.fill(0);
            return Err(RatchetError::Unopened);
        }
    };
    let Some(opened) = opened else {
        out.fill(0);
        return Err(RatchetError::Contradiction);
    };
    let stepped = commit(receiver, change);
    // The body to the front, and nothing of it a second time behind.
    out.copy_within(1.., 0);
    out.get_mut(opened.len..).unwrap_or_default().fill(0);
    Ok(Decrypted { opened, stepped })
}

/// Whether the message's public part fits this session: only an initiator sends preludes, and a session has one
/// generation and mode. Costs no tag.
fn may_belong(handshake: &Handshake, blob: &HeaderBlob<'_>) -> bool {
    blob.prelude.is_none_or(|prelude| {
        !handshake.is_initiator
            && prelude.generation == handshake.generation
            && prelude.mode == handshake.mode
    })
}

impl Located {
    fn place(&self, session: &[u8; 32], receiving: &Receiving, header: &Header) -> Place {
        let chain = match self {
            Self::Current => receiving.chains,
            Self::Next => receiving.chains.saturating_add(1),
            Self::Past { chain, .. } => *chain,
        };
        Place::new(session, &header.ratchet, chain, header.number)
    }
}

/// Where a message stands whose header opens; its body is not looked at.
pub(super) fn place_of<A: Aead>(receiver: &Receiver<'_>, header_blob: &[u8]) -> Option<Place> {
    let handshake = receiver.handshake;
    let blob = HeaderBlob::parse(header_blob).ok().filter(|blob| blob.suite == handshake.suite.byte())?;
    let mut ad = AssociatedData::new();
    associate(&mut ad, &handshake.id, blob.prefix).ok()?;
    let (located, header) = locate::<A>(receiver, blob.nonce, &ad, blob.header_ct.try_into().ok()?).ok()?;
    Some(located.place(&handshake.id, receiver.receiving, &header))
}

/// Tries the header keys: current, next, past; at most [`MAX_HEADER_TRIALS`](crate::limits::MAX_HEADER_TRIALS) tags
/// and no agreement.
fn locate<A: Aead>(
    receiver: &Receiver<'_>,
    nonce: &[u8],
    ad: &[u8],
    sealed: &[u8; SEALED],
) -> Result<(Located, Header), RatchetError> {
    let open = |key: &Secret<32>| Header::open::<A>(key, nonce, ad, sealed).ok();
    if let Some(header) = receiver.receiving.chain.as_ref().and_then(|chain| open(&chain.header)) {
        return Ok((Located::Current, header));
    }
    // The next key is in use only after a message of ours that the peer can have answered with a step.
    if let Some(header) = receiver.turn.and_then(|_| open(&receiver.receiving.next_header)) {
        return Ok((Located::Next, header));
    }
    for past in receiver.past.iter() {
        if let Some(header) = open(&past.header) {
            return Ok((Located::Past { chain: past.chain, end: past.end }, header));
        }
    }
    Err(RatchetError::Unopened)
}

/// The message key, and what has to change when the body verifies. Changes nothing.
fn stage(
    receiver: &Receiver<'_>,
    located: Located,
    header: Header,
) -> Result<(Secret<32>, Change), RatchetError> {
    if header.number >= MAX_CHAIN_MESSAGES || header.previous > MAX_CHAIN_MESSAGES {
        return Err(RatchetError::Contradiction);
    }
    let (receiving, skipped) = (&*receiver.receiving, &receiver.skipped);
    match located {
        Located::Current => {
            let current = receiving.chain.as_ref().ok_or(RatchetError::Unopened)?;
            if header.ratchet != current.ratchet {
                return Err(RatchetError::Contradiction);
            }
            let Some(missing) = header.number.checked_sub(current.next) else {
                return use_skipped(skipped, receiving.chains, header.number);
            };
            check_missing(skipped, u64::from(missing))?;
            let place = chain::skip(&current.chain, missing, |_| ());
            let (after, message_key) = chain::step(&place);
            Ok((message_key, Change::Advance { missing, after }))
        }
        Located::Next => {
            let (root, own) = receiver.turn.ok_or(RatchetError::Unopened)?;
            let received = receiving.chain.as_ref().map_or(0, |chain| chain.next);
            let ended = header.previous.checked_sub(received).ok_or(RatchetError::Contradiction)?;
            // Before the peer's first chain there was none that could lack messages.
            if receiving.chain.is_none() && ended > 0 {
                return Err(RatchetError::Contradiction);
            }
            check_missing(skipped, u64::from(ended) + u64::from(header.number))?;
            if receiving.chains == u32::MAX {
                return Err(RatchetError::Exhausted);
            }
            let step = root::step(root, own, &header.ratchet).map_err(|_| RatchetError::Contradiction)?;
            let place = chain::skip(&step.chain, header.number, |_| ());
            let (after, message_key) = chain::step(&place);
            Ok((message_key, Change::Step { header, step, after }))
        }
        Located::Past { end, .. } if header.number >= end => Err(RatchetError::Contradiction),
        Located::Past { chain, .. } => use_skipped(skipped, chain, header.number),
    }
}

fn use_skipped(
    skipped: &SkippedStore<'_>,
    chain: u32,
    number: u32,
) -> Result<(Secret<32>, Change), RatchetError> {
    let key = skipped.find(chain, number).ok_or(RatchetError::Spent)?;
    Ok((key, Change::UseSkipped { chain, number }))
}

/// No more messages are passed over at once than keys are kept, so that the work for one message is bounded.
fn check_missing(skipped: &SkippedStore<'_>, missing: u64) -> Result<(), RatchetError> {
    let is_bounded = usize::try_from(missing).is_ok_and(|missing| missing <= skipped.capacity());
    if is_bounded { Ok(()) } else { Err(RatchetError::TooManySkipped) }
}

/// Takes over what was staged; returns the root key behind a step. Keys passed over are derived once more here
/// instead of being held meanwhile, which keeps the stack of a microcontroller small and the staging free of side
/// effects.
fn commit(receiver: &mut Receiver<'_>, change: Change) -> Option<Secret<32>> {
    let Receiver { receiving, past, skipped, .. } = receiver;
    match change {
        Change::UseSkipped { chain, number } => {
            skipped.remove(chain, number);
            None
        }
        Change::Advance { missing, after } => {
            if let Some(current) = &mut receiving.chain {
                keep_missing(skipped, receiving.chains, &current.chain, current.next, missing);
                current.chain = after;
                current.next += missing + 1;
            }
            None
        }
        Change::Step { header, step, after } => {
            if let Some(ended) = &receiving.chain {
                if let Some(given_up) = past.push(receiving.chains, header.previous, &ended.header) {
                    skipped.remove_chain(given_up);
                }
                let missing = header.previous - ended.next;
                keep_missing(skipped, receiving.chains, &ended.chain, ended.next, missing);
            }
            receiving.chains += 1;
            keep_missing(skipped, receiving.chains, &step.chain, 0, header.number);
            receiving.chain = Some(ReceivingChain {
                ratchet: header.ratchet,
                header: receiving.next_header.duplicate(),
                chain: after,
                next: header.number + 1,
            });
            receiving.next_header = step.next_header;
            Some(step.root)
        }
    }
}

/// Keeps the keys of `missing` messages from `number` on.
fn keep_missing(skipped: &mut SkippedStore<'_>, chain: u32, key: &Secret<32>, number: u32, missing: u32) {
    let mut number = number;
    chain::skip(key, missing, |message_key| {
        skipped.push(chain, number, message_key);
        number += 1;
    });
}
