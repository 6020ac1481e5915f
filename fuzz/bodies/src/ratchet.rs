//! A session against a plain model that remembers everything: what may open, what must, and what must not.

use std::collections::{BTreeMap, BTreeSet};

use av_proto::XChaCha20Poly1305;
use av_proto::keys::{Identity, Prekeys};
use av_proto::limits::PAST_CHAINS;
use av_proto::ratchet::{HeaderBlob, RatchetError, Session};
use av_proto::record::codec::Writer;
use av_proto::wire::layout::Reader;
use av_proto::wire::{Role, Suite, TenantId};
use av_proto::x3dh::{Parameters, initiate, respond};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

const SKIP: usize = 6;
const BLOCK: usize = 32;
type Small = Session<XChaCha20Poly1305, SKIP>;

struct Message {
    header_blob: Vec<u8>,
    ciphertext: Vec<u8>,
    body: Vec<u8>,
    chain: u32,
    number: u32,
    /// Messages in the chain before.
    before: u32,
}

/// What one end knows, by the model: no keys, only who said what when.
#[derive(Default)]
struct Model {
    /// The chain in which it sends, the messages in it and in the one before; none yet for a responder.
    sending: Option<(u32, u32, u32)>,
    /// The peer's latest chain from which something opened, and the next number in it.
    receiving: Option<(u32, u32)>,
    /// A chain of the peer's was opened that this side has not answered yet.
    turn: bool,
    opened: BTreeSet<(u32, u32)>,
    /// Numbers that were passed over in a chain, ever.
    passed: usize,
}

impl Model {
    fn place(&mut self) -> (u32, u32, u32) {
        let (chain, sent, before) = match self.sending {
            None => (0, 0, 0),
            Some((chain, sent, _)) if self.turn => (chain + 1, 0, sent),
            Some(place) => place,
        };
        self.turn = false;
        self.sending = Some((chain, sent + 1, before));
        (chain, sent, before)
    }

    /// How many numbers a message passes over that nobody opened.
    fn gap(&self, message: &Message) -> usize {
        let gap = match self.receiving {
            Some((chain, next)) if chain == message.chain => message.number.saturating_sub(next),
            Some((chain, next)) if chain < message.chain => {
                message.before.saturating_sub(next) + message.number
            }
            Some(_) => 0,
            None => message.number,
        };
        gap as usize
    }

    /// Whether a session within its limits has to open this.
    fn must_open(&self, message: &Message) -> bool {
        let is_fresh = !self.opened.contains(&(message.chain, message.number));
        let is_recent = self
            .receiving
            .is_none_or(|(chain, _)| message.chain + u32::try_from(PAST_CHAINS).unwrap_or(0) >= chain);
        is_fresh && is_recent && self.passed + self.gap(message) <= SKIP
    }

    fn open(&mut self, message: &Message) {
        self.passed += self.gap(message);
        self.opened.insert((message.chain, message.number));
        match &mut self.receiving {
            Some((chain, next)) if *chain == message.chain => *next = (*next).max(message.number + 1),
            Some((chain, _)) if *chain > message.chain => {}
            receiving => {
                *receiving = Some((message.chain, message.number + 1));
                self.turn = true;
            }
        }
    }
}

struct End {
    session: Small,
    model: Model,
    rng: ChaCha20Rng,
    /// What it sent, as the network has it.
    sent: Vec<Message>,
}

impl End {
    fn new(session: Small, seed: u8) -> Self {
        Self { session, model: Model::default(), rng: ChaCha20Rng::from_seed([seed; 32]), sent: Vec::new() }
    }

    fn send(&mut self) {
        let body = u32::try_from(self.sent.len()).unwrap_or(0).to_be_bytes().repeat(1 + self.sent.len() % 9);
        let mut out = vec![0; 512];
        let sealed = self.session.encrypt(&mut self.rng, &[0x1d; 16], 1, &body, BLOCK, &mut out);
        if self.model.sending.is_none() && self.model.receiving.is_none() {
            assert_eq!(sealed.err(), Some(RatchetError::NotReady), "a responder waits for the first message");
            return;
        }
        let Ok(sealed) = sealed else {
            assert!(sealed.is_ok(), "a session that is ready seals");
            return;
        };
        let (header_blob, ciphertext) = out.split_at(sealed.header_len);
        let ciphertext = ciphertext.get(..sealed.len - sealed.header_len).unwrap_or_default().to_vec();
        let (chain, number, before) = self.model.place();
        let header_blob = header_blob.to_vec();
        self.sent.push(Message { header_blob, ciphertext, body, chain, number, before });
    }

