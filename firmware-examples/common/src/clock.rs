//! How many instructions a call takes: SysTick, which QEMU derives from the instructions executed when it is started
//! with `-icount shift=0` (one a nanosecond).
//!
//! Unsafe because the timer's registers and a loop of known length have no name in safe Rust.
#![allow(unsafe_code)]

use core::arch::asm;
use core::ptr::{read_volatile, write_volatile};

/// SysTick's control, reload and current value (Armv7-M Architecture Reference Manual, B3.3).
const CONTROL: *mut u32 = 0xe000_e010 as *mut u32;
const RELOAD: *mut u32 = 0xe000_e014 as *mut u32;
const CURRENT: *mut u32 = 0xe000_e018 as *mut u32;
/// Enabled, on the processor's clock, without an interrupt.
const RUNNING: u32 = 0b101;
/// It counts down from here: 24 bits.
const HIGHEST: u32 = 0x00ff_ffff;
/// Nanoseconds, so instructions, a tick: the board's processor runs at 25 MHz.
const INSTRUCTIONS_A_TICK: u32 = 40;

/// Instructions that `call` takes, to within 40; at most 671 million.
#[inline(never)]
pub fn instructions(call: impl FnOnce()) -> u32 {
    start();
    call();
    stop()
}

#[inline(never)]
fn start() {
    // SAFETY: the registers exist on every Armv7-M core, and nothing else in the image uses them.
    unsafe {
        write_volatile(CONTROL, 0);
        write_volatile(RELOAD, HIGHEST);
        write_volatile(CURRENT, 0);
        write_volatile(CONTROL, RUNNING);
    }
}

#[inline(never)]
fn stop() -> u32 {
    // SAFETY: as above.
    let current = unsafe { read_volatile(CURRENT) };
    // Writing the current value clears it; the first tick loads HIGHEST.
    HIGHEST.saturating_sub(current).saturating_mul(INSTRUCTIONS_A_TICK)
}

/// Executes twice as many instructions as it is told rounds: what the clock must say.
#[inline(never)]
pub fn known(rounds: u32) {
    // SAFETY: it counts a register down.
    unsafe {
        asm!("2:", "subs {0}, {0}, #1", "bne 2b", inout(reg) rounds => _, options(nomem, nostack));
    }
}
