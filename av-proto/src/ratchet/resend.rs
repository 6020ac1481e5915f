//! A message of our own, read again by the key that was kept with it, to be sent on another session.

use super::RatchetError;
use super::message::{AssociatedData, HeaderBlob, associate};
use super::padding;
use crate::crypto::{Aead, Secret, TAG};

/// Decrypts our own message in place, whatever became of its session; returns the bytes of kind and body, which then
/// stand at the start of `ciphertext`.
pub(crate) fn reopen<A: Aead>(
    session_id: &[u8; 32],
    message_key: &Secret<32>,
    header_blob: &[u8],
    ciphertext: &mut [u8],
) -> Result<usize, RatchetError> {
    let blob = HeaderBlob::parse(header_blob)?;
    let mut ad = AssociatedData::new();
    associate(&mut ad, session_id, header_blob)?;
    let (text, tag) = ciphertext.split_last_chunk_mut::<TAG>().ok_or(RatchetError::Malformed)?;
    A::open(message_key, blob.nonce, &ad, text, tag).map_err(|_| RatchetError::Unopened)?;
    let (_, body) = padding::strip(text).ok_or(RatchetError::Contradiction)?;
    Ok(1 + body.len())
}
