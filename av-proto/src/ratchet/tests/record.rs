//! A session's record: read back it goes on, damaged it is refused or at least harmless.

use av_wire::layout::Reader;

use super::{Party, confirmed, pair, unopened_pair};
use crate::crypto::XChaCha20Poly1305;
use crate::ratchet::Session;

type Small = Party<XChaCha20Poly1305, 16>;

#[test]
fn every_state_survives_its_record() {
    let (mut a, mut b, first): (Small, Small, _) = unopened_pair(1);
    a.restart();
    b.restart();
    b.receive(&first).expect("opens");
    for turn in 0..12_u8 {
        b.restart();
        let _lost = b.send(b"lost");
        let answer = b.send(&[turn]);
        b.restart();
        assert_eq!(a.receive(&answer).expect("opens"), [turn]);
        a.restart();
        let question = a.send(&[turn]);
        a.restart();
        assert_eq!(b.receive(&question).expect("opens"), [turn]);
    }
}

#[test]
fn the_largest_record_is_as_large_as_promised() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    for _ in 0..6 {
        (0..4).for_each(|_| drop(a.send(b"lost")));
        super::round_trip(&mut a, &mut b);
    }
    b.send(b"in a sending chain");
    let (_, unconfirmed): (Small, Small) = pair(1);
    let prelude = 32 + 4 + 1 + 4;
    assert_eq!(b.record().len() + prelude, Session::<XChaCha20Poly1305, 16>::MAX_LEN);
    assert!(unconfirmed.record().len() < b.record().len());
}

#[test]
fn a_truncated_record_is_refused_and_a_changed_one_never_panics() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let _lost = a.send(b"lost");
    super::round_trip(&mut a, &mut b);
    let next = a.send(b"next");
    let record = b.record();
    for len in 0..record.len() {
        assert!(Session::<XChaCha20Poly1305, 16>::read(&mut Reader::new(&record[..len])).is_err());
    }
    for index in 0..record.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = record.clone();
            changed[index] ^= change;
            let Ok(session) = Session::<XChaCha20Poly1305, 16>::read(&mut Reader::new(&changed)) else {
                continue;
            };
            let mut party = Small { session, rng: crate::test_support::rng(9) };
            // Whatever it became, it works within its bounds.
            let _ = party.receive(&next);
            let mut out = [0; 512];
            let _ = party.session.encrypt(&mut party.rng, b"id", 1, b"text", 32, &mut out);
            party.restart();
        }
    }
}

#[test]
fn a_record_with_more_skipped_keys_than_there_is_room_for_is_refused() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    (0..5).for_each(|_| drop(a.send(b"lost")));
    let present = a.send(b"present");
    b.receive(&present).expect("opens");
    let record = b.record();
    assert!(Session::<XChaCha20Poly1305, 4>::read(&mut Reader::new(&record)).is_err());
    assert!(Session::<XChaCha20Poly1305, 5>::read(&mut Reader::new(&record)).is_ok());
}

#[cfg(feature = "aes-gcm")]
#[test]
fn a_record_of_another_suite_is_refused() {
    let (a, _): (Small, Small) = confirmed(1);
    assert!(Session::<crate::crypto::Aes256Gcm, 16>::read(&mut Reader::new(&a.record())).is_err());
}
