//! Overwriting the stack on which secrets were computed.
//!
//! What a value holds is wiped when it is dropped; what its moves left behind is not, nor what the primitives' own frames
//! held: HKDF's blocks, a key on its way into a cipher, a session on its way into its slot. It lies below the stack
//! pointer until other calls happen to overwrite it. So the endpoint's calls run in frames of their own, and when they
//! have returned, what lies there is overwritten. `make ct` searches what is left.

use core::hint::black_box;

/// Bytes that are overwritten. On bare metal about what the deepest computation with secrets takes; a call that took
/// less takes as much by it. Elsewhere stack is plenty, and frames of inlined code are large.
const SCRUBBED: usize = if cfg!(target_os = "none") { 8 * 1_024 } else { 48 * 1_024 };

/// Calls `call`, and overwrites the stack that it used: all of it where it used no more than 8 KiB on bare metal and
/// 48 KiB elsewhere.
///
/// [`Endpoint`](crate::Endpoint) does this by itself. It is for who builds on the modules below it. Registers are not
/// cleared, and the result is moved once more: a secret that is returned is the caller's to wipe.
#[inline(always)]
pub fn scrubbed<T>(call: impl FnOnce() -> T) -> T {
    let result = apart(call);
    overwrite();
    result
}

/// In a frame of its own: of what is inlined into the caller's, nothing would be overwritten.
#[inline(never)]
fn apart<T>(call: impl FnOnce() -> T) -> T {
    call()
}

/// Its own frame lies where those of the call lay.
#[inline(never)]
fn overwrite() {
    // Whoever might look at the bytes must find them as they are here.
    black_box(&mut [0_u8; SCRUBBED]);
}
