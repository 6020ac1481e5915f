//! A session that lost against another one receives what is under way, and no more.

use std::vec;
use std::vec::Vec;

use av_wire::layout::Reader;

use super::{Message, Party, confirmed, pair, round_trip, unopened_pair};
use crate::crypto::{Aead, XChaCha20Poly1305, agreements_on_this_thread};
use crate::limits::PREVIOUS_SKIP;
use crate::ratchet::{PreviousSession, RatchetError};
use crate::test_support::written;
use crate::test_support::{Counting, TAGS};

type Small = Party<XChaCha20Poly1305, 16>;
type Previous = PreviousSession<XChaCha20Poly1305>;

fn record<A: Aead>(session: &PreviousSession<A>) -> Vec<u8> {
    written(PreviousSession::<A>::MAX_LEN, |writer| session.write(writer))
}

/// Opens a message, and stores and reads the session afterwards; a refusal changes nothing.
fn open<A: Aead>(session: &mut PreviousSession<A>, message: &Message) -> Result<Vec<u8>, RatchetError> {
    let before = record(session);
    let mut out = vec![0; message.ciphertext.len() - 16];
    let opened = session.decrypt(&message.header_blob, &message.ciphertext, &mut out);
    if opened.is_err() {
        assert!(record(session) == before, "a rejected message changed the session");
        assert!(out.iter().all(|byte| *byte == 0));
    }
    *session = PreviousSession::read(&mut Reader::new(&record(session))).expect("its own record");
    opened.map(|opened| out[..opened.len].to_vec())
}

#[test]
fn it_takes_at_most_696_bytes() {
    assert!(size_of::<Previous>() <= 696, "{} bytes", size_of::<Previous>());
}

#[test]
fn what_is_under_way_still_opens_once() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let past: Vec<_> = (0..2).map(|_| a.send(b"past")).collect();
    round_trip(&mut a, &mut b);
    let (skipped, opened) = (a.send(b"skipped"), a.send(b"opened"));
    b.receive(&opened).expect("opens");
    let next = a.send(b"next");
    let mut previous = Previous::of(&b.session);
    for (message, text) in [(&past[0], "past"), (&past[1], "past"), (&skipped, "skipped"), (&next, "next")] {
        assert_eq!(open(&mut previous, message).as_deref(), Ok(text.as_bytes()));
        assert_eq!(open(&mut previous, message), Err(RatchetError::Spent));
    }
    assert_eq!(open(&mut previous, &opened), Err(RatchetError::Spent));
    assert_eq!((previous.id(), previous.generation()), (b.session.id(), 1));
}

/// The peer may not know of the winner yet when it answers our last message.
#[test]
fn the_peer_steps_once_more_and_never_again() {
    let (mut a, mut b): (Small, Small) = pair(1);
    let answer = b.send(b"answer");
    let late = b.send(b"late");
    let mut previous = Previous::of(&a.session);
    assert_eq!(previous.receiving_chains(), 0);
    assert_eq!(open(&mut previous, &answer).as_deref(), Ok(&b"answer"[..]));
    assert_eq!(previous.receiving_chains(), 1);
    assert_eq!(open(&mut previous, &late).as_deref(), Ok(&b"late"[..]));

    // Were we to send there all the same, the answer's header would not even be tried.
    a.receive(&answer).expect("opens");
    let sent = a.send(b"sent");
    b.receive(&sent).expect("opens");
    let second = b.send(b"second step");
    assert_eq!(open(&mut previous, &second), Err(RatchetError::Unopened));
    assert_eq!(a.receive(&second).expect("opens"), b"second step");
}

/// A responder whose session loses at once has not even opened its first message.
#[test]
fn a_responder_that_has_opened_nothing_can_still_do_so() {
    let (_, b, first): (Small, Small, _) = unopened_pair(1);
    let mut previous = Previous::of(&b.session);
    assert_eq!(open(&mut previous, &first).as_deref(), Ok(&b"first"[..]));
}

#[test]
fn the_newest_skipped_keys_stay() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let lost: Vec<_> = (0..PREVIOUS_SKIP + 1).map(|_| a.send(b"lost")).collect();
    let present = a.send(b"present");
    b.receive(&present).expect("opens");
    let mut previous = Previous::of(&b.session);
    assert_eq!(open(&mut previous, &lost[0]), Err(RatchetError::Spent));
    for message in &lost[1..] {
        assert_eq!(open(&mut previous, message).as_deref(), Ok(&b"lost"[..]));
    }
}

#[test]
fn a_forged_message_costs_no_agreement_and_at_most_four_tags() {
    let (mut a, mut b) = confirmed::<Counting, 16>(1);
    (0..6).for_each(|_| round_trip(&mut a, &mut b));
    a.send(b"which the peer may answer with a step");
    let mut forged = b.send(b"genuine");
    *forged.header_blob.last_mut().expect("a tag") ^= 1;
    let mut previous = PreviousSession::<Counting>::of(&a.session);
    let agreements = agreements_on_this_thread();
    TAGS.set(0);
    assert_eq!(open(&mut previous, &forged), Err(RatchetError::Unopened));
    assert_eq!((TAGS.get(), agreements_on_this_thread() - agreements), (4, 0));
}

#[test]
fn a_damaged_record_is_refused_or_harmless() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let _lost = a.send(b"lost");
    round_trip(&mut a, &mut b);
    let next = b.send(b"next");
    let bytes = record(&Previous::of(&a.session));
    for len in 0..bytes.len() {
        assert!(Previous::read(&mut Reader::new(&bytes[..len])).is_err());
    }
    for index in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[index] ^= change;
            if let Ok(mut session) = Previous::read(&mut Reader::new(&changed)) {
                let _ = open(&mut session, &next);
            }
        }
    }
}
