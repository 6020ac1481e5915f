//! Every limit holds, and nothing happens to the session when it is reached.

use std::vec::Vec;

use super::{INITIATOR, Message, Party, confirmed, pair, round_trip};
use crate::crypto::{XChaCha20Poly1305, agreements_on_this_thread};
use crate::limits::{MAX_CHAIN_MESSAGES, MAX_HEADER_TRIALS, PAST_CHAINS};
use crate::ratchet::state::Sending;
use crate::ratchet::{PendingKem, RatchetError, Session};
use crate::test_support::{Counting, TAGS};

type Small = Party<XChaCha20Poly1305, 16>;

#[test]
fn a_session_with_16_skipped_keys_takes_at_most_1280_bytes() {
    const KEM: usize = size_of::<Option<PendingKem>>();
    let size = size_of::<Session<XChaCha20Poly1305, 16>>();
    let record = Session::<XChaCha20Poly1305, 16>::MAX_LEN;
    std::println!("session: {size} bytes, record: {record} bytes, {KEM} of them for a KEM's ciphertext");
    assert!(size <= 1_280 + KEM, "{size} bytes");
    const { assert!(Session::<XChaCha20Poly1305, 16>::MAX_LEN <= 1_280 + KEM) }
}

#[test]
fn as_many_as_skip_may_be_lost_in_a_row_and_not_one_more() {
    for lost in [15, 16, 17] {
        let (mut a, mut b): (Small, Small) = confirmed(1);
        (0..lost).for_each(|_| drop(a.send(b"lost")));
        let message = a.send(b"after");
        if lost <= 16 {
            assert_eq!(b.receive(&message).expect("opens"), b"after");
        } else {
            assert_eq!(b.refuse(&message), RatchetError::TooManySkipped);
        }
    }
}

/// What is lost at the end of one chain and at the start of the next is lost in a row.
#[test]
fn the_bound_counts_across_a_step() {
    for (before, after) in [(16, 0), (0, 16), (8, 8), (17, 0), (0, 17), (9, 8)] {
        let (mut a, mut b): (Small, Small) = confirmed(1);
        let ping = a.send(b"ping");
        (0..before).for_each(|_| drop(a.send(b"lost")));
        b.receive(&ping).expect("opens");
        let pong = b.send(b"pong");
        a.receive(&pong).expect("opens");
        (0..after).for_each(|_| drop(a.send(b"lost")));
        let message = a.send(b"after");
        if before + after <= 16 {
            assert_eq!(b.receive(&message).expect("opens"), b"after");
        } else {
            let agreements = agreements_on_this_thread();
            assert_eq!(b.refuse(&message), RatchetError::TooManySkipped);
            assert_eq!(agreements_on_this_thread(), agreements, "the bound is checked before the agreement");
        }
    }
}

#[test]
fn the_oldest_skipped_key_makes_room() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let late: Vec<Message> = (0..16).map(|_| a.send(b"late")).collect();
    let present = a.send(b"present");
    b.receive(&present).expect("opens");
    let later: Vec<Message> = (0..3).map(|_| a.send(b"later")).collect();
    let present = a.send(b"present");
    b.receive(&present).expect("opens");
    for message in &late[..3] {
        assert_eq!(b.refuse(message), RatchetError::Spent);
    }
    for message in late[3..].iter().chain(&later) {
        b.receive(message).expect("opens");
    }
}

#[test]
fn a_used_or_evicted_key_is_not_in_the_record_any_more() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let late = a.send(b"late");
    let present = a.send(b"present");
    b.receive(&present).expect("opens");
    let key = b.session.skipped.store().find(b.session.state.receiving.chains, 0).expect("the skipped one");
    let holds = |party: &Small| party.record().windows(32).any(|window| window == key.expose());
    assert!(holds(&b));
    b.receive(&late).expect("opens");
    assert!(!holds(&b));
}

#[test]
fn a_fifth_chain_ends_the_oldest_and_its_skipped_keys() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let late: Vec<Message> = (0..=PAST_CHAINS)
        .map(|_| {
            let late = a.send(b"late");
            round_trip(&mut a, &mut b);
            late
        })
        .collect();
    // The chain that is current now was begun by the last of them, so all but it are past.
    assert_eq!(b.receive(&late[0]).expect("four chains are kept beside the current one"), b"late");
    let gone = a.send(b"gone");
    round_trip(&mut a, &mut b);
    let chain = b.session.state.receiving.chains;
    for _ in 0..PAST_CHAINS {
        round_trip(&mut a, &mut b);
    }
    assert!(b.session.skipped.store().find(chain, 0).is_some(), "four chains are past");
    round_trip(&mut a, &mut b);
    assert!(b.session.skipped.store().find(chain, 0).is_none(), "it is the fifth");
    assert_eq!(b.refuse(&gone), RatchetError::Unopened);
}

