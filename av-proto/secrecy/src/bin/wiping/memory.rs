//! Reading memory whose value is gone.

use std::hint::black_box;
use std::mem::MaybeUninit;

use av_proto::keys::Secret;

/// What a search found.
pub(crate) struct Found {
    /// Secrets that stood in the value while it lived: what is searched for.
    pub(crate) known: usize,
    /// Secrets of which a part still stands there.
    pub(crate) left: usize,
}

/// Bytes of a secret that have to stand together to be called found. Eight do not by chance.
const PART: usize = 8;

/// Drops a value in place, and searches the place for those of `secrets` that stood in it.
pub(crate) fn after_drop<T>(value: T, secrets: &[Vec<u8>]) -> Found {
    let mut place = Box::new(MaybeUninit::<T>::zeroed());
    place.write(value);
    let known: Vec<&Vec<u8>> =
        secrets.iter().filter(|secret| contains_part(bytes_of(&place), secret)).collect();
    // SAFETY: it was written above, and is not used as a value again.
    unsafe { black_box(&mut place).assume_init_drop() };
    let left = known.iter().filter(|secret| contains_part(bytes_of(&place), secret)).count();
    Found { known: known.len(), left }
}

/// A copy of the bytes at a place, padding included.
fn bytes_of<T>(place: &MaybeUninit<T>) -> Vec<u8> {
    let start = black_box(place.as_ptr()).cast::<u8>();
    // SAFETY: the place is as long, it was zeroed before the value came, and each byte is read through a volatile load, so
    // that the compiler takes it as it is in memory.
    (0..size_of::<T>()).map(|offset| unsafe { start.add(offset).read_volatile() }).collect()
}

fn contains_part(memory: Vec<u8>, secret: &[u8]) -> bool {
    secret.windows(PART).any(|part| memory.windows(PART).any(|window| window == part))
}

/// The 32 bytes of a secret, which it does not show.
pub(crate) fn secret_bytes(secret: &Secret<32>) -> Vec<u8> {
    // SAFETY: a `Secret<32>` is an array of 32 bytes and nothing else, as its size shows.
    const { assert!(size_of::<Secret<32>>() == 32) }
    unsafe { std::ptr::from_ref(secret).cast::<[u8; 32]>().read() }.to_vec()
}

/// The bytes of a value, padding and empty places included.
pub(crate) fn of<T>(value: &T) -> Vec<u8> {
    // SAFETY: the place is as long and is not written meanwhile; bytes that were never written are read as they are, as
    // in `bytes_of`.
    bytes_of(unsafe { &*std::ptr::from_ref(value).cast::<MaybeUninit<T>>() })
}
