//! A tenant of several devices on a small relay of their own: who says what, and who believes it.

mod relay;

use std::collections::BTreeMap;

use av_wire::bundle::Bundle;
use av_wire::frame::ToDevice;
use av_wire::statement::Verdict;
use av_wire::{DeviceId, KeyId, Role, TenantId};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{EnrollOptions, Event, NOW, Now, Output, Phase, RequestVerdict, Store, origin, store};
use crate::endpoint::{Channel, ConnectionError, SendError, Standing};
use crate::{Endpoint, RecordKey, RecoveryKey, Seal, XChaCha20Poly1305};

type Device = Endpoint<XChaCha20Poly1305, 6, 4, 16, 4, 4_256>;

/// What the relay knows of a device.
#[derive(Default)]
struct Account {
    chain: Vec<u8>,
    bundle: Option<Bundle<'static>>,
    approver: Option<DeviceId>,
    /// Entries by their number, the first 1.
    inbox: Vec<Vec<u8>>,
    delivered: usize,
    acknowledged: usize,
}

/// What the relay does when it is asked for a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Chains {
    Given,
    NotFound,
    Unanswered,
}

struct PostedStatement {
    issuer: DeviceId,
    serial: u64,
    signed: Vec<u8>,
    chain: Vec<u8>,
}

/// One device with its store and its line to the relay.
pub(super) struct Member {
    pub(super) endpoint: Box<Device>,
    seal: Seal,
    store: Store,
    pub(super) rng: ChaCha20Rng,
    pub(super) events: Vec<Event>,
    /// Who sent it, to whom another device of this owner sent it, and the text.
    pub(super) heard: Vec<(DeviceId, Option<DeviceId>, String)>,
    connected: bool,
    answers: Vec<Vec<u8>>,
}

/// The devices of a tenant, and the relay between them.
pub(super) struct Tenant {
    pub(super) members: Vec<Member>,
    accounts: BTreeMap<DeviceId, Account>,
    requests: BTreeMap<DeviceId, Vec<u8>>,
    statements: Vec<PostedStatement>,
    /// Granted API keys: the owner, and what it signed.
    keys: BTreeMap<KeyId, (DeviceId, Vec<u8>)>,
    /// How often a device asked to enroll with one.
    pub(super) asked_with_key: usize,
    /// The relay loses its next answer to who enrolls with a key.
    pub(super) loses_answer: bool,
    /// The relay keeps from the owner that a key was used.
    pub(super) hides_use: bool,
    tenant_id: Option<TenantId>,
    pub(super) root: Option<RecoveryKey>,
    /// The relay passes no statement on.
    pub(super) withholds: bool,
    pub(super) chains: Chains,
    /// How often it was asked for one.
    pub(super) chains_asked: usize,
    /// The relay lets devices in and does not tell who approved them; the calls that it left open.
    pub(super) keeps_approvals_open: bool,
    pub(super) open_approvals: Vec<u32>,
    /// Of the founder's randomness; the others' follow.
    seed: u8,
}

fn bytes(frame: &ToDevice<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 8_192];
    av_wire::encode(frame, &mut buffer).expect("room").to_vec()
}

impl Tenant {
    /// Founded by member 0.
    pub(super) fn founded() -> Self {
        Self::founded_from(1)
    }

    /// The same, with the randomness of this seed and those behind it.
    pub(super) fn founded_from(seed: u8) -> Self {
        let mut tenant = Self {
            members: Vec::new(),
            accounts: BTreeMap::new(),
            requests: BTreeMap::new(),
            statements: Vec::new(),
            keys: BTreeMap::new(),
            asked_with_key: 0,
            loses_answer: false,
            hides_use: false,
            tenant_id: None,
            root: None,
            withholds: false,
            chains: Chains::Given,
            chains_asked: 0,
            keeps_approvals_open: false,
            open_approvals: Vec::new(),
            seed,
        };
        let laptop = tenant.member();
        let Member { endpoint, rng, .. } = &mut tenant.members[laptop];
        tenant.root = Some(endpoint.found(NOW, rng, &origin(), None, "laptop").expect("an empty endpoint"));
        tenant.settle();
        assert_eq!(tenant.members[laptop].endpoint.phase(), Phase::Active);
        tenant
    }

