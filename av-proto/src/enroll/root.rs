//! The recovery root, and the founding of a tenant with it (`PROTOCOL.md` section 4.4).

use core::fmt;

use av_wire::cert::DeviceCert;
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::frame::founding_message;
use av_wire::labels::{self, SignaturePurpose};
use av_wire::layout::Reader;
use av_wire::signature::SignedKind;
use av_wire::{DeviceId, Origin, Signature, TenantId, Unverified};
use rand_core::CryptoRng;

use super::Membership;
use crate::crockford;
use crate::crypto::{CryptoError, SigningSecret, scrubbed};
use crate::keys::{Identity, Secret};
use crate::record::codec::{CodecError, Writer};

/// The tenant's root: an Ed25519 key that is shown once, kept on paper, and never stored by a device.
///
/// It certifies the first owner, can certify and revoke any owner, and cannot be revoked.
pub struct RecoveryKey {
    seed: Secret<32>,
    signing: SigningSecret,
}

/// A text is not a recovery key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryKeyError;

/// Before the text: `avr1-`.
const PREFIX: &str = "avr1-";
/// Symbols: 32 bytes and 24 bits of checksum are 280 bits, 5 a symbol.
const SYMBOLS: usize = 56;

impl RecoveryKey {
    /// A fresh root: an Ed25519 key pair from a 32-byte seed.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        scrubbed(|| Self::from_seed(Secret::random(rng)))
    }

    fn from_seed(seed: Secret<32>) -> Self {
        let signing = SigningSecret::from_seed(seed.expose());
        Self { seed, signing }
    }

    /// The root's public key, 32 bytes, to which the tenant's id commits.
    pub const fn public(&self) -> &[u8; 32] {
        self.signing.public()
    }

    /// The tenant that this root founds.
    pub fn tenant_id(&self) -> TenantId {
        TenantId::of_root(self.public())
    }

    #[cfg(feature = "owner")]
    pub(crate) const fn signing(&self) -> &SigningSecret {
        &self.signing
    }

    /// Calls `show` with the text to write down, and wipes the text afterwards.
    pub fn reveal<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        crockford::with_text::<SYMBOLS, T>(PREFIX, labels::hash::RECOVERY, self.seed.expose(), show)
    }

    /// Reads a recovery key back; case, spaces, dashes, O for 0 and I or L for 1 are forgiven.
    ///
    /// # Errors
    /// [`RecoveryKeyError`] for a wrong length, symbol or checksum.
    pub fn parse(text: &str) -> Result<Self, RecoveryKeyError> {
        let mut seed = Secret::new([0; 32]);
        crockford::parse::<SYMBOLS>(PREFIX, labels::hash::RECOVERY, text, seed.expose_mut())
            .map_err(|_| RecoveryKeyError)?;
        Ok(Self::from_seed(seed))
    }

    /// Certifies the founding owner's device and signs the call that founds the tenant at `origin`: the founder's
    /// membership to be, and the call's signature.
    ///
    /// # Errors
    /// [`CryptoError`] when something does not fit, which no valid origin causes.
    pub fn found(
        &self,
        founder: &Identity,
        origin: &Origin,
        issued_at: u64,
    ) -> Result<(Membership, Founding), CryptoError> {
        let cert = DeviceCert {
            tenant_id: self.tenant_id(),
            device: *founder.public(),
            issued_at,
            issuer: DeviceId::ROOT,
        };
        let mut signed = [0; DeviceCert::SIGNED_LEN];
        let signed = sign_cert(&self.signing, &cert, &mut signed)?;
        let mut chain = [0; MAX_CHAIN_BYTES];
        let chain = Chain::prepend(self.public(), signed, None, &mut chain).map_err(|_| CryptoError)?;
        let message =
            founding_message(&self.tenant_id(), origin, founder.device_id()).map_err(|_| CryptoError)?;
        let membership = Membership::of_chain(chain).map_err(|_| CryptoError)?;
        Ok((membership, Founding { signature: self.signing.sign_message(&message) }))
    }
}

/// Signs a certificate; the caller is the issuer that it names.
pub(super) fn sign_cert<'o>(
    issuer: &SigningSecret,
    cert: &DeviceCert,
    out: &'o mut [u8; DeviceCert::SIGNED_LEN],
) -> Result<&'o [u8], CryptoError> {
    let body = cert.to_bytes();
    let signature = issuer.sign(SignaturePurpose::Cert, &[&body])?;
    let object = Unverified { kind: SignedKind::Cert, body: body[..].into(), signature };
    object.encode(out).map_err(|_| CryptoError)
}

/// A tenant that the relay has not confirmed yet. The root's secret is no longer in it. 64 bytes.
pub struct Founding {
    signature: Signature,
}

impl Founding {
    /// The root's signature over the founding call.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.bytes(&self.signature.0)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { signature: Signature(*reader.array()?) })
    }
}

impl fmt::Display for RecoveryKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not a recovery key: it is avr1- and 14 groups of 4; look for a typing mistake")
    }
}

impl core::error::Error for RecoveryKeyError {}
