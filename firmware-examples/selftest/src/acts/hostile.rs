//! Deliveries that a hostile relay or network can make.

use av_proto::Event;
use av_proto::testing::{Frame, Side};
use av_proto::wire::frame::ToDevice;
use av_proto::wire::{self, DeviceId, RejectCode};
use semihosting::println;

use crate::fault::Faults;
use crate::world::{BOTH, World};
use crate::{Failure, require};

/// Seconds after which a receipt has come: a small outbox then has room for three messages again.
const RECEIPT: u32 = 60;

/// What is changed in a delivery.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    /// One bit of the byte that stands at this many hundredths of the header blob.
    HeaderBit(usize),
    /// One bit of the byte that stands at this many hundredths of the ciphertext.
    BodyBit(usize),
    /// The last byte of the ciphertext is cut off.
    Cut,
    /// Another sender than the one who sealed it.
    Sender,
}

const FORGERIES: [Forgery; 8] = [
    Forgery::HeaderBit(0),
    Forgery::HeaderBit(40),
    Forgery::HeaderBit(100),
    Forgery::BodyBit(0),
    Forgery::BodyBit(50),
    Forgery::BodyBit(100),
    Forgery::Cut,
    Forgery::Sender,
];

/// Of three copies of a message the first is forged: it is refused and no record changes by a byte, the second opens,
/// and the third is a replay and refused.
///
/// # Errors
/// [`Failure`], after a line that names the forgery.
pub fn forge(world: &mut World) -> Result<(), Failure> {
    for forgery in FORGERIES {
        forge_one(world, forgery).inspect_err(|_| println!("\n{forgery:?}"))?;
    }
    Ok(())
}

fn forge_one(world: &mut World, forgery: Forgery) -> Result<(), Failure> {
    let owner = world.owner.id()?;
    world.wait(RECEIPT)?;
    say_copies(world, 3)?;
    let genuine = fetch(world)?;
    let (from, code) = match forgery {
        Forgery::Sender => (stranger(owner), RejectCode::UnknownSender),
        Forgery::HeaderBit(_) | Forgery::BodyBit(_) | Forgery::Cut => (owner, RejectCode::Unopened),
    };
    is_refused(world, &forged(&genuine, forgery)?, Event::MessageRejected { from, code })?;

    let genuine = fetch(world)?;
    world.receive(Side::Agent, &genuine)?;
    world.drain(Side::Agent)?;
    require(world.has_all_heard(Side::Agent), "after a forged copy the genuine one does not open")?;

    let replayed = fetch(world)?;
    let refused = Event::MessageRejected { from: owner, code: RejectCode::Unopened };
    is_refused(world, &replayed, refused)?;
    world.run(&BOTH, &mut Faults::none())
}

/// The relay delivers in another order than was sent, in a new chain of the ratchet, in a running one, and over the
/// step between two: all messages are heard.
///
/// # Errors
/// [`Failure`].
pub fn reorder(world: &mut World) -> Result<(), Failure> {
    // The agent's message lets the owner begin a new chain with its next one.
    world.say(Side::Agent, &mut Faults::none())?;
    for _ in ["a new chain", "the same chain"] {
        world.wait(RECEIPT)?;
        for _ in 0..3 {
            say_copies(world, 1)?;
        }
        let frames = [fetch(world)?, fetch(world)?, fetch(world)?];
        let [first, second, third] = &frames;
        deliver_in_order(world, &[third, first, second])?;
    }

    world.wait(RECEIPT)?;
    say_copies(world, 1)?;
    let number = world.agent.application.next();
    world.hand_over(Side::Agent, number)?;
    world.drain(Side::Agent)?;
    world.run(&[Side::Owner], &mut Faults::none())?;
    say_copies(world, 1)?;
    let frames = [fetch(world)?, fetch(world)?];
    let [before, after] = &frames;
    deliver_in_order(world, &[after, before])
}

/// Gives the agent these deliveries one after the other, under their sequence numbers in the usual order.
fn deliver_in_order(world: &mut World, frames: &[&Frame]) -> Result<(), Failure> {
    let mut sequence = u64::MAX;
    for frame in frames {
        sequence = sequence.min(Delivery::of(frame)?.sequence);
    }
    for frame in frames {
        let moved = Delivery { sequence, ..Delivery::of(frame)? }.encode()?;
        world.receive(Side::Agent, &moved)?;
        world.drain(Side::Agent)?;
        sequence += 1;
    }
    require(world.has_all_heard(Side::Agent), "a message that came late does not open")?;
    world.run(&BOTH, &mut Faults::none())?;
    world.count_events();
    Ok(())
}

