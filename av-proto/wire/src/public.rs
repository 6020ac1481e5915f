//! A device's public identity (`PROTOCOL.md` sections 1 and 2).

use crate::cbor::{DecodeError, codes};
use crate::hash::h256;
use crate::ids::{DeviceId, Fingerprint};
use crate::labels;
use crate::limits::{MIN_MAX_MESSAGE, MIN_MAX_MESSAGE_WITH_KEM};

codes! {
    /// What a device is in its tenant.
    pub enum Role {
        /// A person's device: invites, approves, revokes.
        Owner = 1,
        /// A microcontroller or program: talks to owners.
        Agent = 2,
    }
}

impl Role {
    /// Its byte on the wire.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Owner => 1,
            Self::Agent => 2,
        }
    }

    /// The role of a byte.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but 1 and 2.
    pub const fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            1 => Ok(Self::Owner),
            2 => Ok(Self::Agent),
            _ => Err(DecodeError),
        }
    }
}

/// A cipher suite: its byte on the wire (`PROTOCOL.md` section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Suite {
    /// XChaCha20-Poly1305, no KEM.
    XChaCha20Poly1305 = 0x01,
    /// AES-256-GCM, no KEM.
    Aes256Gcm = 0x02,
    /// XChaCha20-Poly1305, and ML-KEM-768 in the handshake.
    XChaCha20Poly1305MlKem768 = 0x11,
    /// AES-256-GCM, and ML-KEM-768 in the handshake.
    Aes256GcmMlKem768 = 0x12,
}

impl Suite {
    /// Strongest first: the order in which an initiator chooses.
    pub const BY_STRENGTH: [Self; 4] =
        [Self::XChaCha20Poly1305MlKem768, Self::Aes256GcmMlKem768, Self::XChaCha20Poly1305, Self::Aes256Gcm];

    /// Its byte on the wire.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The suite of a byte on the wire, if it is one.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::BY_STRENGTH.into_iter().find(|suite| suite.byte() == byte)
    }

    /// Whether a KEM is part of its handshake.
    pub const fn has_kem(self) -> bool {
        matches!(self, Self::XChaCha20Poly1305MlKem768 | Self::Aes256GcmMlKem768)
    }

    /// The suite with the same AEAD and a KEM.
    #[must_use]
    pub const fn with_kem(self) -> Self {
        match self {
            Self::XChaCha20Poly1305 | Self::XChaCha20Poly1305MlKem768 => Self::XChaCha20Poly1305MlKem768,
            Self::Aes256Gcm | Self::Aes256GcmMlKem768 => Self::Aes256GcmMlKem768,
        }
    }

    /// The suite with the same AEAD and no KEM.
    #[must_use]
    pub const fn without_kem(self) -> Self {
        match self {
            Self::XChaCha20Poly1305 | Self::XChaCha20Poly1305MlKem768 => Self::XChaCha20Poly1305,
            Self::Aes256Gcm | Self::Aes256GcmMlKem768 => Self::Aes256Gcm,
        }
    }

    /// The set that holds only this suite.
    pub const fn alone(self) -> Suites {
        Suites(match self {
            Self::XChaCha20Poly1305 => 1 << 0,
            Self::Aes256Gcm => 1 << 1,
            Self::XChaCha20Poly1305MlKem768 => 1 << 2,
            Self::Aes256GcmMlKem768 => 1 << 3,
        })
    }
}

/// A set of suites: bit 0 is 0x01, bit 1 is 0x02, bit 2 is 0x11, bit 3 is 0x12; higher bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suites(u32);

impl Suites {
    const KNOWN: u32 = 0b1111;

    /// A set from its bits.
    ///
    /// # Errors
    /// [`DecodeError`] for the empty set and for unknown bits.
    pub const fn from_bits(bits: u32) -> Result<Self, DecodeError> {
        if bits == 0 || bits & !Self::KNOWN != 0 { Err(DecodeError) } else { Ok(Self(bits)) }
    }

    /// Its bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set with this suite too.
    #[must_use]
    pub const fn and(self, suite: Suite) -> Self {
        Self(self.0 | suite.alone().0)
    }

    /// Whether it holds this suite.
    pub const fn contains(self, suite: Suite) -> bool {
        self.0 & suite.alone().0 != 0
    }

    /// Whether it holds a suite with a KEM.
    pub fn has_kem(self) -> bool {
        Suite::BY_STRENGTH.into_iter().any(|suite| suite.has_kem() && self.contains(suite))
    }

    /// The first suite by strength that both sets hold; both sides compute the same.
    pub fn choose(self, other: Self) -> Option<Suite> {
        Suite::BY_STRENGTH.into_iter().find(|suite| self.contains(*suite) && other.contains(*suite))
    }
}

/// A device's public keys and properties: 74 bytes,
/// version(1) ‖ role(1) ‖ suites(u32) ‖ max_message(u32) ‖ identity key(32) ‖ agreement key(32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicePublic {
    /// Owner or agent.
    pub role: Role,
    /// Suites that the device speaks.
    pub suites: Suites,
    /// Bytes of the largest `Deliver` frame that the device takes, at least [`MIN_MAX_MESSAGE`]; for one that lists a
    /// suite with a KEM, [`MIN_MAX_MESSAGE_WITH_KEM`].
    pub max_message: u32,
    /// Ed25519 identity key, `IKs`.
    pub identity_key: [u8; 32],
    /// X25519 agreement key, `IKd`.
    pub agreement_key: [u8; 32],
}

impl DevicePublic {
    /// Bytes of its encoding.
    pub const LEN: usize = 74;
    const VERSION: u8 = 1;

    /// Its encoding.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        crate::layout::concat(&[
            &[Self::VERSION],
            &[self.role.byte()],
            &self.suites.bits().to_be_bytes(),
            &self.max_message.to_be_bytes(),
            &self.identity_key,
            &self.agreement_key,
        ])
    }

    /// Reads an encoding.
    ///
    /// # Errors
    /// [`DecodeError`] for another length, version or role, an empty or unknown suite set, or a `max_message`
    /// below [`MIN_MAX_MESSAGE`], with a KEM [`MIN_MAX_MESSAGE_WITH_KEM`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = crate::layout::Reader::new(bytes);
        if reader.u8()? != Self::VERSION {
            return Err(DecodeError);
        }
        let public = Self {
            role: Role::from_byte(reader.u8()?)?,
            suites: Suites::from_bits(reader.u32()?)?,
            max_message: reader.u32()?,
            identity_key: *reader.array()?,
            agreement_key: *reader.array()?,
        };
        reader.end()?;
        let least = if public.suites.has_kem() { MIN_MAX_MESSAGE_WITH_KEM } else { MIN_MAX_MESSAGE };
        if public.max_message < least { Err(DecodeError) } else { Ok(public) }
    }

    /// 32 bytes that name this device and all its properties.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(h256(labels::hash::DEVICE, &[&self.to_bytes()]))
    }

    /// The device's id, the first half of its fingerprint.
    pub fn device_id(&self) -> DeviceId {
        self.fingerprint().device_id()
    }
}
