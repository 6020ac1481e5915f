//! This crate and an implementation written by somebody else, from `PROTOCOL.md` and the vectors alone (`tests/second`,
//! Python), play the same conversations under the same randomness, and every byte is the same.

// A test's helpers may fail as its functions may.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use av_proto::crypto::{Aead, Aes256Gcm, Secret, XChaCha20Poly1305};
use av_proto::keys::{Identity, Prekeys};
use av_proto::ratchet::{HeaderBlob, Session};
use av_proto::wire::bundle::Bundle;
use av_proto::wire::{Role, Suite, Suites, TenantId};
use av_proto::x3dh::{Parameters, initiate, respond};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use serde_json::{Value, json};

const TENANT: TenantId = TenantId([0x7e; 16]);
const GENERATION: u32 = 7;
const PSK: [u8; 32] = [0xd5; 32];
/// What happens after the first message of a conversation.
const STEPS: usize = 80;

/// The other implementation, which answers each line with a line.
struct Second {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Second {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let python = root.join("target/second/bin/python");
        assert!(python.exists(), "`make setup` installs the libraries of the second implementation");
        let mut process = Command::new(python)
            .args(["-B", "-m", "second.peer"])
            .current_dir(root.join("tests"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let to = process.stdin.take().expect("piped");
        let from = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, to, from }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.to, "{question}").expect("it listens");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    }