    fn receive(&mut self, message: &Message) {
        let (must, before) = (self.model.must_open(message), record(&self.session));
        let mut out = vec![0xaa; message.ciphertext.len()];
        match self.session.decrypt(&message.header_blob, &message.ciphertext, &mut out) {
            Ok(opened) => {
                assert_eq!(out.get(..opened.len), Some(&message.body[..]), "what was sent");
                let place = (message.chain, message.number);
                assert!(!self.model.opened.contains(&place), "opened twice: {place:?}");
                self.model.open(message);
            }
            Err(error) => {
                assert!(!must, "{:?} has to open: {error}", (message.chain, message.number));
                assert!(record(&self.session) == before, "a refused message changed the session");
            }
        }
    }

    fn refuse(&mut self, header_blob: &[u8], ciphertext: &[u8]) {
        let before = record(&self.session);
        let mut out = vec![0; ciphertext.len()];
        assert!(self.session.decrypt(header_blob, ciphertext, &mut out).is_err(), "nobody sent this");
        assert!(record(&self.session) == before, "a refused message changed the session");
    }

    fn restart(&mut self) {
        let stored = record(&self.session);
        let read = Small::read(&mut Reader::new(&stored));
        assert!(read.is_ok(), "its own record");
        if let Ok(session) = read {
            assert!(record(&session) == stored, "a session has one record");
            self.session = session;
        }
    }
}

fn record(session: &Small) -> Vec<u8> {
    let mut buffer = vec![0; Small::MAX_LEN];
    let mut writer = Writer::new(&mut buffer);
    assert!(session.write(&mut writer).is_ok(), "a record fits into its maximum");
    let len = writer.len();
    buffer.truncate(len);
    buffer
}

/// Both ends of a fresh session, the first message sent and not delivered.
fn ends() -> Option<(End, End)> {
    let tenant = TenantId([0x7e; 16]);
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let suites = Suite::XChaCha20Poly1305.alone();
    let a = Identity::generate(&mut rng, Role::Owner, suites, 4_096);
    let b = Identity::generate(&mut rng, Role::Agent, suites, 4_096);
    let prekeys = Prekeys::<1>::generate(&mut rng, suites, 0);
    let bundle = prekeys.bundle(&b, &mut []).ok()?.verify(b.public()).ok()?;
    let parameters = Parameters { tenant: &tenant, identity: &a, peer: b.public(), generation: 1, psk: None };
    let mut initiator = End::new(initiate(&parameters, &bundle, &mut rng).ok()?, 1);
    initiator.model.sending = Some((0, 0, 0));
    initiator.send();
    let first = initiator.sent.first()?;
    let prelude = HeaderBlob::parse(&first.header_blob).ok()?.prelude?;
    let parameters = Parameters { tenant: &tenant, identity: &b, peer: a.public(), generation: 1, psk: None };
    let signed = prekeys.signed_secret(prelude.signed_prekey)?;
    let one_time = prelude.one_time_prekey.and_then(|id| prekeys.one_time_secret(id));
    let responder = End::new(respond(&parameters, &prelude, signed, one_time, None).ok()?, 2);
    Some((initiator, responder))
}

/// Each byte is a thing that happens: sent, delivered in any order, again, changed, or a process restarts.
pub fn ratchet(input: &[u8]) {
    let Some((mut here, mut there)) = ends() else {
        assert!(input.is_empty() && !input.is_empty(), "two honest ends agree");
        return;
    };
    let mut late: BTreeMap<bool, usize> = BTreeMap::new();
    let mut is_initiator = true;
    let mut bytes = input.iter().take(400).copied();
    while let Some(byte) = bytes.next() {
        // The sender of what is delivered below is always `here`.
        if byte & 0x80 != 0 {
            core::mem::swap(&mut here, &mut there);
            is_initiator = !is_initiator;
        }
        let next = late.entry(is_initiator).or_default();
        match byte % 8 {
            0 | 1 => here.send(),
            2 | 3 => {
                if let Some(message) = here.sent.get(*next) {
                    *next += 1;
                    there.receive(message);
                }
            }
            4 => {
                let which = bytes.next().map_or(0, usize::from) % here.sent.len().max(1);
                here.sent.get(which).into_iter().for_each(|message| there.receive(message));
            }
            5 => *next += 1,
            6 => {
                let (at, bit) = (bytes.next().map_or(0, usize::from), bytes.next().map_or(1, |bit| bit | 1));
                if let Some(message) = here.sent.last() {
                    let (mut header_blob, mut ciphertext) =
                        (message.header_blob.clone(), message.ciphertext.clone());
                    let length = header_blob.len() + ciphertext.len();
                    let all = header_blob.iter_mut().chain(&mut ciphertext);
                    all.skip(at % length.max(1)).take(1).for_each(|byte| *byte ^= bit);
                    there.refuse(&header_blob, &ciphertext);
                }
            }
            _ => there.restart(),
        }
    }
}
