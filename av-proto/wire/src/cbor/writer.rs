//! Writing. A value cannot fail to be encoded, only to fit: that is looked at once, in the end.

use super::{ARRAY, BYTES, FALSE, NULL, TEXT, TRUE, UINT};

/// The buffer given is too small for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError;

impl core::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the encoding does not fit into the buffer")
    }
}

impl core::error::Error for EncodeError {}

/// Writes items into a lent buffer. Behind its end it goes on counting, so that a length can be asked for without a
/// buffer.
#[derive(Debug)]
pub struct Encoder<'o> {
    buffer: &'o mut [u8],
    written: usize,
}

/// A value that is one CBOR item.
pub trait Encode {
    /// Writes the item.
    fn encode(&self, encoder: &mut Encoder<'_>);
}

impl<'o> Encoder<'o> {
    /// An encoder at the start of `buffer`.
    pub const fn new(buffer: &'o mut [u8]) -> Self {
        Self { buffer, written: 0 }
    }

    /// Bytes of all items so far, whether they fitted or not.
    pub const fn len(&self) -> usize {
        self.written
    }

    /// Whether there is no item yet.
    pub const fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// What was written.
    ///
    /// # Errors
    /// [`EncodeError`] when it did not fit.
    pub fn finish(self) -> Result<&'o [u8], EncodeError> {
        self.buffer.get(..self.written).ok_or(EncodeError)
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) {
        self.head(UINT, value);
    }

    /// The head of an array of so many items, which follow.
    pub fn array(&mut self, items: u64) {
        self.head(ARRAY, items);
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.put(bytes);
    }

    /// A text string.
    pub fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.put(text.as_bytes());
    }

    /// An item's head, in its shortest form.
    fn head(&mut self, major: u8, argument: u64) {
        let bytes = argument.to_be_bytes();
        let (info, width) = match argument {
            0..=23 => (bytes[7], 0),
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        self.put(&[major << 5 | info]);
        self.put(bytes.split_at(bytes.len() - width).1);
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.written.saturating_add(bytes.len());
        if let Some(place) = self.buffer.get_mut(self.written..end) {
            place.copy_from_slice(bytes);
        }
        self.written = end;
    }
}

impl Encode for u64 {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.uint(*self);
    }
}

impl Encode for u32 {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.uint(u64::from(*self));
    }
}

impl Encode for u16 {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.uint(u64::from(*self));
    }
}

impl Encode for u8 {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.uint(u64::from(*self));
    }
}

impl Encode for bool {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.put(&[if *self { TRUE } else { FALSE }]);
    }
}

impl Encode for &[u8] {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.bytes(self);
    }
}

impl Encode for &str {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.text(self);
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.bytes(self);
    }
}

impl<const N: usize> Encode for &[u8; N] {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.bytes(*self);
    }
}

/// The item, or null in its place.
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        match self {
            Some(value) => value.encode(encoder),
            None => encoder.put(&[NULL]),
        }
    }
}
