//! A device's identity: an Ed25519 key that signs and an X25519 key that agrees, made on the device and never
//! leaving it (`PROTOCOL.md` section 2).

use av_wire::layout::Reader;
use av_wire::{DeviceId, DevicePublic, Fingerprint, Role, Suites};
use rand_core::CryptoRng;

use crate::crypto::{AgreementSecret, SigningSecret};
use crate::record::codec::{CodecError, Writer};

/// The two key pairs of a device, and the public identity that names them.
pub struct Identity {
    signing: SigningSecret,
    agreement: AgreementSecret,
    public: DevicePublic,
    fingerprint: Fingerprint,
    device_id: DeviceId,
}

impl Identity {
    /// Bytes of the encoding in a record: seed 32, public identity 74, agreement secret 32.
    pub const LEN: usize = 32 + DevicePublic::LEN + 32;

    /// A fresh identity. `max_message` is the largest `Deliver` frame in bytes that the device takes.
    pub fn generate(rng: &mut dyn CryptoRng, role: Role, suites: Suites, max_message: u32) -> Self {
        let signing = SigningSecret::generate(rng);
        let agreement = AgreementSecret::generate(rng);
        let public = DevicePublic {
            role,
            suites,
            max_message,
            identity_key: *signing.public(),
            agreement_key: *agreement.public(),
        };
        Self::assemble(signing, agreement, public)
    }

    fn assemble(signing: SigningSecret, agreement: AgreementSecret, public: DevicePublic) -> Self {
        let fingerprint = public.fingerprint();
        Self { signing, agreement, public, fingerprint, device_id: fingerprint.device_id() }
    }

    /// What others know of the device.
    pub const fn public(&self) -> &DevicePublic {
        &self.public
    }

    /// 32 bytes that name the device.
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The first half of the fingerprint.
    pub const fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// The Ed25519 key pair, `IKs`.
    pub const fn signing(&self) -> &SigningSecret {
        &self.signing
    }

    /// The X25519 key pair, `IKd`.
    pub const fn agreement(&self) -> &AgreementSecret {
        &self.agreement
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.secret(self.signing.seed())?;
        writer.bytes(&self.public.to_bytes())?;
        writer.secret(self.agreement.expose())
    }

    /// In a frame of its own: the public half of a seed takes three kilobytes of stack.
    #[inline(never)]
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let signing = SigningSecret::from_seed(reader.array()?);
        let public = DevicePublic::from_bytes(reader.bytes(DevicePublic::LEN)?)?;
        let agreement = AgreementSecret::from_parts(reader.array()?, &public.agreement_key);
        // dalek computes the public half of a seed anyway, so a record that mixes two devices shows here.
        if *signing.public() == public.identity_key {
            Ok(Self::assemble(signing, agreement, public))
        } else {
            Err(CodecError)
        }
    }
}
