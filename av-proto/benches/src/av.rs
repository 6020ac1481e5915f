//! av-proto: a session as the endpoint uses it, from plaintext to the bytes of the message and back.

use std::hint::black_box;

use av_proto::XChaCha20Poly1305;
use av_proto::keys::{Identity, Prekeys};
use av_proto::ratchet::{HeaderBlob, Session};
use av_proto::wire::bundle::Bundle;
use av_proto::wire::{Role, Suite, TenantId};
use av_proto::x3dh::{Parameters, initiate, respond};
use chacha20::ChaCha20Rng;
use rand_core::Rng;

use crate::measure::{Cases, timed};
use crate::{BODY, rng};

const TENANT: TenantId = TenantId([0x7e; 16]);
/// An application message.
const KIND: u8 = 1;
const BLOCK: usize = 32;

type Sessions = Session<XChaCha20Poly1305, 32>;

/// Two devices and the responder's prekeys.
struct Devices {
    initiator: Identity,
    responder: Identity,
    prekeys: Prekeys<8>,
}

impl Devices {
    fn new() -> Self {
        let suites = Suite::XChaCha20Poly1305.alone();
        Self {
            initiator: Identity::generate(&mut rng(11), Role::Owner, suites, 4_096),
            responder: Identity::generate(&mut rng(12), Role::Agent, suites, 4_096),
            prekeys: Prekeys::generate(&mut rng(13), suites, 0),
        }
    }

    fn bundle(&self) -> Bundle<'static> {
        self.prekeys.bundle(&self.responder, &mut []).expect("signs")
    }

    /// Verifies the bundle, and makes the session.
    fn initiate(&self, bundle: &Bundle<'_>, rng: &mut ChaCha20Rng) -> Sessions {
        let verified = bundle.verify(self.responder.public()).expect("genuine");
        let (identity, peer) = (&self.initiator, self.responder.public());
        let parameters = Parameters { tenant: &TENANT, identity, peer, generation: 1, psk: None };
        initiate(&parameters, &verified, rng).expect("initiates")
    }

    /// Makes the session that a first message asks for, and opens the message.
    fn respond(&self, first: &Message) -> Sessions {
        let prelude =
            HeaderBlob::parse(first.header_blob()).expect("parses").prelude.expect("a first message");
        let (identity, peer) = (&self.responder, self.initiator.public());
        let parameters = Parameters { tenant: &TENANT, identity, peer, generation: 1, psk: None };
        let signed = self.prekeys.signed_secret(prelude.signed_prekey).expect("the current one");
        let one_time = prelude.one_time_prekey.and_then(|id| self.prekeys.one_time_secret(id));
        let mut session = respond(&parameters, &prelude, signed, one_time, None).expect("responds");
        assert!(first.open(&mut session));
        session
    }
}

/// The bytes of a message.
struct Message {
    bytes: [u8; 1_024],
    header_len: usize,
    len: usize,
}

impl Message {
    fn seal(session: &mut Sessions, rng: &mut ChaCha20Rng) -> Self {
        let mut bytes = [0; 1_024];
        let sealed = session
            .encrypt(rng, &[0; 16], KIND, black_box(&[0x61; BODY]), BLOCK, &mut bytes)
            .expect("encrypts");
        let (header_len, len) = (sealed.header_len, sealed.len);
        Self { bytes, header_len, len }
    }

    fn header_blob(&self) -> &[u8] {
        &self.bytes[..self.header_len]
    }

    fn open(&self, session: &mut Sessions) -> bool {
        let mut out = [0; 256];
        let opened = session.decrypt(self.header_blob(), &self.bytes[self.header_len..self.len], &mut out);
        black_box(&out);
        opened.is_ok_and(|opened| opened.len == BODY)
    }
}

/// Both ends of a session in which every receiving chain that is kept has been made: the dearest case for a header
/// that does not open.
struct Pair {
    a: Sessions,
    b: Sessions,
    rng: ChaCha20Rng,
}

impl Pair {
    fn new() -> Self {
        let (devices, mut rng) = (Devices::new(), rng(14));
        let mut a = devices.initiate(&devices.bundle(), &mut rng);
        let first = Message::seal(&mut a, &mut rng);
        let b = devices.respond(&first);
        let mut pair = Self { a, b, rng };
        for _ in 0..8 {
            pair.ping();
            pair.pong();
        }
        pair
    }

    fn pong(&mut self) {
        let message = Message::seal(&mut self.b, &mut self.rng);
        assert!(message.open(&mut self.a));
    }

    fn ping(&mut self) {
        let message = Message::seal(&mut self.a, &mut self.rng);
        assert!(message.open(&mut self.b));
    }
}

/// Adds what av-proto does with a session.
pub fn add(cases: &mut Cases) {
    let mut pair = Pair::new();
    cases.add("av chain_100", 40, move |n| timed(|| (0..n).for_each(|_| pair.ping())));

    let mut pair = Pair::new();
    cases.add("av ping_pong_100", 2, move |n| {
        // A DH step each: the two sides take turns.
        timed(|| {
            (0..n / 2).for_each(|_| {
                pair.ping();
                pair.pong();
            })
        })
    });

    let devices = Devices::new();
    let (bundle, mut generator) = (devices.bundle(), rng(15));
    cases.add("av x3dh_initiate", 1, move |n| {
        timed(|| (0..n).for_each(|_| drop(black_box(devices.initiate(black_box(&bundle), &mut generator)))))
    });

    let (devices, mut generator) = (Devices::new(), rng(16));
    let mut session = devices.initiate(&devices.bundle(), &mut generator);
    let first = Message::seal(&mut session, &mut generator);
    cases.add("av x3dh_respond", 1, move |n| {
        timed(|| (0..n).for_each(|_| drop(black_box(devices.respond(black_box(&first))))))
    });

    let mut pair = Pair::new();
    let mut forged = Message::seal(&mut pair.a, &mut pair.rng);
    // Any header that no key opens; it costs as much wherever it was changed.
    pair.rng.fill_bytes(&mut forged.bytes[2..forged.header_len]);
    cases.add("av forged_message", 20, move |n| {
        timed(|| (0..n).for_each(|_| assert!(!forged.open(&mut pair.b))))
    });

    let mut pair = Pair::new();
    let mut altered = Message::seal(&mut pair.a, &mut pair.rng);
    altered.bytes[altered.len - 1] ^= 1;
    cases.add("av altered_body", 3, move |n| {
        timed(|| (0..n).for_each(|_| assert!(!altered.open(&mut pair.b))))
    });
}
