//! Two AgentVault devices and the post office between them in one Cortex-M4 image, run under QEMU's `mps2-an386`.
//!
//! Each act is a line on the emulator's standard output. When all have passed, the last line begins with [`VERDICT`]
//! and the emulator ends with status 0; otherwise the line of the act that failed says why, and the status is 1.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod acts;
mod application;
mod device;
mod entropy;
mod fault;
mod gauge;
mod primitives;
mod world;

use core::mem::size_of;
use core::panic::PanicInfo;

use av_proto::testing::{PostOffice, Side};
use av_proto::{Now, SmallEndpoint};
use firmware_common::stack;
use semihosting::{print, println, process};

use crate::acts::{conversation, enrollment, hostile};
use crate::device::{Device, Place};
use crate::gauge::Gauge;
use crate::world::World;

/// First words of the last line; `.ci/firmware` looks for them.
const VERDICT: &str = "selftest passed";

/// What a check found wrong.
#[derive(Clone, Copy, Debug)]
pub struct Failure(&'static str);

fn require(holds: bool, otherwise: &'static str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure(otherwise)) }
}

type Act = fn(&mut World) -> Result<(), Failure>;

const ACTS: [(&str, Act); 9] = [
    ("the primitives agree with published answers", |_| primitives::check()),
    ("the owner founds its tenant", enrollment::found),
    ("the agent enrolls, and the owner verifies its request", enrollment::enroll),
    ("approved; the agent activates, answers X3DH and opens the first message", enrollment::approve),
    ("the owner sees the activation, and the session confirmed", enrollment::confirm),
    ("a conversation: each turn in turn loses its connection or its power", conversation::with_faults),
    ("tampered, misaddressed and replayed deliveries change no record", hostile::forge),
    ("messages that the relay reorders open", hostile::reorder),
    ("both restart: nothing was lost, nothing came twice, nothing waits", conversation::is_complete),
];

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut OWNER: Place = Place::new();
    static mut AGENT: Place = Place::new();
    static mut OFFICE: PostOffice = PostOffice::new();

    match play(OWNER, AGENT, OFFICE) {
        Ok(()) => process::exit(0),
        Err(Failure(reason)) => {
            println!("FAILED: {reason}");
            process::exit(1)
        }
    }
}

fn play(
    owner: &'static mut Place,
    agent: &'static mut Place,
    office: &'static mut PostOffice,
) -> Result<(), Failure> {
    let mut world = World {
        // An agent without a clock would have 0; these two share one.
        now: Now { uptime: 1_000, wall: 1_800_000_000 },
        office,
        owner: Device::new(Side::Owner, owner)?,
        agent: Device::new(Side::Agent, agent)?,
        gauge: Gauge::new(),
        disconnects: 0,
        restarts: 0,
        refused: 0,
    };
    for (name, act) in ACTS {
        print!("{name}: ");
        act(&mut world)?;
        println!("ok");
    }
    world.gauge.print();
    let (used, room) = stack::high_water();
    println!("stack of the image, with the test's own frames: {used} of {room} bytes");
    println!(
        "RAM: {} bytes an endpoint, {} a store's image at its fullest, {} the post office",
        size_of::<SmallEndpoint>(),
        world.owner.store.fullest().max(world.agent.store.fullest()),
        size_of::<PostOffice>()
    );
    println!(
        "{VERDICT}: {} acts, {} messages, {} lost connections, {} cold restarts, {} copies refused",
        ACTS.len(),
        world.messages(),
        world.disconnects,
        world.restarts,
        world.refused
    );
    Ok(())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    process::exit(1)
}