    /// What it computes; it must not refuse.
    fn compute(&mut self, question: &Value) -> Value {
        let answer = self.ask(question);
        assert_eq!(answer["ok"], json!(true), "{question} is answered {answer}");
        answer
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Its work is over; whether it went by itself already does not matter.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A seeded generator that remembers what was drawn, for the other implementation to use as well.
struct Draws {
    source: ChaCha20Rng,
    drawn: Vec<Vec<u8>>,
}

impl Draws {
    fn new(seed: u64) -> Self {
        Self { source: ChaCha20Rng::seed_from_u64(seed), drawn: vec![] }
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.drawn)
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("AV/1 draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("AV/1 draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.source.fill_bytes(out);
        self.drawn.push(out.to_vec());
        Ok(())
    }
}

impl TryCryptoRng for Draws {}

/// One device with its published keys, as both implementations know it.
struct Device {
    identity: Identity,
    prekeys: Prekeys<2>,
    /// Identity and agreement secret, then the prekeys' secrets.
    drawn: Vec<Vec<u8>>,
}

impl Device {
    fn new(seed: u64, role: Role, suites: Suites) -> Self {
        let mut draws = Draws::new(seed);
        let identity = Identity::generate(&mut draws, role, suites, 8_192);
        let prekeys = Prekeys::generate(&mut draws, suites, 1_800_000_000);
        Self { identity, prekeys, drawn: draws.take() }
    }

    fn json(&self) -> Value {
        json!({
            "device_public": hex(&self.identity.public().to_bytes()),
            "identity_seed": hex(&self.drawn[0]),
            "agreement_secret": hex(&self.drawn[1]),
        })
    }

    /// A prekey of this device: the number of its draw, and its id.
    fn prekey(&self, draw: usize, id: u32) -> Value {
        json!({ "id": id, "secret": hex(&self.drawn[draw]), "kind": 2 })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

/// A message under way.
struct Message {
    header_blob: Vec<u8>,
    ciphertext: Vec<u8>,
    body: Vec<u8>,
}

impl Message {
    fn json(&self, session: &str, op: &str) -> Value {
        json!({
            "op": op, "session": session,
            "header_blob": hex(&self.header_blob), "ciphertext": hex(&self.ciphertext),
        })
    }
}

/// One end of the session in this crate, and its name in the other implementation.
struct End<A: Aead> {
    name: &'static str,
    session: Session<A, 1_000>,
    draws: Draws,
    /// What was sent to it and not received.
    inbox: VecDeque<Message>,
}

impl<A: Aead> End<A> {
    /// Both implementations send the same; the message is the same.
    fn send(&mut self, second: &mut Second, initiator: &[u8], body: &[u8], block: usize) -> Message {
        let mut out = vec![0; 8_192];
        let sealed =
            self.session.encrypt(&mut self.draws, initiator, 1, body, block, &mut out).expect("encrypts");
        let (header_blob, ciphertext) = out[..sealed.len].split_at(sealed.header_len);
        let random = self.draws.take().concat();
        let answer = second.compute(&json!({
            "op": "send", "session": self.name, "kind": 1, "body": hex(body), "block": block, "random": hex(&random),
        }));
        assert_eq!(answer["header_blob"], json!(hex(header_blob)));
        assert_eq!(answer["ciphertext"], json!(hex(ciphertext)));
        assert_eq!(answer["used"], json!(random.len()));
        Message { header_blob: header_blob.to_vec(), ciphertext: ciphertext.to_vec(), body: body.to_vec() }
    }

    /// Both implementations receive it, or both refuse it; says which.
    fn receive(&mut self, second: &mut Second, message: &Message) -> bool {
        let mut out = vec![0; 8_192];
        let opened = self.session.decrypt(&message.header_blob, &message.ciphertext, &mut out);
        let answer = second.ask(&message.json(self.name, "receive"));
        assert_eq!(answer["ok"], json!(opened.is_ok()), "here {opened:?}, there {answer}");
        if let Ok(opened) = opened {
            assert_eq!(&out[..opened.len], message.body);
            assert_eq!(answer["body"], json!(hex(&message.body)));
        }
        opened.is_ok()
    }
}

#[test]
fn the_second_implementation_has_the_same_bytes_in_every_suite_and_mode() {
    let mut second = Second::start();
    for (number, with_psk) in [(0, false), (1, true)] {
        for suite in [Suite::XChaCha20Poly1305, Suite::XChaCha20Poly1305MlKem768] {
            conversation::<XChaCha20Poly1305>(&mut second, 100 + number, suite, with_psk);
        }
        for suite in [Suite::Aes256Gcm, Suite::Aes256GcmMlKem768] {
            conversation::<Aes256Gcm>(&mut second, 200 + number, suite, with_psk);
        }
    }
}

fn conversation<A: Aead>(second: &mut Second, seed: u64, suite: Suite, with_psk: bool) {
    let (a, b) =
        (Device::new(seed, Role::Owner, suite.alone()), Device::new(seed + 1, Role::Agent, suite.alone()));
    let psk = with_psk.then(|| Secret::new(PSK));
    let psk_json = with_psk.then(|| hex(&PSK));
    let has_kem = suite.has_kem();
    let (signed, one_time) = (b.prekey(2, 1), b.prekey(3, 2));
    let kem = has_kem.then(|| b.prekey(4, 3));

    let mut kem_record = [[0; av_proto::wire::bundle::KEM_RECORD]];
    let bundle = b.prekeys.bundle(&b.identity, &mut kem_record).expect("signs");
    let mut bundle_bytes = vec![0; 4_096];
    let bundle_bytes = bundle.encode(&mut bundle_bytes).expect("encodes");
    let answer = second.compute(&json!({
        "op": "bundle", "device": b.json(), "created_at": 1_800_000_000,
        "signed": signed, "one_time": one_time, "kem": kem,
    }));
    assert_eq!(answer["bundle"], json!(hex(bundle_bytes)));
    let verified =
        Bundle::decode(bundle_bytes).expect("its own").verify(b.identity.public()).expect("its own");

    // X3DH: A begins in both implementations, B answers A's first message in both.
    let mut draws = Draws::new(seed + 2);
    let of_a = Parameters {
        tenant: &TENANT,
        identity: &a.identity,
        peer: b.identity.public(),
        generation: GENERATION,
        psk: psk.as_ref(),
    };
    let session = initiate(&of_a, &verified, &mut draws).expect("initiates");
    let mut drawn = draws.take();
    // The encapsulation draws first.
    let kem_random = has_kem.then(|| hex(&drawn.remove(0)));
    let answer = second.compute(&json!({
        "op": "initiate", "session": "A", "suite": suite.byte(), "mode": u8::from(with_psk), "gen": GENERATION,
        "tenant_id": hex(TENANT.as_bytes()), "device": a.json(), "peer_public": hex(&b.identity.public().to_bytes()),
        "bundle": hex(bundle_bytes), "psk": psk_json, "ephemeral_secret": hex(&drawn[0]),
        "kem_random": kem_random, "ratchet_secret": hex(&drawn[1]),
    }));
    let mut one = End { name: "A", session, draws, inbox: VecDeque::new() };
    assert_eq!(answer["th"], json!(hex(one.session.id())));

    let initiator_id = a.identity.device_id().as_bytes().to_vec();
    let first = one.send(second, &initiator_id, b"first", 32);
    let prelude = HeaderBlob::parse(&first.header_blob).expect("parses").prelude.expect("a first message");
    let of_b = Parameters {
        tenant: &TENANT,
        identity: &b.identity,
        peer: a.identity.public(),
        generation: GENERATION,
        psk: psk.as_ref(),
    };
    let session: Session<A, 1_000> = respond(
        &of_b,
        &prelude,
        b.prekeys.signed_secret(1).expect("published"),
        b.prekeys.one_time_secret(2),
        prelude.kem_key.and_then(|id| b.prekeys.kem_secret(id)),
    )
    .expect("responds");
    let mut other = End { name: "B", session, draws: Draws::new(seed + 3), inbox: VecDeque::new() };
    let mut out = vec![0; 8_192];
    let opened = other.session.decrypt(&first.header_blob, &first.ciphertext, &mut out).expect("opens");
    assert_eq!(&out[..opened.len], b"first");
    let mut question = first.json("B", "respond");
    let more = json!({
        "tenant_id": hex(TENANT.as_bytes()), "device": b.json(), "peer_public": hex(&a.identity.public().to_bytes()),
        "signed": signed, "one_time": one_time, "kem": kem, "psk": psk_json,
    });
    question.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let answer = second.compute(&question);
    assert_eq!(answer["body"], json!(hex(b"first")));
    assert_eq!(answer["th"], json!(hex(other.session.id())));

    converse(second, &mut one, &mut other, &initiator_id, seed);
}

/// Sends, receives in any order, loses, repeats and changes messages, as the seed says.
fn converse<A: Aead>(
    second: &mut Second,
    one: &mut End<A>,
    other: &mut End<A>,
    initiator_id: &[u8],
    seed: u64,
) {
    let mut choices = ChaCha20Rng::seed_from_u64(seed + 4);
    let mut below = |bound: usize| usize::try_from(choices.next_u64() % bound as u64).expect("small");
    let mut opened = 0;
    for step in 0..STEPS {
        let (from, to) = if below(2) == 0 { (&mut *one, &mut *other) } else { (&mut *other, &mut *one) };
        match below(5) {
            0 | 1 => {
                let body = vec![step as u8; below(200)];
                let block = [1, 32, 100, 1_024][below(4)];
                let message = from.send(second, initiator_id, &body, block);
                to.inbox.push_back(message);
            }
            2 | 3 if !to.inbox.is_empty() => {
                let message = to.inbox.remove(below(to.inbox.len())).expect("in bounds");
                // One that comes after four further chains is given up by both.
                opened += usize::from(to.receive(second, &message));
                assert!(!to.receive(second, &message), "a replay opens");
            }
            4 if !to.inbox.is_empty() => {
                let place = below(to.inbox.len());
                let Message { header_blob, ciphertext, body } = &to.inbox[place];
                let mut forged = ciphertext.clone();
                let bit = below(8 * forged.len());
                forged[bit / 8] ^= 1 << (bit % 8);
                let forged =
                    Message { header_blob: header_blob.clone(), ciphertext: forged, body: body.clone() };
                assert!(!to.receive(second, &forged), "a forged message opens");
                // Half of them are lost for good.
                if below(2) == 0 {
                    to.inbox.remove(place);
                }
            }
            _ => {}
        }
    }
    assert!(opened > STEPS / 8, "the conversation of seed {seed} was hardly one: {opened} messages");
}
