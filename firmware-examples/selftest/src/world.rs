//! The owner, the agent, the post office between them, and the time.

use av_proto::testing::{PostOffice, Side};
use av_proto::{Channel, Event, Now};
use rand_core::Rng;

use crate::application::other;
use crate::device::{Device, Turn};
use crate::fault::{Fault, Faults};
use crate::gauge::Gauge;
use crate::{Failure, require};

pub const BOTH: [Side; 2] = [Side::Owner, Side::Agent];

/// Rounds in which two devices have to come to rest; they need about ten.
const MOST_ROUNDS: usize = 200;

pub struct World {
    pub now: Now,
    pub office: &'static mut PostOffice,
    pub owner: Device,
    pub agent: Device,
    pub gauge: Gauge,
    pub disconnects: u32,
    pub restarts: u32,
    /// Copies of a message that came after it and were refused.
    pub refused: usize,
}

impl World {
    pub fn device(&mut self, side: Side) -> &mut Device {
        match side {
            Side::Owner => &mut self.owner,
            Side::Agent => &mut self.agent,
        }
    }

    /// A fresh connection; the old one is gone with all that was under way on it.
    ///
    /// # Errors
    /// [`Failure`] when the post office has no room.
    pub fn connect(&mut self, side: Side) -> Result<(), Failure> {
        let mut nonce = [0; 32];
        self.device(side).rng.fill_bytes(&mut nonce);
        self.disconnect(side);
        self.office.connect(side, nonce).map_err(|_| Failure("the post office has no room"))?;
        self.device(side).endpoint.connected(Channel::Plain).map_err(|_| Failure("the connection is refused"))
    }

    pub fn disconnect(&mut self, side: Side) {
        self.office.disconnect(side);
        self.device(side).endpoint.disconnected();
    }

    /// A cold restart from the sealed records; the connection dies with the device.
    ///
    /// # Errors
    /// [`Failure`] when the records cannot be used.
    pub fn restart(&mut self, side: Side) -> Result<(), Failure> {
        self.office.disconnect(side);
        let device = match side {
            Side::Owner => &mut self.owner,
            Side::Agent => &mut self.agent,
        };
        device.restart(self.now, &mut self.gauge)
    }

    /// Some seconds go by.
    ///
    /// # Errors
    /// [`Failure`] of what the timers start.
    pub fn wait(&mut self, seconds: u32) -> Result<(), Failure> {
        self.now.wall += u64::from(seconds);
        self.now.uptime += u64::from(seconds) * 1_000;
        self.owner.tick(self.now);
        self.agent.tick(self.now);
        self.run(&BOTH, &mut Faults::none())
    }

    /// Runs these devices until neither they nor the post office have anything to do.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn run(&mut self, sides: &[Side], faults: &mut Faults) -> Result<(), Failure> {
        for _ in 0..MOST_ROUNDS {
            let mut is_quiet = true;
            for side in sides {
                while self.turn(*side, faults)? {
                    is_quiet = false;
                }
                is_quiet &= !self.pass(*side, faults)?;
            }
            if is_quiet {
                return Ok(());
            }
        }
        Err(Failure("the devices do not come to rest"))
    }

    /// Lets one device alone do what it has to, with what it was given.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn drain(&mut self, side: Side) -> Result<(), Failure> {
        for _ in 0..MOST_ROUNDS {
            if !self.turn(side, &mut Faults::none())? {
                return Ok(());
            }
        }
        Err(Failure("a device does not come to rest"))
    }

    /// One turn of a device; whether there was anything to do.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn turn(&mut self, side: Side, faults: &mut Faults) -> Result<bool, Failure> {
        let Self { now, office, owner, agent, gauge, .. } = self;
        let device = if side == Side::Owner { owner } else { agent };
        match device.turn(*now, office, faults, gauge)? {
            Turn::Idle => Ok(false),
            Turn::Done => Ok(true),
            Turn::Struck(fault) => self.strike(side, fault).map(|()| true),
        }
    }

    /// Passes one frame to a device; whether there was one.
    fn pass(&mut self, side: Side, faults: &mut Faults) -> Result<bool, Failure> {
        let Some(frame) = self.office.fetch(side) else { return Ok(false) };
        match faults.strike(side) {
            Some(fault) => self.strike(side, fault)?,
            None => self.receive(side, &frame)?,
        }
        Ok(true)
    }

    /// Gives a device a frame that it has to accept.
    ///
    /// # Errors
    /// [`Failure`] when it ends the connection.
    pub fn receive(&mut self, side: Side, frame: &[u8]) -> Result<(), Failure> {
        let Self { now, owner, agent, gauge, .. } = self;
        let device = if side == Side::Owner { owner } else { agent };
        device.receive(*now, frame, gauge)
    }

    fn strike(&mut self, side: Side, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::Disconnect => self.disconnects += 1,
            Fault::Restart => {
                self.restarts += 1;
                self.restart(side)?;
            }
        }
        self.connect(side)
    }

    /// One message from a side to the other, whatever goes wrong: an application says again what its device had not
    /// stored when power failed.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn say(&mut self, from: Side, faults: &mut Faults) -> Result<(), Failure> {
        let number = self.device(from).application.next();
        while !self.device(from).application.has_said(number) {
            self.hand_over(from, number)?;
            self.run(&BOTH, faults)?;
        }
        require(self.has_all_heard(other(from)), "a message is lost")
    }

    /// The application gives its device a message.
    ///
    /// # Errors
    /// [`Failure`] when the device does not take it.
    pub fn hand_over(&mut self, from: Side, number: u32) -> Result<(), Failure> {
        let to = self.device(other(from)).id()?;
        let Self { owner, agent, gauge, .. } = self;
        let device = if from == Side::Owner { owner } else { agent };
        device.say(&to, number, gauge)
    }

    /// Whether this side heard everything that the other one said.
    pub fn has_all_heard(&self, side: Side) -> bool {
        let (hearer, sayer) = match side {
            Side::Owner => (&self.owner, &self.agent),
            Side::Agent => (&self.agent, &self.owner),
        };
        hearer.application.heard_all_of(&sayer.application)
    }

    /// Messages that were said on both sides.
    pub fn messages(&self) -> u32 {
        self.owner.application.count() + self.agent.application.count()
    }

    /// Counts what was refused, and begins anew to note events.
    pub fn count_events(&mut self) {
        for device in [&mut self.owner, &mut self.agent] {
            let is_refusal = |event: &&Event| matches!(event, Event::MessageRejected { .. });
            self.refused += device.events.iter().filter(is_refusal).count();
            device.events.clear();
        }
    }
}
