//! An owner and an agent from the founding to a conversation over restarts: what each call leaves on its stack, and what
//! the endpoint still holds of secrets that are over.

use std::collections::BTreeMap;

use av_proto::testing::{PostOffice, Side, secrets_in_record};
use av_proto::wire::{DeviceId, Origin, Role};
use av_proto::{
    Channel, EnrollOptions, Event, Now, Output, RecordChange, RecordKey, Seal, SmallEndpoint,
    XChaCha20Poly1305,
};
use av_secrecy::randomness::SecretRng;

use crate::memory;
use crate::search::{Found, Secrets};
use crate::stack::{Trace, run};

const NOW: Now = Now { uptime: 0, wall: 1_800_000_000 };

struct Device {
    side: Side,
    endpoint: Box<SmallEndpoint>,
    seal: Seal,
    store: BTreeMap<[u8; 3], Vec<u8>>,
    events: Vec<Event>,
    rng: SecretRng,
    traces: Vec<Trace>,
    recorded: Vec<Vec<u8>>,
    confirmed: bool,
}

impl Device {
    fn new(side: Side, seed: u8) -> Self {
        Self {
            side,
            endpoint: Box::default(),
            seal: Seal::new([seed; 32]),
            store: BTreeMap::new(),
            events: Vec::new(),
            rng: SecretRng::new(u64::from(seed)),
            traces: Vec::new(),
            recorded: Vec::new(),
            confirmed: false,
        }
    }

    /// One of the endpoint's calls, on a stack of its own.
    fn call<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&mut SmallEndpoint, &mut SecretRng) -> T,
    ) -> T {
        let (endpoint, rng) = (&mut *self.endpoint, &mut self.rng);
        let (value, trace) = run(name, || call(endpoint, rng));
        self.traces.push(trace);
        value
    }

    fn connect(&mut self, relay: &mut PostOffice) {
        relay.connect(self.side, [0; 32]).expect("room");
        self.endpoint.connected(Channel::Plain).expect("loopback");
    }

    fn drain(&mut self, relay: &mut PostOffice) {
        loop {
            let mut tickets = Vec::new();
            let (output, trace) = run("Endpoint::poll", || self.endpoint.poll(NOW));
            self.traces.push(trace);
            match output {
                None => return,
                Some(Output::Persist(mut batch)) => {
                    let (store, seal, rng) = (&mut self.store, &self.seal, &mut self.rng);
                    let mut changed = Vec::new();
                    let ((), trace) = run("Persist::write", || {
                        batch
                            .write(seal, rng, |change| {
                                match change {
                                    RecordChange::Put(key, record) => changed.push((key, record.to_vec())),
                                    RecordChange::Delete(key) => _ = store.remove(&key.to_bytes()),
                                }
                                Ok::<_, ()>(())
                            })
                            .expect("it has room");
                    });
                    self.traces.push(trace);
                    batch.stored();
                    for (key, sealed) in changed {
                        store.insert(key.to_bytes(), sealed);
                    }
                    let mut recorded = std::mem::take(&mut self.recorded);
                    self.each_secret(|secret| recorded.push(secret.to_vec()));
                    self.recorded = recorded;
                }
                Some(Output::Transmit(frame)) => relay.accept(self.side, frame).expect("room"),
                Some(Output::Deliver(delivery)) => tickets.push(delivery.ticket),
                Some(Output::Event(event)) => self.events.push(event),
                Some(Output::Timer(_)) => {}
            }
            for ticket in tickets {
                self.confirmed = true;
                if self.side == Side::Agent {
                    self.call("Endpoint::answer", |endpoint, rng| endpoint.answer(rng, &ticket, b"answer"))
                        .expect("room");
                } else {
                    self.endpoint.confirm(&ticket).expect("a fresh ticket");
                }
            }
        }
    }

    /// The secrets that are in its records now.
    fn each_secret(&self, mut each: impl FnMut(&[u8])) {
        for (key, sealed) in &self.store {
            let (key, mut out) = (RecordKey::from_bytes(key).expect("a key"), vec![0; sealed.len()]);
            let opened = self.seal.open(key, sealed, &mut out).expect("opens");
            secrets_in_record::<XChaCha20Poly1305, 16>(key, opened, &mut each).expect("a record");
        }
    }

    fn restart(&mut self, relay: &mut PostOffice) {
        relay.disconnect(self.side);
        self.endpoint.reset();
        for (key, sealed) in self.store.clone() {
            let key = RecordKey::from_bytes(&key).expect("a key");
            let (endpoint, seal) = (&mut *self.endpoint, &self.seal);
            let (_, trace) = run("Endpoint::restore", || endpoint.restore(NOW, seal, key, &sealed).is_ok());
            self.traces.push(trace);
        }
        self.endpoint.resume().expect("whole");
        self.connect(relay);
    }
}