/// The owner says a message, and the relay gets that many copies of it.
fn say_copies(world: &mut World, copies: usize) -> Result<(), Failure> {
    let number = world.owner.application.next();
    world.hand_over(Side::Owner, number)?;
    require(world.turn(Side::Owner, &mut Faults::none())?, "a message was to be stored")?;
    world.owner.transmit_copies(world.now, world.office, copies)?;
    world.run(&[Side::Owner], &mut Faults::none())
}

/// The agent's next delivery. What else the post office has for it, such as the answer to a receipt, it gets at once.
fn fetch(world: &mut World) -> Result<Frame, Failure> {
    loop {
        let frame = world.office.fetch(Side::Agent).ok_or(Failure("a delivery was to come"))?;
        if Delivery::of(&frame).is_ok() {
            return Ok(frame);
        }
        world.receive(Side::Agent, &frame)?;
        world.drain(Side::Agent)?;
    }
}

/// Gives the agent a delivery that has to be refused with this event, and no record may change by a byte.
fn is_refused(world: &mut World, frame: &[u8], refused: Event) -> Result<(), Failure> {
    let before = world.agent.store.fingerprint();
    world.agent.events.clear();
    world.receive(Side::Agent, frame)?;
    world.drain(Side::Agent)?;
    require(world.agent.has(&refused), "it was not refused")?;
    require(before.is_some() && world.agent.store.fingerprint() == before, "a record changed")
}

fn forged(genuine: &Frame, forgery: Forgery) -> Result<Frame, Failure> {
    let delivery = Delivery::of(genuine)?;
    match forgery {
        Forgery::HeaderBit(hundredths) => with_a_changed_bit(genuine, delivery.header_blob, hundredths),
        Forgery::BodyBit(hundredths) => with_a_changed_bit(genuine, delivery.ciphertext, hundredths),
        Forgery::Cut => {
            let (_, ciphertext) = delivery.ciphertext.split_last().ok_or(NO_DELIVERY)?;
            Delivery { ciphertext, ..delivery }.encode()
        }
        Forgery::Sender => Delivery { sender: stranger(delivery.sender), ..delivery }.encode(),
    }
}

fn with_a_changed_bit(frame: &Frame, part: &[u8], hundredths: usize) -> Result<Frame, Failure> {
    let start = frame.windows(part.len()).position(|window| window == part).ok_or(NO_DELIVERY)?;
    let mut forged = frame.clone();
    forged[start + (part.len() - 1) * hundredths / 100] ^= 1;
    Ok(forged)
}

/// An id that nobody has.
const fn stranger(DeviceId(mut id): DeviceId) -> DeviceId {
    id[0] ^= 1;
    DeviceId(id)
}

const NO_DELIVERY: Failure = Failure("the frame is no delivery");

/// The fields of a delivery that a relay could change.
struct Delivery<'f> {
    sequence: u64,
    sender: DeviceId,
    header_blob: &'f [u8],
    ciphertext: &'f [u8],
}

impl<'f> Delivery<'f> {
    fn of(frame: &'f Frame) -> Result<Self, Failure> {
        match wire::decode(frame) {
            Ok(ToDevice::Deliver { sequence, sender, header_blob, ciphertext, .. }) => {
                Ok(Self { sequence, sender, header_blob, ciphertext })
            }
            _ => Err(NO_DELIVERY),
        }
    }

    fn encode(&self) -> Result<Frame, Failure> {
        let frame = ToDevice::Deliver {
            sequence: self.sequence,
            previous: self.sequence - 1,
            sender: self.sender,
            header_blob: self.header_blob.into(),
            ciphertext: self.ciphertext.into(),
            received_at: 0,
        };
        let mut encoded = Frame::new();
        encoded.resize_default(encoded.capacity()).map_err(|_| NO_DELIVERY)?;
        let length = wire::encode(&frame, &mut encoded).map_err(|_| NO_DELIVERY)?.len();
        encoded.truncate(length);
        Ok(encoded)
    }
}
