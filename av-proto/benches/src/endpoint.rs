//! Two endpoints: a message from the one application to the other with everything stored in between, and what a flood of
//! forged first messages costs.

use std::hint::black_box;

use av_proto::limits::PAST_CHAINS;
use av_proto::testing::{PostOffice, Side};
use av_proto::wire::frame::ToDevice;
use av_proto::wire::message::Prelude;
use av_proto::wire::{DeviceId, Origin, Role};
use av_proto::{Channel, EnrollOptions, Now, Output, Seal, SmallEndpoint};
use chacha20::ChaCha20Rng;
use rand_core::Rng;

use crate::measure::{Cases, timed};
use crate::{BODY, rng};

/// Milliseconds in which a peer earns the answer to one more prelude.
const PRELUDE_PERIOD: u64 = 60_000;

/// A device whose store takes everything and keeps nothing.
struct Device {
    side: Side,
    endpoint: Box<SmallEndpoint>,
    seal: Seal,
    rng: ChaCha20Rng,
}

struct World {
    office: Box<PostOffice>,
    owner: Device,
    agent: Device,
    now: Now,
}

impl Device {
    fn new(side: Side, seed: u64) -> Self {
        Self { side, endpoint: Box::default(), seal: Seal::new([1; 32]), rng: rng(seed) }
    }

    /// Does what the endpoint asks until it is idle; without a post office its frames go nowhere.
    fn drain(&mut self, now: Now, mut office: Option<&mut PostOffice>) {
        while let Some(output) = self.endpoint.poll(now) {
            match output {
                Output::Persist(mut persist) => {
                    let written = persist.write(&self.seal, &mut self.rng, |change| {
                        black_box(change);
                        Ok::<(), ()>(())
                    });
                    assert!(written.is_ok());
                    persist.stored();
                }
                Output::Transmit(frame) => {
                    if let Some(office) = &mut office {
                        office.accept(self.side, frame).expect("it has room");
                    }
                }
                Output::Deliver(delivery) => {
                    assert_eq!(delivery.payload.len(), BODY);
                    let ticket = delivery.ticket;
                    self.endpoint.confirm(&ticket).expect("a fresh ticket");
                }
                _ => {}
            }
        }
    }

    fn id(&self) -> DeviceId {
        self.endpoint.device_id().expect("a device")
    }
}

impl World {
    /// An owner and its agent, both with a confirmed session.
    fn new() -> Self {
        let (owner, agent) = (Device::new(Side::Owner, 21), Device::new(Side::Agent, 22));
        let now = Now { uptime: 1_000, wall: 1_800_000_000 };
        let mut world = Self { office: Box::default(), owner, agent, now };
        let origin = Origin::parse("ws://127.0.0.1:7460").expect("an origin");
        let owner = &mut world.owner;
        owner.endpoint.found(now, &mut owner.rng, &origin, None, "laptop").expect("empty");
        world.connect(Side::Owner);
        let owner = &mut world.owner;
        let invite = owner.endpoint.create_invite(now, &mut owner.rng, Role::Agent, 600).expect("room");
        world.settle();
        let (inviter, agent) = (Some(world.owner.id()), &mut world.agent);
        let options = EnrollOptions {
            origin: &origin,
            link_key: None,
            inviter,
            role: Role::Agent,
            name: "agent",
            platform: "bench",
        };
        agent.endpoint.enroll(now, &mut agent.rng, &invite, &options).expect("empty");
        world.connect(Side::Agent);
        world.owner.endpoint.list_pending().expect("an owner");
        world.settle();
        let (agent, owner) = (world.agent.id(), &mut world.owner);
        owner.endpoint.approve(now, &mut owner.rng, &agent).expect("a verified request");
        world.settle();
        for _ in 0..2 {
            world.pass(Side::Owner);
            world.pass(Side::Agent);
        }
        world
    }

    fn connect(&mut self, side: Side) {
        self.office.connect(side, [9; 32]).expect("it has room");
        let device = if side == Side::Owner { &mut self.owner } else { &mut self.agent };
        device.endpoint.connected(Channel::Plain).expect("loopback");
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let mut is_idle = true;
            for device in [&mut self.owner, &mut self.agent] {
                device.drain(self.now, Some(&mut self.office));
                if let Some(frame) = self.office.fetch(device.side) {
                    device.endpoint.receive(self.now, &mut device.rng, &frame).expect("an honest relay");
                    is_idle = false;
                }
            }
            if is_idle {
                return;
            }
        }
    }

    /// A message from this side's application to the other's, with every record stored.
    fn pass(&mut self, from: Side) {
        let (to, device) = match from {
            Side::Owner => (self.agent.id(), &mut self.owner),
            Side::Agent => (self.owner.id(), &mut self.agent),
        };
        device.endpoint.send(&mut device.rng, &to, black_box(&[0x61; BODY])).expect("room");
        self.settle();
    }
}

