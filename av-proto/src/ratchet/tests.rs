//! What the ratchet's tests share: two parties with a session between them, and messages as the relay sees them.

mod bounds;
mod exchange;
mod hostile;
mod place;
mod previous;
mod record;
mod rejection;
mod schedule;
mod secrecy;

use std::vec;
use std::vec::Vec;

use av_wire::Role;
use av_wire::layout::Reader;
use chacha20::ChaCha20Rng;

use super::{HeaderBlob, RatchetError, Session};
use crate::crypto::Aead;
use crate::keys::Prekeys;
use crate::test_support::{TENANT, WITHOUT_KEM, bundle, identity, rng, written};
use crate::x3dh::{Parameters, initiate, respond};

/// What an initiator says of itself while its prelude is pending: here an id, in life an id or a chain.
const INITIATOR: &[u8] = b"sixteen bytes id";
const KIND: u8 = 1;
const BLOCK: usize = 32;

/// A message as the relay has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    header_blob: Vec<u8>,
    ciphertext: Vec<u8>,
}

/// One end of a session.
struct Party<A: Aead, const SKIP: usize> {
    session: Session<A, SKIP>,
    rng: ChaCha20Rng,
}

impl<A: Aead, const SKIP: usize> Party<A, SKIP> {
    fn send(&mut self, body: &[u8]) -> Message {
        let mut out = vec![0; 1_024 + body.len()];
        let expected = self.session.sealed_len(INITIATOR.len(), body.len(), BLOCK);
        let sealed =
            self.session.encrypt(&mut self.rng, INITIATOR, KIND, body, BLOCK, &mut out).expect("encrypts");
        assert_eq!(expected, Ok(sealed.len));
        let (header_blob, ciphertext) = out[..sealed.len].split_at(sealed.header_len);
        Message { header_blob: header_blob.to_vec(), ciphertext: ciphertext.to_vec() }
    }

    fn receive(&mut self, message: &Message) -> Result<Vec<u8>, RatchetError> {
        let mut out = vec![0xaa; message.ciphertext.len().saturating_sub(16)];
        match self.session.decrypt(&message.header_blob, &message.ciphertext, &mut out) {
            Ok(opened) => {
                assert_eq!(opened.kind, KIND);
                assert!(out[opened.len..].iter().all(|byte| *byte == 0), "nothing is left behind the body");
                out.truncate(opened.len);
                Ok(out)
            }
            Err(error) => {
                assert!(out.iter().all(|byte| *byte == 0xaa) || out.iter().all(|byte| *byte == 0));
                Err(error)
            }
        }
    }

    /// Receives a message that must fail, and holds that nothing changed.
    fn refuse(&mut self, message: &Message) -> RatchetError {
        let before = self.record();
        let error = self.receive(message).expect_err("must not open");
        assert!(self.record() == before, "a rejected message changed the session: {error}");
        error
    }

    fn record(&self) -> Vec<u8> {
        written(Session::<A, SKIP>::MAX_LEN, |writer| self.session.write(writer))
    }

    /// Stores the session and goes on with what was read back.
    fn restart(&mut self) {
        let record = self.record();
        let mut reader = Reader::new(&record);
        self.session = Session::read(&mut reader).expect("its own record");
        assert!(reader.end().is_ok());
        assert!(self.record() == record);
    }

    /// What a thief of the stored state has.
    fn stolen(&self) -> Self {
        let session = Session::read(&mut Reader::new(&self.record())).expect("its own record");
        Self { session, rng: rng(0xbad) }
    }
}

/// Initiator and responder; the first message is sent and opened, its reply is not.
fn pair<A: Aead, const SKIP: usize>(seed: u64) -> (Party<A, SKIP>, Party<A, SKIP>) {
    let (a, b, first) = unopened_pair(seed);
    let (mut a, mut b) = (a, b);
    assert_eq!(b.receive(&first).expect("opens"), b"first");
    assert_eq!(a.session.id(), b.session.id());
    a.restart();
    (a, b)
}

/// A pair whose initiator is confirmed.
fn confirmed<A: Aead, const SKIP: usize>(seed: u64) -> (Party<A, SKIP>, Party<A, SKIP>) {
    let (mut a, mut b) = pair(seed);
    let reply = b.send(b"reply");
    assert_eq!(a.receive(&reply).expect("opens"), b"reply");
    (a, b)
}

/// Initiator, responder, and the first message, which the responder has not opened.
fn unopened_pair<A: Aead, const SKIP: usize>(seed: u64) -> (Party<A, SKIP>, Party<A, SKIP>, Message) {
    let (owner, agent) = (identity::<A>(seed, Role::Owner), identity::<A>(seed + 1, Role::Agent));
    let prekeys = Prekeys::<1>::generate(&mut rng(seed + 2), WITHOUT_KEM, 0);
    let parameters =
        |identity, peer| Parameters { tenant: &TENANT, identity, peer, generation: 1, psk: None };
    let bundle = bundle(&prekeys, &agent);
    let session = initiate(&parameters(&owner, agent.public()), &bundle, &mut rng(seed + 3));
    let mut a = Party { session: session.expect("initiates"), rng: rng(seed + 4) };
    let first = a.send(b"first");
    let prelude =
        HeaderBlob::parse(&first.header_blob).expect("parses").prelude.expect("a first message has one");
    let signed = prekeys.signed_secret(prelude.signed_prekey).expect("kept");
    let one_time = prelude.one_time_prekey.and_then(|id| prekeys.one_time_secret(id));
    let session = respond(&parameters(&agent, owner.public()), &prelude, signed, one_time, None);
    let b = Party { session: session.expect("responds"), rng: rng(seed + 5) };
    (a, b, first)
}

/// Sends one message there and one back.
fn round_trip<A: Aead, const SKIP: usize>(a: &mut Party<A, SKIP>, b: &mut Party<A, SKIP>) {
    let ping = a.send(b"ping");
    assert_eq!(b.receive(&ping).expect("opens"), b"ping");
    let pong = b.send(b"pong");
    assert_eq!(a.receive(&pong).expect("opens"), b"pong");
}
