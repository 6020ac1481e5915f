//! The encrypted header: which key, which chain, which number.

use av_wire::layout::Reader;

use crate::crypto::{Aead, CryptoError, Secret, TAG};
use crate::limits::HEADER;

/// 40 bytes: ratchet public key(32) ‖ PN(u32) ‖ N(u32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The sender's ratchet key.
    pub(super) ratchet: [u8; 32],
    /// Messages in the sender's chain before this one.
    pub(super) previous: u32,
    /// The message's number in its chain, from 0.
    pub(super) number: u32,
}

/// Bytes of a sealed header.
pub(super) const SEALED: usize = HEADER + TAG;

impl Header {
    /// Seals the header under a header key.
    pub(super) fn seal<A: Aead>(
        &self,
        key: &Secret<32>,
        nonce: &[u8],
        ad: &[u8],
    ) -> Result<[u8; SEALED], CryptoError> {
        let mut sealed = [0; SEALED];
        let (text, tag) = sealed.split_first_chunk_mut::<HEADER>().ok_or(CryptoError)?;
        let fields =
            self.ratchet.into_iter().chain(self.previous.to_be_bytes()).chain(self.number.to_be_bytes());
        text.iter_mut().zip(fields).for_each(|(slot, byte)| *slot = byte);
        tag.copy_from_slice(&A::seal(key, nonce, ad, text)?);
        Ok(sealed)
    }

    /// Opens a sealed header; costs one tag.
    pub(super) fn open<A: Aead>(
        key: &Secret<32>,
        nonce: &[u8],
        ad: &[u8],
        sealed: &[u8; SEALED],
    ) -> Result<Self, CryptoError> {
        let (text, tag) = sealed.split_first_chunk::<HEADER>().ok_or(CryptoError)?;
        let mut text = *text;
        A::open(key, nonce, ad, &mut text, tag.try_into().map_err(|_| CryptoError)?)?;
        let mut reader = Reader::new(&text);
        let mut fields = || -> Result<Self, av_wire::DecodeError> {
            Ok(Self { ratchet: *reader.array()?, previous: reader.u32()?, number: reader.u32()? })
        };
        fields().map_err(|_| CryptoError)
    }
}
