//! Prekeys, each signed by its device (`PROTOCOL.md` section 5).

use crate::cbor::{DecodeError, EncodeError, array};
use crate::ids::DeviceId;
use crate::labels::SignaturePurpose;
use crate::layout::Reader;
use crate::public::DevicePublic;
use crate::signature::{InvalidSignature, Signature, verify};

/// What a prekey is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PrekeyKind {
    /// X25519, rotated weekly.
    Signed = 1,
    /// X25519, handed out once.
    OneTime = 4,
}

/// A prekey record: 45 bytes, kind(1) ‖ id(u32) ‖ created_at(u64, s) ‖ key(32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prekey {
    /// What it is for.
    pub kind: PrekeyKind,
    /// Never used for another key of this device.
    pub id: u32,
    /// Seconds since 1970 by the device's clock; 0 when it has none.
    pub created_at: u64,
    /// X25519 public key.
    pub key: [u8; 32],
}

impl Prekey {
    /// Bytes of its encoding.
    pub const LEN: usize = 45;

    /// Its encoding.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        crate::layout::concat(&[
            &[self.kind as u8],
            &self.id.to_be_bytes(),
            &self.created_at.to_be_bytes(),
            &self.key,
        ])
    }

    /// Reads an encoding.
    ///
    /// # Errors
    /// [`DecodeError`] for another length or an unknown kind.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = match reader.u8()? {
            1 => PrekeyKind::Signed,
            4 => PrekeyKind::OneTime,
            _ => return Err(DecodeError),
        };
        let prekey = Self { kind, id: reader.u32()?, created_at: reader.u64()?, key: *reader.array()? };
        reader.end()?;
        Ok(prekey)
    }
}

array! {
    /// A prekey record with its device's signature over device_id ‖ record, as received.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SignedPrekey {
        /// The record, in [`Prekey`]'s layout.
        pub record: [u8; Prekey::LEN],
        /// Over device_id ‖ record.
        pub signature: Signature,
    }
}

impl SignedPrekey {
    /// Verifies the signature; the only way to a [`Prekey`] that a peer may use.
    ///
    /// # Errors
    /// [`InvalidSignature`], also for a malformed record.
    pub fn verify(&self, device: &DevicePublic) -> Result<Prekey, InvalidSignature> {
        let id: DeviceId = device.device_id();
        verify(
            &device.identity_key,
            SignaturePurpose::Prekey,
            &[id.as_bytes(), &self.record],
            &self.signature,
        )?;
        Prekey::from_bytes(&self.record).map_err(|_| InvalidSignature)
    }
}

/// Bytes of an ML-KEM-768 encapsulation key.
pub const KEM_KEY: usize = 1_184;

/// Bytes of an ML-KEM-768 ciphertext.
pub const KEM_CIPHERTEXT: usize = 1_088;

/// Bytes of a KEM prekey's record.
pub const KEM_RECORD: usize = 1 + 4 + 8 + KEM_KEY;

/// What a KEM prekey is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KemPrekeyKind {
    /// ML-KEM-768, handed out when no one-time key is left; rotated with the signed prekey.
    LastResort = 2,
    /// ML-KEM-768, handed out once.
    OneTime = 3,
}

array! {
    /// A KEM prekey record, kind(1) ‖ id(u32) ‖ created_at(u64, s) ‖ key(1,184), with its device's signature over
    /// device_id ‖ record, as received. 1,197 bytes that stay in the frame.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SignedKemPrekey<'b> {
        /// The record.
        pub record: &'b [u8; KEM_RECORD],
        /// Over device_id ‖ record.
        pub signature: Signature,
    }
}

impl SignedKemPrekey<'_> {
    /// Bytes of its encoding.
    pub const LEN: usize = 1 + 3 + KEM_RECORD + 2 + 64;
}

/// A KEM prekey whose signature was verified; there is no other way to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KemPrekey<'b> {
    kind: KemPrekeyKind,
    id: u32,
    created_at: u64,
    key: &'b [u8; KEM_KEY],
}

impl<'b> KemPrekey<'b> {
    /// Writes a record.
    pub fn write(kind: KemPrekeyKind, id: u32, created_at: u64, key: &[u8; KEM_KEY]) -> [u8; KEM_RECORD] {
        crate::layout::concat(&[&[kind as u8], &id.to_be_bytes(), &created_at.to_be_bytes(), key])
    }

    /// What it is for.
    pub const fn kind(&self) -> KemPrekeyKind {
        self.kind
    }

    /// Never used for another key of its device, of whatever kind.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Seconds since 1970 by the device's clock; 0 when it has none.
    pub const fn created_at(&self) -> u64 {
        self.created_at
    }

    /// The encapsulation key.
    pub const fn key(&self) -> &'b [u8; KEM_KEY] {
        self.key
    }
}

