//! The fixed layouts of records: the writing side of [`av_wire::layout::Reader`] (`PROTOCOL.md` section 8).

use av_wire::layout::Reader;

pub use crate::error::CodecError;

#[cfg(test)]
mod tests;

/// Writes concatenated fields into a lent buffer; every write is checked.
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    written: usize,
    /// Told where each secret stands, so that a test can search for it elsewhere.
    #[cfg(any(test, feature = "testing"))]
    mark: Option<&'b mut dyn FnMut(core::ops::Range<usize>)>,
}

impl<'b> Writer<'b> {
    /// A writer at the start of `buffer`.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            written: 0,
            #[cfg(any(test, feature = "testing"))]
            mark: None,
        }
    }

    /// A writer that tells `mark` where in the buffer each secret stands.
    #[cfg(any(test, feature = "testing"))]
    pub fn marking(buffer: &'b mut [u8], mark: &'b mut dyn FnMut(core::ops::Range<usize>)) -> Self {
        Self { buffer, written: 0, mark: Some(mark) }
    }

    /// Bytes written so far.
    pub const fn len(&self) -> usize {
        self.written
    }

    /// Whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Bytes as they are; their length is known to the reader.
    ///
    /// # Errors
    /// [`CodecError`] when the buffer is full; so do all the writers below.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let end = self.written.checked_add(bytes.len()).ok_or(CodecError)?;
        self.buffer.get_mut(self.written..end).ok_or(CodecError)?.copy_from_slice(bytes);
        self.written = end;
        Ok(())
    }

    /// Bytes that must never leave the device in the clear.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn secret(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(mark) = &mut self.mark {
            mark(self.written..self.written.saturating_add(bytes.len()));
        }
        self.bytes(bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn u8(&mut self, value: u8) -> Result<(), CodecError> {
        self.bytes(&[value])
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn u16(&mut self, value: u16) -> Result<(), CodecError> {
        self.bytes(&value.to_be_bytes())
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn u32(&mut self, value: u32) -> Result<(), CodecError> {
        self.bytes(&value.to_be_bytes())
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn u64(&mut self, value: u64) -> Result<(), CodecError> {
        self.bytes(&value.to_be_bytes())
    }

    /// 0 or 1.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn flag(&mut self, value: bool) -> Result<(), CodecError> {
        self.u8(u8::from(value))
    }

    /// A u16 length and that many bytes.
    ///
    /// # Errors
    /// [`CodecError`], also for more than 65,535 bytes.
    pub fn var(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.u16(u16::try_from(bytes.len()).map_err(|_| CodecError)?)?;
        self.bytes(bytes)
    }
}

/// What records read beyond the wire's reader.
pub trait ReadRecord<'b> {
    /// 0 or 1, nothing else.
    ///
    /// # Errors
    /// [`CodecError`].
    fn flag(&mut self) -> Result<bool, CodecError>;

    /// A u16 length and that many bytes.
    ///
    /// # Errors
    /// [`CodecError`].
    fn var(&mut self) -> Result<&'b [u8], CodecError>;
}

impl<'b> ReadRecord<'b> for Reader<'b> {
    fn flag(&mut self) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError),
        }
    }

    fn var(&mut self) -> Result<&'b [u8], CodecError> {
        let len = usize::from(self.u16()?);
        Ok(self.bytes(len)?)
    }
}
