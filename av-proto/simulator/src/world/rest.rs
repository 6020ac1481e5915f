//! Coming to rest: the network is kind again, and nothing may be left over.

use av_proto::Phase;

use super::World;
use crate::ledger::{Fate, Violation};
use crate::manners::Manners;

/// Milliseconds without anything but pings after which a world is at rest: longer than the longest back-off.
const REST: u64 = 2 * 3_600_000;
/// Milliseconds within which a world has to be at rest.
const PATIENCE: u64 = 72 * 3_600_000;
/// How often an owner looks who waits to be approved.
const ASKED: usize = 50;
/// Rounds of frames within one moment; more are a storm.
const ROUNDS: usize = 2_000;

impl World {
    /// The network becomes kind; all applications take what is offered. Comes to rest, and checks what is left.
    ///
    /// # Errors
    /// [`Violation`] when it does not come to rest, a message neither arrived nor was named, an outbox is not empty,
    /// or a store is not what its device holds in memory.
    pub fn rest(&mut self) -> Result<(), Violation> {
        self.settle().map_err(|violation| violation.after(self.trace.iter().cloned()))
    }

    fn settle(&mut self) -> Result<(), Violation> {
        self.note("the network becomes kind");
        self.tampering = None;
        let manners = std::mem::replace(&mut self.manners, Manners { inject: 1, delay: 1, ..Manners::KIND });
        if manners.inject == 0 {
            self.manners.inject = 0;
        }
        if manners.delay == 0 {
            self.manners.delay = 0;
        }
        if self.manners.inject > 0 {
            // What a lying relay answered on these connections may be wrong; the kind one takes new ones.
            for index in 0..self.devices.len() {
                self.disconnect(index, 0)?;
            }
        }
        self.come_to_rest()?;
        self.check_rest()?;
        if self.was_active {
            self.converse()?;
        }
        self.manners = manners;
        Ok(())
    }

    /// Runs until nothing but pings goes through for a long time.
    fn come_to_rest(&mut self) -> Result<(), Violation> {
        let mut asked = 0;
        let begun = self.clock;
        let mut busy = self.clock;
        while self.clock - busy < REST {
            if asked < ASKED && self.check_active().is_err() {
                asked += 1;
                self.list_pending()?;
            }
            if self.run()? {
                busy = self.clock;
            }
            if self.clock - begun > PATIENCE {
                return Err(Violation::new("the world does not come to rest"));
            }
            let clock = self.clock;
            let due = self.devices.iter().filter_map(|device| {
                device.timer.map(|at| clock + at.saturating_sub(device.now(clock).uptime))
            });
            // A device without a timer waits for others; the clock goes on.
            self.clock = due.min().unwrap_or(clock + 60_000).max(clock + 1).min(clock + 60_000);
            self.ring()?;
        }
        Ok(())
    }

    /// Whatever happened before, everybody reaches everybody again: a message each way between any two peers arrives.
    fn converse(&mut self) -> Result<(), Violation> {
        self.note("everybody writes to everybody");
        let mut expected = Vec::new();
        for index in 0..self.devices.len() {
            for peer in self.device(index)?.machine.peer_ids() {
                let payload = self.ledger.payload(4);
                let device = self.device(index)?;
                let sent = device.machine.send(&mut device.rng, &peer, &payload);
                let id =
                    sent.map_err(|error| Violation::new(format!("{index} cannot write to a peer: {error}")))?;
                expected.push(self.book(index, peer, id, payload)?);
                self.drain(index)?;
            }
        }
        self.come_to_rest()?;
        match expected.into_iter().find(|number| self.ledger.fate(*number) != Some(Fate::Heard)) {
            Some(number) => {
                Err(Violation::new(format!("message {number} did not arrive: a session is wedged")))
            }
            None => Ok(()),
        }
    }

    /// Runs until nobody has anything to say; whether anything but pings went through.
    pub(super) fn run(&mut self) -> Result<bool, Violation> {
        let mut worked = false;
        for _ in 0..ROUNDS {
            let mut moved = false;
            let held = std::mem::take(&mut self.relay.held);
            self.relay.staged.extend(held);
            self.relay.commit();
            for index in 0..self.devices.len() {
                if !self.relay.is_open(index) && self.device(index)?.machine.phase() != Phase::Empty {
                    self.connect(index)?;
                    moved = true;
                }
                let before = self.activity();
                moved |= self.drain(index)?;
                while !self.device(index)?.waiting.is_empty() {
                    self.hear(index, false)?;
                    moved = true;
                }
                moved |= self.drain(index)?;
                while self.relay.take(index)? {
                    moved = true;
                }
                while self.deliver(index)? {
                    moved = true;
                    self.drain(index)?;
                }
                worked |= self.activity() != before;
            }
            if !moved {
                return Ok(worked);
            }
        }
        Err(Violation::new("the devices do not stop talking"))
    }

    /// Counts everything but what keeps a connection alive.
    fn activity(&self) -> u64 {
        self.done("stored") + self.done("frame") + self.done("rejected") + self.done("parted")
    }

    fn check_rest(&mut self) -> Result<(), Violation> {
        self.check_peers()?;
        if self.manners.inject == 0 {
            self.check_active()?;
        }
        let mut ids = self.devices.iter().filter_map(|device| device.id);
        let is_at_rest = ids.all(|id| self.relay.unacknowledged(&id).next().is_none());
        if !is_at_rest {
            return Err(Violation::new("an inbox is not empty at rest"));
        }
        for (index, device) in self.devices.iter_mut().enumerate() {
            device.check_store()?;
            let left = device.machine.outbox_len();
            if left > 0 {
                return Err(Violation::new(format!(
                    "device {index} has {left} frames in its outbox at rest"
                )));
            }
        }
        match self.ledger.owed(|_, _| true) {
            Some(number) => Err(Violation::new(format!("message {number} was stored and never arrived"))),
            None => Ok(()),
        }
    }
}
