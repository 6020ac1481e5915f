//! A conversation in which something goes wrong with every message.

use av_proto::testing::Side;
use semihosting::println;

use crate::application::other;
use crate::fault::{Fault, Faults};
use crate::world::{BOTH, World};
use crate::{Failure, require};

/// Turns of the sender while a message goes over: it stores it, sends it, takes the relay's word. What it stored goes
/// with the other side's next message, which brings the receipt.
const SENDER_TURNS: u8 = 3;
/// Turns of the receiver: it takes the message, stores it, delivers it, stores that, acknowledges.
const RECEIVER_TURNS: u8 = 5;
/// Seconds between two messages.
const PAUSE: u32 = 7;

/// In place of each turn of the sender and of the receiver the connection is lost, or the power: 32 messages, 16
/// from each side.
///
/// # Errors
/// [`Failure`], after a line that says what went wrong where.
pub fn with_faults(world: &mut World) -> Result<(), Failure> {
    for fault in Fault::ALL {
        for turn in 0..SENDER_TURNS {
            for from in BOTH {
                say_with_fault(world, from, from, turn, fault)?;
            }
        }
        for turn in 0..RECEIVER_TURNS {
            for from in BOTH {
                say_with_fault(world, from, other(from), turn, fault)?;
            }
        }
    }
    Ok(())
}

fn say_with_fault(
    world: &mut World,
    from: Side,
    struck: Side,
    turn: u8,
    fault: Fault,
) -> Result<(), Failure> {
    // A sender that does not know the relay's word sends the message again, and the receiver gets a second copy.
    // So is what the receiver last said, if it restarts before it stored the receipt that comes with the message.
    let is_own_sent_twice = struck != from && turn < 2 && fault == Fault::Restart;
    let is_sent_twice = (struck == from && turn == 2) || is_own_sent_twice;
    let refused_before = world.refused;
    let mut faults = Faults::at(struck, turn, fault);
    let result = world
        .wait(PAUSE)
        .and_then(|()| world.say(from, &mut faults))
        .and_then(|()| require(faults.have_struck(), "the fault did not strike"));
    world.count_events();
    result
        .and_then(|()| {
            let refused = world.refused - refused_before;
            require(refused == usize::from(is_sent_twice), "another number of copies was refused than sent")
        })
        .inspect_err(|_| println!("\nmessage of {from:?}: {fault:?} in place of turn {turn} of {struck:?}"))
}

/// Both restart; each has heard what the other said, and nothing waits anywhere.
///
/// # Errors
/// [`Failure`].
pub fn is_complete(world: &mut World) -> Result<(), Failure> {
    for side in BOTH {
        world.restart(side)?;
        world.connect(side)?;
        world.run(&BOTH, &mut Faults::none())?;
    }
    for side in BOTH {
        require(world.has_all_heard(side), "a message is lost")?;
        require(world.office.waiting(side) == 0, "an inbox entry is not acknowledged")?;
        require(world.device(side).endpoint.outbox_len() == 0, "a frame is not accepted")?;
    }
    Ok(())
}