impl World {
    /// The dearest peer: in each of two sessions with it every chain that is kept was begun.
    fn begin_a_second_session(&mut self) {
        let agent = self.agent.id();
        for is_second in [false, true] {
            if is_second {
                self.owner.endpoint.start_session(&agent, false).expect("a known peer");
                self.settle();
            }
            for _ in 0..2 * PAST_CHAINS {
                self.pass(Side::Owner);
                self.pass(Side::Agent);
            }
        }
    }
}

/// Makes first messages in the owner's name, each with keys of its own, as only the relay can send them.
struct Forger {
    world: World,
    generation: u32,
    sequence: u64,
}

impl Forger {
    fn new() -> Self {
        Self { world: World::new(), generation: 100, sequence: 1_000 }
    }

    fn prelude(&mut self, generation: u32) -> Vec<u8> {
        let owner = self.world.owner.id();
        let random = &mut self.world.agent.rng;
        let mut ephemeral = [0; 32];
        random.fill_bytes(&mut ephemeral);
        let prelude = Prelude {
            generation,
            mode: 0,
            ephemeral,
            signed_prekey: 1,
            one_time_prekey: None,
            kem_key: None,
            kem_ciphertext: None,
            initiator: owner.as_bytes(),
        };
        let mut buffer = [0; 1_024];
        let prelude = av_proto::wire::encode(&prelude, &mut buffer).expect("room");
        let mut header_blob = vec![2, 1];
        header_blob.extend_from_slice(&u16::try_from(prelude.len()).expect("short").to_be_bytes());
        header_blob.extend_from_slice(prelude);
        let sealed = header_blob.len();
        header_blob.resize(sealed + 24 + 56, 0);
        random.fill_bytes(&mut header_blob[sealed..]);
        self.deliver(&header_blob)
    }

    /// A ratchet message whose header no key opens.
    fn ratchet_message(&mut self) -> Vec<u8> {
        let mut header_blob = [1; 2 + 24 + 56];
        self.world.agent.rng.fill_bytes(&mut header_blob[2..]);
        self.deliver(&header_blob)
    }

    fn deliver(&mut self, header_blob: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let deliver = ToDevice::Deliver {
            sequence: self.sequence,
            previous: 0,
            sender: self.world.owner.id(),
            header_blob,
            ciphertext: &[0x5a; 144],
            received_at: 0,
        };
        let mut buffer = [0; 2_048];
        av_proto::wire::encode(&deliver, &mut buffer).expect("room").to_vec()
    }

    /// Times what the agent's endpoint does with `n` of them; it is drained in between, untimed.
    fn flood(&mut self, n: usize, frame: impl Fn(&mut Self) -> Vec<u8>) -> crate::measure::Timed {
        let mut total = timed(|| {});
        for _ in 0..n {
            let frame = frame(self);
            let agent = &mut self.world.agent;
            total += timed(|| {
                agent.endpoint.receive(self.world.now, &mut agent.rng, &frame).expect("a well-formed frame");
            });
            // The post office is not told: what it knows of is past.
            agent.drain(self.world.now, None);
        }
        total
    }
}

/// Adds what endpoints do.
pub fn add(cases: &mut Cases) {
    let mut world = World::new();
    cases.add("av endpoint_message_100", 2, move |n| {
        timed(|| {
            for _ in 0..n / 2 {
                world.pass(Side::Owner);
                world.pass(Side::Agent);
            }
        })
    });

    let mut forger = Forger::new();
    cases.add("av forged_prelude_in_turn", 1, move |n| {
        forger.world.now.uptime += PRELUDE_PERIOD;
        forger.generation += 1;
        forger.flood(n, |forger| forger.prelude(forger.generation))
    });
    // Without time passing: the bucket is empty after two.
    let mut forger = Forger::new();
    cases.add("av forged_prelude_at_full_rate", 3, move |n| {
        forger.generation += 1;
        forger.flood(n, |forger| forger.prelude(forger.generation))
    });
    let mut forger = Forger::new();
    cases.add("av replayed_prelude", 3, move |n| {
        forger.world.now.uptime += PRELUDE_PERIOD;
        forger.flood(n, |forger| forger.prelude(1))
    });

    let mut forger = Forger::new();
    forger.world.begin_a_second_session();
    cases.add("av forged_message_two_sessions", 10, move |n| forger.flood(n, Forger::ratchet_message));
}
