//! Every suite runs through the same lines; what a KEM adds is bound into all keys.

use av_wire::bundle::{Bundle, KEM_RECORD, KemPrekey, KemPrekeyKind, SignedKemPrekey};
use av_wire::hash::h256;
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use av_wire::{Role, Suite, Suites};

use super::{Parameters, initiate, respond};
use crate::crypto::{
    Aead, Aes256Gcm, KemCiphertext, KemSecret, XChaCha20Poly1305, agreements_on_this_thread, hkdf,
};
use crate::error::X3dhError;
use crate::keys::{Identity, Prekeys};
use crate::limits::MAX_HEADER_BLOB;
use crate::ratchet::{HeaderBlob, RatchetError, Session};
use crate::test_support::{TENANT, WITHOUT_KEM, bundle, rng, written};

/// Initiator and responder, who publishes a KEM prekey beside the others.
struct Scene {
    a: Identity,
    b: Identity,
    prekeys: Prekeys<1>,
    kem: KemSecret,
    record: [u8; KEM_RECORD],
    signature: av_wire::Signature,
}

type Message = (Vec<u8>, Vec<u8>);

impl Scene {
    fn new(of_a: Suites, of_b: Suites) -> Self {
        let a = Identity::generate(&mut rng(1), Role::Owner, of_a, 8_192);
        let b = Identity::generate(&mut rng(2), Role::Agent, of_b, 8_192);
        let kem = KemSecret::generate(&mut rng(4)).expect("this build has a KEM");
        let record = KemPrekey::write(KemPrekeyKind::LastResort, 7, 0, &kem.public());
        let parts: [&[u8]; 2] = [b.device_id().as_bytes(), &record];
        let signature = b.signing().sign(SignaturePurpose::Prekey, &parts).expect("signs");
        Self { a, b, prekeys: Prekeys::generate(&mut rng(3), WITHOUT_KEM, 0), kem, record, signature }
    }

    fn parameters<'s>(&'s self, own: &'s Identity, peer: &'s Identity) -> Parameters<'s> {
        Parameters { tenant: &TENANT, identity: own, peer: peer.public(), generation: 1, psk: None }
    }

    fn bundle(&self) -> Bundle<'_> {
        let kem = SignedKemPrekey { record: &self.record, signature: self.signature };
        Bundle { kem: Some(kem), ..self.prekeys.bundle(&self.b, &mut []).expect("signs") }
    }

    fn initiate<A: Aead>(&self) -> Session<A, 16> {
        let bundle = self.bundle().verify(self.b.public()).expect("its own signatures");
        initiate(&self.parameters(&self.a, &self.b), &bundle, &mut rng(5)).expect("initiates")
    }

    fn respond<A: Aead>(&self, first: &Message) -> Result<Session<A, 16>, X3dhError> {
        let prelude = HeaderBlob::parse(&first.0).map_err(|_| X3dhError::Prelude)?.prelude;
        let prelude = prelude.ok_or(X3dhError::Prelude)?;
        let signed = self.prekeys.signed_secret(prelude.signed_prekey).ok_or(X3dhError::Prelude)?;
        let one_time = prelude.one_time_prekey.and_then(|id| self.prekeys.one_time_secret(id));
        let kem = prelude.kem_key.filter(|id| *id == 7).map(|_| &self.kem);
        respond(&self.parameters(&self.b, &self.a), &prelude, signed, one_time, kem)
    }
}

fn send<A: Aead>(session: &mut Session<A, 16>, body: &[u8]) -> Message {
    let mut out = [0; MAX_HEADER_BLOB + 1_024];
    let sealed = session.encrypt(&mut rng(9), &[1; 16], 1, body, 32, &mut out).expect("encrypts");
    (out[..sealed.header_len].to_vec(), out[sealed.header_len..sealed.len].to_vec())
}

fn receive<A: Aead>(session: &mut Session<A, 16>, message: &Message) -> Result<Vec<u8>, RatchetError> {
    let mut out = [0; 1_024];
    let opened = session.decrypt(&message.0, &message.1, &mut out)?;
    Ok(out[..opened.len].to_vec())
}

