//! Random bytes: the emulator's host seeds a generator for each device. A board seeds it from its own noise source,
//! behind a health test.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use semihosting::fs::File;
use semihosting::io::Read;

use crate::Failure;

/// A ChaCha20 generator with 32 bytes of the host's `/dev/urandom` as its seed, so that no two runs share a key.
///
/// # Errors
/// [`Failure`] when the host lends no random bytes.
pub fn seeded() -> Result<ChaCha20Rng, Failure> {
    const FAILURE: Failure = Failure("the emulator lends no /dev/urandom");
    let mut seed = [0; 32];
    let mut source = File::open(c"/dev/urandom").map_err(|_| FAILURE)?;
    let mut rest = &mut seed[..];
    while !rest.is_empty() {
        match source.read(rest) {
            Ok(taken) if taken > 0 => rest = rest.get_mut(taken..).unwrap_or_default(),
            Ok(_) | Err(_) => return Err(FAILURE),
        }
    }
    Ok(ChaCha20Rng::from_seed(seed))
}
