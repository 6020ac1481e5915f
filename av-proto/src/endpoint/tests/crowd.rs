//! An owner and its agents, with drivers that lend, and the post between them.

use std::collections::{BTreeMap, VecDeque};

use av_wire::frame::{ToDevice, ToRelay};
use av_wire::message::message_id;
use av_wire::{DeviceId, InboxEpoch, Role};
use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Channel, ConnectionError, EnrollOptions, Event, NOW, Output, PostOffice, Side, Store, origin};
use crate::endpoint::{ApproveError, Endpoint, LendError, PeerRecord, RestoreError, SendError};
use crate::limits::HAVE_DELAY;
use crate::record::{RecordKey, RecordKind, Seal};
use crate::{Now, XChaCha20Poly1305};

/// Peers that the owner may have.
pub(super) const LIMIT: u16 = 10_100;
pub(super) const AGENTS: u8 = 24;

/// What each device heard, and from whom; the owner comes first.
pub(super) type Heard = Vec<Vec<(DeviceId, Vec<u8>)>>;

/// A device that lends: what a driver on a host does, in a page.
pub(super) struct Node<const PEERS: usize> {
    pub(super) endpoint: Box<Endpoint<XChaCha20Poly1305, PEERS, 16, 4, 2, 4_256>>,
    pub(super) now: Now,
    pub(super) seal: Seal,
    pub(super) store: Store,
    pub(super) rng: ChaCha20Rng,
    pub(super) directory: BTreeMap<DeviceId, PeerRecord>,
    pub(super) lent: usize,
    frames: VecDeque<Vec<u8>>,
    pub(super) events: Vec<Event>,
    pub(super) heard: Vec<(DeviceId, Vec<u8>)>,
    /// The last inbox entry that was handed to it.
    sequence: u64,
}

impl<const PEERS: usize> Node<PEERS> {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self {
            endpoint: Box::default(),
            now: NOW,
            seal: Seal::new(key),
            store: Store::new(),
            rng,
            directory: BTreeMap::new(),
            lent: 0,
            frames: VecDeque::new(),
            events: Vec::new(),
            heard: Vec::new(),
            sequence: 0,
        }
    }

    pub(super) fn id(&self) -> DeviceId {
        self.endpoint.device_id().expect("a device")
    }

    pub(super) fn fetch(&mut self, peer: DeviceId) -> Result<(), LendError> {
        let Some(record) = self.directory.get(&peer) else {
            self.endpoint.has_no_record(peer);
            return Ok(());
        };
        self.lent += 1;
        let sealed = &self.store[&record.key().to_bytes()];
        self.endpoint.lend(self.now, &self.seal, record, sealed)
    }

    pub(super) fn receive(&mut self, frame: &ToDevice<'_>) {
        let mut buffer = vec![0; 4_224];
        let frame = av_wire::encode(frame, &mut buffer).expect("room").to_vec();
        self.receive_bytes(&frame);
    }

    pub(super) fn receive_bytes(&mut self, frame: &[u8]) {
        loop {
            match self.endpoint.receive(self.now, &mut self.rng, frame) {
                Ok(()) => break,
                Err(ConnectionError::NeedPeer(peer)) => self.fetch(peer).expect("an idle peer"),
                Err(error) => panic!("{error:?}"),
            }
        }
        self.drain();
    }

    pub(super) fn send(&mut self, to: DeviceId, text: &[u8]) {
        loop {
            match self.endpoint.send(&mut self.rng, &to, text) {
                Ok(_) => break,
                Err(SendError::NeedPeer(peer)) => self.fetch(peer).expect("an idle peer"),
                Err(error) => panic!("{error:?}"),
            }
        }
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll(self.now) {
            match output {
                Output::Persist(mut persist) => {
                    let (store, directory) = (&mut self.store, &mut self.directory);
                    let written = persist.write(&self.seal, &mut self.rng, |change| {
                        match change {
                            crate::RecordChange::Put(key, sealed) => {
                                store.insert(key.to_bytes(), sealed.to_vec());
                            }
                            crate::RecordChange::Delete(key) => {
                                store.remove(&key.to_bytes());
                                directory.retain(|_, record| record.key() != key);
                            }
                        }
                        Ok::<(), ()>(())
                    });
                    assert_eq!(written, Ok(()));
                    persist.stored();
                    let records = self.endpoint.peers().map(|peer| (peer.device_id, peer.record));
                    self.directory.extend(records);
                }
                Output::Transmit(frame) => self.frames.push_back(frame.to_vec()),
                Output::Deliver(delivery) => {
                    self.heard.push((delivery.from, delivery.payload.to_vec()));
                    let ticket = delivery.ticket;
                    self.endpoint.confirm(&ticket).expect("a fresh ticket");
                }
                Output::Event(event) => self.events.push(event),
                Output::Timer(_) => {}
            }
        }
    }

    /// Dies, and begins again with what it stored.
    pub(super) fn restart(&mut self) -> Result<(), RestoreError> {
        *self.endpoint = Endpoint::new();
        self.endpoint.keep_peers(LIMIT);
        self.directory.clear();
        let is_peer = |key: &RecordKey| key.kind == RecordKind::Peer;
        let keys = self.store.keys().map(|key| RecordKey::from_bytes(key).expect("a known kind"));
        let (peers, others): (Vec<_>, Vec<_>) = keys.partition(is_peer);
        for key in others.into_iter().chain(peers) {
            let sealed = &self.store[&key.to_bytes()];
            if let Some(peer) = self.endpoint.restore(self.now, &self.seal, key, sealed)? {
                self.directory.insert(peer.device_id, peer.record);
            }
        }
        self.endpoint.resume()
    }

    /// A connection of its own, without a post office.
    pub(super) fn connect(&mut self) {
        self.endpoint.connected(Channel::Plain).expect("loopback");
        self.receive(&ToDevice::Challenge { nonce: [9; 32], server_time: 0 });
        let next_sequence = self.sequence + 1;
        self.receive(&ToDevice::Welcome {
            inbox_epoch: InboxEpoch([2; 16]),
            next_sequence,
            one_time_prekeys: 1,
        });
    }
}

