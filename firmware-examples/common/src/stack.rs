//! How much stack a call takes: the free stack is painted before it, and what has lost its paint was used.
//!
//! The only unsafe code of the image: it writes and reads memory below the stack pointer, for which safe Rust has
//! no name.
#![allow(unsafe_code)]

use core::arch::asm;
use core::ptr::{addr_of, read_volatile, write_volatile};
use core::sync::atomic::{AtomicUsize, Ordering};

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    /// First byte above the statics: how deep the stack may grow (cortex-m-rt's linker script).
    static _stack_end: u32;
    /// One past the stack's first word.
    static _stack_start: u32;
}

/// The deepest that the image has been, bytes below `_stack_start`.
static DEEPEST: AtomicUsize = AtomicUsize::new(0);

/// Runs `call` and returns its result with the bytes of stack that it wrote to.
#[inline(never)]
pub fn measure<R>(call: impl FnOnce() -> R) -> (R, usize) {
    let here = stack_pointer();
    note_deepest();
    // SAFETY: the words from the end of the statics up to the stack pointer belong to no object, the image has no
    // interrupts that could use them meanwhile, and both ends are aligned to words.
    unsafe { paint(here) };
    let result = apart(call);
    (result, here.saturating_sub(lowest_used()))
}

/// Bytes of stack that the whole image has used so far, of how many there are.
pub fn high_water() -> (usize, usize) {
    note_deepest();
    let room = addr_of!(_stack_start) as usize - addr_of!(_stack_end) as usize;
    (DEEPEST.load(Ordering::Relaxed), room)
}

/// In a frame of its own, which would otherwise merge with the caller's and lie above the paint.
#[inline(never)]
fn apart<R>(call: impl FnOnce() -> R) -> R {
    call()
}

fn note_deepest() {
    let used = (addr_of!(_stack_start) as usize).saturating_sub(lowest_used());
    DEEPEST.fetch_max(used, Ordering::Relaxed);
}

/// Inlined, so that no frame of its own lies in the painted range.
#[inline(always)]
unsafe fn paint(stack_pointer: usize) {
    let mut word = addr_of!(_stack_end).cast_mut();
    while (word as usize) < stack_pointer {
        // SAFETY: the caller's promise.
        unsafe {
            write_volatile(word, STACK_PAINT_VALUE);
            word = word.add(1);
        }
    }
}

/// Address of the lowest word that has lost its paint.
fn lowest_used() -> usize {
    let mut word = addr_of!(_stack_end);
    // SAFETY: every word up to `_stack_start` is memory, and the frame of this very function ends the walk.
    unsafe {
        while read_volatile(word) == STACK_PAINT_VALUE {
            word = word.add(1);
        }
    }
    word as usize
}

#[inline(always)]
fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: it copies a register.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}
