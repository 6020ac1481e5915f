//! One tenant: devices, the relay between them, and one clock.

mod passing;
mod rest;
mod rudeness;
mod steps;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use av_proto::wire::{DeviceId, Origin, Role};
use av_proto::{Channel, EnrollOptions, Event, Phase, RequestVerdict};

use crate::device::Device;
use crate::ledger::{Ledger, Violation};
use crate::machine::Capacity;
use crate::manners::Manners;
use crate::relay::Relay;
use crate::watch;

/// Steps that a violation carries.
const TRACE: usize = 120;
/// Outputs that a device may have for one input before it counts as a storm.
const STORM: usize = 500;

/// A tenant's devices on one network. The first is the founding owner; it invites the others.
pub struct World {
    devices: Vec<Device>,
    relay: Relay,
    ledger: Ledger,
    manners: Manners,
    /// Milliseconds.
    clock: u64,
    trace: VecDeque<String>,
    /// Devices that took in something the relay made up, or an old store: what they send or should hear may be lost.
    deceived: Vec<bool>,
    /// The nonce of the genuine message that a device is taking in.
    in_hand: Option<Vec<u8>>,
    /// Nonces of messages whose recipient acknowledged them: a copy is a replay …
    over: BTreeSet<Vec<u8>>,
    /// … unless it had rejected them: a copy may then come at a better time.
    rejected: BTreeSet<Vec<u8>>,
    /// How often each thing was done, so that a test can see that it was.
    done: BTreeMap<&'static str, u64>,
}

impl World {
    /// Devices of these capacities, enrolled and talking, over a network that was kind so far.
    ///
    /// # Errors
    /// [`Violation`] when not even that works.
    pub fn new(seed: u64, capacities: &[Capacity], manners: Manners) -> Result<Self, Violation> {
        let mut world = Self::unconnected(seed, capacities);
        world.set_up().map_err(|violation| violation.after(world.trace.drain(..)))?;
        world.manners = manners;
        Ok(world)
    }

    fn unconnected(seed: u64, capacities: &[Capacity]) -> Self {
        watch::begin();
        let seeds = (0..).map(|index: u64| seed.wrapping_mul(0x9e37_79b9).wrapping_add(index));
        Self {
            devices: capacities
                .iter()
                .zip(seeds)
                .map(|(capacity, seed)| Device::new(seed, *capacity))
                .collect(),
            relay: Relay::new(capacities.len()),
            ledger: Ledger::default(),
            manners: Manners::KIND,
            clock: 1_000,
            trace: VecDeque::new(),
            deceived: vec![false; capacities.len()],
            in_hand: None,
            over: BTreeSet::new(),
            rejected: BTreeSet::new(),
            done: BTreeMap::new(),
        }
    }

    fn set_up(&mut self) -> Result<(), Violation> {
        let origin = Origin::parse("wss://relay.example").map_err(|_| Violation::new("the origin"))?;
        for index in 0..self.devices.len() {
            if index == 0 {
                let now = self.devices.first().map(|owner| owner.now(self.clock));
                let owner = self.devices.first_mut().zip(now);
                let (owner, now) = owner.ok_or_else(|| Violation::new("a world without devices"))?;
                let founded = owner.machine.found(now, &mut owner.rng, &origin);
                founded.map_err(|error| Violation::new(format!("found: {error}")))?;
            } else {
                self.enroll(index, &origin)?;
            }
            self.run()?;
            let device = self.device(index)?;
            if device.machine.phase() != Phase::Active {
                return Err(Violation::new(format!("device {index} did not become active")));
            }
            device.id = device.machine.device_id();
        }
        self.relay.back_up();
        self.devices.iter_mut().for_each(Device::back_up);
        Ok(())
    }

    fn enroll(&mut self, index: usize, origin: &Origin) -> Result<(), Violation> {
        const MINUTES: u32 = 10 * 60;
        let clock = self.clock;
        let owner = self.device(0)?;
        let (now, inviter) = (owner.now(clock), owner.id);
        let invite = owner.machine.create_invite(now, &mut owner.rng, Role::Agent, MINUTES);
        let invite = invite.map_err(|error| Violation::new(format!("create_invite: {error}")))?;
        self.run()?;
        let agent = self.device(index)?;
        let options = EnrollOptions {
            origin,
            link_key: None,
            inviter,
            role: Role::Agent,
            name: "agent",
            platform: "sim",
        };
        let now = agent.now(clock);
        let enrolled = agent.machine.enroll(now, &mut agent.rng, &invite, &options);
        enrolled.map_err(|error| Violation::new(format!("enroll: {error}")))?;
        self.run()?;
        let owner = self.device(0)?;
        owner.machine.list_pending().map_err(|error| Violation::new(format!("list_pending: {error}")))?;
        self.run().map(drop)
    }

    /// What this world does with an event beside noting it.
    fn told(&mut self, index: usize, event: &Event) -> Result<(), Violation> {
        match event {
            Event::EnrollmentRequest(view) if view.verdict == RequestVerdict::TagVerified => {
                let clock = self.clock;
                let owner = self.device(index)?;
                let now = owner.now(clock);
                let approved = owner.machine.approve(now, &mut owner.rng, &view.device_id);
                approved.map_err(|error| Violation::new(format!("approve: {error}")))
            }
            Event::ConnectionSilent => self.disconnect(index, 0),
            _ => Ok(()),
        }
    }

    fn device(&mut self, index: usize) -> Result<&mut Device, Violation> {
        self.devices.get_mut(index).ok_or_else(|| Violation::new(format!("there is no device {index}")))
    }

    fn index_of(&self, id: &DeviceId) -> Option<usize> {
        self.devices.iter().position(|device| device.id == Some(*id))
    }

    fn connect(&mut self, index: usize) -> Result<(), Violation> {
        let connected = self.device(index)?.machine.connected(Channel::Tls);
        connected.map_err(|error| Violation::new(format!("connected: {error}")))?;
        self.relay.open(index)
    }

    fn disconnect(&mut self, index: usize, heard: usize) -> Result<(), Violation> {
        self.relay.close(index, heard)?;
        let device = self.device(index)?;
        device.machine.disconnected();
        device.timer = None;
        Ok(())
    }

    fn note(&mut self, step: impl Into<String>) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{:>9} ms  {}", self.clock, step.into()));
    }

    fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    /// How often a thing was done: `heard`, `crash`, `rollback`, `epoch`, `rejected`, …
    pub fn done(&self, what: &str) -> u64 {
        self.done.get(what).copied().unwrap_or(0)
    }

    /// The book of what was sent.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
