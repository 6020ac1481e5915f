//! Ed25519, verified strictly (`PROTOCOL.md`, conventions), and the signed object `[kind, body, signature]`.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::ed25519::signature::MultipartVerifier;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, array, codes};
use crate::labels::SignaturePurpose;
use crate::limits::{MAX_SIGNED, MAX_SIGNED_BODY};

/// 64 bytes: an Ed25519 signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl<'b> Decode<'b> for Signature {
    fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        Decode::decode(decoder).map(Self)
    }
}

impl Encode for Signature {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.bytes(&self.0);
    }
}

/// A signature does not verify, a key is not canonical, or what was signed is too long. One error for all: a
/// peer never learns which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSignature;

impl core::fmt::Display for InvalidSignature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the signature does not verify")
    }
}

impl core::error::Error for InvalidSignature {}

/// `"AV1 " ‖ tag ‖ 0x00 ‖ x`: the bytes that a signature covers.
pub type SignedMessage = heapless::Vec<u8, { MAX_SIGNED_BODY + MAX_SIGNATURE_PREFIX }>;

/// Bytes before `x`: `"AV1 "`, the longest tag of 10, and the 0x00.
const MAX_SIGNATURE_PREFIX: usize = 4 + 10 + 1;

/// Pieces in which `x` may come: what is signed of a connection has six.
const MAX_PARTS: usize = 8;

/// Puts together what `Sign(k, tag, x)` covers; `parts` are the pieces of `x`.
///
/// # Errors
/// [`InvalidSignature`] when `x` is longer than [`MAX_SIGNED_BODY`].
pub fn signed_message(purpose: SignaturePurpose, parts: &[&[u8]]) -> Result<SignedMessage, InvalidSignature> {
    let mut message = SignedMessage::new();
    for part in signed_parts(purpose, parts)? {
        message.extend_from_slice(part).map_err(|_| InvalidSignature)?;
    }
    Ok(message)
}

/// The pieces of what `Sign(k, tag, x)` covers, where they stand: a microcontroller has no kilobyte for a copy.
///
/// # Errors
/// [`InvalidSignature`] when `x` is longer than [`MAX_SIGNED`] or in more than 8 pieces.
pub fn signed_parts<'p>(
    purpose: SignaturePurpose,
    parts: &[&'p [u8]],
) -> Result<heapless::Vec<&'p [u8], { 3 + MAX_PARTS }>, InvalidSignature> {
    let length = parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(part.len()));
    if length.is_none_or(|length| length > MAX_SIGNED) {
        return Err(InvalidSignature);
    }
    let head: [&[u8]; 3] = [b"AV1 ", purpose.tag(), &[0]];
    let mut all = heapless::Vec::new();
    all.extend_from_slice(&head).map_err(|_| InvalidSignature)?;
    all.extend_from_slice(parts).map_err(|_| InvalidSignature)?;
    Ok(all)
}

/// Verifies `Sign(key, purpose, x)` strictly: S < L, canonical A and R, neither of small order, cofactorless.
///
/// # Errors
/// [`InvalidSignature`], whatever was wrong.
pub fn verify(
    key: &[u8; 32],
    purpose: SignaturePurpose,
    parts: &[&[u8]],
    signature: &Signature,
) -> Result<(), InvalidSignature> {
    verify_strictly(key, &signed_parts(purpose, parts)?, signature)
}

/// Verifies a signature over a message that was put together for signer and verifier alike, strictly as [`verify`].
///
/// # Errors
/// [`InvalidSignature`], whatever was wrong.
pub fn verify_message(
    key: &[u8; 32],
    message: &SignedMessage,
    signature: &Signature,
) -> Result<(), InvalidSignature> {
    verify_strictly(key, &[message], signature)
}

/// Verifies a signature over the pieces of what was signed.
pub(crate) fn verify_strictly(
    key: &[u8; 32],
    parts: &[&[u8]],
    signature: &Signature,
) -> Result<(), InvalidSignature> {
    let key = canonical_key(key)?;
    if key.is_weak() || has_weak_point(signature) {
        return Err(InvalidSignature);
    }
    // What `verify_strict` checks beside: S < L, and R byte for byte.
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.multipart_verify(parts, &signature).map_err(|_| InvalidSignature)
}

/// Whether R is no point, or one of small order. In a frame of its own, which is gone when the verification takes its
/// five kilobytes of a microcontroller's stack.
#[inline(never)]
fn has_weak_point(signature: &Signature) -> bool {
    let point = signature.0.first_chunk().map(VerifyingKey::from_bytes);
    point.is_none_or(|point| point.map_or(true, |point| point.is_weak()))
}

/// The point of a key whose y is below p = 2^255 - 19. `verify_strict` compares R byte for byte and refuses small
/// orders, but decompression of A folds the 19 values at and above p onto others.
pub(crate) fn canonical_key(key: &[u8; 32]) -> Result<VerifyingKey, InvalidSignature> {
    let [first, middle @ .., last] = key;
    if *first >= 0xed && middle.iter().all(|byte| *byte == 0xff) && last & 0x7f == 0x7f {
        return Err(InvalidSignature);
    }
    VerifyingKey::from_bytes(key).map_err(|_| InvalidSignature)
}

array! {
    /// A signed object as received: `[kind, body, signature]`, not yet verified.
    ///
    /// The signature covers the body's bytes as received, never a re-encoding.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Unverified<'b> {
        /// What the body is; each kind has a signature purpose of its own.
        pub kind: SignedKind,
        /// The body, in the fixed layout of its kind.
        pub body: &'b [u8],
        /// Over the body.
        pub signature: Signature,
    }
}

codes! {
    /// The kinds of signed objects.
    pub enum SignedKind {
        /// A device certificate.
        Cert = 1,
        /// A revocation.
        Revocation = 2,
        /// A suspension.
        Suspension = 3,
        /// A resumption.
        Resumption = 4,
        /// A relay's link keys.
        LinkKeys = 5,
        /// The grant of an API key.
        KeyGrant = 6,
    }
}

impl SignedKind {
    /// The purpose under which this kind is signed.
    pub const fn purpose(self) -> SignaturePurpose {
        match self {
            Self::Cert => SignaturePurpose::Cert,
            Self::Revocation => SignaturePurpose::Revocation,
            Self::Suspension => SignaturePurpose::Suspension,
            Self::Resumption => SignaturePurpose::Resumption,
            Self::LinkKeys => SignaturePurpose::LinkKeys,
            Self::KeyGrant => SignaturePurpose::KeyGrant,
        }
    }
}

impl<'b> Unverified<'b> {
    /// Reads a signed object; nothing in it may be believed yet.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not the one encoding of such an object.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, DecodeError> {
        crate::decode(bytes)
    }

    /// Writes the object into `buffer` and returns the bytes written.
    ///
    /// # Errors
    /// [`EncodeError`] when the buffer is too small.
    pub fn encode<'o>(&self, buffer: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
        crate::encode(self, buffer)
    }

    /// Verifies the signature over the body under `key`.
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn verify(&self, key: &[u8; 32]) -> Result<(), InvalidSignature> {
        verify(key, self.kind.purpose(), &[self.body], &self.signature)
    }
}
