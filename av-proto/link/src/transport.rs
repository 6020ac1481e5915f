//! The open link: one frame a message, sealed and opened in place.

use crate::LinkError;
use crate::cipher::Cipher;
use crate::limits::{MAX_TEXT, TAG};

/// An open link. Its keys are wiped when it is dropped; a [`LinkError`] ends it.
pub struct Transport {
    sending: Cipher,
    receiving: Cipher,
    channel: [u8; 32],
    link_key: [u8; 32],
}

impl Transport {
    pub(crate) fn new(sending: Cipher, receiving: Cipher, hash: &[u8; 64], link_key: [u8; 32]) -> Self {
        let mut channel = [0; 32];
        for (to, from) in channel.iter_mut().zip(hash) {
            *to = *from;
        }
        Self { sending, receiving, channel, link_key }
    }

    /// 32 bytes, the first half of the handshake hash: what `Authenticate` signs, so that the signature is of no
    /// use on another connection.
    pub const fn channel(&self) -> &[u8; 32] {
        &self.channel
    }

    /// 32 bytes: the link key of the relay on this link, which the handshake proved.
    pub const fn link_key(&self) -> &[u8; 32] {
        &self.link_key
    }

    /// Seals the first `len` bytes of `buffer` in place, puts the 16-byte tag behind them, and returns both.
    ///
    /// # Errors
    /// [`LinkError::Length`] when `len` is over [`MAX_TEXT`] or `buffer` has no room for the tag;
    /// [`LinkError::Exhausted`].
    pub fn seal<'b>(&mut self, buffer: &'b mut [u8], len: usize) -> Result<&'b [u8], LinkError> {
        if len > MAX_TEXT {
            return Err(LinkError::Length);
        }
        let message = buffer.get_mut(..len + TAG).ok_or(LinkError::Length)?;
        self.sending.seal(&[], message)?;
        Ok(message)
    }

    /// Opens the peer's next message in place and returns its text.
    ///
    /// # Errors
    /// [`LinkError::Rejected`] when it is not the peer's next; `message` and the link are then unchanged.
    /// [`LinkError::Exhausted`].
    pub fn open<'m>(&mut self, message: &'m mut [u8]) -> Result<&'m [u8], LinkError> {
        self.receiving.open(&[], message)
    }

    #[cfg(test)]
    pub(crate) const fn skip_to(&mut self, messages: u64) {
        self.sending.skip_to(messages);
        self.receiving.skip_to(messages);
    }
}
