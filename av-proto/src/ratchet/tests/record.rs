//! A session's record: read back it goes on, damaged it is refused or at least harmless.

use av_wire::layout::Reader;

use super::{Party, confirmed, pair, unopened_pair};
use crate::crypto::XChaCha20Poly1305;
use crate::limits::MAX_CHAIN_MESSAGES;
use crate::ratchet::state::{Sending, State};
use crate::ratchet::{PendingKem, Session};

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
    let prelude = 32 + 4 + 1 + 4 + 1 + size_of::<Option<PendingKem>>();
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

/// A record of a state that no steps lead to is damaged, whoever wrote it.
#[test]
fn a_record_that_contradicts_itself_is_refused() {
    let of_initiator = || confirmed::<XChaCha20Poly1305, 16>(1).0;
    let of_responder = || confirmed::<XChaCha20Poly1305, 16>(1).1;
    let of_opening = || unopened_pair::<XChaCha20Poly1305, 16>(1).1;
    let of_unconfirmed = || pair::<XChaCha20Poly1305, 16>(1).0;
    let refused = |mut party: Small, change: &dyn Fn(&mut State)| {
        let read =
            |party: &Small| Session::<XChaCha20Poly1305, 16>::read(&mut Reader::new(&party.record())).is_ok();
        assert!(read(&party));
        change(&mut party.session.state);
        !read(&party)
    };
    assert!(refused(of_initiator(), &|state| state.handshake.mode = 2));
    assert!(refused(of_initiator(), &|state| state.receiving.chains = 0));
    assert!(refused(of_initiator(), &|state| state.receiving.chain = None));
    assert!(refused(of_unconfirmed(), &|state| state.receiving.chains = 1));
    assert!(refused(of_unconfirmed(), &|state| state.handshake.is_initiator = false));
    assert!(refused(of_unconfirmed(), &|state| state.sending = Sending::Due));
    assert!(refused(of_opening(), &|state| state.handshake.is_initiator = true));
    let prelude = of_unconfirmed().session.state.prelude;
    assert!(prelude.is_some());
    assert!(refused(of_initiator(), &|state| state.prelude = prelude));
    assert!(refused(of_opening(), &|state| state.prelude = prelude));
    let past_the_end = |state: &mut State| {
        let Sending::Chain(chain) = &mut state.sending else { panic!("it has sent") };
        chain.next = MAX_CHAIN_MESSAGES + 1;
    };
    assert!(refused(of_responder(), &past_the_end));
    let past_the_end = |state: &mut State| {
        state.receiving.chain.as_mut().expect("it has received").next = MAX_CHAIN_MESSAGES + 1;
    };
    assert!(refused(of_responder(), &past_the_end));
}

#[cfg(feature = "aes-gcm")]
#[test]
fn a_record_of_another_suite_is_refused() {
    let (a, _): (Small, Small) = confirmed(1);
    assert!(Session::<crate::crypto::Aes256Gcm, 16>::read(&mut Reader::new(&a.record())).is_err());
}
