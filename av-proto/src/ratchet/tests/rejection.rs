//! Whatever does not open changes nothing, and the genuine message still opens afterwards.

use std::vec;
use std::vec::Vec;

use rand_core::Rng;

use super::{Message, Party, confirmed, pair, round_trip, unopened_pair};
use crate::crypto::{Aead, XChaCha20Poly1305};
use crate::ratchet::RatchetError;
use crate::test_support::rng;

/// Every truncation, extension and single-byte change of a message.
fn mutations(message: &Message) -> Vec<Message> {
    let mut mutations = Vec::new();
    for column in 0..2 {
        let of = |message: &Message| {
            if column == 0 { message.header_blob.clone() } else { message.ciphertext.clone() }
        };
        let with = |bytes: Vec<u8>| match column {
            0 => Message { header_blob: bytes, ..message.clone() },
            _ => Message { ciphertext: bytes, ..message.clone() },
        };
        let whole = of(message);
        for len in 0..whole.len() {
            mutations.push(with(whole[..len].to_vec()));
        }
        mutations.push(with([&whole[..], &[0]].concat()));
        for index in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[index] ^= change;
                mutations.push(with(bytes));
            }
        }
    }
    // The border between the relay's two columns moved.
    let whole = [&message.header_blob[..], &message.ciphertext].concat();
    for border in [message.header_blob.len() - 1, message.header_blob.len() + 1] {
        let (header_blob, ciphertext) = whole.split_at(border);
        mutations.push(Message { header_blob: header_blob.to_vec(), ciphertext: ciphertext.to_vec() });
    }
    mutations
}

fn refuses_all_mutations_of<A: Aead>(party: &mut Party<A, 4>, message: &Message, body: &[u8]) {
    for mutation in mutations(message) {
        party.refuse(&mutation);
    }
    assert_eq!(party.receive(message).expect("the genuine message still opens"), body);
    assert_eq!(party.refuse(message), RatchetError::Spent);
}

fn every_kind_of_message<A: Aead>() {
    // With a prelude, before the responder holds the session.
    let (mut a, mut b, first) = unopened_pair::<A, 4>(1);
    refuses_all_mutations_of(&mut b, &first, b"first");
    // With a prelude, on a live session; the next in its chain.
    let second = a.send(b"second");
    refuses_all_mutations_of(&mut b, &second, b"second");
    // A step of the peer's, which confirms the initiator.
    let reply = b.send(b"reply");
    refuses_all_mutations_of(&mut a, &reply, b"reply");
    // A step with gaps in the chain before and in its own; then the messages of both gaps.
    let in_old_chain = b.send(b"in the old chain");
    round_trip(&mut a, &mut b);
    let in_new_chain = b.send(b"in the new chain");
    let ahead = b.send(b"ahead");
    refuses_all_mutations_of(&mut a, &ahead, b"ahead");
    refuses_all_mutations_of(&mut a, &in_new_chain, b"in the new chain");
    refuses_all_mutations_of(&mut a, &in_old_chain, b"in the old chain");
}

#[test]
fn a_changed_message_changes_nothing() {
    every_kind_of_message::<XChaCha20Poly1305>();
}

/// 10,000 messages with up to eight bytes changed, cut or lengthened anywhere, against a session in the middle of its life.
#[test]
fn random_corruptions_change_nothing() {
    for seed in 0..10 {
        let mut rng = rng(0xc0 + seed);
        let mut pick = |below: usize| usize::try_from(rng.next_u64()).expect("64 bits") % below;
        let (mut a, mut b) = confirmed::<XChaCha20Poly1305, 4>(seed);
        let early = a.send(b"early");
        let genuine = [a.send(b"in the chain"), a.send(b"ahead in it")];
        b.receive(&genuine[1]).expect("opens");
        for case in 0..1_000 {
            let mut message = genuine[case % 2].clone();
            let column = if pick(2) == 0 { &mut message.header_blob } else { &mut message.ciphertext };
            match pick(8) {
                0 => column.truncate(pick(column.len())),
                1 => column.extend((0..=pick(40)).map(|_| 0x80)),
                _ => {}
            }
            for _ in 0..=pick(8) {
                if !column.is_empty() {
                    let index = pick(column.len());
                    column[index] = column[index].wrapping_add(u8::try_from(1 + pick(255)).expect("a byte"));
                }
            }
            if genuine.contains(&message) {
                continue;
            }
            let before = b.record();
            assert!(b.receive(&message).is_err(), "seed {seed}, case {case}: {message:02x?}");
            assert!(b.record() == before, "seed {seed}, case {case} changed the session: {message:02x?}");
        }
        assert_eq!(b.receive(&genuine[0]).expect("still opens"), b"in the chain");
        assert_eq!(b.receive(&early).expect("still opens"), b"early");
    }
}

