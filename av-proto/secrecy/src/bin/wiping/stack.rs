//! Calls on a stack of their own, which is ordinary memory again when they have returned.

use std::arch::asm;
use std::ptr;

/// Bytes of the stack: several times what the deepest call takes, a KEM's included.
const SIZE: usize = 1 << 20;
/// What it holds before a call.
const PAINT: u8 = 0xa5;

/// What a call left on its stack.
pub(crate) struct Trace {
    /// The call.
    pub(crate) call: &'static str,
    /// From the deepest byte that it wrote.
    pub(crate) left: Vec<u8>,
}

/// Runs `call` on a painted stack. The result is written outside of it.
pub(crate) fn run<T>(name: &'static str, call: impl FnOnce() -> T) -> (T, Trace) {
    let mut stack = vec![PAINT; SIZE];
    let mut result = None;
    let mut frame = Frame { call: Some(call), result: &raw mut result };
    // SAFETY: the region is as long, and 16 bytes below its end a call finds its stack aligned.
    let top = unsafe { stack.as_mut_ptr().add(SIZE - 16) };
    let top = top.map_addr(|address| address & !15);
    on_stack(top, enter_of(&frame), (&raw mut frame).cast());
    let deepest = stack.iter().position(|byte| *byte != PAINT).unwrap_or(SIZE);
    let left = stack.split_off(deepest);
    (result.expect("the call returned"), Trace { call: name, left })
}

struct Frame<F, T> {
    call: Option<F>,
    result: *mut Option<T>,
}

const fn enter_of<F: FnOnce() -> T, T>(_: &Frame<F, T>) -> extern "C" fn(*mut ()) {
    enter::<F, T>
}

/// The first function on the new stack. A panic in it ends the process, as one that leaves any `extern "C"` function.
extern "C" fn enter<F: FnOnce() -> T, T>(frame: *mut ()) {
    // SAFETY: `run` gives its frame, which outlives this call, and touches it again only behind it.
    let frame = unsafe { &mut *frame.cast::<Frame<F, T>>() };
    let call = frame.call.take().expect("entered once");
    // SAFETY: as the frame.
    unsafe { ptr::write(frame.result, Some(call())) };
}

fn on_stack(top: *mut u8, enter: extern "C" fn(*mut ()), frame: *mut ()) {
    // SAFETY: the stack pointer is exchanged with a register that the called function keeps, and exchanged back; all
    // registers that it does not keep are declared.
    unsafe {
        asm!(
            "xchg rsp, r12",
            "call {enter}",
            "mov rsp, r12",
            enter = in(reg) enter,
            in("rdi") frame,
            inout("r12") top => _,
            clobber_abi("C"),
        );
    }
}
