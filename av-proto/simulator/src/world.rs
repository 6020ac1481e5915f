//! One tenant: devices, the relay between them, and one clock.

mod passing;
mod rest;
mod rudeness;
mod steps;
mod tampering;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use av_proto::wire::{DeviceId, Origin, Role};
use av_proto::{Channel, EnrollOptions, Event, Phase, RequestVerdict};

use crate::device::Device;
use crate::ledger::{Ledger, Violation};
use crate::machine::Capacity;
use crate::manners::Manners;
use crate::relay::Relay;
use crate::watch;
use tampering::Tampering;

/// Steps that a violation carries.
const TRACE: usize = 300;
/// Outputs that a device may have for one input before it counts as a storm.
const STORM: usize = 500;

fn origin() -> Result<Origin, Violation> {
    Origin::parse("wss://relay.example").map_err(|_| Violation::new("the origin"))
}

/// A tenant's devices on one network. The first is the founding owner; it invites the others.
pub struct World {
    devices: Vec<Device>,
    relay: Relay,
    ledger: Ledger,
    manners: Manners,
    /// Milliseconds.
    clock: u64,
    trace: VecDeque<String>,
    /// All were active before anything went wrong.
    was_active: bool,
    /// Devices that took in something the relay made up: they may acknowledge what they never saw.
    deceived: Vec<bool>,
    /// The nonce of the genuine message that a device is taking in.
    in_hand: Option<Vec<u8>>,
    /// Nonces of messages whose recipient acknowledged them: a copy is a replay …
    over: BTreeSet<Vec<u8>>,
    /// … unless it had rejected them: a copy may then come at a better time.
    rejected: BTreeSet<Vec<u8>>,
    /// The first frame of each kind that went to the relay (`true`) or to a device, by its first bytes.
    frames: BTreeMap<(bool, Vec<u8>), Vec<u8>>,
    /// Requests and grants as the devices made them.
    enrollments: BTreeSet<Vec<u8>>,
    /// The relay is about to change a request or a grant.
    tampering: Option<Tampering>,
    /// The device in hand takes in a request or grant that nobody made.
    in_hand_tampered: bool,
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
            was_active: false,
            deceived: vec![false; capacities.len()],
            in_hand: None,
            over: BTreeSet::new(),
            rejected: BTreeSet::new(),
            frames: BTreeMap::new(),
            enrollments: BTreeSet::new(),
            tampering: None,
            in_hand_tampered: false,
            done: BTreeMap::new(),
        }
    }

    /// As [`Self::new`], but the others have only just been invited, and nothing that they say has arrived.
    ///
    /// # Errors
    /// [`Violation`] when not even that works.
    pub fn invited(seed: u64, capacities: &[Capacity], manners: Manners) -> Result<Self, Violation> {
        let mut world = Self::unconnected(seed, capacities);
        let begun =
            world.found().and_then(|()| (1..capacities.len()).try_for_each(|index| world.invite(index)));
        begun.map_err(|violation| violation.after(world.trace.drain(..)))?;
        world.manners = manners;
        Ok(world)
    }

    /// Another world that begins where this one is at rest: the same stores, fresh processes, nothing in flight.
    ///
    /// # Errors
    /// [`Violation`] when a store cannot be read.
    pub fn fork(&self) -> Result<Self, Violation> {
        watch::begin();
        let devices: Result<Vec<_>, _> = self.devices.iter().map(|device| device.fork(self.clock)).collect();
        Ok(Self {
            devices: devices?,
            relay: self.relay.fork(),
            ledger: Ledger::default(),
            manners: self.manners,
            clock: self.clock,
            trace: VecDeque::new(),
            was_active: self.was_active,
            deceived: vec![false; self.devices.len()],
            in_hand: None,
            over: BTreeSet::new(),
            rejected: BTreeSet::new(),
            frames: BTreeMap::new(),
            enrollments: self.enrollments.clone(),
            tampering: None,
            in_hand_tampered: false,
            done: BTreeMap::new(),
        })
    }

    fn set_up(&mut self) -> Result<(), Violation> {
        self.found()?;
        for index in 1..self.devices.len() {
            self.invite(index)?;
            self.run()?;
            self.list_pending()?;
            self.run()?;
        }
        self.check_active()?;
        self.was_active = true;
        self.relay.back_up();
        let sent = self.ledger.len();
        self.devices.iter_mut().for_each(|device| device.back_up(sent));
        Ok(())
    }

    fn found(&mut self) -> Result<(), Violation> {
        let (clock, origin) = (self.clock, origin()?);
        let owner = self.device(0)?;
        let now = owner.now(clock);
        let founded = owner.machine.found(now, &mut owner.rng, &origin);
        founded.map_err(|error| Violation::new(format!("found: {error}")))?;
        owner.id = owner.machine.device_id();
        self.run().map(drop)
    }

    /// The owner invites a device, which begins to enroll and stores that.
    fn invite(&mut self, index: usize) -> Result<(), Violation> {
        const WEEK: u32 = 7 * 24 * 3_600;
        let (clock, origin) = (self.clock, origin()?);
        let owner = self.device(0)?;
        let (now, inviter) = (owner.now(clock), owner.id);
        let invite = owner.machine.create_invite(now, &mut owner.rng, Role::Agent, WEEK);
        let invite = invite.map_err(|error| Violation::new(format!("create_invite: {error}")))?;
        self.run()?;
        let agent = self.device(index)?;
        let (now, role) = (agent.now(clock), Role::Agent);
        let origin = &origin;
        let options = EnrollOptions { origin, link_key: None, inviter, role, name: "agent", platform: "sim" };
        let enrolled = agent.machine.enroll(now, &mut agent.rng, &invite, &options);
        enrolled.map_err(|error| Violation::new(format!("enroll: {error}")))?;
        agent.id = agent.machine.device_id();
        self.drain(index).map(drop)
    }

    /// The owner asks who waits.
    fn list_pending(&mut self) -> Result<(), Violation> {
        let listed = self.device(0)?.machine.list_pending();
        listed.map_err(|error| Violation::new(format!("list_pending: {error}")))
    }

    fn check_active(&self) -> Result<(), Violation> {
        match self.devices.iter().position(|device| device.machine.phase() != Phase::Active) {
            Some(index) => Err(Violation::new(format!("device {index} did not become active"))),
            None => Ok(()),
        }
    }

    /// Whoever is somebody's peer was invited.
    fn check_peers(&self) -> Result<(), Violation> {
        let is_ours = |id: &DeviceId| self.devices.iter().any(|device| device.id == Some(*id));
        let stranger = |device: &Device| device.machine.peer_ids().iter().any(|id| !is_ours(id));
        match self.devices.iter().position(stranger) {
            Some(index) => Err(Violation::new(format!("device {index} has a peer that nobody invited"))),
            None => Ok(()),
        }
    }

    /// What this world does with an event beside noting it.
    fn told(&mut self, index: usize, event: &Event) -> Result<(), Violation> {
        match event {
            Event::EnrollmentRequest(view)
                if self.in_hand_tampered && view.verdict == RequestVerdict::TagVerified =>
            {
                Err(Violation::new("a request verified that was changed on its way"))
            }
            Event::EnrollmentGranted { .. } if self.in_hand_tampered => {
                Err(Violation::new("a grant was believed that was changed on its way"))
            }
            Event::EnrollmentRequest(view) if view.verdict == RequestVerdict::TagVerified => {
                if self.index_of(&view.device_id).is_none() {
                    return Err(Violation::new("a request verified that no invited device made"));
                }
                let clock = self.clock;
                let owner = self.device(index)?;
                let now = owner.now(clock);
                // Approved before, or no room just now: whether the device becomes active is seen at rest.
                let _ = owner.machine.approve(now, &mut owner.rng, &view.device_id);
                Ok(())
            }
            Event::Unreceipted(id) | Event::Refused(id, _) => {
                self.ledger.named_by_sender(index, *id, "its sender was told");
                Ok(())
            }
            Event::Delivered(id) => self.told_delivered(index, *id),
            Event::ConnectionSilent => self.disconnect(index, 0),
            _ => Ok(()),
        }
    }

    fn sample(&mut self, to_relay: bool, frame: &[u8]) {
        // Array head and the frame's number: one byte, and one or two.
        let kind = frame.get(..3).unwrap_or(frame).to_vec();
        self.frames.entry((to_relay, kind)).or_insert_with(|| frame.to_vec());
    }

    /// One frame of each kind that went to the relay, or to a device: a fuzzer's seeds.
    pub fn frames(&self, to_relay: bool) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().filter(move |((way, _), _)| *way == to_relay).map(|(_, frame)| &frame[..])
    }

    /// Every record of a device as its store has it, opened: a fuzzer's seeds.
    ///
    /// # Errors
    /// [`Violation`] when there is no such device, or its store cannot be read.
    pub fn stored(&mut self, index: usize) -> Result<BTreeMap<[u8; 3], Vec<u8>>, Violation> {
        self.device(index)?.stored()
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

    /// Everything that [`Self::done`] counts.
    pub const fn all_done(&self) -> &BTreeMap<&'static str, u64> {
        &self.done
    }

    /// The book of what was sent.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
