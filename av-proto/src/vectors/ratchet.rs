//! A conversation with loss, reordering and DH steps in each AEAD (`PROTOCOL.md` section 7).

use serde_json::{Value, json};
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::x3dh::{Handshake, Variant, handshake};
use super::{Draws, check, hex};
use crate::crypto::{Aead, Aes256Gcm, XChaCha20Poly1305};
use crate::ratchet::Session;

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// What happens, in order. Messages are numbered from 0 as they are sent; one that is never received is lost.
enum Act {
    Send(Side, &'static [u8], usize),
    Receive(usize),
    /// A message that was received before: it must not open.
    Replay(usize),
    /// A message with one bit of its ciphertext changed: it must not open, and the genuine one still does.
    Forged(usize),
}

/// A message that was sent.
struct Message {
    from: Side,
    header_blob: Vec<u8>,
    ciphertext: Vec<u8>,
    kind: u8,
    body: &'static [u8],
}

use Act::{Forged, Receive, Replay, Send};
use Side::{A, B};

/// Every way to step: a chain, a gap in it, a late message of it, DH steps in both directions, a message of a past
/// chain, a hello, other blocks, and a lost message that stays lost.
const ACTS: &[Act] = &[
    Send(A, b"second", 32),
    Send(A, b"third", 32),
    Receive(1),
    Send(B, b"reply", 64),
    Receive(0),
    Replay(0),
    Receive(2),
    Send(A, b"after a step", 1),
    Send(A, b"", 1),
    Send(A, b"lost", 32),
    Send(A, b"kept back", 32),
    Receive(4),
    Forged(3),
    Receive(3),
    Send(B, b"second reply", 1_024),
    Send(B, b"third reply", 32),
    Receive(8),
    Send(A, b"last step", 32),
    Receive(9),
    Receive(6),
    Receive(7),
    Replay(9),
];

#[test]
fn a_conversation_has_its_vectors() {
    let both = [conversation::<XChaCha20Poly1305>(), conversation::<Aes256Gcm>()];
    check("ratchet", &json!({ "about": "PROTOCOL.md section 7; bytes are hex", "conversations": both }));
}

fn conversation<T: Aead>() -> Value {
    let Handshake {
        mut initiator,
        mut responder,
        mut initiator_draws,
        mut responder_draws,
        initiator_id,
        value,
    } = handshake::<T>(Variant { psk: true, one_time: true, kem: false });
    let mut messages: Vec<Message> = vec![];
    let mut acts: Vec<Value> = vec![];
    for act in ACTS {
        match *act {
            Send(side, body, block) => {
                let (session, draws) = match side {
                    A => (&mut initiator, &mut initiator_draws),
                    B => (&mut responder, &mut responder_draws),
                };
                // What is empty is a hello.
                let kind = if body.is_empty() { 2 } else { 1 };
                let (header_blob, ciphertext, random) =
                    send(session, draws, &initiator_id, kind, body, block);
                acts.push(json!({
                    "act": "send", "from": if side == A { "A" } else { "B" }, "message": messages.len(),
                    "kind": kind, "body": hex(body), "block": block, "random": random,
                    "header_blob": hex(&header_blob), "ciphertext": hex(&ciphertext),
                }));
                messages.push(Message { from: side, header_blob, ciphertext, kind, body });
            }
            Receive(index) => {
                let Message { from, header_blob, ciphertext, kind, body } = &messages[index];
                let session = if *from == A { &mut responder } else { &mut initiator };
                let mut out = [0; 2_048];
                let opened = session.decrypt(header_blob, ciphertext, &mut out).expect("opens");
                assert_eq!((opened.kind, &out[..opened.len]), (*kind, *body));
                acts.push(json!({ "act": "receive", "message": index }));
            }
            Replay(index) | Forged(index) => {
                let Message { from, header_blob, ciphertext, .. } = &messages[index];
                let session = if *from == A { &mut responder } else { &mut initiator };
                let mut ciphertext = ciphertext.clone();
                let is_forged = matches!(act, Forged(_));
                ciphertext[0] ^= u8::from(is_forged);
                assert!(session.decrypt(header_blob, &ciphertext, &mut [0; 2_048]).is_err());
                let act = if is_forged {
                    "reject with bit 0 of the ciphertext changed"
                } else {
                    "reject as a replay"
                };
                acts.push(json!({ "act": act, "message": index }));
            }
        }
    }
    json!({ "handshake": value, "acts": acts })
}

/// Header blob, ciphertext and what was drawn: a ratchet secret where a DH step was due, then the nonce.
fn send<T: Aead>(
    session: &mut Session<T, 16>,
    draws: &mut Draws,
    initiator_id: &[u8],
    kind: u8,
    body: &[u8],
    block: usize,
) -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let mut out = vec![0; 4_096];
    let sealed = session.encrypt(draws, initiator_id, kind, body, block, &mut out).expect("encrypts");
    let (header_blob, ciphertext) = out[..sealed.len].split_at(sealed.header_len);
    let random = draws.take().iter().map(|drawn| hex(drawn)).collect();
    (header_blob.to_vec(), ciphertext.to_vec(), random)
}