fn restarted<A: Aead>(session: &Session<A, 16>) -> Session<A, 16> {
    let record = written(Session::<A, 16>::MAX_LEN, |writer| session.write(writer));
    Session::read(&mut Reader::new(&record)).expect("its own record")
}

const fn with_kem(aead: Suite) -> Suites {
    aead.alone().and(aead.with_kem())
}

/// One body for both AEADs, with and without a KEM: nothing in it names a cipher.
fn conversation<A: Aead>(of_a: Suites, of_b: Suites, expected: Suite) {
    let scene = Scene::new(of_a, of_b);
    let mut a = scene.initiate::<A>();
    let mut first = send(&mut a, b"first");
    for _ in 0..2 {
        a = restarted(&a);
        first = send(&mut a, b"first");
    }
    let prelude = HeaderBlob::parse(&first.0).expect("parses").prelude.expect("has one");
    assert_eq!(first.0[1], expected.byte());
    assert_eq!(prelude.kem_key.is_some() && prelude.kem_ciphertext.is_some(), expected.has_kem());
    let mut b = scene.respond::<A>(&first).expect("responds");
    assert_eq!(receive(&mut b, &first).expect("opens"), b"first");
    for turn in 0..3_u8 {
        let answer = send(&mut b, &[turn]);
        assert_eq!(receive(&mut a, &answer).expect("opens"), [turn]);
        (a, b) = (restarted(&a), restarted(&b));
        let question = send(&mut a, &[turn]);
        assert_eq!(question.0[..2], [1, expected.byte()], "the prelude is gone, and the suite stays");
        assert_eq!(receive(&mut b, &question).expect("opens"), [turn]);
    }
    assert_eq!((a.suite(), b.suite()), (expected, expected));
}

#[test]
fn each_suite_runs_through_the_same_lines() {
    fn both<A: Aead>() {
        let aead = A::SUITE;
        conversation::<A>(aead.alone(), aead.alone(), aead);
        conversation::<A>(with_kem(aead), aead.alone(), aead);
        conversation::<A>(aead.alone(), with_kem(aead), aead);
        conversation::<A>(with_kem(aead), with_kem(aead), aead.with_kem());
    }
    both::<XChaCha20Poly1305>();
    both::<Aes256Gcm>();
}

/// A bundle without the KEM key that both sides' suite needs is an error: a relay that withholds it gains nothing.
#[test]
fn a_missing_kem_key_is_no_reason_to_take_another_suite() {
    let suites = with_kem(Suite::XChaCha20Poly1305);
    let scene = Scene::new(suites, suites);
    let verified = bundle(&scene.prekeys, &scene.b);
    let begun =
        initiate::<XChaCha20Poly1305, 16>(&scene.parameters(&scene.a, &scene.b), &verified, &mut rng(5));
    assert_eq!(begun.err(), Some(X3dhError::Bundle));

    // Nor does a responder take a prelude of the weaker suite, and it computes nothing for it.
    let weak = Scene::new(Suite::XChaCha20Poly1305.alone(), suites);
    let first = send(&mut weak.initiate::<XChaCha20Poly1305>(), b"first");
    let agreements = agreements_on_this_thread();
    assert_eq!(scene.respond::<XChaCha20Poly1305>(&first).err(), Some(X3dhError::Prelude));
    assert_eq!(agreements_on_this_thread(), agreements);
}

#[test]
fn a_record_with_a_change_anywhere_does_not_verify() {
    let scene = Scene::new(Suite::XChaCha20Poly1305.alone(), Suite::XChaCha20Poly1305.alone());
    let verify = |record: &[u8; KEM_RECORD]| {
        let signed = SignedKemPrekey { record, signature: scene.signature };
        signed.verify(scene.b.public()).map(|prekey| (prekey.id(), prekey.kind()))
    };
    assert_eq!(verify(&scene.record), Ok((7, KemPrekeyKind::LastResort)));
    for index in 0..KEM_RECORD {
        let mut changed = scene.record;
        changed[index] ^= 1;
        assert!(verify(&changed).is_err(), "byte {index}");
    }
    let other = SignedKemPrekey { record: &scene.record, signature: scene.signature };
    assert!(other.verify(scene.a.public()).is_err());
}