#[cfg(feature = "aes-gcm")]
#[test]
fn a_changed_message_changes_nothing_with_aes_256_gcm() {
    every_kind_of_message::<crate::crypto::Aes256Gcm>();
}

#[test]
fn a_message_of_another_session_changes_nothing() {
    let (mut a, mut b) = confirmed::<XChaCha20Poly1305, 4>(1);
    let (mut foreign, _) = confirmed::<XChaCha20Poly1305, 4>(50);
    let foreign = foreign.send(b"not for you");
    let own = a.send(b"for you");
    assert_eq!(b.refuse(&foreign), RatchetError::Unopened);
    assert_eq!(a.refuse(&own), RatchetError::Unopened, "reflected to its sender");
    // The halves of two messages do not make a third.
    let mixed = Message { header_blob: own.header_blob.clone(), ciphertext: foreign.ciphertext };
    assert_eq!(b.refuse(&mixed), RatchetError::Unopened);
    let next = a.send(b"for you");
    let mixed = Message { header_blob: own.header_blob.clone(), ciphertext: next.ciphertext.clone() };
    assert_eq!(b.refuse(&mixed), RatchetError::Unopened);
    assert_eq!(b.receive(&own).expect("opens"), b"for you");
    assert_eq!(b.receive(&next).expect("opens"), b"for you");
}

/// A header must not open as another chain's or another message's body must not open under it.
#[test]
fn a_suite_byte_other_than_the_session_s_is_refused_before_any_key_is_tried() {
    let (mut a, mut b) = confirmed::<crate::test_support::Counting, 4>(1);
    let message = a.send(b"text");
    let before = crate::test_support::TAGS.get();
    for suite in (0..=255).filter(|suite| *suite != 1) {
        let mut changed = message.clone();
        changed.header_blob[1] = suite;
        assert_eq!(b.refuse(&changed), RatchetError::Malformed);
    }
    // A whole message of the other suite, with its shorter nonce.
    let mut other = Message { header_blob: vec![7; 2 + 12 + 56], ..message };
    other.header_blob[..2].copy_from_slice(&[1, 2]);
    assert!(super::HeaderBlob::parse(&other.header_blob).is_ok());
    assert_eq!(b.refuse(&other), RatchetError::Malformed);
    assert_eq!(crate::test_support::TAGS.get(), before);
}

/// A header blob with this prelude, and nothing genuine behind it.
fn with_prelude(prelude: &av_wire::message::Prelude<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 4_096];
    let encoded = av_wire::encode(prelude, &mut buffer).expect("fits");
    let mut header_blob = vec![2, 1];
    header_blob.extend(u16::try_from(encoded.len()).expect("short").to_be_bytes());
    header_blob.extend(encoded);
    header_blob.extend([7; 24 + 56]);
    header_blob
}

