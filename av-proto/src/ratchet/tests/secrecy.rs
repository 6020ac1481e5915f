//! What a stolen state opens and what it does not, and what a session looks like from outside.

use static_assertions::{assert_impl_all, assert_not_impl_any};
use zeroize::ZeroizeOnDrop;

use super::{Party, confirmed, pair, round_trip, unopened_pair};
use crate::api_key::ApiKey;
use crate::crypto::{AgreementSecret, Drbg, KemSecret, Secret, SigningSecret, XChaCha20Poly1305};
use crate::enroll::{Invite, KeyHeld, RecoveryKey, Requested};
use crate::invite::{InviteKeys, InviteText, InviteUrl};
use crate::keys::{Identity, Prekeys};
use crate::ratchet::state::{Sending, SendingChain};
use crate::ratchet::{PreviousSession, Sealed, Session};
use crate::{Seal, SmallEndpoint};

type Small = Party<XChaCha20Poly1305, 16>;

macro_rules! assert_keeps_its_secret {
    ($($secret:ty),+ $(,)?) => {
        $(assert_not_impl_any!($secret: core::fmt::Debug, core::fmt::Display, Clone, Copy, PartialEq);)+
    };
}

assert_keeps_its_secret!(
    Secret<32>,
    AgreementSecret,
    SigningSecret,
    Identity,
    Prekeys<1>,
    InviteKeys,
    Session<XChaCha20Poly1305, 16>,
    PreviousSession<XChaCha20Poly1305>,
    Sealed,
    KemSecret,
    Seal,
    RecoveryKey,
    Drbg,
    Invite,
    Requested,
    KeyHeld,
    SmallEndpoint,
    crate::link::LinkSecret,
    crate::link::Initiator,
    crate::link::Transport,
);
// These are shown to the person they are for, by Display and by nothing else.
assert_not_impl_any!(InviteText: core::fmt::Debug, Clone, Copy, PartialEq);
assert_not_impl_any!(ApiKey: core::fmt::Debug, Clone, Copy, PartialEq);
assert_not_impl_any!(InviteUrl: core::fmt::Debug, Clone, Copy, PartialEq);
assert_impl_all!(Secret<32>: ZeroizeOnDrop);
// Sessions move between tasks of a host.
assert_impl_all!(Session<XChaCha20Poly1305, 16>: Send, Sync);

#[test]
fn a_state_stolen_later_opens_nothing_that_was_opened_before() {
    let (mut a, mut b): (Small, Small) = pair(1);
    let mut recorded = std::vec::Vec::new();
    for turn in 0..10_u8 {
        let there = a.send(&[turn; 20]);
        b.receive(&there).expect("opens");
        let back = b.send(&[turn; 30]);
        a.receive(&back).expect("opens");
        recorded.push((there, back));
        let (mut thief_of_a, mut thief_of_b) = (a.stolen(), b.stolen());
        for (there, back) in &recorded {
            for message in [there, back] {
                thief_of_a.refuse(message);
                thief_of_b.refuse(message);
            }
        }
    }
}

#[test]
fn a_skipped_key_opens_its_message_and_no_other() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let opened = a.send(b"opened");
    let skipped = a.send(b"skipped");
    let present = a.send(b"present");
    b.receive(&opened).expect("opens");
    b.receive(&present).expect("opens");
    let mut thief = b.stolen();
    assert_eq!(thief.receive(&skipped).expect("its key is in the state"), b"skipped");
    thief.refuse(&opened);
    thief.refuse(&present);
}

#[test]
fn one_round_trip_with_fresh_keys_ends_what_a_stolen_state_opens() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    round_trip(&mut a, &mut b);
    let mut thief = b.stolen();
    // In the chain that was stolen, and in the step that answers the stolen ratchet key: open.
    let ping = a.send(b"ping");
    assert_eq!(thief.receive(&ping).expect("the stolen ratchet key takes this step"), b"ping");
    assert_eq!(b.receive(&ping).expect("opens"), b"ping");
    // b answers with a ratchet key that was not there to be stolen.
    let pong = b.send(b"pong");
    thief.refuse(&pong);
    a.receive(&pong).expect("opens");
    for _ in 0..3 {
        let healed = a.send(b"healed");
        thief.refuse(&healed);
        b.receive(&healed).expect("opens");
        let pong = b.send(b"pong");
        thief.refuse(&pong);
        a.receive(&pong).expect("opens");
    }
}

/// Until then the session has no forward secrecy against the signed prekey.
#[test]
fn the_copy_of_the_signed_prekey_is_gone_with_the_first_message() {
    let (_, mut b, first): (Small, Small, _) = unopened_pair(1);
    let Sending::NotYet(copy) = &b.session.state.sending else { panic!("nothing was received") };
    let copy = *copy.expose();
    let holds = |party: &Small| party.record().windows(32).any(|window| window == copy);
    assert!(holds(&b));
    b.receive(&first).expect("opens");
    assert!(!holds(&b));
}

#[test]
fn a_ratchet_key_is_gone_when_the_peer_has_answered_it() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let ping = a.send(b"ping");
    let Sending::Chain(chain) = &a.session.state.sending else { panic!("it has sent") };
    let own = *chain.own.expose();
    let holds = |party: &Small| party.record().windows(32).any(|window| window == own);
    b.receive(&ping).expect("opens");
    let pong = b.send(b"pong");
    assert!(holds(&a));
    a.receive(&pong).expect("opens");
    assert!(!holds(&a));
}

/// Requirement R25: nothing in a message shows a third party who wrote it. Whoever can open the next one can make it.
#[test]
fn a_receiver_could_have_made_what_it_receives() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    round_trip(&mut a, &mut b);
    let mut forger = b.stolen();
    let chain = b.session.state.receiving.chain.as_ref().expect("it has received");
    forger.session.state.sending = Sending::Chain(SendingChain {
        own: AgreementSecret::from_parts(&[0; 32], &chain.ratchet),
        header: chain.header.duplicate(),
        chain: chain.chain.duplicate(),
        next: chain.next,
    });
    forger.session.state.previous = a.session.state.previous;
    let forged = forger.send(b"never said");
    let genuine = a.send(b"never said");
    assert_eq!(forged.header_blob.len(), genuine.header_blob.len());
    assert_eq!(b.stolen().receive(&genuine).expect("opens"), b"never said");
    assert_eq!(b.receive(&forged).expect("opens as well"), b"never said");
}

/// Equal plaintexts look different; without a prelude nothing stands out but type and suite.
#[test]
fn messages_have_nothing_in_common_but_type_and_suite() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let mut seen = std::vec::Vec::new();
    for _ in 0..8 {
        let message = a.send(b"same");
        b.receive(&message).expect("opens");
        seen.push([&message.header_blob[..], &message.ciphertext].concat());
        let answer = b.send(b"same");
        a.receive(&answer).expect("opens");
        seen.push([&answer.header_blob[..], &answer.ciphertext].concat());
    }
    for (index, one) in seen.iter().enumerate() {
        for other in &seen[index + 1..] {
            assert_eq!((one.len(), &one[..2]), (other.len(), &other[..2]));
            let common =
                one[2..].windows(4).filter(|window| other[2..].windows(4).any(|other| other == *window));
            assert_eq!(common.count(), 0);
        }
    }
}
