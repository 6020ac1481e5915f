//! What the fuzzer calls. Each body takes any bytes, and panics when a promise is broken.
//!
//! The targets in `fuzz/targets` are one line each; the seeds in `fuzz/seeds` are replayed by `tests/seeds.rs` on the
//! stable toolchain. Cryptography is real: nothing is switched off for the fuzzer.

mod frames;
mod link;
mod network;
mod objects;
mod ratchet;
mod records;
mod texts;

pub use frames::{to_device, to_relay};
pub use link::link;
pub use network::{conversation, enrollment};
pub use objects::objects;
pub use ratchet::ratchet;
pub use records::{place_of, records};
pub use texts::texts;

/// A body.
pub type Body = fn(&[u8]);

/// Every body under the name of its target.
pub const BODIES: [(&str, Body); 9] = [
    ("to_relay", to_relay),
    ("to_device", to_device),
    ("objects", objects),
    ("texts", texts),
    ("records", records),
    ("link", link),
    ("ratchet", ratchet),
    ("conversation", conversation),
    ("enrollment", enrollment),
];

/// Decodes and encodes again: what is taken in is the one encoding of its value (`PROTOCOL.md`, conventions).
fn round_trip<'b, T>(input: &'b [u8]) -> Option<T>
where
    T: av_proto::wire::cbor::Decode<'b> + av_proto::wire::cbor::Encode,
{
    let value: T = av_proto::wire::decode(input).ok()?;
    let mut buffer = vec![0; input.len()];
    let encoded = av_proto::wire::encode(&value, &mut buffer);
    assert_eq!(encoded, Ok(input), "a value has one encoding");
    Some(value)
}
