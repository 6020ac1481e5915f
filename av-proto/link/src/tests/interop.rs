//! The crate snow at the other end, in both roles: a thousand messages each way, of every size class.

use snow::{Builder, HandshakeState, TransportState};

use super::{origin, relay, rng};
use crate::limits::{HANDSHAKE, MAX_MESSAGE, MAX_TEXT, TAG};
use crate::{Initiator, Transport, respond};

const MESSAGES: usize = 1_000;

fn builder(prologue: &[u8]) -> Builder<'_> {
    let name = "Noise_NK_25519_ChaChaPoly_BLAKE2b".parse().expect("a name that snow knows");
    Builder::new(name).prologue(prologue).expect("set once")
}

fn prologue() -> Vec<u8> {
    [b"AV1 link", origin().as_str().as_bytes()].concat()
}

/// Both directions, in turn; sizes step through what one message can hold.
fn converse(mut ours: Transport, mut theirs: TransportState) {
    let mut buffer = vec![0; MAX_MESSAGE];
    for index in 0..MESSAGES {
        let len = [0, 1, 15, 16, 17, 100, 4_096, MAX_TEXT][index % 8];
        let text = vec![index.to_le_bytes()[0]; len];

        let mut message = vec![0; len + TAG];
        message[..len].copy_from_slice(&text);
        ours.seal(&mut message, len).unwrap();
        let opened = theirs.read_message(&message, &mut buffer).expect("snow opens it");
        assert_eq!(buffer[..opened], text, "{index}");

        let sealed = theirs.write_message(&text, &mut buffer).expect("snow seals it");
        assert_eq!(ours.open(&mut buffer[..sealed]).unwrap(), text, "{index}");
    }
}

fn same_channel(ours: &Transport, theirs: &HandshakeState) {
    assert_eq!(ours.channel()[..], theirs.get_handshake_hash()[..32]);
}

#[test]
fn a_snow_relay_understands_our_device() {
    let prologue = prologue();
    let mut theirs =
        builder(&prologue).local_private_key(relay().expose()).unwrap().build_responder().unwrap();
    let (initiator, message) = Initiator::start(&mut rng(1), &origin(), relay().public()).unwrap();
    assert_eq!(theirs.read_message(&message, &mut []), Ok(0));
    let mut answer = [0; HANDSHAKE];
    assert_eq!(theirs.write_message(&[], &mut answer), Ok(HANDSHAKE));
    let ours = initiator.finish(&answer).unwrap();
    same_channel(&ours, &theirs);
    converse(ours, theirs.into_transport_mode().unwrap());
}

#[test]
fn our_relay_understands_a_snow_device() {
    let prologue = prologue();
    let mut theirs =
        builder(&prologue).remote_public_key(relay().public()).unwrap().build_initiator().unwrap();
    let mut message = [0; HANDSHAKE];
    assert_eq!(theirs.write_message(&[], &mut message), Ok(HANDSHAKE));
    let (ours, answer) = respond(&mut rng(1), &origin(), &relay(), &message).unwrap();
    assert_eq!(theirs.read_message(&answer, &mut []), Ok(0));
    same_channel(&ours, &theirs);
    converse(ours, theirs.into_transport_mode().unwrap());
}
