//! The values that hold secrets, each after a use of it that fills what it can hold.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};

use av_proto::crypto::{AgreementSecret, KemSecret, SigningSecret, XChaCha20Poly1305};
use av_proto::invite::InviteKeys;
use av_proto::keys::{Identity, Prekeys, Secret};
use av_proto::link::{Initiator, LinkSecret};
use av_proto::ratchet::Session;
use av_proto::record::codec::Writer;
use av_proto::wire::{Origin, Role, Suite};
use av_proto::{Drbg, InviteText, RecoveryKey, Seal};
use av_secrecy::devices::{Devices, Message};
use av_secrecy::randomness::SecretRng;

use crate::memory::{Found, after_drop, secret_bytes};

/// A name and a search.
pub(crate) type Subject = (&'static str, fn() -> Found);

/// What must leave nothing.
pub(crate) const DROPPED: &[Subject] = &[
    ("Secret", || drawn(|rng| Secret::<32>::random(rng))),
    ("AgreementSecret", || drawn(|rng| AgreementSecret::generate(rng))),
    ("SigningSecret", || drawn(|rng| SigningSecret::generate(rng))),
    ("KemSecret", || drawn(|rng| KemSecret::generate(rng).expect("the feature is on"))),
    ("Drbg", || drawn(|rng| Drbg::draw(rng).expect("this source does not fail"))),
    ("Seal", || drawn(|rng| Seal::new(rng.bytes()))),
    ("InviteText", || drawn(|rng| InviteText::generate(rng))),
    ("RecoveryKey", || drawn(|rng| RecoveryKey::generate(rng))),
    ("Identity", || drawn(|rng| Identity::generate(rng, Role::Agent, SUITE.alone(), 4_096))),
    ("Prekeys", || drawn(|rng| Prekeys::<8>::generate(rng, Suite::XChaCha20Poly1305.alone(), 0))),
    ("InviteKeys", invite_keys),
    ("Session of the initiator", || session(true)),
    ("Session of the responder, with skipped keys", || session(false)),
    ("link: LinkSecret", || drawn(|rng| LinkSecret::generate(rng))),
    ("link: Initiator", || drawn(initiator)),
];

/// What leaves something all the same, at some optimisation level, and why.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    ("Prekeys", "an empty place among them has the bytes of what lay where the whole was put together"),
    (
        "stack of Endpoint::found",
        "the recovery key is the call's result, moved once more on its way to the caller",
    ),
    ("stack of Endpoint::create_invite", "the invite's text is the call's result, as above"),
    (
        "stack of Endpoint::poll",
        "at level s, above what is overwritten: it comes out with the result; where from is not found",
    ),
    (
        HELD,
        "an enum's bytes that its present variant does not use are not written when it is moved in or replaced",
    ),
    (
        AFTER_RESET,
        "the same bytes: a drop wipes the variant that is there, and safe code cannot write the others",
    ),
];

/// What an endpoint still has in memory although no record has it any more.
pub(crate) const HELD: &str = "what an endpoint holds of secrets that are over";
/// What it has in memory when it has forgotten everything.
pub(crate) const AFTER_RESET: &str = "what an endpoint holds after reset";

/// What must be found.
pub(crate) const CONTROLS: &[Subject] = &[
    ("a key in a type that wipes nothing", || drawn(|rng| rng.bytes::<32>())),
    ("a secret whose drop does not run", || drawn(|rng| ManuallyDrop::new(Secret::<32>::random(rng)))),
];

const SUITE: Suite = Suite::XChaCha20Poly1305;

static NEXT_SEED: AtomicU64 = AtomicU64::new(100);

/// A value made of a generator's output alone, which is what is searched for.
fn drawn<T>(make: impl FnOnce(&mut SecretRng) -> T) -> Found {
    // Secrets of its own, so that what an earlier call left on the stack is not taken for this value's.
    let mut rng = SecretRng::new(NEXT_SEED.fetch_add(1, Ordering::Relaxed));
    let value = make(&mut rng);
    after_drop(value, &rng.into_drawn())
}

fn initiator(rng: &mut SecretRng) -> Initiator {
    let origin = Origin::parse("ws://relay.example:7460").expect("an origin");
    let relay = LinkSecret::from_bytes(&[7; 32]);
    Initiator::start(rng, &origin, relay.public()).expect("starts").0
}

/// Derived keys are learnt from a second, equal value.
fn invite_keys() -> Found {
    let keys = || InviteKeys::derive(&InviteText::generate(&mut SecretRng::new(4)));
    let psk = keys().into_psk();
    after_drop(keys(), &[secret_bytes(&psk)])
}

/// A session's secrets are those that its record marks.
fn session(of_initiator: bool) -> Found {
    let mut rng = SecretRng::new(5);
    let devices = Devices::new(SUITE.alone());
    let mut initiator = devices.initiate::<XChaCha20Poly1305, 4>(&mut rng);
    let first = Message::seal(&mut initiator, &mut rng, b"first");
    let mut responder = devices.respond::<XChaCha20Poly1305, 4>(&first);
    assert!(first.open(&mut responder));
    let answer = Message::seal(&mut responder, &mut rng, b"answer");
    assert!(answer.open(&mut initiator));
    let late = [(); 3].map(|()| Message::seal(&mut initiator, &mut rng, b"late"));
    assert!(late[2].open(&mut responder));
    let session = if of_initiator { initiator } else { responder };
    let secrets = marked(&session);
    after_drop(session, &secrets)
}

pub(crate) fn marked(session: &Session<XChaCha20Poly1305, 4>) -> Vec<Vec<u8>> {
    let (mut record, mut places) = ([0; 4_096], Vec::new());
    let mut mark = |place| places.push(place);
    session.write(&mut Writer::marking(&mut record, &mut mark)).expect("it has room");
    places.into_iter().map(|place: std::ops::Range<usize>| record[place].to_vec()).collect()
}
