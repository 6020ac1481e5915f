//! A device certificate (`PROTOCOL.md` section 4.2).

use crate::cbor::DecodeError;
use crate::ids::{DeviceId, TenantId};
use crate::layout::Reader;
use crate::public::DevicePublic;
use crate::signature::{SignedKind, Unverified};

/// What an owner or the root says of a device; 131 bytes,
/// version(1) ‖ tenant_id(16) ‖ device_id(16) ‖ DevicePublic(74) ‖ issued_at(u64, s) ‖ issuer(16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceCert {
    /// The tenant that the device belongs to.
    pub tenant_id: TenantId,
    /// The device, whose id its public identity hashes to.
    pub device: DevicePublic,
    /// Seconds since 1970 by the issuer's clock.
    pub issued_at: u64,
    /// The owner's device that signs, or [`DeviceId::ROOT`].
    pub issuer: DeviceId,
}

impl DeviceCert {
    /// Bytes of its encoding.
    pub const LEN: usize = 1 + 16 + 16 + DevicePublic::LEN + 8 + 16;
    /// Bytes of the signed object, CBOR around body and signature.
    pub const SIGNED_LEN: usize = 1 + 1 + 2 + Self::LEN + 2 + 64;
    const VERSION: u8 = 1;

    /// The id that the device's public identity hashes to.
    pub fn device_id(&self) -> DeviceId {
        self.device.device_id()
    }

    /// Its encoding, the body that is signed.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        crate::layout::concat(&[
            &[Self::VERSION],
            self.tenant_id.as_bytes(),
            self.device_id().as_bytes(),
            &self.device.to_bytes(),
            &self.issued_at.to_be_bytes(),
            self.issuer.as_bytes(),
        ])
    }

    /// Reads the body of a signed object that claims to be a certificate. The signature is not looked at.
    ///
    /// # Errors
    /// [`DecodeError`] for another kind, length or version, or a device id that is not the device's.
    pub fn from_unverified(object: &Unverified<'_>) -> Result<Self, DecodeError> {
        if object.kind != SignedKind::Cert {
            return Err(DecodeError);
        }
        let mut reader = Reader::new(object.body);
        if reader.u8()? != Self::VERSION {
            return Err(DecodeError);
        }
        let tenant_id = TenantId(*reader.array()?);
        let device_id = DeviceId(*reader.array()?);
        let device = DevicePublic::from_bytes(reader.bytes(DevicePublic::LEN)?)?;
        let cert = Self { tenant_id, device, issued_at: reader.u64()?, issuer: DeviceId(*reader.array()?) };
        reader.end()?;
        if cert.device_id() == device_id { Ok(cert) } else { Err(DecodeError) }
    }
}
