//! The enrolling device's side (`PROTOCOL.md` sections 4.1 and 4.3).

use core::fmt;

use av_wire::bundle::Bundle;
use av_wire::chain::{Chain, MAX_CHAIN_BYTES, VerifiedChain};
use av_wire::enroll::{EnrollRequest, EnrollTranscript};
use av_wire::frame::ToRelay;
use av_wire::grant::{Grant, OwnerSerial};
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use av_wire::limits::{MAX_OWNERS, SEALED_NAME};
use av_wire::{DeviceId, DevicePublic, EncodeError, List, Origin, Role, Signature, TenantId};
use heapless::Vec;
use rand_core::CryptoRng;

use super::Certification;
use super::statement::OwnerSerials;
use crate::crypto::CryptoError;
use crate::invite::{InviteKeys, InviteText};
use crate::keys::{Identity, Secret};
use crate::limits::OWN_BUNDLE;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// An enrollment request that is out, the identical bytes every time it is sent again.
pub struct Requested {
    keys: InviteKeys,
    bundle: Vec<u8, OWN_BUNDLE>,
    sealed_name: [u8; SEALED_NAME],
    pop: Signature,
    tag: [u8; 32],
    transcript: EnrollTranscript,
    link_key: [u8; 32],
    inviter: Option<DeviceId>,
}

/// Proof that a grant is the inviting owner's and certifies this very device; there is no other way to make one.
///
/// It borrows from the grant: a membership is filled where it stays, a microcontroller has no room for a second one.
///
/// ```compile_fail,E0277
/// use av_proto::enroll::VerifiedGrant;
/// use av_proto::wire::grant::Grant;
///
/// fn believe(grant: Grant<'_>) -> VerifiedGrant<'_> {
///     grant.into()
/// }
/// ```
pub struct VerifiedGrant<'b> {
    chain: Chain<'b>,
    approver: DevicePublic,
    certification: Certification,
    serials: List<'b, OwnerSerial>,
    activation: Signature,
}

impl VerifiedGrant<'_> {
    /// The chain that was verified.
    pub const fn chain(&self) -> Chain<'_> {
        self.chain
    }

    /// The owner that approved.
    pub const fn approver(&self) -> &DevicePublic {
        &self.approver
    }

    /// On whose word the approving owner is one.
    pub const fn owner_certification(&self) -> &Certification {
        &self.certification
    }

    /// The last serials of the owners' statements, as the approving owner knows them: what has to be fetched.
    pub fn serials(&self) -> OwnerSerials {
        OwnerSerials::heard_of(self.serials.iter())
    }
}

/// Why a grant is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// It is not the inviting owner's, or not for this device at this origin.
    Invalid,
    /// It is, and names another link key than the one in use: who holds the link is not the relay that the owner
    /// means. The enrollment is over.
    LinkKey,
}

impl From<CryptoError> for GrantError {
    fn from(_: CryptoError) -> Self {
        Self::Invalid
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the grant is not the inviting owner's for this device",
            Self::LinkKey => "the grant names another link key than the one in use",
        })
    }
}

impl core::error::Error for GrantError {}

impl Requested {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize =
        InviteKeys::LEN + 2 + OWN_BUNDLE + SEALED_NAME + 64 + 32 + 32 + 32 + 1 + DeviceId::LEN;

