//! The agent: its endpoint, its records in RAM, and an application that answers every message.

use av_proto::wire::{DeviceId, Origin, Role};
use av_proto::{Channel, EnrollOptions, InviteText, Now, Output, Phase, Seal, SmallEndpoint};
use chacha20::ChaCha20Rng;
use firmware_common::store::Store;
use rand_core::{Rng, SeedableRng};

use crate::Failure;
use crate::gauge::{Call, Gauge};
use crate::script::{MESSAGES, Step};

/// The relay that the agent is configured with.
pub const ORIGIN: &str = "ws://127.0.0.1:7460";
/// Time stands still: nothing in the script waits for it.
pub const NOW: Now = Now { uptime: 1_000, wall: 1_800_000_000 };
const SEED: [u8; 32] = [0xa9; 32];

/// The agent's statics.
pub struct Place {
    endpoint: SmallEndpoint,
    store: Store,
}

impl Place {
    pub const fn new() -> Self {
        Self { endpoint: SmallEndpoint::new(), store: Store::new() }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

pub struct Agent {
    endpoint: &'static mut SmallEndpoint,
    store: &'static mut Store,
    rng: ChaCha20Rng,
    seal: Seal,
    heard: u32,
    pub gauge: Gauge,
}

impl Agent {
    pub fn new(place: &'static mut Place) -> Self {
        let mut rng = ChaCha20Rng::from_seed(SEED);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self {
            endpoint: &mut place.endpoint,
            store: &mut place.store,
            rng,
            seal: Seal::new(key),
            heard: 0,
            gauge: Gauge::default(),
        }
    }

    /// One step of the script, and all that follows from it; frames go to `transmit`.
    ///
    /// # Errors
    /// [`Failure`] when the endpoint refuses anything.
    pub fn step(
        &mut self,
        step: Step,
        bytes: &[u8],
        transmit: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match step {
            Step::Enroll => self.enroll(bytes)?,
            Step::Connect => {
                self.endpoint.connected(Channel::Plain).map_err(|_| Failure("the channel is refused"))?
            }
            Step::Frame => {
                let Self { endpoint, rng, gauge, .. } = self;
                gauge
                    .measure(Call::Receive, || endpoint.receive(NOW, rng, bytes))
                    .map_err(|_| Failure("a frame ended the connection"))?;
            }
            Step::Restart => self.restart()?,
        }
        self.drain(transmit)
    }

    /// Whether all that was to happen has happened.
    pub fn is_complete(&self) -> bool {
        self.endpoint.phase() == Phase::Active
            && self.heard == MESSAGES
            && self.endpoint.outbox_len() == 0
            && self.endpoint.peers().all(|peer| peer.confirmed)
    }

    fn enroll(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        const INVALID: Failure = Failure("the script's invite");
        let (inviter, text) = bytes.split_first_chunk::<16>().ok_or(INVALID)?;
        let text = core::str::from_utf8(text).map_err(|_| INVALID)?;
        let invite = InviteText::parse(text).map_err(|_| INVALID)?;
        let origin = Origin::parse(ORIGIN).map_err(|_| INVALID)?;
        let options = EnrollOptions {
            origin: &origin,
            link_key: None,
            inviter: Some(DeviceId(*inviter)),
            role: Role::Agent,
            name: "thermostat",
            platform: "cortex-m4",
        };
        let Self { endpoint, rng, gauge, .. } = self;
        gauge
            .measure(Call::Enroll, || endpoint.enroll(NOW, rng, &invite, &options))
            .map_err(|_| Failure("enroll"))
    }

    fn restart(&mut self) -> Result<(), Failure> {
        let Self { endpoint, store, seal, gauge, .. } = self;
        gauge.measure(Call::Reset, || reset(endpoint));
        for (key, sealed) in store.records() {
            gauge
                .measure(Call::Restore, || endpoint.restore(NOW, seal, key, sealed))
                .map_err(|_| Failure("a stored record does not open"))?;
        }
        endpoint.resume().map_err(|_| Failure("the stored records do not fit together"))
    }

    fn drain(&mut self, mut transmit: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let Self { endpoint, store, rng, seal, heard, gauge } = self;
        while let Some(output) = gauge.measure(Call::Poll, || endpoint.poll(NOW)) {
            match output {
                Output::Persist(mut persist) => {
                    store.begin();
                    gauge
                        .measure(Call::Persist, || persist.write(seal, rng, |change| store.change(change)))
                        .map_err(|_| Failure("a batch could not be stored"))?;
                    store.commit();
                    persist.stored();
                }
                Output::Transmit(frame) => transmit(frame)?,
                Output::Deliver(delivery) => {
                    if delivery.payload != QUESTION {
                        return Err(Failure("a message came with another text"));
                    }
                    let ticket = delivery.ticket;
                    gauge
                        .measure(Call::Answer, || endpoint.answer(rng, &ticket, ANSWER))
                        .map_err(|_| Failure("answer"))?;
                    *heard += 1;
                }
                Output::Event(_) | Output::Timer(_) => {}
            }
        }
        Ok(())
    }
}

/// What the owner says: 100 bytes.
pub const QUESTION: &[u8] = &[b'?'; 100];
/// What the agent answers.
pub const ANSWER: &[u8] = &[b'!'; 100];

/// Apart, so that a temporary of the endpoint's size would show here and nowhere else.
#[inline(never)]
fn reset(endpoint: &mut SmallEndpoint) {
    endpoint.reset();
}