/// An owner of a tenant with agents, each in a session with it.
pub(super) struct Tenant<const PEERS: usize> {
    pub(super) owner: Node<PEERS>,
    pub(super) agents: Vec<Node<2>>,
}

impl<const PEERS: usize> Tenant<PEERS> {
    /// Founds, and enrolls the agents one after the other.
    pub(super) fn new(agents: u8) -> Self {
        let mut office = PostOffice::new();
        let mut owner = Node::new(1);
        owner.endpoint.keep_peers(LIMIT);
        owner.endpoint.found(NOW, &mut owner.rng, &origin(), None, "laptop").expect("an empty endpoint");
        office.connect(Side::Owner, [9; 32]).expect("room");
        owner.endpoint.connected(Channel::Plain).expect("loopback");
        let mut tenant = Self { owner, agents: Vec::new() };
        tenant.settle(&mut office);
        for number in 0..agents {
            tenant.enroll(&mut office, number);
        }
        tenant.owner.connect();
        tenant.agents.iter_mut().for_each(Node::connect);
        tenant
    }

    pub(super) fn enroll(&mut self, office: &mut PostOffice, number: u8) {
        let owner = &mut self.owner;
        // An invite's place is free again when it expired.
        owner.now.wall += 700;
        let invite =
            owner.endpoint.create_invite(owner.now, &mut owner.rng, Role::Agent, 600).expect("a place");
        office.replace_agent();
        office.connect(Side::Agent, [9; 32]).expect("room");
        let mut agent = Node::new(100 + u64::from(number));
        let origin = origin();
        let options = EnrollOptions {
            origin: &origin,
            link_key: None,
            inviter: owner.endpoint.device_id(),
            role: Role::Agent,
            name: "thermostat",
            platform: "test",
        };
        agent.endpoint.enroll(NOW, &mut agent.rng, &invite, &options).expect("an empty endpoint");
        agent.endpoint.connected(Channel::Plain).expect("loopback");
        self.agents.push(agent);
        self.settle(office);
        let agent = self.agents[usize::from(number)].id();
        self.owner.endpoint.list_pending().expect("an owner");
        self.settle(office);
        loop {
            let owner = &mut self.owner;
            match owner.endpoint.approve(owner.now, &mut owner.rng, &agent) {
                Ok(()) => break,
                Err(ApproveError::NeedPeer(peer)) => owner.fetch(peer).expect("an idle peer"),
                Err(error) => panic!("{error:?}"),
            }
        }
        self.settle(office);
        assert!(self.owner.events.contains(&Event::PeerConfirmed(agent)), "{:?}", self.owner.events);
    }