    /// Makes the request; the invite's token can be wiped afterwards.
    ///
    /// `link_key` is the relay's key that this device uses, 32 zero bytes without a Noise link; `inviter` is the
    /// owner's device that the invite's URL named.
    ///
    /// # Errors
    /// [`CryptoError`] when the name is no plain text of at most 40 bytes or the platform of at most 21.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the request, and a struct would only rename them"
    )]
    pub fn new(
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        identity: &Identity,
        bundle: &Bundle<'_>,
        name: &str,
        platform: &str,
        link_key: [u8; 32],
        inviter: Option<DeviceId>,
    ) -> Result<Self, CryptoError> {
        let mut requested = Self::empty();
        requested.fill(rng, invite, identity, bundle, name, platform, link_key, inviter)?;
        Ok(requested)
    }

    /// One that is not made yet; [`Self::fill`] makes it where it stays.
    pub(crate) const fn empty() -> Self {
        Self {
            keys: InviteKeys::ZERO,
            bundle: Vec::new(),
            sealed_name: [0; SEALED_NAME],
            pop: Signature([0; 64]),
            tag: [0; 32],
            transcript: EnrollTranscript([0; 32]),
            link_key: [0; 32],
            inviter: None,
        }
    }

    /// [`Self::new`], where the request stays: with the signature that it takes, a microcontroller has no room to move
    /// it about.
    #[expect(clippy::too_many_arguments, reason = "those of `new`")]
    #[inline(never)]
    pub(crate) fn fill(
        &mut self,
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        identity: &Identity,
        bundle: &Bundle<'_>,
        name: &str,
        platform: &str,
        link_key: [u8; 32],
        inviter: Option<DeviceId>,
    ) -> Result<(), CryptoError> {
        self.keys = InviteKeys::derive(invite);
        self.bundle.resize_default(OWN_BUNDLE).map_err(|_| CryptoError)?;
        let len = bundle.encode(&mut self.bundle).map_err(|_| CryptoError)?.len();
        self.bundle.truncate(len);
        self.sealed_name = self.keys.seal_name(rng, name, platform)?;
        let device = identity.public().to_bytes();
        self.transcript = EnrollTranscript::new(self.keys.lookup(), &device, &self.bundle, &self.sealed_name)
            .map_err(|_| CryptoError)?;
        self.pop = identity.signing().sign(SignaturePurpose::Enroll, &[&self.transcript.0])?;
        self.tag = self.keys.enroll_tag(&self.transcript)?;
        (self.link_key, self.inviter) = (link_key, inviter);
        Ok(())
    }

    /// Writes the `Enroll` frame into `out` and returns the bytes written.
    ///
    /// # Errors
    /// [`EncodeError`] when `out` is too small.
    pub fn frame<'o>(&self, device: &DevicePublic, out: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
        let request = EnrollRequest {
            lookup: *self.keys.lookup(),
            device: device.to_bytes(),
            bundle: self.bundle[..].into(),
            sealed_name: self.sealed_name[..].into(),
            pop: self.pop,
            tag: self.tag,
        };
        av_wire::encode(&ToRelay::Enroll { request }, out)
    }

    /// Checks everything that a grant must be: tagged with the invite's key, for this device, by an owner of one
    /// tenant (the invited one, if the invite named it), at this origin, and with the link key in use, if one is.
    ///
    /// # Errors
    /// [`GrantError::LinkKey`] when only that differs, else [`GrantError::Invalid`].
    #[inline(never)]
    pub fn verify<'b>(
        &self,
        identity: &Identity,
        origin: &Origin,
        grant: &Grant<'b>,
    ) -> Result<VerifiedGrant<'b>, GrantError> {
        if !self.keys.verify_grant_tag(&self.transcript, grant) || grant.origin != origin.as_str() {
            return Err(GrantError::Invalid);
        }
        self.believe(identity, grant, &verified_chain(grant.chain())?)
    }

    /// What is left to check. In a frame of its own, which is not there yet while the chain is verified.
    #[inline(never)]
    fn believe<'b>(
        &self,
        identity: &Identity,
        grant: &Grant<'b>,
        chain: &VerifiedChain<'_>,
    ) -> Result<VerifiedGrant<'b>, GrantError> {
        let approver = approver_of(identity.public(), chain)?;
        let is_inviter = self.inviter.is_none_or(|inviter| inviter == approver.device_id());
        if approver.role != Role::Owner || !is_inviter {
            return Err(GrantError::Invalid);
        }
        if self.link_key != [0; 32] && grant.link_key != self.link_key {
            return Err(GrantError::LinkKey);
        }
        let activation = identity
            .signing()
            .sign(SignaturePurpose::Activate, &[&self.transcript.0, &grant.chain().hash()])?;
        if grant.chain.len() > MAX_CHAIN_BYTES || grant.serials.len() > MAX_OWNERS {
            return Err(GrantError::Invalid);
        }
        let above = grant.chain().provenance(1).map_err(|_| GrantError::Invalid)?;
        let certification = Certification::new(above);
        Ok(VerifiedGrant {
            chain: grant.chain(),
            approver,
            certification,
            serials: grant.serials,
            activation,
        })
    }

    /// Ends the request once [`Granted`] stands: the psk, for the sessions with the owner that approved. The
    /// invite's other keys are wiped.
    pub fn into_psk(self) -> Secret<32> {
        self.keys.into_psk()
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.keys.write(writer)?;
        writer.var(&self.bundle)?;
        writer.bytes(&self.sealed_name)?;
        writer.bytes(&self.pop.0)?;
        writer.bytes(&self.tag)?;
        writer.bytes(&self.transcript.0)?;
        writer.bytes(&self.link_key)?;
        writer.flag(self.inviter.is_some())?;
        self.inviter.as_ref().map_or(Ok(()), |inviter| writer.bytes(inviter.as_bytes()))
    }

    /// Reads a request into its empty place.
    pub(crate) fn restore(&mut self, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        self.keys = InviteKeys::read(reader)?;
        self.bundle.extend_from_slice(reader.var()?).map_err(|_| CodecError)?;
        self.sealed_name = *reader.array()?;
        self.pop = Signature(*reader.array()?);
        self.tag = *reader.array()?;
        self.transcript = EnrollTranscript(*reader.array()?);
        self.link_key = *reader.array()?;
        self.inviter = if reader.flag()? { Some(DeviceId(*reader.array()?)) } else { None };
        Ok(())
    }
}

/// Every link of this chain holds, up to the root that it names.
fn verified_chain(chain: Chain<'_>) -> Result<VerifiedChain<'_>, GrantError> {
    let root = chain.claimed_root().map_err(|_| GrantError::Invalid)?;
    chain.verify_links(&TenantId::of_root(&root), &mut |_, _| false).map_err(|_| GrantError::Invalid)
}

/// The device that certified `own` with this chain. In a frame of its own.
#[inline(never)]
fn approver_of(own: &DevicePublic, chain: &VerifiedChain<'_>) -> Result<DevicePublic, GrantError> {
    let certified = chain.device().map_err(|_| GrantError::Invalid)?;
    match certified.issuer() {
        Some(approver) if certified.public() == own => Ok(*approver),
        _ => Err(GrantError::Invalid),
    }
}

/// A device that believes its grant, and whose relay has not confirmed the activation yet. 64 bytes: its
/// [`Membership`](super::Membership) is filled where it stays.
pub struct Granted {
    activation: Signature,
}

impl Granted {
    /// Takes a verified grant; the chain of [`VerifiedGrant::chain`] is the membership's.
    pub(crate) const fn of(grant: &VerifiedGrant<'_>) -> Self {
        Self { activation: grant.activation }
    }

    /// The device's signature that takes the certificate up.
    pub const fn activation(&self) -> &Signature {
        &self.activation
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.bytes(&self.activation.0)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { activation: Signature(*reader.array()?) })
    }
}
