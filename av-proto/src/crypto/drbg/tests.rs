use rand_core::{Rng, TryCryptoRng, TryRng};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use zeroize::ZeroizeOnDrop;

use super::Drbg;
use crate::test_support::rng;

assert_not_impl_any!(Drbg: core::fmt::Debug, Clone, Copy, Default);
// The crate that keeps the seed wipes it.
assert_impl_all!(chacha20::ChaCha20Rng: ZeroizeOnDrop);

/// Gives `left` bytes and then fails; what it was asked for beyond them stays as it was.
struct Failing {
    left: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Unhealthy;

impl core::fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the health test failed")
    }
}

impl core::error::Error for Unhealthy {}

impl TryRng for Failing {
    type Error = Unhealthy;

    fn try_next_u32(&mut self) -> Result<u32, Unhealthy> {
        Err(Unhealthy)
    }

    fn try_next_u64(&mut self) -> Result<u64, Unhealthy> {
        Err(Unhealthy)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Unhealthy> {
        let given = self.left.min(out.len());
        self.left -= given;
        out[..given].fill(0x5a);
        if given == out.len() { Ok(()) } else { Err(Unhealthy) }
    }
}

impl TryCryptoRng for Failing {}

#[test]
fn without_a_whole_seed_there_is_no_generator() {
    for left in 0..32 {
        assert_eq!(Drbg::draw(&mut Failing { left }).map(|_| ()), Err(Unhealthy), "{left} bytes");
    }
    assert!(Drbg::draw(&mut Failing { left: 32 }).is_ok());
}

#[test]
fn each_generator_has_a_seed_of_its_own() {
    let bytes = |drbg: &mut Drbg| {
        let mut bytes = [0; 1_000];
        drbg.fill_bytes(&mut bytes);
        bytes
    };
    let mut source = rng(1);
    let mut draw = || Drbg::draw(&mut source).expect("cannot fail");
    let (mut one, mut other) = (draw(), draw());
    let first = bytes(&mut one);
    assert_ne!(first, bytes(&mut other));
    assert_ne!(first, bytes(&mut one), "it goes on, and does not begin again");
    let mut again = Drbg::draw(&mut rng(1)).expect("cannot fail");
    assert_eq!(bytes(&mut again), first, "the seed is all that it has");
}
