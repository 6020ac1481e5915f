//! The side of a device that enrolls with an API key (`PROTOCOL.md` section 4.6).

use av_wire::cert::DeviceCert;
use av_wire::chain::{Chain, VerifiedChain, VerifiedKey};
use av_wire::enroll::EnrollTranscript;
use av_wire::frame::ToRelay;
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use av_wire::{EncodeError, Signature};

use super::sign_cert;
use crate::api_key::ApiKey;
use crate::crypto::CryptoError;
use crate::keys::Identity;
use crate::record::codec::{CodecError, Writer};

/// A device that has an API key and asks the relay for what an owner said of it.
pub struct KeyHeld {
    key: ApiKey,
}

/// A device that its API key certified, and that the relay has not let in yet. 64 bytes: the key is wiped, and the
/// [`Membership`](super::Membership) is filled where it stays.
pub struct CertifiedByKey {
    pop: Signature,
}

impl KeyHeld {
    pub(crate) const fn new(key: ApiKey) -> Self {
        Self { key }
    }

    /// Writes the `FindKey` frame into `out` and returns the bytes written.
    ///
    /// # Errors
    /// [`EncodeError`] when `out` is too small.
    pub fn frame<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
        let frame = ToRelay::FindKey { tenant_id: *self.key.tenant_id(), key_id: self.key.key_id() };
        av_wire::encode(&frame, out)
    }

    /// Checks that the chain grants this very key, by an owner of the tenant that the key's text names.
    ///
    /// # Errors
    /// [`CryptoError`].
    #[inline(never)]
    pub fn verify(&self, chain: Chain<'_>) -> Result<VerifiedKey, CryptoError> {
        let verified = chain.verify_links(self.key.tenant_id(), &mut |_, _| false);
        self.granted_by(&verified.map_err(|_| CryptoError)?)
    }

    /// In a frame of its own, which is not there yet while the chain is verified.
    #[inline(never)]
    fn granted_by(&self, verified: &VerifiedChain<'_>) -> Result<VerifiedKey, CryptoError> {
        let granted = verified.key().map_err(|_| CryptoError)?;
        if granted.grant().public_key == self.key.public() { Ok(granted) } else { Err(CryptoError) }
    }

    /// Certifies this device under the key's chain. Its own is written into `out`.
    ///
    /// The certificate is dated by this device's clock, or as the grant where that is behind.
    ///
    /// # Errors
    /// [`CryptoError`] when the key's time is over.
    #[inline(never)]
    pub fn certify<'o>(
        &self,
        identity: &Identity,
        granted: &VerifiedKey,
        key_chain: Chain<'_>,
        bundle: &[u8],
        wall: u64,
        out: &'o mut [u8],
    ) -> Result<(Chain<'o>, CertifiedByKey), CryptoError> {
        let grant = granted.grant();
        let issued_at = wall.max(grant.issued_at);
        if !grant.covers(issued_at) {
            return Err(CryptoError);
        }
        let cert = DeviceCert {
            tenant_id: grant.tenant_id,
            device: *identity.public(),
            issued_at,
            issuer: grant.key_id().as_issuer(),
        };
        let mut signed = [0; DeviceCert::SIGNED_LEN];
        let signed = sign_cert(&self.key.signing(), &cert, &mut signed)?;
        let root = key_chain.claimed_root().map_err(|_| CryptoError)?;
        let chain = Chain::prepend(&root, signed, Some(key_chain), out).map_err(|_| CryptoError)?;
        let chain = Chain::new(chain);
        let transcript = EnrollTranscript::with_key(&identity.public().to_bytes(), bundle, chain)
            .map_err(|_| CryptoError)?;
        let pop = identity.signing().sign(SignaturePurpose::Enroll, &[&transcript.0])?;
        Ok((chain, CertifiedByKey { pop }))
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.key.write(writer)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        ApiKey::read(reader).map(Self::new)
    }
}

impl CertifiedByKey {
    /// The proof that the device holds the identity key which its chain certifies.
    pub const fn pop(&self) -> &Signature {
        &self.pop
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.bytes(&self.pop.0)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { pop: Signature(*reader.array()?) })
    }
}
