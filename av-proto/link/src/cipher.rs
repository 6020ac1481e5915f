//! One direction's key and nonce (Noise's `CipherState`).

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use zeroize::Zeroizing;

use crate::LinkError;
use crate::limits::{MAX_MESSAGE, MAX_MESSAGES, TAG};

/// A key and the number of messages that it has sealed or opened.
pub(crate) struct Cipher {
    key: Zeroizing<[u8; 32]>,
    messages: u64,
}

impl Cipher {
    pub(crate) const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { key, messages: 0 }
    }

    /// Encrypts `text_and_tag` but its last 16 bytes in place, and writes the tag there.
    pub(crate) fn seal(&mut self, ad: &[u8], text_and_tag: &mut [u8]) -> Result<(), LinkError> {
        if text_and_tag.len() > MAX_MESSAGE {
            return Err(LinkError::Length);
        }
        let nonce = self.nonce()?;
        let (text, tag) = text_and_tag.split_last_chunk_mut::<TAG>().ok_or(LinkError::Length)?;
        let sealed = self.aead().encrypt_inout_detached(&nonce.into(), ad, text.into());
        *tag = sealed.map_err(|_| LinkError::Length)?.into();
        self.messages += 1;
        Ok(())
    }

    /// Decrypts in place and returns the text. A message that does not verify takes no nonce.
    pub(crate) fn open<'m>(&mut self, ad: &[u8], message: &'m mut [u8]) -> Result<&'m [u8], LinkError> {
        if message.len() > MAX_MESSAGE {
            return Err(LinkError::Rejected);
        }
        let nonce = self.nonce()?;
        let (text, tag) = message.split_last_chunk_mut::<TAG>().ok_or(LinkError::Rejected)?;
        let opened =
            self.aead().decrypt_inout_detached(&nonce.into(), ad, (&mut *text).into(), (&*tag).into());
        opened.map_err(|_| LinkError::Rejected)?;
        self.messages += 1;
        Ok(text)
    }

    fn aead(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.key).into())
    }

    /// 32 zero bits ‖ the counter, little-endian (Noise, section 12).
    fn nonce(&self) -> Result<[u8; 12], LinkError> {
        if self.messages >= MAX_MESSAGES {
            return Err(LinkError::Exhausted);
        }
        let [a, b, c, d, e, f, g, h] = self.messages.to_le_bytes();
        Ok([0, 0, 0, 0, a, b, c, d, e, f, g, h])
    }

    #[cfg(test)]
    pub(crate) const fn skip_to(&mut self, messages: u64) {
        self.messages = messages;
    }
}
