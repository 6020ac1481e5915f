//! One encoding a value: decoding re-encodes into a comparer, so any other spelling of the same value
//! (overlong integers, indefinite lengths, extra fields, trailing bytes) is refused by construction.

use minicbor::encode::Write;
use minicbor::{Decode, Encode};

/// The bytes are not the one encoding of a value of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError;

/// The buffer given is too small for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError;

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("malformed encoding")
    }
}

impl core::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the encoding does not fit into the buffer")
    }
}

impl core::error::Error for DecodeError {}
impl core::error::Error for EncodeError {}

impl From<minicbor::decode::Error> for DecodeError {
    fn from(_: minicbor::decode::Error) -> Self {
        Self
    }
}

/// Decodes the whole of `bytes` as one deterministic CBOR item (RFC 8949 section 4.2.1).
///
/// # Errors
/// [`DecodeError`] for anything but the encoding that [`encode`] makes.
pub fn decode<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    let value: T = minicbor::decode(bytes)?;
    let mut comparer = Comparer { rest: bytes };
    minicbor::encode(&value, &mut comparer).map_err(|_| DecodeError)?;
    if comparer.rest.is_empty() { Ok(value) } else { Err(DecodeError) }
}

/// Encodes `value` at the start of `buffer` and returns the bytes written.
///
/// # Errors
/// [`EncodeError`] when the buffer is too small; its content is then unspecified.
pub fn encode<'b, T: Encode<()>>(value: &T, buffer: &'b mut [u8]) -> Result<&'b [u8], EncodeError> {
    let mut cursor = minicbor::encode::write::Cursor::new(&mut *buffer);
    minicbor::encode(value, &mut cursor).map_err(|_| EncodeError)?;
    let written = cursor.position();
    buffer.get(..written).ok_or(EncodeError)
}

struct Comparer<'b> {
    rest: &'b [u8],
}

impl Write for Comparer<'_> {
    type Error = DecodeError;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(DecodeError)?;
        Ok(())
    }
}
