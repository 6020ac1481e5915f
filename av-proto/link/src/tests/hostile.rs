//! What a man in the middle tries: every change is refused, and nothing changes.

use static_assertions::assert_not_impl_any;

use super::{link, origin, relay, rng, sealed};
use crate::limits::HANDSHAKE;
use crate::{Initiator, LinkError, LinkSecret, Transport, respond};

assert_not_impl_any!(LinkSecret: core::fmt::Debug, core::fmt::Display, Clone, Copy);
assert_not_impl_any!(Initiator: core::fmt::Debug, core::fmt::Display, Clone, Copy);
assert_not_impl_any!(Transport: core::fmt::Debug, core::fmt::Display, Clone, Copy);

/// Every message that is cut, lengthened by a byte, or has one bit flipped.
fn changed(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..message.len()).map(|len| message[..len].to_vec());
    let longer = core::iter::once([message, &[0]].concat());
    let flipped = (0..8 * message.len()).map(|bit| {
        let mut copy = message.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    });
    cut.chain(longer).chain(flipped)
}

fn refused<T>(result: Result<T, LinkError>, what: &str) {
    assert_eq!(result.err(), Some(LinkError::Rejected), "{what}");
}

#[test]
fn a_handshake_message_with_any_bit_changed_is_refused() {
    let start = || Initiator::start(&mut rng(1), &origin(), relay().public()).unwrap();
    let (_, message) = start();
    for message in changed(&message) {
        refused(respond(&mut rng(2), &origin(), &relay(), &message), "the device's");
    }
    let (_, answer) = respond(&mut rng(2), &origin(), &relay(), &message).unwrap();
    for answer in changed(&answer) {
        refused(start().0.finish(&answer), "the relay's");
    }
    assert!(start().0.finish(&answer).is_ok());
}

#[test]
fn the_relay_is_the_one_of_this_key_and_this_origin() {
    let (initiator, message) = Initiator::start(&mut rng(1), &origin(), relay().public()).unwrap();
    let other = LinkSecret::generate(&mut rng(3));
    refused(respond(&mut rng(2), &origin(), &other, &message), "another relay's key");
    let elsewhere = av_wire::Origin::parse("ws://relay.example:7461").unwrap();
    refused(respond(&mut rng(2), &elsewhere, &relay(), &message), "another origin");

    let (_, another) = Initiator::start(&mut rng(4), &origin(), relay().public()).unwrap();
    let (_, answer) = respond(&mut rng(2), &origin(), &relay(), &another).unwrap();
    refused(initiator.finish(&answer), "the answer to another handshake");
}

#[test]
fn keys_of_small_order_are_refused_wherever_they_stand() {
    for point in [[0; 32], core::array::from_fn(|index| u8::from(index == 0))] {
        refused(Initiator::start(&mut rng(1), &origin(), &point), "the link key");
        let mut message = [0; HANDSHAKE];
        message[..32].copy_from_slice(&point);
        refused(respond(&mut rng(2), &origin(), &relay(), &message), "the device's ephemeral key");
        let (initiator, _) = Initiator::start(&mut rng(1), &origin(), relay().public()).unwrap();
        refused(initiator.finish(&message), "the relay's ephemeral key");
    }
}

#[test]
fn a_message_that_does_not_open_changes_nothing() {
    let (mut device, mut relay) = link();
    let genuine = sealed(&mut device, b"frame");
    for mut message in changed(&genuine) {
        let before = message.clone();
        refused(relay.open(&mut message).map(<[u8]>::to_vec), "changed");
        assert_eq!(message, before, "the buffer holds no plaintext");
    }
    assert_eq!(relay.open(&mut genuine.clone()).unwrap(), b"frame", "the genuine one still opens");
}

#[test]
fn messages_come_once_in_order_and_in_their_direction() {
    let (mut device, mut relay) = link();
    let (first, second) = (sealed(&mut device, b"1"), sealed(&mut device, b"2"));
    refused(relay.open(&mut second.clone()).map(<[u8]>::to_vec), "ahead of its turn");
    assert!(relay.open(&mut first.clone()).is_ok());
    refused(relay.open(&mut first.clone()).map(<[u8]>::to_vec), "replayed");
    refused(device.open(&mut second.clone()).map(<[u8]>::to_vec), "reflected");
    assert!(relay.open(&mut second.clone()).is_ok());
    let (mut other, _) = link();
    assert_eq!(other.channel(), device.channel(), "the same generators");
    let (_, message) = Initiator::start(&mut rng(5), &origin(), super::relay().public()).unwrap();
    let (fresh, _) = respond(&mut rng(6), &origin(), &super::relay(), &message).unwrap();
    assert_ne!(fresh.channel(), device.channel(), "no two connections share a channel");
    refused(other.open(&mut first.clone()).map(<[u8]>::to_vec), "reflected by another connection");
}
