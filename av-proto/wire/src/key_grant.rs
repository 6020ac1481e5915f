//! The grant of an API key: an owner's approval in advance (`PROTOCOL.md` section 4.6).

use crate::cbor::DecodeError;
use crate::ids::{DeviceId, KeyId, TenantId};
use crate::layout::Reader;
use crate::limits::MAX_KEY_DEVICES;
use crate::signature::{SignedKind, Unverified};

/// What an owner says of a key; 103 bytes, version(1) ‖ tenant_id(16) ‖ key_id(16) ‖ public key(32) ‖ scopes(u32) ‖
/// most(u16) ‖ expires_at(u64, s) ‖ issued_at(u64, s) ‖ issuer(16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// The tenant that the key lets devices into.
    pub tenant_id: TenantId,
    /// The key's Ed25519 public key, whose hash is its id.
    pub public_key: [u8; 32],
    /// Devices that may enroll with it, 1 to [`MAX_KEY_DEVICES`].
    pub most: u16,
    /// Seconds since 1970 up to which it lets devices in.
    pub expires_at: u64,
    /// Seconds since 1970 by the issuer's clock.
    pub issued_at: u64,
    /// The owner's device that signs; never the root.
    pub issuer: DeviceId,
}

impl KeyGrant {
    /// Bytes of its encoding.
    pub const LEN: usize = 1 + 16 + 16 + 32 + 4 + 2 + 8 + 8 + 16;
    /// Bytes of the signed object, CBOR around body and signature.
    pub const SIGNED_LEN: usize = 1 + 1 + 2 + Self::LEN + 2 + 64;
    const VERSION: u8 = 1;
    /// To enroll agents: the one scope that there is, so a key without it would be good for nothing.
    const SCOPES: u32 = 1;

    /// The id that the public key hashes to.
    pub fn key_id(&self) -> KeyId {
        KeyId::of(&self.public_key)
    }

    /// Whether a certificate by this key may be dated so.
    pub const fn covers(&self, issued_at: u64) -> bool {
        self.issued_at <= issued_at && issued_at <= self.expires_at
    }

    /// Its encoding, the body that is signed.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        crate::layout::concat(&[
            &[Self::VERSION],
            self.tenant_id.as_bytes(),
            self.key_id().as_bytes(),
            &self.public_key,
            &Self::SCOPES.to_be_bytes(),
            &self.most.to_be_bytes(),
            &self.expires_at.to_be_bytes(),
            &self.issued_at.to_be_bytes(),
            self.issuer.as_bytes(),
        ])
    }

    /// Reads the body of a signed object that claims to be a key's grant. The signature is not looked at.
    ///
    /// # Errors
    /// [`DecodeError`] for another kind, length or version, a key id that is not the key's, other scopes than to enroll
    /// agents, no devices or more than [`MAX_KEY_DEVICES`], or the root as its issuer.
    pub fn from_unverified(object: &Unverified<'_>) -> Result<Self, DecodeError> {
        if object.kind != SignedKind::KeyGrant {
            return Err(DecodeError);
        }
        let mut reader = Reader::new(object.body);
        if reader.u8()? != Self::VERSION {
            return Err(DecodeError);
        }
        let tenant_id = TenantId(*reader.array()?);
        let key_id = KeyId(*reader.array()?);
        let public_key = *reader.array()?;
        let scopes = reader.u32()?;
        let (most, expires_at, issued_at) = (reader.u16()?, reader.u64()?, reader.u64()?);
        let grant =
            Self { tenant_id, public_key, most, expires_at, issued_at, issuer: DeviceId(*reader.array()?) };
        reader.end()?;
        let is_bounded = (1..=MAX_KEY_DEVICES).contains(&usize::from(most));
        let is_valid = grant.key_id() == key_id
            && scopes == Self::SCOPES
            && is_bounded
            && grant.issuer != DeviceId::ROOT;
        if is_valid { Ok(grant) } else { Err(DecodeError) }
    }
}