fn settle(owner: &mut Device, agent: &mut Device, relay: &mut PostOffice) {
    loop {
        let mut is_idle = true;
        for device in [&mut *owner, &mut *agent] {
            device.drain(relay);
            while let Some(frame) = relay.fetch(device.side) {
                device
                    .call("Endpoint::receive", |endpoint, rng| endpoint.receive(NOW, rng, &frame))
                    .expect("honest");
                device.drain(relay);
                is_idle = false;
            }
        }
        if is_idle {
            return;
        }
    }
}

/// What the life of two devices left.
pub(crate) struct Life {
    /// What each call left on its stack.
    pub(crate) traces: Vec<Trace>,
    /// What is searched for.
    pub(crate) secrets: Secrets,
    /// What owner and agent hold of secrets that are in no record any more, and what they hold after `reset`.
    pub(crate) held: [(Found, Found); 2],
}

/// From the founding to a conversation over restarts.
pub(crate) fn life() -> Life {
    let (owner, agent) = (&mut Device::new(Side::Owner, 51), &mut Device::new(Side::Agent, 52));
    let (relay, origin) = (&mut PostOffice::new(), &Origin::parse("ws://127.0.0.1:7460").expect("an origin"));
    let root =
        owner.call("Endpoint::found", |endpoint, rng| endpoint.found(NOW, rng, origin, None, "laptop"));
    drop(root.expect("founds"));
    owner.connect(relay);
    settle(owner, agent, relay);
    let invite = owner
        .call("Endpoint::create_invite", |endpoint, rng| endpoint.create_invite(NOW, rng, Role::Agent, 600))
        .expect("room");
    settle(owner, agent, relay);
    let options = EnrollOptions {
        origin,
        link_key: None,
        inviter: owner.endpoint.device_id(),
        role: Role::Agent,
        name: "a",
        platform: "b",
    };
    agent
        .call("Endpoint::enroll", |endpoint, rng| endpoint.enroll(NOW, rng, &invite, &options))
        .expect("an empty endpoint");
    agent.connect(relay);
    settle(owner, agent, relay);
    owner.endpoint.list_pending().expect("an owner");
    settle(owner, agent, relay);
    let device: DeviceId = agent.endpoint.device_id().expect("a device");
    owner.call("Endpoint::approve", |endpoint, rng| endpoint.approve(NOW, rng, &device)).expect("a request");
    settle(owner, agent, relay);
    for _ in 0..4 {
        for _ in 0..2 {
            owner
                .call("Endpoint::send", |endpoint, rng| endpoint.send(rng, &device, b"question"))
                .expect("room");
            settle(owner, agent, relay);
        }
        owner.restart(relay);
        agent.restart(relay);
        settle(owner, agent, relay);
    }
    assert!(agent.confirmed && owner.confirmed);
    let (mut drawn, mut recorded, mut traces) = (Vec::new(), Vec::new(), Vec::new());
    for device in [&mut *owner, &mut *agent] {
        drawn.extend(std::mem::replace(&mut device.rng, SecretRng::new(0)).into_drawn());
        recorded.append(&mut device.recorded);
        traces.append(&mut device.traces);
    }
    let mut secrets = Secrets::default();
    secrets.derive(&drawn, &recorded);
    let held = [owner, agent].map(|device| {
        let mut over = Secrets::default();
        over.derive(&drawn, &recorded);
        device.each_secret(|secret| over.spare(secret));
        let memory = memory::of(&*device.endpoint);
        device.endpoint.reset();
        (over.found_in(&memory), secrets.found_in(&memory::of(&*device.endpoint)))
    });
    Life { traces, secrets, held }
}
