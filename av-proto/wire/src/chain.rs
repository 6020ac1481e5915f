//! A certificate chain from a device to its tenant's root (`PROTOCOL.md` section 4.4).

use crate::cbor::{Decode, DecodeError, Decoder, EncodeError, Encoder};
use crate::cert::DeviceCert;
use crate::hash::h256;
use crate::ids::{DeviceId, TenantId};
use crate::labels;
use crate::limits::MAX_CHAIN;
use crate::public::{DevicePublic, Role};
use crate::signature::Unverified;

/// Bytes of the longest chain: array, root key, and [`MAX_CHAIN`] certificates with their two-byte heads.
pub const MAX_CHAIN_BYTES: usize = 1 + 34 + MAX_CHAIN * (DeviceCert::SIGNED_LEN + 2);

/// A chain does not certify what it should. One error for all reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidChain;

impl core::fmt::Display for InvalidChain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the certificate chain is not valid for this tenant")
    }
}

impl core::error::Error for InvalidChain {}

impl From<DecodeError> for InvalidChain {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

/// A chain as received: `[root public key, certificate, …]`, the device's own certificate first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain<'b> {
    bytes: &'b [u8],
}

/// Proof that a chain was verified; there is no other way to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    cert: DeviceCert,
    issuer: Option<DevicePublic>,
    root: [u8; 32],
}

impl VerifiedDevice {
    /// The device's certificate.
    pub const fn cert(&self) -> &DeviceCert {
        &self.cert
    }

    /// The device.
    pub const fn public(&self) -> &DevicePublic {
        &self.cert.device
    }

    /// The device's id.
    pub fn device_id(&self) -> DeviceId {
        self.cert.device_id()
    }

    /// The owner's device that issued the certificate; `None` when the root did.
    pub const fn issuer(&self) -> Option<&DevicePublic> {
        self.issuer.as_ref()
    }

    /// The root's public key, to which the tenant's id commits.
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }
}

impl<'b> Chain<'b> {
    /// A chain from its bytes, not looked at yet.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// Its bytes as received.
    pub const fn as_bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// 32 bytes: `H256("av1 certs", chain)`.
    pub fn hash(&self) -> [u8; 32] {
        h256(labels::hash::CERTS, &[self.bytes])
    }

    /// Verifies the chain link by link up to the root that `tenant` commits to.
    ///
    /// `is_revoked` is asked of the device and of every issuer.
    ///
    /// # Errors
    /// [`InvalidChain`] for another root, more than [`MAX_CHAIN`] certificates, a foreign tenant, an issuer that
    /// is no owner, a bad signature, a revoked device or issuer, or any other encoding.
    pub fn verify(
        &self,
        tenant: &TenantId,
        mut is_revoked: impl FnMut(&DeviceId) -> bool,
    ) -> Result<VerifiedDevice, InvalidChain> {
        let (root, signed) = self.parts()?;
        if TenantId::of_root(&root) != *tenant {
            return Err(InvalidChain);
        }
        let mut subject: Option<DeviceCert> = None;
        let mut subject_issuer = None;
        let mut signed = signed.iter().peekable();
        while let Some(bytes) = signed.next() {
            let object = Unverified::decode(bytes)?;
            let cert = DeviceCert::from_unverified(&object)?;
            let issuer = match signed.peek() {
                Some(next) => Some(DeviceCert::from_unverified(&Unverified::decode(next)?)?.device),
                None => None,
            };
            let issuer_id = issuer.as_ref().map_or(DeviceId::ROOT, DevicePublic::device_id);
            let key = issuer.as_ref().map_or(&root, |device| &device.identity_key);
            let is_issuer = subject.is_some();
            if cert.tenant_id != *tenant
                || cert.issuer != issuer_id
                || (is_issuer && cert.device.role != Role::Owner)
                || is_revoked(&cert.device_id())
            {
                return Err(InvalidChain);
            }
            object.verify(key).map_err(|_| InvalidChain)?;
            if !is_issuer {
                (subject, subject_issuer) = (Some(cert), issuer);
            }
        }
        Ok(VerifiedDevice { cert: subject.ok_or(InvalidChain)?, issuer: subject_issuer, root })
    }

    /// The first certificate, unverified: whom the chain claims to certify.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn claimed(&self) -> Result<DeviceCert, DecodeError> {
        let (_, signed) = self.parts()?;
        DeviceCert::from_unverified(&Unverified::decode(signed.first().ok_or(DecodeError)?)?)
    }

    /// The certificate of this device in the chain: as good as the chain, so only of one that was verified.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn find(&self, device: &DeviceId) -> Result<Option<DeviceCert>, DecodeError> {
        for signed in self.parts()?.1 {
            let cert = DeviceCert::from_unverified(&Unverified::decode(signed)?)?;
            if cert.device_id() == *device {
                return Ok(Some(cert));
            }
        }
        Ok(None)
    }

    /// The root's public key that the chain names, to which its tenant's id must commit.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn claimed_root(&self) -> Result<[u8; 32], DecodeError> {
        Ok(self.parts()?.0)
    }

    /// Writes a chain of `first` and the certificates of `rest` (an issuer's own chain) into `buffer`. With no
    /// `rest`, `root` issued `first`.
    ///
    /// # Errors
    /// [`EncodeError`] when the buffer is too small, `rest` is malformed or ends at another root, or the chain
    /// would be too long.
    pub fn prepend<'o>(
        root: &[u8; 32],
        first: &[u8],
        rest: Option<Chain<'_>>,
        buffer: &'o mut [u8],
    ) -> Result<&'o [u8], EncodeError> {
        let (issuers_root, issuers) = match rest {
            Some(chain) => chain.parts().map_err(|_| EncodeError)?,
            None => (*root, heapless::Vec::new()),
        };
        if issuers_root != *root || issuers.len() >= MAX_CHAIN {
            return Err(EncodeError);
        }
        let mut encoder = Encoder::new(buffer);
        encoder.array(2 + issuers.len() as u64);
        encoder.bytes(root);
        encoder.bytes(first);
        issuers.iter().for_each(|issuer| encoder.bytes(issuer));
        encoder.finish()
    }

    fn parts(&self) -> Result<([u8; 32], heapless::Vec<&'b [u8], MAX_CHAIN>), DecodeError> {
        let mut decoder = Decoder::new(self.bytes);
        let count = decoder.array()?;
        let root = Decode::decode(&mut decoder)?;
        let mut certs = heapless::Vec::new();
        for _ in 1..count {
            certs.push(decoder.bytes()?).map_err(|_| DecodeError)?;
        }
        if certs.is_empty() || !decoder.is_at_end() { Err(DecodeError) } else { Ok((root, certs)) }
    }
}
