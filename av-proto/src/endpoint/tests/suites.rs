//! Which suite two endpoints speak, by what each of them is built for.

use av_wire::bundle::{Bundle, KEM_RECORD, KemPrekeyKind};
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::{Role, Suite};

use super::{Device, MINUTE, NOW, SMALL, Step, origin, sessions::encoded};
use crate::crypto::{TAG, agreements_on_this_thread, decapsulations_on_this_thread};
use crate::endpoint::{Channel, EnrollOptions, Event, Phase, RequestVerdict};
use crate::limits::{HEADER, ONE_TIME_KEM_PREKEYS};
use crate::ratchet::HeaderBlob;
use crate::testing::{PostOffice, Side};

/// Frames that a first flight with a KEM leaves room in.
pub(super) const LARGE: usize = 8_352;

/// An owner and an agent whose frames differ in size.
pub(super) struct Pair<const OWNER: usize, const AGENT: usize> {
    pub(super) office: PostOffice,
    pub(super) owner: Device<OWNER>,
    pub(super) agent: Device<AGENT>,
}

fn pass<const BODY: usize>(device: &mut Device<BODY>, office: &mut PostOffice) -> bool {
    let Some(frame) = office.fetch(device.side) else { return false };
    super::corruption::shoot(&mut device.endpoint, NOW, &frame);
    assert_eq!(device.endpoint.receive(NOW, &mut device.rng, &frame), Ok(()));
    true
}

pub(super) fn connect<const BODY: usize>(device: &mut Device<BODY>, office: &mut PostOffice) {
    office.connect(device.side, [9; 32]).expect("room");
    device.endpoint.connected(Channel::Plain).expect("loopback");
}

impl<const OWNER: usize, const AGENT: usize> Pair<OWNER, AGENT> {
    pub(super) fn settle(&mut self) {
        loop {
            while self.owner.step(&mut self.office) != Step::Idle {}
            while self.agent.step(&mut self.office) != Step::Idle {}
            if !pass(&mut self.owner, &mut self.office) && !pass(&mut self.agent, &mut self.office) {
                return;
            }
        }
    }

    /// A tenant with an active agent, and both sessions confirmed.
    pub(super) fn talking() -> Self {
        let (owner, agent) = (Device::new(Side::Owner, 1), Device::new(Side::Agent, 2));
        let mut pair = Self { office: PostOffice::new(), owner, agent };
        let (owner, origin) = (&mut pair.owner, origin());
        owner.endpoint.found(NOW, &mut owner.rng, &origin, None, "laptop").expect("an empty endpoint");
        connect(owner, &mut pair.office);
        pair.settle();
        let owner = &mut pair.owner;
        let role = Role::Agent;
        let invite = owner.endpoint.create_invite(NOW, &mut owner.rng, role, 10 * MINUTE).expect("room");
        let inviter = owner.endpoint.device_id();
        pair.settle();
        let agent = &mut pair.agent;
        let (name, platform) = ("thermostat", "test");
        let options = EnrollOptions { origin: &origin, link_key: None, inviter, role, name, platform };
        agent.endpoint.enroll(NOW, &mut agent.rng, &invite, &options).expect("an empty endpoint");
        connect(agent, &mut pair.office);
        pair.settle();
        pair.owner.endpoint.list_pending().expect("an owner");
        pair.settle();
        let is_request = |event: &Event| matches!(event, Event::EnrollmentRequest(view) if view.verdict == RequestVerdict::TagVerified);
        assert!(pair.owner.events.iter().any(is_request));
        let (owner, agent) = (&mut pair.owner, pair.agent.id());
        owner.endpoint.approve(NOW, &mut owner.rng, &agent).expect("a request that was shown");
        pair.settle();
        assert_eq!(pair.agent.endpoint.phase(), Phase::Active);
        pair
    }

    /// Suite bytes of all messages that left.
    fn spoken(&self) -> Vec<u8> {
        let frames = self.owner.sent.iter().chain(&self.agent.sent);
        let mut suites: Vec<u8> = frames
            .filter_map(|frame| match av_wire::decode(frame) {
                Ok(ToRelay::Send { header_blob, .. }) => header_blob.get(1).copied(),
                _ => None,
            })
            .collect();
        suites.dedup();
        suites
    }

    /// Both say something, in sessions from the enrollment and from published prekeys, over a restart.
    fn converses(mut self) -> Vec<u8> {
        let (owner, agent) = (self.owner.id(), self.agent.id());
        self.owner.endpoint.start_session(&agent, true).expect("a known peer");
        self.settle();
        assert!(self.owner.has(&Event::SessionStarted { peer: agent, one_time_key: true }));
        self.owner.send(&agent, "to the agent");
        self.settle();
        self.agent.send(&owner, "to the owner");
        self.settle();
        self.agent.crash();
        connect(&mut self.agent, &mut self.office);
        self.settle();
        self.agent.endpoint.start_session(&owner, true).expect("a known peer");
        self.settle();
        self.agent.send(&owner, "to the owner");
        self.settle();
        assert_eq!((self.agent.heard.len(), self.owner.heard.len()), (1, 2));
        self.spoken()
    }
}