    pub(super) fn member(&mut self) -> usize {
        let seed = self.seed + u8::try_from(self.members.len()).expect("few");
        self.members.push(Member {
            endpoint: Box::new(Device::new()),
            seal: Seal::new([seed; 32]),
            store: Store::new(),
            rng: ChaCha20Rng::from_seed([seed; 32]),
            events: Vec::new(),
            heard: Vec::new(),
            connected: false,
            answers: Vec::new(),
        });
        self.members.len() - 1
    }

    /// A further owner by the root's word alone.
    pub(super) fn owner_by_root(&mut self) -> usize {
        let index = self.member();
        let root = self.root.as_ref().expect("the root");
        let Member { endpoint, rng, .. } = &mut self.members[index];
        endpoint.found_by(NOW, rng, &origin(), None, "new laptop", root).expect("an empty endpoint");
        self.settle();
        assert_eq!(self.members[index].endpoint.phase(), Phase::Active);
        index
    }

    /// A device that `inviter` invites and approves.
    pub(super) fn enrolled(&mut self, inviter: usize, role: Role) -> usize {
        let index = self.member();
        let owner = &mut self.members[inviter];
        let invite = owner.endpoint.create_invite(NOW, &mut owner.rng, role, 600).expect("room");
        let inviter_id = owner.endpoint.device_id();
        self.settle();
        let options = EnrollOptions {
            origin: &origin(),
            link_key: None,
            inviter: inviter_id,
            role,
            name: "device",
            platform: "test",
        };
        let Member { endpoint, rng, .. } = &mut self.members[index];
        endpoint.enroll(NOW, rng, &invite, &options).expect("an empty endpoint");
        self.settle();
        let owner = &mut self.members[inviter];
        owner.endpoint.list_pending().expect("an owner");
        self.settle();
        let id = self.id(index);
        let owner = &mut self.members[inviter];
        let is_verified = |event: &Event| {
            matches!(event, Event::EnrollmentRequest(view)
                if view.device_id == id && view.verdict == RequestVerdict::TagVerified)
        };
        assert!(owner.events.iter().any(is_verified));
        owner.endpoint.approve(NOW, &mut owner.rng, &id).expect("a request that was shown");
        self.settle();
        assert_eq!(self.members[index].endpoint.phase(), Phase::Active);
        index
    }

    pub(super) fn id(&self, index: usize) -> DeviceId {
        self.members[index].endpoint.device_id().expect("a device")
    }

    pub(super) fn meet(&mut self, one: usize, other: usize) {
        let other = self.id(other);
        self.members[one].endpoint.meet(&other).expect("room for a call");
        self.settle();
    }

    pub(super) fn state(&mut self, by: usize, subject: usize, verdict: Verdict) {
        let subject = self.id(subject);
        self.members[by].endpoint.state(NOW, &subject, verdict).expect("a peer");
        self.settle();
    }

    /// Through the connection of `by`.
    pub(super) fn state_as_root(&mut self, by: usize, subject: usize, verdict: Verdict, keep: &[usize]) {
        let subject = self.id(subject);
        let keep: Vec<_> = keep.iter().map(|kept| self.id(*kept)).collect();
        let root = self.root.as_ref().expect("the root");
        let result = self.members[by].endpoint.state_as_root(NOW, root, &subject, verdict, &keep);
        result.expect("an owner, and peers");
        self.settle();
    }

    pub(super) fn send(&mut self, from: usize, to: usize, text: &str) -> Result<(), SendError> {
        let to = self.id(to);
        let Member { endpoint, rng, .. } = &mut self.members[from];
        endpoint.send(rng, &to, text.as_bytes())?;
        self.settle();
        Ok(())
    }

    /// Whether `text` goes from one to the other and is heard there.
    pub(super) fn talks(&mut self, from: usize, to: usize, text: &str) -> bool {
        let heard = (self.id(from), None, text.to_string());
        self.send(from, to, text).is_ok() && self.members[to].heard.contains(&heard)
    }

    pub(super) fn standing(&self, at: usize, of: usize) -> Option<Standing> {
        let id = self.id(of);
        let mut peers = self.members[at].endpoint.peers();
        peers.find(|peer| peer.device_id == id).map(|peer| peer.standing)
    }