    /// Runs the owner and the newest agent at the post office.
    pub(super) fn settle(&mut self, office: &mut PostOffice) {
        loop {
            self.owner.drain();
            let mut idle = true;
            while let Some(frame) = self.owner.frames.pop_front() {
                office.accept(Side::Owner, &frame).expect("room");
            }
            if let Some(agent) = self.agents.last_mut() {
                agent.drain();
                while let Some(frame) = agent.frames.pop_front() {
                    office.accept(Side::Agent, &frame).expect("room");
                }
                while let Some(frame) = office.fetch(Side::Agent) {
                    agent.receive_bytes(&frame);
                    idle = false;
                }
            }
            while let Some(frame) = office.fetch(Side::Owner) {
                self.owner.receive_bytes(&frame);
                idle = false;
            }
            if idle {
                return;
            }
        }
    }

    /// Carries every message there is to its recipient, and tells the sender.
    pub(super) fn carry(&mut self) {
        let tenant = self.owner.endpoint.tenant_id().expect("a tenant");
        loop {
            let mut mail = Vec::new();
            for agent in 0..self.agents.len() {
                let sender = self.agents[agent].id();
                let frames: Vec<_> = self.agents[agent].frames.drain(..).collect();
                mail.extend(frames.into_iter().map(|frame| (Some(agent), sender, frame)));
            }
            let sender = self.owner.id();
            mail.extend(self.owner.frames.drain(..).map(|frame| (None, sender, frame)));
            if mail.is_empty() {
                return;
            }
            for (from, sender, frame) in mail {
                let Ok(ToRelay::Send { recipient, header_blob, ciphertext }) = av_wire::decode(&frame) else {
                    continue;
                };
                let message_id = message_id(&tenant, &sender, &recipient, header_blob, ciphertext);
                let accepted = ToDevice::Accepted { message_id };
                let deliver = |sequence| ToDevice::Deliver {
                    sequence,
                    previous: sequence - 1,
                    sender,
                    header_blob,
                    ciphertext,
                    received_at: 0,
                };
                if let Some(agent) = from {
                    self.agents[agent].receive(&accepted);
                    self.owner.sequence += 1;
                    self.owner.receive(&deliver(self.owner.sequence));
                } else {
                    self.owner.receive(&accepted);
                    let agent =
                        self.agents.iter_mut().find(|agent| agent.id() == recipient).expect("an agent");
                    agent.sequence += 1;
                    agent.receive(&deliver(agent.sequence));
                }
            }
        }
    }

    /// Time goes by until every receipt that is owed has come.
    pub(super) fn wait_for_receipts(&mut self) {
        fn tick<const PEERS: usize>(node: &mut Node<PEERS>) {
            node.now.uptime += HAVE_DELAY;
            node.endpoint.tick(node.now, &mut node.rng);
            node.drain();
        }
        self.agents.iter_mut().for_each(tick);
        tick(&mut self.owner);
        self.carry();
    }

    /// Messages to and from agents in a random order; what each device heard.
    pub(super) fn converse(&mut self, seed: u64, rounds: u32) -> Heard {
        let mut choices = ChaCha20Rng::seed_from_u64(seed);
        let owner = self.owner.id();
        for round in 0..rounds {
            let choice = choices.next_u32() as usize;
            let agent = &mut self.agents[choice % usize::from(AGENTS)];
            let text = round.to_be_bytes();
            if choice & 0x1_0000 == 0 {
                agent.send(owner, &text);
            } else {
                let agent = agent.id();
                self.owner.send(agent, &text);
            }
            self.carry();
        }
        let heard = |heard: &mut Vec<_>| std::mem::take(heard);
        let mut all = vec![heard(&mut self.owner.heard)];
        all.extend(self.agents.iter_mut().map(|agent| heard(&mut agent.heard)));
        all
    }
}
