//! `vectors/noise-nk.json`: what others published, byte for byte, from both ends.

use chacha20::rand_core::{Infallible, TryCryptoRng, TryRng};
use serde_json::Value;

use super::sealed;
use crate::handshake::answer_first;
use crate::limits::TAG;
use crate::symmetric::Symmetric;
use crate::{Initiator, LinkSecret};

/// Gives a vector's ephemeral key, once.
struct Ephemeral(Option<[u8; 32]>);

impl TryRng for Ephemeral {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only keys are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only keys are drawn")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.take().expect("one key is drawn"));
        Ok(())
    }
}

impl TryCryptoRng for Ephemeral {}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("hex")).expect("hex")
}

fn key(value: &Value) -> [u8; 32] {
    bytes(value).try_into().expect("32 bytes")
}

/// A handshake message with this payload in its place.
fn unsealed(payload: &[u8]) -> Vec<u8> {
    [&[0; 32], payload, &[0; TAG]].concat()
}

#[test]
fn every_published_vector_comes_out_byte_for_byte_at_both_ends() {
    let document: Value = serde_json::from_str(include_str!("../../vectors/noise-nk.json")).unwrap();
    let vectors = document["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 2, "cacophony's and snow's");
    let mut transports = 0;
    for vector in vectors {
        let (prologue, secret) =
            (bytes(&vector["init_prologue"]), LinkSecret::from_bytes(&key(&vector["resp_static"])));
        assert_eq!(*secret.public(), key(&vector["init_remote_static"]));
        let messages: Vec<_> = vector["messages"].as_array().unwrap().iter().collect();
        let [first, second, rest @ ..] = &messages[..] else { panic!("a handshake") };
        let symmetric = || Symmetric::with_prologue(&[&prologue], secret.public());

        let mut message = unsealed(&bytes(&first["payload"]));
        let mut ephemeral = Ephemeral(Some(key(&vector["init_ephemeral"])));
        let initiator =
            Initiator::write_first(&mut ephemeral, symmetric(), secret.public(), &mut message).unwrap();
        assert_eq!(message, bytes(&first["ciphertext"]));

        let mut answer = unsealed(&bytes(&second["payload"]));
        let mut ephemeral = Ephemeral(Some(key(&vector["resp_ephemeral"])));
        let mut responder =
            answer_first(&mut ephemeral, symmetric(), &secret, &mut message, &mut answer).unwrap();
        assert_eq!(answer, bytes(&second["ciphertext"]));
        assert_eq!(message[32..message.len() - TAG], bytes(&first["payload"]), "opened in place");

        let mut initiator = initiator.read_second(&mut answer).unwrap();
        assert_eq!(answer[32..answer.len() - TAG], bytes(&second["payload"]), "opened in place");
        if let Some(hash) = vector.get("handshake_hash") {
            assert_eq!(initiator.channel()[..], bytes(hash)[..32]);
        }
        assert_eq!(initiator.channel(), responder.channel());

        for (index, message) in rest.iter().enumerate() {
            // After the handshake's two messages, the initiator speaks on even places.
            let (from, to) = if index % 2 == 0 {
                (&mut initiator, &mut responder)
            } else {
                (&mut responder, &mut initiator)
            };
            let mut ciphertext = sealed(from, &bytes(&message["payload"]));
            assert_eq!(ciphertext, bytes(&message["ciphertext"]));
            assert_eq!(to.open(&mut ciphertext).unwrap(), bytes(&message["payload"]));
            transports += 1;
        }
    }
    assert_eq!(transports, 6);
}
