//! The operating system's randomness, asked for before an input is begun, so that its failure is an error like any other.

use av_proto::Drbg;
use getrandom::SysRng;

use crate::error::Error;

/// A generator for one input.
pub(crate) fn randomness() -> Result<Drbg, Error> {
    Drbg::draw(&mut SysRng).map_err(Error::Randomness)
}
