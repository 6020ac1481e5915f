//! The granting owner's side of an API key (`PROTOCOL.md` section 4.6).

use av_wire::KeyId;
use av_wire::key_grant::KeyGrant;
use av_wire::layout::Reader;
use av_wire::limits::MAX_KEY_DEVICES;
#[cfg(feature = "owner")]
use av_wire::signature::{SignedKind, Unverified};
use heapless::Vec;

#[cfg(feature = "owner")]
use crate::crypto::{CryptoError, SigningSecret};
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// An API key that this device granted and has not closed. Of the key itself nothing is kept but its id.
pub struct GrantedKey {
    key_id: KeyId,
    most: u16,
    expires_at: u64,
    /// Names of the certificates of those that enrolled with it.
    devices: Vec<[u8; 16], MAX_KEY_DEVICES>,
    /// More devices came than may.
    is_overused: bool,
}

/// What a device that enrolled with a key is to the owner that granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// In, and new.
    New,
    /// In, and known.
    Known,
    /// One too many: the key has to be closed.
    TooMany,
}

impl GrantedKey {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = KeyId::LEN + 2 + 8 + 1 + 1 + 16 * MAX_KEY_DEVICES;

    /// What is kept of a grant.
    pub fn new(grant: &KeyGrant) -> Self {
        Self {
            key_id: grant.key_id(),
            most: grant.most,
            expires_at: grant.expires_at,
            devices: Vec::new(),
            is_overused: false,
        }
    }

    /// The key.
    pub const fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Seconds since 1970 up to which it lets devices in.
    pub const fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// Names of the certificates of the devices that are in, 16 bytes each, 64 at most.
    pub fn devices(&self) -> &[[u8; 16]] {
        &self.devices
    }

    /// Whether it has to be closed at this time.
    pub const fn is_over(&self, wall: u64) -> bool {
        self.is_overused || self.expires_at < wall
    }

    /// What the device whose certificate has this name is to this key.
    pub fn examine(&self, name: &[u8; 16]) -> KeyUse {
        if self.devices.contains(name) {
            KeyUse::Known
        } else if self.is_overused || self.devices.len() >= usize::from(self.most) {
            KeyUse::TooMany
        } else {
            KeyUse::New
        }
    }

    /// Takes note of a device that enrolled; of one too many, that there was one.
    pub fn note(&mut self, name: &[u8; 16]) -> KeyUse {
        let found = self.examine(name);
        match found {
            KeyUse::Known => {}
            // At most `most` are in, which is no more than there is room for.
            KeyUse::New => self.is_overused |= self.devices.push(*name).is_err(),
            KeyUse::TooMany => self.is_overused = true,
        }
        found
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.bytes(self.key_id.as_bytes())?;
        writer.u16(self.most)?;
        writer.u64(self.expires_at)?;
        writer.flag(self.is_overused)?;
        writer.u8(u8::try_from(self.devices.len()).map_err(|_| CodecError)?)?;
        writer.bytes(self.devices.as_flattened())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let (key_id, most, expires_at) = (KeyId(*reader.array()?), reader.u16()?, reader.u64()?);
        let is_overused = reader.flag()?;
        let mut devices = Vec::new();
        for _ in 0..reader.u8()? {
            devices.push(*reader.array()?).map_err(|_| CodecError)?;
        }
        Ok(Self { key_id, most, expires_at, devices, is_overused })
    }
}

/// Signs the grant of a key by the owner that it names into `out`, and returns the bytes written.
///
/// # Errors
/// [`CryptoError`] when `out` is too small.
#[cfg(feature = "owner")]
pub(crate) fn sign_key_grant<'o>(
    owner: &SigningSecret,
    grant: &KeyGrant,
    out: &'o mut [u8],
) -> Result<&'o [u8], CryptoError> {
    let body = grant.to_bytes();
    let signature = owner.sign(SignedKind::KeyGrant.purpose(), &[&body])?;
    Unverified { kind: SignedKind::KeyGrant, body: &body, signature }.encode(out).map_err(|_| CryptoError)
}
