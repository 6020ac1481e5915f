//! The CBOR that AV/1 uses (RFC 8949): unsigned integers, byte and text strings, arrays, booleans, null, in the one
//! deterministic encoding of section 4.2.1.
//!
//! A reader of our own, because a general one is a tenth of a microcontroller's image, and takes spellings that have
//! to be found and refused afterwards; this one has no way to read them.

mod declare;
mod reader;
mod writer;

pub(crate) use declare::{array, codes, frames, one};
pub use reader::{Decode, DecodeError, Decoder};
pub use writer::{Encode, EncodeError, Encoder};

/// Major types: the upper three bits of an item's first byte.
const UINT: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;

/// Decodes the whole of `bytes` as one item.
///
/// # Errors
/// [`DecodeError`] for anything but the encoding that [`encode`] makes.
pub fn decode<'b, T: Decode<'b>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let value = T::decode(&mut decoder)?;
    if decoder.is_at_end() { Ok(value) } else { Err(DecodeError) }
}

/// Encodes `value` at the start of `buffer` and returns the bytes written.
///
/// # Errors
/// [`EncodeError`] when the buffer is too small; its content is then unspecified.
pub fn encode<'o, T: Encode>(value: &T, buffer: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
    let mut encoder = Encoder::new(buffer);
    value.encode(&mut encoder);
    encoder.finish()
}

/// Bytes that [`encode`] writes for `value`.
pub fn encoded_len<T: Encode>(value: &T) -> usize {
    let mut encoder = Encoder::new(&mut []);
    value.encode(&mut encoder);
    encoder.len()
}
