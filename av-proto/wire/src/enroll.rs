//! What an enrolling device sends (`PROTOCOL.md` sections 4.1 and 4.6).

use crate::cbor::array;
use crate::chain::{Chain, MAX_CHAIN_BYTES};
use crate::hash::h256;
use crate::labels::{self, SignaturePurpose};
use crate::limits::{MAX_BUNDLE, SEALED_NAME};
use crate::public::DevicePublic;
use crate::signature::{InvalidSignature, Signature, verify};
use crate::{DecodeError, LookupHash};

array! {
    /// An enrollment request as received; only its parts' lengths may be believed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EnrollRequest<'b> {
        /// Shows the relay that the device knows an invite, without showing the token.
        pub lookup: [u8; 32],
        /// [`DevicePublic`], 74 bytes.
        pub device: [u8; DevicePublic::LEN],
        /// [`Bundle`](crate::bundle::Bundle), at most [`MAX_BUNDLE`] bytes.
        pub bundle: &'b [u8],
        /// Proposed name and platform under the invite's name key, [`SEALED_NAME`] bytes.
        pub sealed_name: &'b [u8],
        /// Possession of the identity key: signature over the transcript.
        pub pop: Signature,
        /// Possession of the invite's token: MAC over the transcript, for the inviting device alone.
        pub tag: [u8; 32],
    }
}

/// In place of a lookup value, which no invite has: those are outputs of a key derivation.
const NO_LOOKUP: [u8; 32] = [0; 32];

/// 32 bytes, `t`: H256("av1 enroll", lookup ‖ DevicePublic ‖ u16 ‖ bundle ‖ u16 ‖ sealed name).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnrollTranscript(pub [u8; 32]);

impl EnrollTranscript {
    /// The transcript of these parts.
    ///
    /// # Errors
    /// [`DecodeError`] when the bundle is longer than [`MAX_BUNDLE`] or the sealed name not [`SEALED_NAME`] bytes.
    pub fn new(
        lookup: &[u8; 32],
        device: &[u8; DevicePublic::LEN],
        bundle: &[u8],
        sealed_name: &[u8],
    ) -> Result<Self, DecodeError> {
        if sealed_name.len() != SEALED_NAME {
            return Err(DecodeError);
        }
        Self::hash(lookup, device, bundle, sealed_name)
    }

    /// The transcript of an enrollment with an API key (`PROTOCOL.md` section 4.6): there is no invite, and the chain
    /// stands in the place of the name.
    ///
    /// # Errors
    /// [`DecodeError`] when the bundle is longer than [`MAX_BUNDLE`] or the chain than [`MAX_CHAIN_BYTES`].
    pub fn with_key(
        device: &[u8; DevicePublic::LEN],
        bundle: &[u8],
        chain: Chain<'_>,
    ) -> Result<Self, DecodeError> {
        if chain.as_bytes().len() > MAX_CHAIN_BYTES {
            return Err(DecodeError);
        }
        Self::hash(&NO_LOOKUP, device, bundle, chain.as_bytes())
    }

    fn hash(
        lookup: &[u8; 32],
        device: &[u8; DevicePublic::LEN],
        bundle: &[u8],
        last: &[u8],
    ) -> Result<Self, DecodeError> {
        if bundle.len() > MAX_BUNDLE {
            return Err(DecodeError);
        }
        let length = |part: &[u8]| u16::try_from(part.len()).map(u16::to_be_bytes).map_err(|_| DecodeError);
        let lengths = [length(bundle)?, length(last)?];
        Ok(Self(h256(labels::hash::ENROLL, &[lookup, device, &lengths[0], bundle, &lengths[1], last])))
    }
}

impl EnrollRequest<'_> {
    /// The transcript `t` of this request.
    ///
    /// # Errors
    /// [`DecodeError`] for a part that is too long.
    pub fn transcript(&self) -> Result<EnrollTranscript, DecodeError> {
        EnrollTranscript::new(&self.lookup, &self.device, self.bundle, self.sealed_name)
    }

    /// The hash under which the relay stores the invite that this request names.
    pub fn lookup_hash(&self) -> LookupHash {
        LookupHash::of(&self.lookup)
    }

    /// Verifies that the sender holds the identity key it names, and returns the device and the transcript.
    ///
    /// # Errors
    /// [`InvalidSignature`], also for malformed parts.
    pub fn verify_possession(&self) -> Result<(DevicePublic, EnrollTranscript), InvalidSignature> {
        let device = DevicePublic::from_bytes(&self.device).map_err(|_| InvalidSignature)?;
        let transcript = self.transcript().map_err(|_| InvalidSignature)?;
        verify(&device.identity_key, SignaturePurpose::Enroll, &[&transcript.0], &self.pop)?;
        Ok((device, transcript))
    }
}

/// Verifies that who enrolls with an API key holds the identity key that the chain certifies.
///
/// # Errors
/// [`InvalidSignature`], also for parts that are too long.
pub fn verify_key_possession(
    device: &DevicePublic,
    bundle: &[u8],
    chain: Chain<'_>,
    pop: &Signature,
) -> Result<(), InvalidSignature> {
    let transcript =
        EnrollTranscript::with_key(&device.to_bytes(), bundle, chain).map_err(|_| InvalidSignature)?;
    verify(&device.identity_key, SignaturePurpose::Enroll, &[&transcript.0], pop)
}

/// Verifies that a device took up its certificate: Sign(IKs, "activate", t ‖ H256("av1 certs", chain)).
///
/// # Errors
/// [`InvalidSignature`].
pub fn verify_activation(
    device: &DevicePublic,
    transcript: &EnrollTranscript,
    chain_hash: &[u8; 32],
    signature: &Signature,
) -> Result<(), InvalidSignature> {
    verify(&device.identity_key, SignaturePurpose::Activate, &[&transcript.0, chain_hash], signature)
}
