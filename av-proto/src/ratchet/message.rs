//! The public layout of a message (`PROTOCOL.md` section 7): type(1) ‖ suite(1) ‖ [u16 ‖ prelude] ‖ nonce ‖ sealed
//! header ‖ sealed body.

use av_wire::chain::MAX_CERTS_BYTES;
use av_wire::layout::Reader;
use av_wire::message::{MessageType, Prelude};
use av_wire::{Suite, limits::MAX_FRAME};
use heapless::Vec;

use super::header::SEALED;
use crate::crypto::{KEM_CIPHERTEXT, TAG};
use crate::error::RatchetError;
use crate::limits::{MAX_HEADER_BLOB, MAX_NONCE};

// Type and suite bytes must not be taken for something longer than a frame.
const _: () = assert!(MAX_HEADER_BLOB + TAG < MAX_FRAME);

/// Bytes of type and suite.
pub(super) const TYPE_AND_SUITE: usize = 2;

/// A message up to and with its sealed header, taken apart; nothing in it may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBlob<'b> {
    /// Whether there is a prelude.
    pub kind: MessageType,
    /// The suite byte.
    pub suite: u8,
    /// The prelude, decoded.
    pub prelude: Option<Prelude<'b>>,
    /// The prelude as received; empty without one.
    pub prelude_bytes: &'b [u8],
    /// 24 bytes, 12 with AES-256-GCM.
    pub nonce: &'b [u8],
    /// 56 bytes.
    pub header_ct: &'b [u8],
    /// All bytes before the nonce, which the header's seal covers.
    pub(super) prefix: &'b [u8],
}

impl<'b> HeaderBlob<'b> {
    /// Takes a header blob apart.
    ///
    /// # Errors
    /// [`RatchetError::Malformed`] for another type, suite, length or encoding, or a prelude whose KEM fields are not
    /// the suite's.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, RatchetError> {
        if bytes.len() > MAX_HEADER_BLOB {
            return Err(RatchetError::Malformed);
        }
        Self::take_apart(bytes).map_err(|_| RatchetError::Malformed)
    }

    fn take_apart(bytes: &'b [u8]) -> Result<Self, av_wire::DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = match reader.u8()? {
            1 => MessageType::Ratchet,
            2 => MessageType::WithPrelude,
            _ => return Err(av_wire::DecodeError),
        };
        let suite = reader.u8()?;
        let known = Suite::from_byte(suite).ok_or(av_wire::DecodeError)?;
        let prelude_bytes = match kind {
            MessageType::Ratchet => &[],
            MessageType::WithPrelude => {
                let len = reader.u16()?;
                reader.bytes(usize::from(len))?
            }
        };
        let prelude = match kind {
            MessageType::Ratchet => None,
            MessageType::WithPrelude => Some(av_wire::decode::<Prelude<'_>>(prelude_bytes)?),
        };
        let kem_fits = |prelude: Prelude<'_>| match (prelude.kem_key, prelude.kem_ciphertext) {
            (Some(_), Some(ciphertext)) => known.has_kem() && ciphertext.len() == KEM_CIPHERTEXT,
            (None, None) => !known.has_kem(),
            _ => false,
        };
        let initiator_fits = |prelude: Prelude<'_>| prelude.initiator.len() <= MAX_CERTS_BYTES;
        if !prelude.is_none_or(|prelude| kem_fits(prelude) && initiator_fits(prelude)) {
            return Err(av_wire::DecodeError);
        }
        let prefix_len = bytes.len() - reader.rest().len();
        let nonce = reader.bytes(nonce_len(known))?;
        let header_ct = reader.bytes(SEALED)?;
        reader.end()?;
        let prefix = bytes.get(..prefix_len).ok_or(av_wire::DecodeError)?;
        Ok(Self { kind, suite, prelude, prelude_bytes, nonce, header_ct, prefix })
    }
}

/// Bytes of a nonce.
const fn nonce_len(suite: Suite) -> usize {
    match suite.without_kem() {
        Suite::Aes256Gcm => 12,
        _ => MAX_NONCE,
    }
}

/// `th` ‖ header blob: what a body's seal covers, and without its end what a header's seal covers.
pub(super) type AssociatedData = Vec<u8, { 32 + MAX_HEADER_BLOB }>;

/// Puts `th` and the bytes behind it into an empty buffer. It is lent: returned, the kilobyte would stand on the stack
/// twice.
pub(super) fn associate(
    data: &mut AssociatedData,
    session_id: &[u8; 32],
    bytes: &[u8],
) -> Result<(), RatchetError> {
    data.extend_from_slice(session_id).map_err(|_| RatchetError::Length)?;
    data.extend_from_slice(bytes).map_err(|_| RatchetError::Length)
}
