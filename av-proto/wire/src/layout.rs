//! Fixed layouts: concatenated fields of fixed length (`PROTOCOL.md`, conventions).

use crate::cbor::DecodeError;

/// Concatenates the fields of a fixed layout into its `N` bytes. The lengths of all fields are constants, so a
/// layout that does not add up shows in the first test that encodes it.
pub(crate) fn concat<const N: usize>(fields: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut rest = &mut bytes[..];
    for field in fields {
        let (slot, tail) = rest.split_at_mut(field.len());
        slot.copy_from_slice(field);
        rest = tail;
    }
    debug_assert!(rest.is_empty(), "the fields fill the layout");
    bytes
}

/// Reads fixed layouts off a slice; every read is checked.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// A reader at the start of `bytes`.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when fewer are left; so do all the readers below.
    pub fn bytes(&mut self, len: usize) -> Result<&'b [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(DecodeError)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn array<const N: usize>(&mut self) -> Result<&'b [u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| *byte)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// All that is left.
    pub const fn rest(self) -> &'b [u8] {
        self.rest
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`DecodeError`] when something is.
    pub const fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError) }
    }
}
