//! A CBOR array of small items without an allocator: encoded from a slice, decoded lazily from the frame.

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

/// A sequence of `T` inside a frame.
///
/// Decoding walks every item once, so iterating a decoded list never fails.
#[derive(Clone, Copy, Debug)]
pub struct List<'b, T> {
    inner: Inner<'b, T>,
}

#[derive(Clone, Copy, Debug)]
enum Inner<'b, T> {
    Items(&'b [T]),
    /// The items' encodings, one behind the other, and how many there are.
    Encoded {
        items: &'b [u8],
        len: usize,
    },
}

impl<'b, T> List<'b, T> {
    /// A list of these items.
    pub const fn new(items: &'b [T]) -> Self {
        Self { inner: Inner::Items(items) }
    }

    /// Number of items.
    pub const fn len(&self) -> usize {
        match self.inner {
            Inner::Items(items) => items.len(),
            Inner::Encoded { len, .. } => len,
        }
    }

    /// Whether there is no item.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'b, T: Copy + Decode<'b>> List<'b, T> {
    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + 'b {
        let (items, encoded) = match self.inner {
            Inner::Items(items) => (items, &[][..]),
            Inner::Encoded { items, .. } => (&[][..], items),
        };
        let mut decoder = Decoder::new(encoded);
        items.iter().copied().chain(core::iter::from_fn(move || {
            if decoder.is_at_end() { None } else { T::decode(&mut decoder).ok() }
        }))
    }
}

impl<'b, T: Copy + Decode<'b> + PartialEq> PartialEq for List<'b, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'b, T: Copy + Decode<'b> + Eq> Eq for List<'b, T> {}

impl<'b, T: Decode<'b>> Decode<'b> for List<'b, T> {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        let count = decoder.array()?;
        let all = decoder.rest();
        for _ in 0..count {
            T::decode(decoder)?;
        }
        let items = all.get(..all.len() - decoder.rest().len()).ok_or(DecodeError)?;
        let len = usize::try_from(count).map_err(|_| DecodeError)?;
        Ok(Self { inner: Inner::Encoded { items, len } })
    }
}

impl<'b, T: Copy + Encode + Decode<'b>> Encode for List<'b, T> {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.array(self.len() as u64);
        for item in self.iter() {
            item.encode(encoder);
        }
    }
}
