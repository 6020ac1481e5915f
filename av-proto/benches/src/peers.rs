//! Other Double Ratchets, through their public doors.

use std::hint::black_box;

use double_ratchet_2::ratchet::RatchetEncHeader;
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

use crate::BODY;
use crate::measure::{Cases, timed};

/// The gap that vodozemac walks for one message at most.
const VODOZEMAC_GAP: usize = 2_000;

/// Both ends of an Olm session.
struct Olm {
    a: Session,
    b: Session,
}

impl Olm {
    fn new() -> Self {
        let (a, mut b) = (Account::new(), Account::new());
        b.generate_one_time_keys(1);
        let key = b.one_time_keys().into_values().next().expect("one");
        let config = SessionConfig::version_1();
        let mut ours = a.create_outbound_session(config, b.curve25519_key(), key).expect("a session");
        let OlmMessage::PreKey(first) = ours.encrypt("first").expect("encrypts") else {
            panic!("a session begins with a pre-key message")
        };
        let config = SessionConfig::version_1();
        let mut theirs =
            b.create_inbound_session(config, a.curve25519_key(), &first).expect("genuine").session;
        let reply = theirs.encrypt("reply").expect("encrypts");
        ours.decrypt(&reply).expect("genuine");
        Self { a: ours, b: theirs }
    }

    /// From plaintext to bytes and back.
    fn pass(from: &mut Session, to: &mut Session) {
        let (kind, bytes) = from.encrypt(black_box([0x61; BODY])).expect("encrypts").to_parts();
        let message = OlmMessage::from_parts(kind, &bytes).expect("parses");
        assert_eq!(black_box(to.decrypt(&message).expect("genuine")).len(), BODY);
    }
}

type Key = x25519_dalek2::StaticSecret;

/// Both ends of a session with header encryption.
struct HeaderEncrypted {
    a: RatchetEncHeader<Key>,
    b: RatchetEncHeader<Key>,
}

impl HeaderEncrypted {
    fn new() -> Self {
        let (b, public) = RatchetEncHeader::<Key>::init_bob([1; 32], [2; 32], [3; 32]);
        let mut pair = Self { a: RatchetEncHeader::init_alice([1; 32], public, [2; 32], [3; 32]), b };
        Self::pass(&mut pair.a, &mut pair.b);
        pair
    }

    fn pass(from: &mut RatchetEncHeader<Key>, to: &mut RatchetEncHeader<Key>) {
        let (header, ciphertext, nonce) = from.ratchet_encrypt(black_box(&[0x61; BODY]), b"ad");
        assert_eq!(black_box(to.ratchet_decrypt(&header, &ciphertext, &nonce, b"ad")).len(), BODY);
    }
}

/// Adds the peers' cases.
pub fn add(cases: &mut Cases) {
    let mut pair = Olm::new();
    cases.add("vodozemac chain_100", 20, move |n| {
        timed(|| (0..n).for_each(|_| Olm::pass(&mut pair.a, &mut pair.b)))
    });
    let mut pair = Olm::new();
    cases.add("vodozemac ping_pong_100", 2, move |n| {
        timed(|| {
            for _ in 0..n / 2 {
                Olm::pass(&mut pair.a, &mut pair.b);
                Olm::pass(&mut pair.b, &mut pair.a);
            }
        })
    });
    let mut pair = Olm::new();
    let last = (0..=VODOZEMAC_GAP).map(|_| pair.a.encrypt([0x61; BODY]).expect("encrypts")).last();
    let (kind, mut bytes) = last.expect("many").to_parts();
    if let Some(byte) = bytes.last_mut() {
        *byte ^= 1;
    }
    let forged = OlmMessage::from_parts(kind, &bytes).expect("parses");
    cases.add("vodozemac forged_gap_2000", 1, move |n| {
        timed(|| (0..n).for_each(|_| assert!(pair.b.decrypt(&forged).is_err())))
    });

    let mut pair = HeaderEncrypted::new();
    cases.add("double-ratchet-2 chain_100", 40, move |n| {
        timed(|| (0..n).for_each(|_| HeaderEncrypted::pass(&mut pair.a, &mut pair.b)))
    });
    let mut pair = HeaderEncrypted::new();
    cases.add("double-ratchet-2 ping_pong_100", 2, move |n| {
        timed(|| {
            for _ in 0..n / 2 {
                HeaderEncrypted::pass(&mut pair.b, &mut pair.a);
                HeaderEncrypted::pass(&mut pair.a, &mut pair.b);
            }
        })
    });
}
