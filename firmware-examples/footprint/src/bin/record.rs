//! Plays the owner and the relay for the agent, and writes down what the agent gets.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt::Write as _;
use core::panic::PanicInfo;

use av_proto::testing::{PostOffice, Side};
use av_proto::wire::{DeviceId, Origin, Role};
use av_proto::{Channel, Event, Output, Seal, SmallEndpoint};
use chacha20::ChaCha20Rng;
use footprint::Failure;
use footprint::agent::{ANSWER, Agent, NOW, ORIGIN, Place, QUESTION};
use footprint::script::{FILE, MESSAGES, Step};
use heapless::String;
use rand_core::SeedableRng;
use semihosting::fs::File;
use semihosting::io::Write as _;
use semihosting::{println, process};

/// Turns in which all comes to rest; a tenth is enough.
const MOST_TURNS: usize = 1_000;
const OWNER_SEED: [u8; 32] = [0x0e; 32];

struct Owner {
    endpoint: &'static mut SmallEndpoint,
    rng: ChaCha20Rng,
    /// The device whose request waits.
    request: Option<DeviceId>,
    answers: u32,
}

struct World {
    agent: Agent,
    owner: Owner,
    office: &'static mut PostOffice,
    script: File,
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut PLACE: Place = Place::new();
    static mut OWNER: SmallEndpoint = SmallEndpoint::new();
    static mut OFFICE: PostOffice = PostOffice::new();

    let owner = Owner { endpoint: OWNER, rng: ChaCha20Rng::from_seed(OWNER_SEED), request: None, answers: 0 };
    let recorded =
        File::create(FILE).map_err(|_| Failure("the script cannot be written")).and_then(|script| {
            let mut world = World { agent: Agent::new(PLACE), owner, office: OFFICE, script };
            world.play()
        });
    match recorded {
        Ok(()) => process::exit(0),
        Err(Failure(reason)) => {
            println!("FAILED: {reason}");
            process::exit(1)
        }
    }
}

impl World {
    fn play(&mut self) -> Result<(), Failure> {
        let origin = Origin::parse(ORIGIN).map_err(|_| Failure("the origin is no origin"))?;
        self.owner
            .endpoint
            .found(NOW, &mut self.owner.rng, &origin, None, "laptop")
            .map_err(|_| Failure("found"))?;
        self.office.connect(Side::Owner, [1; 32]).map_err(|_| Failure("no room"))?;
        self.owner.endpoint.connected(Channel::Plain).map_err(|_| Failure("the channel is refused"))?;
        self.run()?;

        let invite = self
            .owner
            .endpoint
            .create_invite(NOW, &mut self.owner.rng, Role::Agent, 600)
            .map_err(|_| Failure("create_invite"))?;
        let mut step: String<128> = String::new();
        write!(step, "{invite}").map_err(|_| Failure("an invite's text is longer"))?;
        let inviter = self.owner.endpoint.device_id().ok_or(Failure("the owner has no identity"))?;
        let mut enroll = heapless::Vec::<u8, 160>::new();
        enroll.extend_from_slice(inviter.as_bytes()).map_err(|_| Failure("an id is longer"))?;
        enroll.extend_from_slice(step.as_bytes()).map_err(|_| Failure("an invite's text is longer"))?;
        self.run()?;
        self.give(Step::Enroll, &enroll)?;
        self.connect()?;
        self.owner.endpoint.list_pending().map_err(|_| Failure("list_pending"))?;
        self.run()?;
        let agent = self.owner.request.ok_or(Failure("the owner sees no verified request"))?;
        self.owner.endpoint.approve(NOW, &mut self.owner.rng, &agent).map_err(|_| Failure("approve"))?;
        self.run()?;
        self.restart()?;
        for _ in 0..MESSAGES {
            self.owner.endpoint.send(&mut self.owner.rng, &agent, QUESTION).map_err(|_| Failure("send"))?;
            self.run()?;
        }
        self.restart()?;
        let is_complete = self.agent.is_complete() && self.owner.answers == MESSAGES;
        if is_complete { Ok(()) } else { Err(Failure("the conversation is not complete")) }
    }

    /// Power fails at the agent, which connects again.
    fn restart(&mut self) -> Result<(), Failure> {
        self.give(Step::Restart, &[])?;
        self.connect()
    }

    fn connect(&mut self) -> Result<(), Failure> {
        self.office.connect(Side::Agent, [2; 32]).map_err(|_| Failure("no room"))?;
        self.give(Step::Connect, &[])?;
        self.run()
    }

    /// Lets this happen to the agent, and writes it down.
    fn give(&mut self, step: Step, bytes: &[u8]) -> Result<(), Failure> {
        let head = step.head(bytes.len()).ok_or(Failure("a step is too long"))?;
        for part in [&head[..], bytes] {
            self.script.write_all(part).map_err(|_| Failure("the script cannot be written"))?;
        }
        let office = &mut self.office;
        self.agent.step(step, bytes, |frame| {
            office.accept(Side::Agent, frame).map_err(|_| Failure("the post office cannot take a frame"))
        })
    }

    /// Until nobody has anything to do.
    fn run(&mut self) -> Result<(), Failure> {
        for _ in 0..MOST_TURNS {
            self.owner.drain(self.office)?;
            if let Some(frame) = self.office.fetch(Side::Owner) {
                self.owner
                    .endpoint
                    .receive(NOW, &mut self.owner.rng, &frame)
                    .map_err(|_| Failure("a frame ended the owner's connection"))?;
            } else if let Some(frame) = self.office.fetch(Side::Agent) {
                self.give(Step::Frame, &frame)?;
            } else {
                return Ok(());
            }
        }
        Err(Failure("the devices do not come to rest"))
    }
}

impl Owner {
    fn drain(&mut self, office: &mut PostOffice) -> Result<(), Failure> {
        let seal = Seal::new([3; 32]);
        while let Some(output) = self.endpoint.poll(NOW) {
            match output {
                Output::Persist(mut persist) => {
                    persist
                        .write(&seal, &mut self.rng, |_| Ok::<(), Failure>(()))
                        .map_err(|_| Failure("a record of the owner is too long"))?;
                    persist.stored();
                }
                Output::Transmit(frame) => office
                    .accept(Side::Owner, frame)
                    .map_err(|_| Failure("the post office cannot take a frame"))?,
                Output::Deliver(delivery) => {
                    self.answers += u32::from(delivery.payload == ANSWER);
                    let ticket = delivery.ticket;
                    self.endpoint.confirm(&ticket).map_err(|_| Failure("confirm"))?;
                }
                Output::Event(Event::EnrollmentRequest(view)) => self.request = Some(view.device_id),
                Output::Event(_) | Output::Timer(_) => {}
            }
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    process::exit(1)
}