/// Six tags, no agreement and no skipped key: what a forged message costs.
#[test]
fn a_forged_message_costs_at_most_six_tags_and_no_agreement() {
    let (mut a, mut b) = confirmed::<Counting, 16>(1);
    let genuine = a.send(b"genuine");
    for round in 0..10 {
        let mut forged = genuine.clone();
        let last = forged.header_blob.len() - 1;
        forged.header_blob[last] ^= 1;
        for party in [&mut a, &mut b] {
            let (tags, agreements) = (TAGS.get(), agreements_on_this_thread());
            assert_eq!(party.refuse(&forged), RatchetError::Unopened);
            let tried = TAGS.get() - tags;
            assert!(tried <= MAX_HEADER_TRIALS, "{tried} tags in round {round}");
            assert_eq!(agreements_on_this_thread(), agreements);
        }
        round_trip(&mut a, &mut b);
    }
    let tags = TAGS.get();
    let mut forged = genuine;
    forged.header_blob[50] ^= 1;
    a.send(b"so that a step of the peer's is possible");
    a.refuse(&forged);
    assert_eq!(TAGS.get() - tags, MAX_HEADER_TRIALS, "all are tried once all exist");
}

/// While our own step is due the peer cannot have stepped again, so its next key is not tried.
#[test]
fn the_next_header_key_is_tried_only_when_the_peer_can_have_stepped() {
    let (mut a, mut b) = pair::<Counting, 16>(1);
    let mut forged = a.send(b"text");
    forged.header_blob = std::vec![0; 82];
    forged.header_blob[..2].copy_from_slice(&[1, 1]);
    let tags = TAGS.get();
    b.refuse(&forged);
    assert_eq!(TAGS.get() - tags, 1, "the current key alone");
    b.send(b"our step");
    let tags = TAGS.get();
    b.refuse(&forged);
    assert_eq!(TAGS.get() - tags, 2, "current and next");
    assert_eq!(MAX_HEADER_TRIALS, 6);
}

#[test]
fn a_chain_that_is_full_sends_nothing_more() {
    let (mut a, _): (Small, Small) = confirmed(1);
    a.send(b"one");
    let Sending::Chain(chain) = &mut a.session.state.sending else { panic!("it has sent") };
    chain.next = MAX_CHAIN_MESSAGES - 1;
    a.send(b"the last one");
    let before = a.record();
    let mut out = [0; 512];
    let refused = a.session.encrypt(&mut a.rng, INITIATOR, 1, b"text", 32, &mut out);
    assert_eq!(refused.err(), Some(RatchetError::Exhausted));
    assert!(a.record() == before);
    a.restart();
}

#[test]
fn the_last_message_of_a_full_chain_opens_and_a_step_is_possible_afterwards() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let message = a.send(b"one");
    b.receive(&message).expect("opens");
    let Sending::Chain(chain) = &mut a.session.state.sending else { panic!("it has sent") };
    chain.next = MAX_CHAIN_MESSAGES - 1;
    b.session.state.receiving.chain.as_mut().expect("it has received").next = MAX_CHAIN_MESSAGES - 1;
    let last = a.send(b"the last one");
    assert_eq!(b.receive(&last).expect("opens"), b"the last one");
    assert_eq!(b.refuse(&last), RatchetError::Spent);
    round_trip(&mut b, &mut a);
    round_trip(&mut a, &mut b);
}

#[test]
fn the_number_of_chains_ends_before_it_wraps() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    b.session.state.receiving.chains = u32::MAX;
    let message = a.send(b"text");
    assert_eq!(b.refuse(&message), RatchetError::Exhausted);
    assert_eq!(b.session.receiving_chains(), u8::MAX);
}

#[test]
fn an_initiator_field_longer_than_any_chain_is_refused() {
    let (mut a, _): (Small, Small) = pair(1);
    let (longest, too_long) = (std::vec![7; av_wire::chain::MAX_CERTS_BYTES], std::vec![7; 1_000]);
    let before = a.record();
    let mut out = [0; 4_096];
    let refused = a.session.encrypt(&mut a.rng, &too_long, 1, b"text", 32, &mut out);
    assert_eq!(refused.err(), Some(RatchetError::Length));
    assert_eq!(a.session.sealed_len(too_long.len(), 4, 32), Err(RatchetError::Length));
    assert!(a.record() == before);
    let sealed = a.session.encrypt(&mut a.rng, &longest, 1, b"text", 32, &mut out).expect("encrypts");
    assert_eq!(a.session.sealed_len(longest.len(), 4, 32), Ok(sealed.len));
}
