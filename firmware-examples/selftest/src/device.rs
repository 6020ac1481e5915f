//! A device: an endpoint with its store, its generator and its application.

use av_proto::testing::{PostOffice, Side};
use av_proto::wire::DeviceId;
use av_proto::{Event, Now, Output, Persist, Seal, SmallEndpoint};
use chacha20::ChaCha20Rng;
use firmware_common::store::Store;
use heapless::Vec;
use rand_core::Rng;

use crate::application::{Application, message};
use crate::fault::{Fault, Faults};
use crate::gauge::{Call, Gauge};
use crate::{Failure, entropy, require};

/// Events that a device may have between two looks of the self-test.
const EVENTS: usize = 24;

/// The statics of a device.
pub struct Place {
    endpoint: SmallEndpoint,
    store: Store,
}

impl Place {
    pub const fn new() -> Self {
        Self { endpoint: SmallEndpoint::new(), store: Store::new() }
    }
}

/// What became of one turn.
pub enum Turn {
    /// There was nothing to do.
    Idle,
    Done,
    /// A fault struck in place of what was to be done.
    Struck(Fault),
}

pub struct Device {
    side: Side,
    pub endpoint: &'static mut SmallEndpoint,
    pub store: &'static mut Store,
    pub application: Application,
    pub rng: ChaCha20Rng,
    seal: Seal,
    pub events: Vec<Event, EVENTS>,
    timer: Option<u64>,
}

impl Device {
    /// # Errors
    /// [`Failure`] without entropy.
    pub fn new(side: Side, place: &'static mut Place) -> Result<Self, Failure> {
        let mut rng = entropy::seeded()?;
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Ok(Self {
            side,
            endpoint: &mut place.endpoint,
            store: &mut place.store,
            application: Application::new(side),
            rng,
            seal: Seal::new(key),
            events: Vec::new(),
            timer: None,
        })
    }

    /// Its id, once it has an identity.
    ///
    /// # Errors
    /// [`Failure`] before that.
    pub fn id(&self) -> Result<DeviceId, Failure> {
        self.endpoint.device_id().ok_or(Failure("a device has no identity"))
    }

    pub fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    /// Power fails: what is left is the store.
    ///
    /// # Errors
    /// [`Failure`] when the records do not open or do not fit together.
    pub fn restart(&mut self, now: Now, gauge: &mut Gauge) -> Result<(), Failure> {
        reset(self.endpoint);
        self.application.restart();
        self.timer = None;
        for (key, sealed) in self.store.records() {
            gauge
                .measure(Call::Restore, || self.endpoint.restore(now, &self.seal, key, sealed))
                .map_err(|_| Failure("a stored record does not open"))?;
        }
        self.endpoint.resume().map_err(|_| Failure("the stored records do not fit together"))
    }

    /// The timer, if it is due.
    pub fn tick(&mut self, now: Now) {
        if self.timer.is_some_and(|due| now.uptime >= due) {
            self.endpoint.tick(now, &mut self.rng);
        }
    }

    /// Says the application's message of this number.
    ///
    /// # Errors
    /// [`Failure`] when the endpoint does not take it.
    pub fn say(&mut self, to: &DeviceId, number: u32, gauge: &mut Gauge) -> Result<(), Failure> {
        let text = message(self.side, number)?;
        gauge
            .measure(Call::Send, || self.endpoint.send(&mut self.rng, to, &text))
            .map_err(|_| Failure("the endpoint does not take a message"))?;
        self.application.said(number);
        Ok(())
    }

    /// Takes in a frame that has to be acceptable.
    ///
    /// # Errors
    /// [`Failure`] when it is not.
    pub fn receive(&mut self, now: Now, frame: &[u8], gauge: &mut Gauge) -> Result<(), Failure> {
        gauge
            .measure(Call::Receive, || self.endpoint.receive(now, &mut self.rng, frame))
            .map_err(|_| Failure("an allowed frame ended the connection"))
    }

    /// Does what the endpoint asks for next, unless a fault strikes first.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn turn(
        &mut self,
        now: Now,
        office: &mut PostOffice,
        faults: &mut Faults,
        gauge: &mut Gauge,
    ) -> Result<Turn, Failure> {
        let output = gauge.measure(Call::Poll, || self.endpoint.poll(now));
        match output {
            None => return Ok(Turn::Idle),
            Some(Output::Persist(persist)) => {
                let fault = faults.strike(self.side);
                store(persist, fault, self.store, &self.seal, &mut self.rng, gauge)?;
                match fault {
                    None => self.application.stored(),
                    Some(fault) => return Ok(Turn::Struck(fault)),
                }
            }
            Some(Output::Transmit(frame)) => match faults.strike(self.side) {
                None => {
                    office.accept(self.side, frame).map_err(|_| Failure("the post office has no room"))?
                }
                Some(fault) => return Ok(Turn::Struck(fault)),
            },
            Some(Output::Deliver(delivery)) => {
                let fault = faults.strike(self.side);
                // A lost connection is no matter of the application: it has its message.
                if fault != Some(Fault::Restart) {
                    self.application.hear(delivery.payload)?;
                    let ticket = delivery.ticket;
                    self.endpoint.confirm(&ticket).map_err(|_| Failure("a fresh ticket does not count"))?;
                }
                if let Some(fault) = fault {
                    return Ok(Turn::Struck(fault));
                }
            }
            Some(Output::Event(event)) => {
                self.events.push(event).map_err(|_| Failure("more events than anyone looked at"))?;
            }
            Some(Output::Timer(due)) => self.timer = Some(due),
        }
        Ok(Turn::Done)
    }

    /// The next output has to be a frame: the relay gets it that many times.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn transmit_copies(
        &mut self,
        now: Now,
        office: &mut PostOffice,
        copies: usize,
    ) -> Result<(), Failure> {
        let Some(Output::Transmit(frame)) = self.endpoint.poll(now) else {
            return Err(Failure("a frame was to go out"));
        };
        for _ in 0..copies {
            office.accept(self.side, frame).map_err(|_| Failure("the post office has no room"))?;
        }
        require(copies > 0, "a frame that is not sent is a lost connection")
    }
}

/// Stores a batch. A lost connection leaves the question unanswered; a power failure, half a batch.
fn store(
    mut persist: Persist<'_>,
    fault: Option<Fault>,
    store: &mut Store,
    seal: &Seal,
    rng: &mut ChaCha20Rng,
    gauge: &mut Gauge,
) -> Result<(), Failure> {
    let mut records_until_failure = match fault {
        None => usize::MAX,
        Some(Fault::Disconnect) => return Ok(()),
        Some(Fault::Restart) => 1,
    };
    store.begin();
    let written = gauge.measure(Call::Persist, || {
        persist.write(seal, rng, |change| {
            records_until_failure = records_until_failure
                .checked_sub(1)
                .ok_or(Failure("power failed in the middle of a batch"))?;
            store.change(change).map_err(|_| Failure("the store is full"))
        })
    });
    match fault {
        Some(_) => Ok(()),
        None => {
            written.map_err(|_| Failure("a batch could not be stored"))?;
            store.commit();
            persist.stored();
            Ok(())
        }
    }
}

/// Apart, so that a temporary of the endpoint's size would show here and nowhere else.
#[inline(never)]
fn reset(endpoint: &mut SmallEndpoint) {
    endpoint.reset();
}
