//! Requests to valgrind's memcheck, as `valgrind.h` and `memcheck.h` define them for x86-64: six words whose address
//! is in `rax`, and an instruction sequence that does nothing on a processor.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("the request sequence is that of x86-64; another architecture has another in valgrind.h");

use core::arch::asm;

/// `'M' << 24 | 'C' << 16`: memcheck's own requests.
const MEMCHECK: usize = 0x4d43_0000;
const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
const RUNNING_ON_VALGRIND: usize = 0x1001;

/// Whether this process runs under valgrind. Without it nothing is marked and nothing is found.
pub fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, core::ptr::null(), 0) != 0
}

/// From here on these bytes are secret: a branch or an address that depends on them is reported.
pub fn classify(bytes: &mut [u8]) {
    // Otherwise the compiler, which knows nothing of the request, may go on with a constant that it knew before.
    let bytes = core::hint::black_box(bytes);
    request(MAKE_MEM_UNDEFINED, bytes.as_ptr(), bytes.len());
}

/// From here on this value is public, whatever it was computed from.
pub fn declassify<T: ?Sized>(value: &T) {
    request(MAKE_MEM_DEFINED, core::ptr::from_ref(value).cast(), size_of_val(value));
}

/// A value that was computed from secrets and is told to everybody.
pub fn published<T: Copy>(value: T) -> T {
    let mut value = value;
    // Through memory and back: the copy in a register stays as undefined as it was.
    declassify(core::hint::black_box(&mut value));
    *core::hint::black_box(&mut value)
}

fn request(code: usize, start: *const u8, len: usize) -> usize {
    let words: [usize; 6] = [code, start.expose_provenance(), len, 0, 0, 0];
    let mut answer = 0;
    // SAFETY: four rotations of rdi by 128 bits in all and an exchange of rbx with itself change nothing. Valgrind, which
    // knows the sequence, reads the six words, marks its own shadow of the memory that they name, and writes rdx alone.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            inout("rdx") answer,
            in("rax") words.as_ptr(),
            out("rdi") _,
            options(nostack),
        );
    }
    answer
}
