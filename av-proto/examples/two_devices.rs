//! An owner and an agent in one process: invite, enroll, approve, a question, its answer and its receipt.
//! The relay is the in-memory post office. `cargo run -p av-proto --example two_devices`

use std::{collections::BTreeMap, convert::Infallible, error::Error};

use av_proto::testing::{PostOffice, Side};
use av_proto::wire::{Origin, Role};
use av_proto::{
    Channel, Delivery, Drbg, EnrollOptions, Event, Now, Output, RecordChange, Seal, SmallEndpoint,
};

/// Time stands still: this program is over before a timer comes due.
const NOW: Now = Now { uptime: 0, wall: 1_800_000_000 };

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A device: its endpoint, its store, and what its application was told.
struct Device {
    side: Side,
    endpoint: Box<SmallEndpoint>,
    seal: Seal,
    store: BTreeMap<[u8; 3], Vec<u8>>,
    events: Vec<Event>,
}

impl Device {
    fn new(side: Side, seal: [u8; 32]) -> Self {
        let (seal, store) = (Seal::new(seal), BTreeMap::new());
        Self { side, endpoint: Box::default(), seal, store, events: Vec::new() }
    }

    fn connect(&mut self, relay: &mut PostOffice) -> Outcome {
        relay.connect(self.side, [0; 32])?;
        Ok(self.endpoint.connected(Channel::Plain)?)
    }

    /// Step 2 of the run loop: do what the endpoint asks, until it asks for nothing.
    fn drain(&mut self, relay: &mut PostOffice) -> Outcome {
        while let Some(output) = self.endpoint.poll(NOW) {
            match output {
                Output::Persist(mut batch) => {
                    // In a real store this is one transaction, and durable before `stored` is called.
                    batch.write(&self.seal, &mut random()?, |change| {
                        match change {
                            RecordChange::Put(key, record) => {
                                self.store.insert(key.to_bytes(), record.into())
                            }
                            RecordChange::Delete(key) => self.store.remove(&key.to_bytes()),
                        };
                        Ok::<_, Infallible>(())
                    })?;
                    batch.stored();
                }
                Output::Transmit(frame) => relay.accept(self.side, frame)?,
                Output::Deliver(Delivery { payload, ticket, .. }) if payload.ends_with(b"?") => {
                    println!("{:?} reads: {}", self.side, payload.escape_ascii());
                    // The confirmation and the answer are one commit: a crash loses both or neither.
                    self.endpoint.answer(&mut random()?, &ticket, b"21.5 C")?;
                }
                Output::Deliver(Delivery { payload, ticket, .. }) => {
                    println!("{:?} reads: {}", self.side, payload.escape_ascii());
                    self.endpoint.confirm(&ticket)?;
                }
                Output::Event(event) => self.events.push(event),
                Output::Timer(_) => {}
            }
        }
        Ok(())
    }
}

/// Randomness for one input, drawn before it begins, so that no input is left half done for want of it.
fn random() -> Outcome<Drbg> {
    Ok(Drbg::draw(&mut getrandom::SysRng)?)
}

/// Steps 1 to 3 for both devices, until neither has anything to do.
fn settle(owner: &mut Device, agent: &mut Device, relay: &mut PostOffice) -> Outcome {
    loop {
        let mut is_idle = true;
        for device in [&mut *owner, &mut *agent] {
            device.drain(relay)?;
            while let Some(frame) = relay.fetch(device.side) {
                device.endpoint.receive(NOW, &mut random()?, &frame)?;
                device.drain(relay)?;
                is_idle = false;
            }
        }
        if is_idle {
            return Ok(());
        }
    }
}

fn main() -> Outcome {
    // A real device takes its seal's key from a key store.
    let (owner, agent) = (&mut Device::new(Side::Owner, [1; 32]), &mut Device::new(Side::Agent, [2; 32]));
    let (relay, origin) = (&mut PostOffice::new(), &Origin::parse("ws://127.0.0.1:7460")?);

    let recovery_key = owner.endpoint.found(NOW, &mut random()?, origin, None, "laptop")?;
    recovery_key.reveal(|text| println!("Owner founds a tenant, and writes down: {text}"));
    owner.connect(relay)?;
    settle(owner, agent, relay)?;

    let invite = owner.endpoint.create_invite(NOW, &mut random()?, Role::Agent, 600)?;
    settle(owner, agent, relay)?;
    println!("Owner invites an agent, for ten minutes: {invite}");

    let (inviter, role) = (owner.endpoint.device_id(), Role::Agent);
    let (name, platform) = ("thermostat", "example");
    let options = EnrollOptions { origin, link_key: None, inviter, role, name, platform };
    agent.endpoint.enroll(NOW, &mut random()?, &invite, &options)?;
    agent.connect(relay)?;
    settle(owner, agent, relay)?;
    let shown = agent.endpoint.fingerprint().ok_or("every device has one")?;
    println!("Agent asks to come in, and shows: {}", shown.groups());

    owner.endpoint.list_pending()?;
    settle(owner, agent, relay)?;
    let Some(Event::EnrollmentRequest(request)) =
        owner.events.iter().find(|event| matches!(event, Event::EnrollmentRequest(_)))
    else {
        return Err("the request did not come".into());
    };
    println!("Owner sees {}, and approves it: {}", request.name, request.fingerprint.groups());
    // A person's part is to compare the two by eye.
    assert_eq!(request.fingerprint, shown);
    let device = request.device_id;
    owner.endpoint.approve(NOW, &mut random()?, &device)?;
    settle(owner, agent, relay)?;

    let question = owner.endpoint.send(&mut random()?, &device, b"How warm is it?")?;
    settle(owner, agent, relay)?;
    assert!(owner.events.contains(&Event::Delivered(question)));
    println!("Owner knows that the agent has its question");
    Ok(())
}
