//! Random bytes of the machine that runs the emulator. A board has its own generator behind a health test.

use semihosting::{
    fs::File,
    io::{self, Read},
};

/// Fills `out` from the host's `/dev/urandom`.
///
/// # Errors
/// What the emulator answers when the file cannot be opened or ends early; `out` must not be used then.
pub fn fill(out: &mut [u8]) -> io::Result<()> {
    let mut source = File::open(c"/dev/urandom")?;
    let mut rest = out;
    while !rest.is_empty() {
        let taken = source.read(rest)?;
        if taken == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        rest = rest.get_mut(taken..).unwrap_or_default();
    }
    Ok(())
}
