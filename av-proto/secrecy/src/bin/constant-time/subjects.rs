//! The operations that are examined: each runs once, on secrets from a generator whose output is undefined.

use std::fmt::Write;
use std::hint::black_box;

use av_proto::crypto::{
    Aead, Aes256Gcm, AgreementSecret, KemCiphertext, KemSecret, SigningSecret, XChaCha20Poly1305,
    encapsulate, hkdf, mac, verify_mac,
};
use av_proto::invite::InviteKeys;
use av_proto::keys::Secret;
use av_proto::link::{Initiator, LinkSecret, respond};
use av_proto::ratchet::Session;
use av_proto::record::codec::Writer;
use av_proto::wire::enroll::EnrollTranscript;
use av_proto::wire::labels::SignaturePurpose;
use av_proto::wire::layout::Reader;
use av_proto::wire::{Origin, Role, Suite, Suites};
use av_proto::{Drbg, InviteText, RecordKey, RecordKind, RecoveryKey, Seal};
use av_secrecy::devices::{Devices, Message, identity, key_pair};
use av_secrecy::memcheck::{declassify, published};
use av_secrecy::randomness::SecretRng;

/// An operation and its name.
pub(crate) type Subject = (&'static str, fn(&mut SecretRng));

/// All of them, from the primitives up.
pub(crate) const SUBJECTS: &[Subject] = &[
    ("Secret::ct_eq", compare),
    ("Drbg::draw", draw),
    ("hkdf", derive),
    ("mac, verify_mac", authenticate),
    ("AgreementSecret::generate, from_bytes, agree", agree),
    ("SigningSecret::generate, sign", sign),
    ("XChaCha20Poly1305::seal, open (accepted, rejected)", aead::<XChaCha20Poly1305>),
    ("Aes256Gcm::seal, open (accepted, rejected)", aead::<Aes256Gcm>),
    ("KemSecret::generate, public, decapsulate (accepted, rejected), encapsulate", kem),
    ("InviteText::generate, Display, parse", invite_text),
    ("InviteKeys::derive, seal_name, open_name, enroll_tag, verify_enroll_tag", invite_keys),
    ("RecoveryKey::generate, reveal, parse, found", recovery),
    ("Seal::seal_in_place, open", seal),
    ("Identity::generate, Prekeys::generate, bundle", identities),
    ("x3dh::initiate, respond", handshake),
    ("x3dh::initiate, respond with ML-KEM-768", handshake_with_kem),
    (
        "Session::encrypt, decrypt (in order, late, with a DH step, rejected)",
        conversation::<XChaCha20Poly1305>,
    ),
    ("Session::encrypt, decrypt in suite 0x02", conversation::<Aes256Gcm>),
    ("Session::write, read", session_record),
    ("link: Initiator::start, respond, Initiator::finish", link_handshake),
    ("link: Transport::seal, open (accepted, rejected)", link_transport),
];

fn compare(rng: &mut SecretRng) {
    let (one, other) = (Secret::<32>::random(rng), Secret::new(rng.bytes()));
    assert!(!published(one.ct_eq(&other)));
    assert!(published(one.ct_eq(&one)));
}

fn draw(rng: &mut SecretRng) {
    let mut drbg = Drbg::draw(rng).expect("this source does not fail");
    black_box(Secret::<64>::random(&mut drbg));
}

fn derive(rng: &mut SecretRng) {
    let (salt, ikm, mut out) = (rng.bytes::<32>(), rng.bytes::<32>(), [0; 160]);
    hkdf(&salt, &[&[0xff; 32], &ikm], b"a label", &mut out);
    black_box(out);
}

fn authenticate(rng: &mut SecretRng) {
    let key = Secret::random(rng);
    let parts: [&[u8]; 2] = [&rng.bytes::<40>(), b"public"];
    let computed = mac(&key, b"a purpose", &parts).expect("a short tag");
    assert!(published(verify_mac(&key, b"a purpose", &parts, &computed)));
    assert!(!published(verify_mac(&key, b"another", &parts, &computed)));
}

fn agree(rng: &mut SecretRng) {
    let (one, other) = (key_pair(rng), AgreementSecret::from_bytes(&Secret::random(rng)));
    declassify(other.public());
    assert!(succeeded(one.agree(other.public())));
    assert!(!succeeded(other.agree(&[0; 32])));
}

/// Whether it did, which is public; the value is published with it, so that dropping it does not ask again.
fn succeeded<T, E>(result: Result<T, E>) -> bool {
    let mut result = result;
    declassify(black_box(&mut result));
    black_box(&mut result).is_ok()
}

fn sign(rng: &mut SecretRng) {
    let key = SigningSecret::generate(rng);
    declassify(key.public());
    // What is signed is public; the commitment and the key are not.
    black_box(key.sign(SignaturePurpose::Prekey, &[b"a record"]).expect("short"));
}

fn aead<A: Aead>(rng: &mut SecretRng) {
    let key = Secret::random(rng);
    let (nonce, ad) = (published(rng.bytes::<24>()), b"associated");
    let nonce = &nonce[..A::NONCE];
    let mut text = rng.bytes::<300>();
    let tag = published(A::seal(&key, nonce, ad, &mut text).expect("a nonce of its length"));
    declassify(&text);
    let mut forged = text;
    forged[0] ^= 1;
    assert!(published(A::open(&key, nonce, ad, &mut forged, &tag).is_err()));
    assert!(published(A::open(&key, nonce, ad, &mut text, &tag).is_ok()));
}

fn kem(rng: &mut SecretRng) {
    let key = KemSecret::generate(rng).expect("the feature is on");
    let (ciphertext, sent) = encapsulate(&published(key.public()), rng).expect("a key");
    declassify(&ciphertext);
    assert!(published(key.decapsulate(&ciphertext).ct_eq(&sent)));
    let mut forged = ciphertext.as_bytes().to_vec();
    forged[0] ^= 1;
    let forged = KemCiphertext::from_slice(&forged).expect("as long");
    assert!(!published(key.decapsulate(&forged).ct_eq(&sent)));
}

fn invite_text(rng: &mut SecretRng) {
    let invite = InviteText::generate(rng);
    let mut text = String::with_capacity(64);
    write!(text, "{invite}").expect("a string takes everything");
    assert!(InviteText::parse(&text).is_ok());
}

fn invite_keys(rng: &mut SecretRng) {
    let keys = InviteKeys::derive(&InviteText::generate(rng));
    declassify(keys.lookup());
    // The relay sees the sealed name and the tag; the names are shown to a person.
    let sealed = published(keys.seal_name(rng, "pump room", "linux").expect("short"));
    assert!(published(keys.open_name(&sealed).is_ok()));
    let transcript = EnrollTranscript(published(rng.bytes()));
    let tag = published(keys.enroll_tag(&transcript).expect("tags"));
    assert!(published(keys.verify_enroll_tag(&transcript, &tag)));
    black_box(keys.into_psk());
}

fn recovery(rng: &mut SecretRng) {
    let root = RecoveryKey::generate(rng);
    declassify(root.public());
    let text = root.reveal(str::to_owned);
    assert!(RecoveryKey::parse(&text).is_ok());
    let founder = identity(rng, Role::Owner, Suite::XChaCha20Poly1305.alone());
    let origin = Origin::parse("wss://relay.example").expect("an origin");
    assert!(root.found(&founder, &origin, 1).is_ok());
}

fn seal(rng: &mut SecretRng) {
    let seal = Seal::new(rng.bytes());
    let (key, mut buffer, mut opened) = (RecordKey::new(RecordKind::Peer, 1), [0; 400], [0; 400]);
    buffer[Seal::PREFIX..][..200].copy_from_slice(&rng.bytes::<200>());
    let sealed = seal.seal_in_place(key, 200, rng, &mut buffer).expect("it has room");
    declassify(sealed);
    assert!(published(seal.open(key, sealed, &mut opened).is_ok()));
    assert!(published(seal.open(RecordKey::new(RecordKind::Peer, 2), sealed, &mut opened).is_err()));
}

fn identities(_: &mut SecretRng) {
    black_box(Devices::new(Suite::XChaCha20Poly1305.alone()));
}

fn handshake(rng: &mut SecretRng) {
    begin::<XChaCha20Poly1305>(rng, Suite::XChaCha20Poly1305.alone());
}

fn handshake_with_kem(rng: &mut SecretRng) {
    let aead = Suite::XChaCha20Poly1305;
    begin::<XChaCha20Poly1305>(rng, aead.alone().and(aead.with_kem()));
}

/// Both sessions of a handshake, the first message opened.
fn begin<A: Aead>(rng: &mut SecretRng, suites: Suites) -> (Session<A, 4>, Session<A, 4>) {
    let devices = Devices::new(suites);
    let mut initiator = devices.initiate::<A, 4>(rng);
    let first = Message::seal(&mut initiator, rng, &rng_body());
    let mut responder = devices.respond(&first);
    assert!(first.open(&mut responder));
    (initiator, responder)
}

/// A body that is secret.
fn rng_body() -> [u8; 100] {
    SecretRng::new(99).bytes()
}

fn conversation<A: Aead>(rng: &mut SecretRng) {
    let (mut one, mut other) = begin::<A>(rng, A::SUITE.alone());
    for _ in 0..2 {
        let late = Message::seal(&mut other, rng, &rng_body());
        assert!(Message::seal(&mut other, rng, &rng_body()).open(&mut one));
        assert!(!Message::seal(&mut other, rng, &rng_body()).corrupted().open(&mut one));
        let answer = Message::seal(&mut one, rng, &rng_body());
        assert!(late.open(&mut one));
        assert!(answer.open(&mut other));
    }
}

fn session_record(rng: &mut SecretRng) {
    let (session, _) = begin::<XChaCha20Poly1305>(rng, Suite::XChaCha20Poly1305.alone());
    let mut record = [0; 4_096];
    let mut writer = Writer::new(&mut record);
    session.write(&mut writer).expect("it has room");
    let len = writer.len();
    assert!(Session::<XChaCha20Poly1305, 4>::read(&mut Reader::new(&record[..len])).is_ok());
}

/// The device that begins, the relay's key, and the 48 bytes for it.
fn link(rng: &mut SecretRng) -> (av_proto::link::Transport, av_proto::link::Transport) {
    let origin = Origin::parse("ws://relay.example:7460").expect("an origin");
    let relay = LinkSecret::generate(rng);
    declassify(relay.public());
    let (initiator, hello) = Initiator::start(rng, &origin, relay.public()).expect("starts");
    let (relay, answer) = respond(rng, &origin, &relay, &published(hello)).expect("responds");
    (initiator.finish(&published(answer)).expect("finishes"), relay)
}

fn link_handshake(rng: &mut SecretRng) {
    black_box(link(rng));
}

fn link_transport(rng: &mut SecretRng) {
    let (mut device, mut relay) = link(rng);
    let mut buffer = rng.bytes::<216>();
    let sealed = device.seal(&mut buffer, 200).expect("it has room").to_vec();
    declassify(&sealed[..]);
    let mut forged = sealed.clone();
    forged[0] ^= 1;
    assert!(published(relay.open(&mut forged).is_err()));
    let mut sealed = sealed;
    assert!(published(relay.open(&mut sealed).is_ok()));
}
