//! Honest messages: chains, turns, disorder, loss.

use std::format;
use std::vec::Vec;

use super::{BLOCK, INITIATOR, KIND, Message, Party, confirmed, pair, round_trip, unopened_pair};
use crate::crypto::{Aead, XChaCha20Poly1305};
use crate::ratchet::{HeaderBlob, RatchetError, padded_len};

type Small = Party<XChaCha20Poly1305, 16>;

fn ping_pong<A: Aead>() {
    let (mut a, mut b) = pair::<A, 16>(1);
    assert!(!a.session.is_confirmed() && b.session.is_confirmed());
    for turn in 0..20_u8 {
        let answer = b.send(&[turn; 40]);
        assert_eq!(a.receive(&answer).expect("opens"), [turn; 40]);
        assert!(a.session.is_confirmed());
        let question = a.send(&[turn; 3]);
        assert_eq!(b.receive(&question).expect("opens"), [turn; 3]);
        assert_eq!(usize::from(a.session.receiving_chains()), usize::from(turn) + 1);
        assert_eq!(usize::from(b.session.receiving_chains()), usize::from(turn) + 2);
    }
}

#[test]
fn ping_and_pong() {
    ping_pong::<XChaCha20Poly1305>();
}

/// The swap of suite 0x02: no other line differs.
#[cfg(feature = "aes-gcm")]
#[test]
fn ping_and_pong_with_aes_256_gcm() {
    ping_pong::<crate::crypto::Aes256Gcm>();
}

#[test]
fn long_chains_in_both_directions() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    for round in 0..5 {
        for number in 0..50 {
            let body = format!("{round} {number}");
            let message = a.send(body.as_bytes());
            assert_eq!(b.receive(&message).expect("opens"), body.as_bytes());
        }
        core::mem::swap(&mut a, &mut b);
    }
}

#[test]
fn any_order_within_a_chain() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let mut messages: Vec<(u8, Message)> = (0..17).map(|number| (number, a.send(&[number]))).collect();
    messages.reverse();
    for (number, message) in &messages {
        assert_eq!(b.receive(message).expect("opens"), [*number]);
        assert_eq!(b.refuse(message), RatchetError::Spent);
    }
}

#[test]
fn late_messages_of_chains_that_are_over() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let mut late = Vec::new();
    for turn in 0..4_u8 {
        late.push((turn, a.send(&[turn])));
        round_trip(&mut a, &mut b);
    }
    for (turn, message) in late.iter().rev() {
        b.restart();
        assert_eq!(b.receive(message).expect("opens"), [*turn]);
        assert_eq!(b.refuse(message), RatchetError::Spent);
    }
}

#[test]
fn lost_messages_are_not_missed() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    for _ in 0..10 {
        for _ in 0..3 {
            let _lost = a.send(b"lost");
            let _lost = b.send(b"lost");
        }
        round_trip(&mut a, &mut b);
    }
}

/// A first flight of several messages: any of them may come first, and each carries the prelude.
#[test]
fn any_message_of_the_first_flight_opens_the_session() {
    for opened in 0..4 {
        let (mut a, mut b, first): (Small, Small, _) = unopened_pair(1);
        let mut flight = std::vec![first];
        flight.extend((1..4_u8).map(|number| a.send(&[number])));
        assert!(flight.iter().all(|message| message.header_blob[0] == 2));
        flight.rotate_left(opened);
        for message in &flight {
            b.receive(message).expect("opens");
        }
        for message in &flight {
            assert_eq!(b.refuse(message), RatchetError::Spent);
        }
        round_trip(&mut b, &mut a);
        let reply = a.send(b"no prelude any more");
        assert_eq!((reply.header_blob[0], reply.header_blob.len()), (1, 82));
        b.receive(&reply).expect("opens");
    }
}

#[test]
fn a_responder_sends_nothing_before_the_first_message_opened() {
    let (_, mut b, first): (Small, Small, _) = unopened_pair(1);
    let before = b.record();
    let mut out = [0; 512];
    let refused = b.session.encrypt(&mut b.rng, b"", KIND, b"hello", BLOCK, &mut out);
    assert_eq!(refused.err(), Some(RatchetError::NotReady));
    assert!(b.record() == before);
    b.receive(&first).expect("opens");
    b.send(b"hello");
}

/// Type 1, suite 1, nonce 24, header 40 + 16, tag 16: 98 bytes, and kind and end mark inside.
#[test]
fn the_overhead_is_98_bytes() {
    let (mut a, _): (Small, Small) = confirmed(1);
    for (body, block) in [(0, 1), (1, 1), (30, 32), (31, 32), (62, 32), (63, 32), (5, 1_024), (1_022, 1_024)]
    {
        let mut out = [0; 2_048];
        let body = std::vec![7; body];
        let sealed =
            a.session.encrypt(&mut a.rng, INITIATOR, KIND, &body, block, &mut out).expect("encrypts");
        let padded = (body.len() + 2).next_multiple_of(block);
        assert_eq!((sealed.header_len, sealed.len), (82, padded + 98));
        assert_eq!(padded_len(body.len(), block), Ok(padded));
    }
}

#[test]
fn bodies_of_all_lengths_and_contents_survive_the_padding() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    for len in 0..100 {
        for byte in [0x00, 0x80, 0xff] {
            let body = std::vec![byte; len];
            let message = a.send(&body);
            assert_eq!(message.ciphertext.len() % BLOCK, 16);
            assert_eq!(b.receive(&message).expect("opens"), body);
        }
    }
}

/// What the relay can count is blocks: not the length within one, and nothing of the contents, for nothing is compressed.
#[test]
fn a_ciphertext_is_as_long_as_its_blocks() {
    let (mut a, _): (Small, Small) = confirmed(1);
    for block in [1, 2, 16, 31, 32, 64, 255, 256, 1_000, 1_024] {
        for len in [0, 1, 29, 30, 31, 32, 61, 62, 63, 254, 255, 1_021, 1_022, 1_023, 1_024, 2_100] {
            let expected = (len + 2_usize).div_ceil(block) * block + 16;
            for body in [std::vec![0; len], std::vec![0xff; len], (0..=255).cycle().take(len).collect()] {
                let mut out = std::vec![0; 4_096];
                let sealed = a.session.encrypt(&mut a.rng, INITIATOR, KIND, &body, block, &mut out);
                let sealed = sealed.expect("encrypts");
                assert_eq!(sealed.len - sealed.header_len, expected, "{len} bytes in blocks of {block}");
            }
        }
    }
}

#[test]
fn a_header_blob_comes_apart_into_its_fields() {
    let (mut a, _, first): (Small, Small, _) = unopened_pair(1);
    let blob = HeaderBlob::parse(&first.header_blob).expect("parses");
    assert_eq!(blob.prelude_bytes.len() + 2 + 2 + 24 + 56, first.header_blob.len());
    assert_eq!(blob.prelude.expect("a first message has one").initiator, INITIATOR);
    assert_eq!((blob.suite, blob.nonce.len(), blob.header_ct.len()), (1, 24, 56));
    assert_ne!(blob.nonce, HeaderBlob::parse(&a.send(b"").header_blob).expect("parses").nonce);
}
