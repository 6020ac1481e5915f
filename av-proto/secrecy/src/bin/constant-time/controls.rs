//! Operations that leak, so that it shows if nothing is found because nothing is looked at. Each in the form in which
//! it happens: not all of them are caught in every form, since the optimiser makes `[u8; 32] ==` branch-free.

use std::hint::black_box;

use av_secrecy::memcheck::published;
use av_secrecy::randomness::SecretRng;

use crate::subjects::Subject;

/// What has to be caught.
pub(crate) const CONTROLS: &[Subject] =
    &[("a comparison that ends at the first difference", compare), ("a table indexed by a secret", look_up)];

#[inline(never)]
fn leaky_eq(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

fn compare(rng: &mut SecretRng) {
    let (one, other) = (rng.bytes::<32>(), [7; 32]);
    black_box(published(leaky_eq(black_box(&one[..]), black_box(&other[..]))));
}

#[inline(never)]
fn leaky_table(table: &[u8; 256], index: u8) -> u8 {
    table[usize::from(index)]
}

fn look_up(rng: &mut SecretRng) {
    let [index] = rng.bytes();
    black_box(published(leaky_table(black_box(&[1; 256]), index)));
}