impl<'b> SignedKemPrekey<'b> {
    /// Verifies the signature; the only way to a [`KemPrekey`].
    ///
    /// # Errors
    /// [`InvalidSignature`], also for a malformed record.
    pub fn verify(&self, device: &DevicePublic) -> Result<KemPrekey<'b>, InvalidSignature> {
        let id: DeviceId = device.device_id();
        verify(
            &device.identity_key,
            SignaturePurpose::Prekey,
            &[id.as_bytes(), &self.record[..]],
            &self.signature,
        )?;
        let read = || -> Result<_, DecodeError> {
            let mut reader = Reader::new(&self.record[..]);
            let kind = match reader.u8()? {
                2 => KemPrekeyKind::LastResort,
                3 => KemPrekeyKind::OneTime,
                _ => return Err(DecodeError),
            };
            let (id, created_at) = (reader.u32()?, reader.u64()?);
            let prekey = KemPrekey { kind, id, created_at, key: reader.array()? };
            reader.end()?;
            Ok(prekey)
        };
        read().map_err(|_| InvalidSignature)
    }
}

array! {
    /// What an initiator needs of a responder: its signed prekey, a one-time prekey while there are any, and a KEM
    /// prekey if it speaks a suite with a KEM.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Bundle<'b> {
        /// The current signed prekey.
        pub signed: SignedPrekey,
        /// A one-time prekey, handed out once; CBOR null when there is none left.
        pub one_time: Option<SignedPrekey>,
        /// A one-time KEM prekey, or the last-resort one when there is none left; CBOR null for a device without.
        pub kem: Option<SignedKemPrekey<'b>>,
    }
}

/// Proof that every key of a bundle was verified for a device; there is no other way to make one.
///
/// ```compile_fail,E0277
/// use av_wire::bundle::{Bundle, VerifiedBundle};
///
/// fn believe(bundle: Bundle) -> VerifiedBundle {
///     bundle.into()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedBundle<'b> {
    signed: Prekey,
    one_time: Option<Prekey>,
    kem: Option<KemPrekey<'b>>,
}

impl<'b> VerifiedBundle<'b> {
    /// The signed prekey.
    pub const fn signed(&self) -> &Prekey {
        &self.signed
    }

    /// The one-time prekey, if the bundle has one.
    pub const fn one_time(&self) -> Option<&Prekey> {
        self.one_time.as_ref()
    }

    /// The KEM prekey, if the bundle has one.
    pub const fn kem(&self) -> Option<&KemPrekey<'b>> {
        self.kem.as_ref()
    }

    /// The same in memory of its own.
    pub fn keep<const KEM_KEYS: usize>(&self) -> KeptBundle<KEM_KEYS> {
        let mut kem = [const { None }; KEM_KEYS];
        if let (Some(place), Some(prekey)) = (kem.first_mut(), &self.kem) {
            let KemPrekey { kind, id, created_at, key } = *prekey;
            *place = Some(KeptKemPrekey { kind, id, created_at, key: *key });
        }
        KeptBundle { signed: self.signed, one_time: self.one_time, kem }
    }
}

/// A verified bundle that waits for a decision, long after its frame is gone. With room for no KEM key, which is
/// where nobody could use one, it lets the bundle's go and is 1,200 bytes smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBundle<const KEM_KEYS: usize> {
    signed: Prekey,
    one_time: Option<Prekey>,
    kem: [Option<KeptKemPrekey>; KEM_KEYS],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeptKemPrekey {
    kind: KemPrekeyKind,
    id: u32,
    created_at: u64,
    key: [u8; KEM_KEY],
}

impl<const KEM_KEYS: usize> KeptBundle<KEM_KEYS> {
    /// The bundle that was verified.
    pub fn as_verified(&self) -> VerifiedBundle<'_> {
        let kem = self.kem.first().and_then(Option::as_ref);
        VerifiedBundle {
            signed: self.signed,
            one_time: self.one_time,
            kem: kem.map(|KeptKemPrekey { kind, id, created_at, key }| KemPrekey {
                kind: *kind,
                id: *id,
                created_at: *created_at,
                key,
            }),
        }
    }
}

impl<'b> Bundle<'b> {
    /// Bytes of the largest encoding without a KEM prekey.
    pub const MAX_LEN_WITHOUT_KEM: usize = 1 + 2 * (1 + 2 + Prekey::LEN + 2 + 64) + 1;

    /// Bytes of the largest encoding.
    pub const MAX_LEN: usize = Self::MAX_LEN_WITHOUT_KEM - 1 + SignedKemPrekey::LEN;

    /// Reads a bundle; no key in it may be used yet.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not the one encoding of a bundle.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, DecodeError> {
        crate::decode(bytes)
    }

    /// Writes the bundle into `buffer` and returns the bytes written.
    ///
    /// # Errors
    /// [`EncodeError`] when the buffer is too small.
    pub fn encode<'o>(&self, buffer: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
        crate::encode(self, buffer)
    }

    /// Verifies all signatures, and that each key stands where its kind belongs.
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn verify(&self, device: &DevicePublic) -> Result<VerifiedBundle<'b>, InvalidSignature> {
        let of_kind = |prekey: &SignedPrekey, kind| {
            prekey.verify(device).and_then(
                |key| {
                    if key.kind == kind { Ok(key) } else { Err(InvalidSignature) }
                },
            )
        };
        Ok(VerifiedBundle {
            signed: of_kind(&self.signed, PrekeyKind::Signed)?,
            one_time: self.one_time.as_ref().map(|key| of_kind(key, PrekeyKind::OneTime)).transpose()?,
            kem: self.kem.as_ref().map(|key| key.verify(device)).transpose()?,
        })
    }
}
