//! BLAKE2b with personalisation (`PROTOCOL.md`, conventions): `H256` and `H128`.

use blake2::Blake2b;
use blake2::digest::{CustomizedInit, Digest, array::ArraySize};
use blake2::digest::{consts::U16, consts::U32, consts::U64, typenum::IsLessOrEqual, typenum::True};

/// `H256(tag, x)`: BLAKE2b-256 of the concatenated parts under a personalisation of at most 16 bytes.
pub fn h256(tag: &'static [u8], parts: &[&[u8]]) -> [u8; 32] {
    hash::<U32>(tag, parts).into()
}

/// `H128(tag, x)`: BLAKE2b-128 of the concatenated parts under a personalisation of at most 16 bytes.
pub fn h128(tag: &'static [u8], parts: &[&[u8]]) -> [u8; 16] {
    hash::<U16>(tag, parts).into()
}

fn hash<N>(tag: &'static [u8], parts: &[&[u8]]) -> blake2::digest::array::Array<u8, N>
where
    N: ArraySize + IsLessOrEqual<U64, Output = True>,
{
    let mut hasher = Blake2b::<N>::new_customized(tag);
    for part in parts {
        Digest::update(&mut hasher, part);
    }
    hasher.finalize()
}