#[test]
fn a_prelude_that_no_message_of_this_version_has_is_malformed() {
    let longest = vec![7; av_wire::chain::MAX_CERTS_BYTES];
    let prelude = av_wire::message::Prelude {
        generation: u32::MAX,
        mode: 1,
        ephemeral: [9; 32],
        signed_prekey: u32::MAX,
        one_time_prekey: Some(u32::MAX),
        kem_key: None,
        kem_ciphertext: None,
        initiator: longest[..].into(),
    };
    let largest = with_prelude(&prelude);
    // With a KEM, its key's id and ciphertext stand in place of two nulls.
    assert_eq!(largest.len() - 2 + 5 + 3 + 1_088, crate::limits::MAX_HEADER_BLOB);
    assert!(super::HeaderBlob::parse(&largest).is_ok());
    let too_long = vec![7; longest.len() + 1];
    let refused = [
        av_wire::message::Prelude { initiator: too_long[..].into(), ..prelude },
        av_wire::message::Prelude { initiator: b"id"[..].into(), kem_key: Some(1), ..prelude },
        av_wire::message::Prelude {
            initiator: b"id"[..].into(),
            kem_ciphertext: Some(b"ct"[..].into()),
            ..prelude
        },
    ];
    for prelude in refused {
        assert_eq!(super::HeaderBlob::parse(&with_prelude(&prelude)).err(), Some(RatchetError::Malformed));
    }
}

#[test]
fn preludes_that_are_none_of_this_session_s_cost_no_tag() {
    let (mut a, mut b) = pair::<crate::test_support::Counting, 4>(1);
    let message = a.send(b"text");
    let blob = super::HeaderBlob::parse(&message.header_blob).expect("parses");
    let prelude = blob.prelude.expect("not confirmed yet");
    let before = crate::test_support::TAGS.get();
    for (generation, mode) in [(2, 0), (0, 0), (u32::MAX, 0), (1, 1)] {
        let prelude = av_wire::message::Prelude { generation, mode, ..prelude };
        let mut buffer = [0; 256];
        let encoded = av_wire::encode(&prelude, &mut buffer).expect("fits");
        let mut header_blob = vec![2, 1];
        header_blob.extend(u16::try_from(encoded.len()).expect("short").to_be_bytes());
        header_blob.extend(encoded);
        header_blob.extend(blob.nonce);
        header_blob.extend(blob.header_ct);
        let changed = Message { header_blob, ciphertext: message.ciphertext.clone() };
        assert_eq!(b.refuse(&changed), RatchetError::Unopened);
    }
    // A responder never sends one, so an initiator takes none.
    assert_eq!(a.refuse(&message), RatchetError::Unopened);
    assert_eq!(crate::test_support::TAGS.get(), before);
    assert_eq!(b.receive(&message).expect("opens"), b"text");
}

#[test]
fn a_buffer_that_is_too_small_changes_nothing() {
    let (mut a, mut b) = confirmed::<XChaCha20Poly1305, 4>(1);
    let message = a.send(b"text");
    let before = b.record();
    let needed = message.ciphertext.len() - 16;
    for len in 0..needed {
        let refused = b.session.decrypt(&message.header_blob, &message.ciphertext, &mut vec![0; len]);
        assert_eq!(refused, Err(RatchetError::Length));
    }
    assert!(b.record() == before);
    assert!(b.session.decrypt(&message.header_blob, &message.ciphertext, &mut vec![0; needed]).is_ok());

    // Sending: with a step due, in the middle of a chain, and with a prelude.
    let (mut fresh, _) = pair::<XChaCha20Poly1305, 4>(1);
    for party in [&mut b, &mut a, &mut fresh] {
        let before = party.record();
        let needed = party.session.sealed_len(super::INITIATOR.len(), 4, 32).expect("a length");
        for len in 0..needed {
            let mut out = vec![0; len];
            let refused = party.session.encrypt(&mut party.rng, super::INITIATOR, 1, b"text", 32, &mut out);
            assert_eq!(refused.err(), Some(RatchetError::Length), "{len} of {needed} bytes");
        }
        let mut out = vec![0; needed + 4_096];
        for block in [0, 1_025, usize::MAX] {
            let refused =
                party.session.encrypt(&mut party.rng, super::INITIATOR, 1, b"text", block, &mut out);
            assert_eq!(refused.err(), Some(RatchetError::Length));
        }
        assert!(party.record() == before);
        assert!(party.session.encrypt(&mut party.rng, super::INITIATOR, 1, b"text", 32, &mut out).is_ok());
    }
}
