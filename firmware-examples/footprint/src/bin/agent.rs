//! The image that is measured: one agent that enrolls, answers X3DH, restarts and converses, without a network. What
//! the owner and the relay send stands in a file that the image `record` wrote.
//!
//! Numbers are written without `core::fmt`, which the endpoint does not need either.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::panic::PanicInfo;

use firmware_common::stack;
use footprint::Failure;
use footprint::agent::{Agent, Place};
use footprint::script::{FILE, HEAD, LONGEST, Step};
use semihosting::fs::File;
use semihosting::io::{self, Read, Write};
use semihosting::process;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut PLACE: Place = Place::new();
    static mut FRAME: [u8; LONGEST] = [0; LONGEST];

    let mut agent = Agent::new(PLACE);
    match play(&mut agent, FRAME) {
        Ok(()) => {
            for (name, used) in agent.gauge.results() {
                report("stack of ", name, used);
            }
            report("stack of ", "the image", stack::high_water().0);
            process::exit(0)
        }
        Err(Failure(reason)) => fail(reason),
    }
}

fn play(agent: &mut Agent, frame: &mut [u8; LONGEST]) -> Result<(), Failure> {
    const UNREADABLE: Failure = Failure("the script cannot be read");
    let mut script = File::open(FILE).map_err(|_| UNREADABLE)?;
    let mut head = [0; HEAD];
    while read(&mut script, &mut head)? {
        let (step, len) = Step::from_head(head).ok_or(UNREADABLE)?;
        let bytes = frame.get_mut(..len).ok_or(UNREADABLE)?;
        if len > 0 && !read(&mut script, bytes)? {
            return Err(UNREADABLE);
        }
        agent.step(step, bytes, |_| Ok(()))?;
    }
    if agent.is_complete() { Ok(()) } else { Err(Failure("the script is over, and the agent waits")) }
}

/// Fills `bytes`; `false` at the end of the file.
fn read(script: &mut File, bytes: &mut [u8]) -> Result<bool, Failure> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match script.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(read) if read > 0 => filled += read,
            Ok(_) | Err(_) => return Err(Failure("the script ends in the middle of a step")),
        }
    }
    Ok(true)
}

/// A line `name: number`.
fn report(what: &str, name: &str, number: usize) {
    let mut digits = [0; 10];
    let mut rest = number;
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        first -= 1;
        if rest == 0 {
            break;
        }
    }
    let number = digits.get(first..).unwrap_or_default();
    for part in [what.as_bytes(), name.as_bytes(), b": ", number, b" bytes\n"] {
        write(part);
    }
}

fn write(bytes: &[u8]) {
    // Without a place to write to there is nobody to tell.
    if let Ok(mut out) = io::stdout() {
        let _ = out.write_all(bytes);
    }
}

fn fail(reason: &str) -> ! {
    for part in [&b"FAILED: "[..], reason.as_bytes(), b"\n"] {
        write(part);
    }
    process::exit(1)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fail("panic")
}