#[test]
fn a_first_message_with_a_change_anywhere_does_not_open() {
    let suites = with_kem(Suite::XChaCha20Poly1305);
    let scene = Scene::new(suites, suites);
    let first = send(&mut scene.initiate::<XChaCha20Poly1305>(), b"first");
    let opens = |message: &Message| {
        let mut session = scene.respond::<XChaCha20Poly1305>(message).ok()?;
        receive(&mut session, message).ok()
    };
    assert_eq!(opens(&first).as_deref(), Some(&b"first"[..]));
    // Each costs a decapsulation, so of the ciphertext's bytes every seventh is tried, of the others all.
    let ciphertext = 60..60 + 1_088;
    for index in (0..first.0.len()).filter(|index| !ciphertext.contains(index) || index % 7 == 0) {
        let mut changed = first.clone();
        changed.0[index] ^= 1;
        assert_eq!(opens(&changed), None, "byte {index}");
    }
}

/// Section 6 by hand: the KEM's key and ciphertext in the transcript, its secret between one-time key and psk.
#[test]
fn transcript_and_keys_hold_what_the_kem_adds() {
    let suites = with_kem(Suite::XChaCha20Poly1305);
    let scene = Scene::new(suites, suites);
    let mut a = scene.initiate::<XChaCha20Poly1305>();
    let first = send(&mut a, b"");
    let prelude = HeaderBlob::parse(&first.0).expect("parses").prelude.expect("has one");
    let (ciphertext, signed_id) = (prelude.kem_ciphertext.expect("has one"), prelude.signed_prekey);
    let signed = scene.prekeys.signed_secret(signed_id).expect("kept");
    let one_time_id = prelude.one_time_prekey.expect("the bundle has one");
    let one_time = scene.prekeys.one_time_secret(one_time_id).expect("kept");

    let mut input = vec![0x11, 0, 0, 0, 0, 1];
    input.extend(TENANT.as_bytes());
    input.extend(scene.a.fingerprint().as_bytes());
    input.extend(scene.b.fingerprint().as_bytes());
    input.extend(prelude.ephemeral);
    input.extend(signed_id.to_be_bytes());
    input.extend(signed.public());
    input.push(1);
    input.extend(one_time_id.to_be_bytes());
    input.extend(one_time.public());
    input.push(1);
    input.extend(7_u32.to_be_bytes());
    input.extend(scene.kem.public());
    input.extend(ciphertext);
    assert_eq!(*a.id(), h256(b"av1 x3dh", &[&input]));

    let ikd_a = &scene.a.public().agreement_key;
    let mut ikm = vec![0xff; 32];
    for (secret, public) in [
        (scene.b.agreement(), ikd_a),
        (signed, ikd_a),
        (scene.b.agreement(), &prelude.ephemeral),
        (signed, &prelude.ephemeral),
        (one_time, &prelude.ephemeral),
    ] {
        ikm.extend(secret.agree(public).expect("agrees").expose());
    }
    let ciphertext = KemCiphertext::from_slice(ciphertext).expect("1,088 bytes");
    ikm.extend(scene.kem.decapsulate(&ciphertext).expose());
    ikm.extend([0; 32]);
    let mut okm = [0; 96];
    hkdf(a.id(), &[&ikm], b"AV1 x3dh", &mut okm);
    let b = scene.respond::<XChaCha20Poly1305>(&first).expect("responds");
    let record = written(Session::<XChaCha20Poly1305, 16>::MAX_LEN, |writer| b.write(writer));
    for key in okm.chunks(32) {
        assert!(record.windows(32).any(|window| window == key));
    }
}