    pub(super) fn has(&self, index: usize, event: &Event) -> bool {
        self.members[index].events.contains(event)
    }

    /// The process dies and begins again with what was stored.
    pub(super) fn restart(&mut self, index: usize) {
        self.reopen(index);
        self.settle();
    }

    /// The same, not connected.
    pub(super) fn reopen(&mut self, index: usize) {
        let member = &mut self.members[index];
        *member.endpoint = Device::new();
        member.connected = false;
        for (key, sealed) in &member.store {
            let key = RecordKey::from_bytes(key).expect("a key that was stored");
            member.endpoint.restore(NOW, &member.seal, key, sealed).expect("a record that was stored");
        }
        member.endpoint.resume().expect("records that fit together");
    }

    /// Runs until nothing is left to do; every device is connected.
    pub(super) fn settle(&mut self) {
        for index in 0..self.members.len() {
            if !self.members[index].connected && self.members[index].endpoint.phase() != Phase::Empty {
                self.connect(index);
            }
        }
        while (0..self.members.len()).any(|index| self.drain(index) | self.pass(index)) {}
    }

    pub(super) fn connect(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.answers = vec![bytes(&ToDevice::Challenge { nonce: [9; 32], server_time: 0 })];
        member.endpoint.connected(Channel::Plain).expect("loopback");
        member.connected = true;
        let account = member.endpoint.device_id().and_then(|id| self.accounts.get_mut(&id));
        if let Some(account) = account {
            account.delivered = account.acknowledged;
        }
    }

    pub(super) fn reconnect(&mut self, index: usize) {
        self.members[index].endpoint.disconnected();
        self.connect(index);
    }

    pub(super) fn drain(&mut self, index: usize) -> bool {
        let mut worked = false;
        loop {
            let member = &mut self.members[index];
            let frame = match member.endpoint.poll(NOW) {
                None => return worked,
                Some(Output::Persist(persist)) => {
                    store(persist, &member.seal, &mut member.rng, &mut member.store);
                    None
                }
                Some(Output::Transmit(frame)) => Some(frame.to_vec()),
                Some(Output::Deliver(delivery)) => {
                    let text = core::str::from_utf8(delivery.payload).expect("tests send text").to_string();
                    member.heard.push((delivery.from, delivery.copied_to, text));
                    let ticket = delivery.ticket;
                    member.endpoint.confirm(&ticket).expect("a fresh ticket");
                    None
                }
                Some(Output::Event(event)) => {
                    member.events.push(event);
                    None
                }
                Some(Output::Timer(_)) => None,
            };
            worked = true;
            if let Some(frame) = frame {
                self.accept(index, &frame);
            }
        }
    }

    fn pass(&mut self, index: usize) -> bool {
        self.pass_at(index, NOW)
    }

    /// The next frame of the relay comes at this time.
    pub(super) fn pass_at(&mut self, index: usize, now: Now) -> bool {
        let frame = if self.members[index].answers.is_empty() {
            let member = &self.members[index];
            let account = member.endpoint.device_id().and_then(|id| self.accounts.get_mut(&id));
            let Some(account) = account.filter(|_| member.endpoint.is_authenticated()) else { return false };
            let Some(frame) = account.inbox.get(account.delivered).cloned() else { return false };
            account.delivered += 1;
            frame
        } else {
            self.members[index].answers.remove(0)
        };
        let Member { endpoint, rng, .. } = &mut self.members[index];
        super::corruption::shoot(endpoint, now, &frame);
        let result = endpoint.receive(now, rng, &frame);
        if result == Err(ConnectionError::Redeliver) {
            self.drain(index);
            self.reconnect(index);
            return true;
        }
        assert_eq!(result, Ok(()), "member {index}: {frame:02x?}");
        true
    }

    pub(super) fn posted(&self, index: usize) -> (Vec<u8>, Vec<u8>) {
        let posted = &self.statements[index];
        (posted.signed.clone(), posted.chain.clone())
    }

    /// What a device stored, opened, without the inbox cursor.
    pub(super) fn records(&self, index: usize) -> BTreeMap<[u8; 3], Vec<u8>> {
        super::opened_records(&self.members[index].seal, &self.members[index].store)
    }
}