#[test]
fn two_that_can_speak_with_a_kem_and_others_without() {
    let with = Suite::XChaCha20Poly1305MlKem768.byte();
    let without = Suite::XChaCha20Poly1305.byte();
    assert_eq!(Pair::<LARGE, LARGE>::talking().converses(), [with]);
    assert_eq!(Pair::<LARGE, SMALL>::talking().converses(), [without]);
    assert_eq!(Pair::<SMALL, LARGE>::talking().converses(), [without]);
    assert_eq!(Pair::<SMALL, SMALL>::talking().converses(), [without]);
}

#[test]
fn a_relay_that_withholds_the_kem_key_gets_no_session_of_a_weaker_suite() {
    let mut pair = Pair::<LARGE, LARGE>::talking();
    let agent = pair.agent.id();
    let mut room = [[0; KEM_RECORD]; 1];
    let endpoint = &pair.agent.endpoint;
    let identity = &endpoint.device.get().expect("active").identity;
    let genuine = endpoint.prekeys.get().expect("active").bundle(identity, &mut room).expect("signs");
    for (bundle, starts) in [(Bundle { kem: None, ..genuine }, false), (genuine, true)] {
        let owner = &mut pair.owner;
        let before = owner.records();
        (owner.sent, owner.events) = (Vec::new(), Vec::new());
        owner.endpoint.start_session(&agent, true).expect("a known peer");
        owner.drain_unheard();
        let asked = owner.sent.iter().find_map(|frame| match av_wire::decode(frame) {
            Ok(ToRelay::FetchBundle { request, .. }) => Some(request),
            _ => None,
        });
        let request = asked.expect("it asked");
        let frame = encoded(&ToDevice::Bundle { request, chain: &[], bundle });
        assert_eq!(owner.endpoint.receive(NOW, &mut owner.rng, &frame), Ok(()));
        owner.drain_unheard();
        assert_eq!(owner.has(&Event::SessionFailed(agent)), !starts);
        assert_eq!(owner.records() == before, !starts);
    }
}

/// A first message with what another suite's layout asks for: its byte, its KEM fields, the length of its nonce.
fn under(header_blob: &[u8], suite: Suite) -> Vec<u8> {
    let header = HeaderBlob::parse(header_blob).expect("parses");
    let mut prelude = header.prelude.expect("a first message");
    if !suite.has_kem() {
        (prelude.kem_key, prelude.kem_ciphertext) = (None, None);
    }
    let mut buffer = vec![0; header_blob.len()];
    let prelude = av_wire::encode(&prelude, &mut buffer).expect("fits");
    let nonce = if suite.without_kem() == Suite::Aes256Gcm { 12 } else { 24 };
    let sealed = &header_blob[header_blob.len() - HEADER - TAG..];
    let length = u16::try_from(prelude.len()).expect("short").to_be_bytes();
    let changed = [&[2, suite.byte()], &length[..], prelude, &[7; 24][..nonce], sealed].concat();
    assert!(HeaderBlob::parse(&changed).is_ok(), "{suite:?}");
    changed
}

/// Two that talk, and the frame of a further session's first message, which the agent has not had.
fn with_a_first_flight() -> (Pair<LARGE, LARGE>, Vec<u8>) {
    let mut pair = Pair::talking();
    let agent = pair.agent.id();
    pair.owner.endpoint.start_session(&agent, true).expect("a known peer");
    while pair.owner.step(&mut pair.office) != Step::Idle {}
    while pass(&mut pair.owner, &mut pair.office) {
        pair.owner.drain_unheard();
    }
    let last = pair.owner.sent.last().expect("the first flight").clone();
    (pair, last)
}

/// The byte stands in front of everything: nothing is computed for another suite than the one both choose.
#[test]
fn a_first_message_under_another_suite_costs_no_agreement() {
    let (mut pair, last) = with_a_first_flight();
    let owner = pair.owner.id();
    let Ok(ToRelay::Send { header_blob, ciphertext, .. }) = av_wire::decode(&last) else {
        panic!("the hello is the last frame");
    };
    let sequence = pair.agent.endpoint.taken() + 1;
    let deliver = |header_blob: &[u8], sequence: u64| {
        let previous = sequence - 1;
        encoded(&ToDevice::Deliver {
            sequence,
            previous,
            sender: owner,
            header_blob,
            ciphertext,
            received_at: 0,
        })
    };
    let before = pair.agent.records();
    let mut sequences = sequence..;
    for suite in [Suite::XChaCha20Poly1305, Suite::Aes256Gcm, Suite::Aes256GcmMlKem768] {
        let changed = under(header_blob, suite);
        let frame = deliver(&changed, sequences.next().expect("endless"));
        let agreements = agreements_on_this_thread();
        let agent = &mut pair.agent;
        assert_eq!(agent.endpoint.receive(NOW, &mut agent.rng, &frame), Ok(()));
        assert_eq!(agreements_on_this_thread(), agreements, "{suite:?}");
        agent.drain_unheard();
        assert_eq!(agent.records(), before);
    }
    // The genuine one costs five, one for the first receiving chain, and one for the chain of the answer.
    let frame = deliver(header_blob, sequences.next().expect("endless"));
    let agreements = agreements_on_this_thread();
    let agent = &mut pair.agent;
    assert_eq!(agent.endpoint.receive(NOW, &mut agent.rng, &frame), Ok(()));
    assert_eq!(agreements_on_this_thread(), agreements + 7);
}

