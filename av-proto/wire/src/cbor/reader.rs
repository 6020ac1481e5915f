//! Reading. Every function is total: hostile bytes give an error.

use super::{ARRAY, BYTES, FALSE, NULL, TEXT, TRUE, UINT};

/// The bytes are not the one encoding of a value of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError;

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("malformed encoding")
    }
}

impl core::error::Error for DecodeError {}

/// Reads items off a slice, each in its shortest spelling or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'b> {
    rest: &'b [u8],
}

/// A value that is one CBOR item.
pub trait Decode<'b>: Sized {
    /// Reads the item.
    ///
    /// # Errors
    /// [`DecodeError`] for any other item.
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError>;
}

impl<'b> Decoder<'b> {
    /// A decoder at the start of `bytes`.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub const fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`DecodeError`]; so do all the readers below.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.head(UINT)
    }

    /// The head of an array: its number of items, which follow.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn array(&mut self) -> Result<u64, DecodeError> {
        self.head(ARRAY)
    }

    /// The head of an array of exactly so many items.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn array_of(&mut self, items: u64) -> Result<(), DecodeError> {
        if self.array()? == items { Ok(()) } else { Err(DecodeError) }
    }

    /// A byte string.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn bytes(&mut self) -> Result<&'b [u8], DecodeError> {
        let len = self.head(BYTES)?;
        self.take(len)
    }

    /// A text string.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn text(&mut self) -> Result<&'b str, DecodeError> {
        let len = self.head(TEXT)?;
        core::str::from_utf8(self.take(len)?).map_err(|_| DecodeError)
    }

    /// Takes the next byte if it is this one.
    fn skip(&mut self, byte: u8) -> bool {
        let Some((first, rest)) = self.rest.split_first().filter(|(first, _)| **first == byte) else {
            return false;
        };
        debug_assert_eq!(*first, byte, "that was the filter");
        self.rest = rest;
        true
    }

    fn take(&mut self, len: u64) -> Result<&'b [u8], DecodeError> {
        let len = usize::try_from(len).map_err(|_| DecodeError)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An item's head in its shortest form: the argument stands in the first byte up to 23, then in the fewest of 1,
    /// 2, 4 or 8 bytes that hold it.
    fn head(&mut self, major: u8) -> Result<u64, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError)?;
        let info = first & 0x1f;
        if first >> 5 != major {
            return Err(DecodeError);
        }
        self.rest = rest;
        // The smallest argument that needs this form.
        let (width, smallest) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(DecodeError),
        };
        let argument = self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        if argument >= smallest { Ok(argument) } else { Err(DecodeError) }
    }
}

impl<'b> Decode<'b> for u64 {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.uint()
    }
}

impl<'b> Decode<'b> for u32 {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.uint()?.try_into().map_err(|_| DecodeError)
    }
}

impl<'b> Decode<'b> for u16 {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.uint()?.try_into().map_err(|_| DecodeError)
    }
}

impl<'b> Decode<'b> for u8 {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.uint()?.try_into().map_err(|_| DecodeError)
    }
}

impl<'b> Decode<'b> for bool {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        if decoder.skip(TRUE) {
            Ok(true)
        } else if decoder.skip(FALSE) {
            Ok(false)
        } else {
            Err(DecodeError)
        }
    }
}

impl<'b> Decode<'b> for &'b [u8] {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.bytes()
    }
}

impl<'b> Decode<'b> for &'b str {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.text()
    }
}

impl<'b, const N: usize> Decode<'b> for [u8; N] {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.bytes()?.try_into().map_err(|_| DecodeError)
    }
}

impl<'b, const N: usize> Decode<'b> for &'b [u8; N] {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        decoder.bytes()?.try_into().map_err(|_| DecodeError)
    }
}

/// The item, or null in its place.
impl<'b, T: Decode<'b>> Decode<'b> for Option<T> {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        if decoder.skip(NULL) { Ok(None) } else { T::decode(decoder).map(Some) }
    }
}