/// What a forged first message costs at most: six agreements and one decapsulation, twice at once and then once a
/// minute; nothing is stored of it.
#[test]
fn forged_first_messages_cost_what_the_bucket_gives_and_replays_nothing() {
    let (mut pair, last) = with_a_first_flight();
    let owner = pair.owner.id();
    let Ok(ToRelay::Send { header_blob, ciphertext, .. }) = av_wire::decode(&last) else {
        panic!("the hello is the last frame");
    };
    let mut sequence = pair.agent.endpoint.taken();
    let mut cost = |agent: &mut Device<LARGE>, uptime: u64, ciphertext: &[u8]| {
        sequence += 1;
        let (previous, sender) = (sequence - 1, owner);
        let deliver =
            ToDevice::Deliver { sequence, previous, sender, header_blob, ciphertext, received_at: 0 };
        let before = (agreements_on_this_thread(), decapsulations_on_this_thread());
        let now = crate::Now { uptime, ..NOW };
        assert_eq!(agent.endpoint.receive(now, &mut agent.rng, &encoded(&deliver)), Ok(()));
        agent.drain_unheard();
        (agreements_on_this_thread() - before.0, decapsulations_on_this_thread() - before.1)
    };
    let agent = &mut pair.agent;
    let start = NOW.uptime + 600_000;
    // What is due by then has nothing to do with what is forged.
    agent.endpoint.tick(crate::Now { uptime: start, ..NOW }, &mut agent.rng);
    agent.drain_unheard();
    let key = crate::RecordKey { kind: crate::RecordKind::Prekeys, index: 0 }.to_bytes();
    let before = agent.records();
    let mut forged = ciphertext.to_vec();
    forged[0] ^= 1;
    let (dear, free) = ((6, 1), (0, 0));
    for (uptime, expected) in
        [(0, dear), (0, dear), (0, free), (59_999, free), (60_000, dear), (60_000, free)]
    {
        assert_eq!(cost(agent, start + uptime, &forged), expected, "at {uptime} ms");
        assert_eq!(agent.records()[&key], before[&key]);
        // Seconds later the device asks for what did not open, and with that its session goes on.
        assert!(uptime > 0 || agent.records() == before, "no record changed");
    }
    assert_eq!(cost(agent, start + 120_000, ciphertext), (7, 1), "the genuine one, and its answer");
    assert_ne!(agent.records()[&key], before[&key], "its one-time keys are used up");
    assert_eq!(cost(agent, start + 600_000, ciphertext), free, "a replay");
}

#[test]
fn a_kem_prekey_that_was_used_once_is_replaced_and_the_last_resort_stays() {
    let mut pair = Pair::<LARGE, LARGE>::talking();
    let agent = pair.agent.id();
    let published = |pair: &Pair<LARGE, LARGE>| -> Vec<(KemPrekeyKind, u32)> {
        let public = pair.agent.endpoint.public().expect("a device");
        let calls = pair.agent.sent.iter().filter_map(|frame| match av_wire::decode(frame) {
            Ok(ToRelay::PublishPrekeys { kem_prekeys, .. }) => Some(kem_prekeys),
            _ => None,
        });
        let read = |signed: av_wire::bundle::SignedKemPrekey<'_>| {
            let prekey = signed.verify(public).expect("its own signature");
            (prekey.kind(), prekey.id())
        };
        calls.flat_map(|prekeys| prekeys.iter().map(read).collect::<Vec<_>>()).collect()
    };
    let first = published(&pair);
    let of = |list: &[(KemPrekeyKind, u32)], kind| -> Vec<u32> {
        list.iter().filter(|(of, _)| *of == kind).map(|(_, id)| *id).collect()
    };
    assert_eq!(of(&first, KemPrekeyKind::OneTime).len(), ONE_TIME_KEM_PREKEYS);
    pair.agent.sent.clear();
    pair.owner.endpoint.start_session(&agent, true).expect("a known peer");
    pair.settle();
    let second = published(&pair);
    assert_eq!(of(&second, KemPrekeyKind::OneTime).len(), 1);
    assert!(!first.contains(&second[1]), "a new id");
    assert_eq!(of(&second, KemPrekeyKind::LastResort), of(&first[..1], KemPrekeyKind::LastResort));
    let left = pair.agent.endpoint.prekeys.get().expect("active");
    let used = of(&first, KemPrekeyKind::OneTime)[0];
    assert!(left.kem_secret(used).is_none(), "used once");
}
