//! The inviting owner's side (`PROTOCOL.md` sections 3 and 4.2).

use av_wire::bundle::{Bundle, KeptBundle, VerifiedBundle};
use av_wire::cert::DeviceCert;
use av_wire::chain::Chain;
use av_wire::enroll::{EnrollRequest, EnrollTranscript};
use av_wire::grant::{Grant, OwnerSerial};
use av_wire::layout::Reader;
use av_wire::{DeviceId, DevicePublic, List, LookupHash, Origin, Role};
use heapless::String;
use rand_core::CryptoRng;

use super::Membership;
use super::root::sign_cert;
use crate::crypto::CryptoError;
use crate::invite::{InviteKeys, InviteText, NAME_MAX, PLATFORM_MAX};
use crate::keys::{Identity, Secret};
use crate::limits::KEM_PREKEYS_IN_BUNDLE;
use crate::record::codec::{CodecError, Writer};

/// An invite that this device made. The token itself is not kept, only the keys derived from it.
pub struct Invite {
    keys: InviteKeys,
    role: Role,
    expires_at: u64,
    state: InviteState,
}

/// How far an invite has come. This device decides it, not the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteState {
    /// Nobody has shown its token yet.
    Open,
    /// This device has shown it.
    Claimed(DeviceId),
    /// This device was approved: no other ever will be.
    Approved(DeviceId),
    /// A request failed its tag or asked for another role.
    Burnt,
    /// Two devices showed the token. `None`: neither was approved.
    Leaked(Option<DeviceId>),
}

/// A request whose possession, tag and role hold, with all its prekeys verified; there is no other way to make one.
#[derive(Clone)]
pub struct VerifiedRequest {
    device: DevicePublic,
    transcript: EnrollTranscript,
    bundle: KeptBundle<KEM_PREKEYS_IN_BUNDLE>,
    name: String<NAME_MAX>,
    platform: String<PLATFORM_MAX>,
}

/// What an owner's device makes of a request.
#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched at once, and there is no allocator to box it with"
)]
pub enum Claim {
    /// It can be approved.
    Verified(VerifiedRequest),
    /// Its tag, possession or role does not hold; the invite is burnt.
    Attack,
    /// It holds, and so did another device's: the token leaked. Whether the other was approved already.
    TokenLeaked {
        /// The other device is in; its revocation should be considered.
        approved: bool,
    },
    /// The invite expired by this device's clock, or was burnt or leaked before.
    NotOpen,
}

impl VerifiedRequest {
    /// The device that asks.
    pub const fn device(&self) -> &DevicePublic {
        &self.device
    }

    /// The enrollment's transcript.
    pub const fn transcript(&self) -> &EnrollTranscript {
        &self.transcript
    }

    /// Its prekeys.
    pub fn bundle(&self) -> VerifiedBundle<'_> {
        self.bundle.as_verified()
    }

    /// The name it proposes, at most 40 bytes of plain text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its platform, at most 21 bytes of plain text.
    pub fn platform(&self) -> &str {
        &self.platform
    }
}

impl Invite {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = InviteKeys::LEN + 1 + 8 + 1 + DeviceId::LEN;

    /// A fresh invite and the text that carries its token, the token's only copy.
    pub fn create(rng: &mut dyn CryptoRng, role: Role, expires_at: u64) -> (Self, InviteText) {
        let text = InviteText::generate(rng);
        let keys = InviteKeys::derive(&text);
        (Self { keys, role, expires_at, state: InviteState::Open }, text)
    }

    /// The hash under which the relay knows it.
    pub fn lookup_hash(&self) -> LookupHash {
        LookupHash::of(self.keys.lookup())
    }

    /// The role that it is for.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Seconds since 1970 by this device's clock.
    pub const fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// How far it has come.
    pub const fn state(&self) -> InviteState {
        self.state
    }

    /// Whether this request names this invite.
    pub fn is_named_by(&self, request: &EnrollRequest<'_>) -> bool {
        self.keys.lookup() == &request.lookup
    }

    /// Whether nothing is to be learned from it any more, so that its slot may be used anew.
    pub const fn is_over(&self, wall: u64) -> bool {
        self.expires_at < wall
    }

    /// Checks a request against this invite; the invite's state afterwards says what was found.
    pub fn examine(&mut self, request: &EnrollRequest<'_>, wall: u64) -> Claim {
        let Some(verified) = self.check(request) else {
            if matches!(self.state, InviteState::Open | InviteState::Claimed(_)) {
                self.state = InviteState::Burnt;
            }
            return Claim::Attack;
        };
        let device_id = verified.device.device_id();
        match self.state {
            InviteState::Approved(approved) | InviteState::Leaked(Some(approved))
                if approved != device_id =>
            {
                self.state = InviteState::Leaked(Some(approved));
                Claim::TokenLeaked { approved: true }
            }
            InviteState::Leaked(None) => Claim::TokenLeaked { approved: false },
            InviteState::Claimed(first) if first != device_id => {
                self.state = InviteState::Leaked(None);
                Claim::TokenLeaked { approved: false }
            }
            InviteState::Open | InviteState::Claimed(_) if wall <= self.expires_at => {
                self.state = InviteState::Claimed(device_id);
                Claim::Verified(verified)
            }
            _ => Claim::NotOpen,
        }
    }

    fn check(&self, request: &EnrollRequest<'_>) -> Option<VerifiedRequest> {
        let (device, transcript) = request.verify_possession().ok()?;
        if !self.keys.verify_enroll_tag(&transcript, &request.tag) || device.role != self.role {
            return None;
        }
        let bundle = Bundle::decode(request.bundle).ok()?.verify(&device).ok()?.keep();
        let (name, platform) = self.keys.open_name(request.sealed_name).ok()?;
        Some(VerifiedRequest { device, transcript, bundle, name, platform })
    }

    /// Marks this device as the one that is approved and returns the psk for the sessions with it.
    ///
    /// # Errors
    /// [`CryptoError`] unless the invite is claimed by this very device and not expired: exactly one request of an
    /// invite is ever approved.
    pub fn approve(&mut self, request: &VerifiedRequest, wall: u64) -> Result<Secret<32>, CryptoError> {
        let device_id = request.device.device_id();
        if self.state != InviteState::Claimed(device_id) || self.expires_at < wall {
            return Err(CryptoError);
        }
        self.state = InviteState::Approved(device_id);
        Ok(self.keys.psk().duplicate())
    }

    /// Takes an approval back that came to nothing, before anything was stored.
    #[cfg(feature = "owner")]
    pub(crate) const fn restore_state(&mut self, state: InviteState) {
        self.state = state;
    }

    pub(crate) const fn keys(&self) -> &InviteKeys {
        &self.keys
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.keys.write(writer)?;
        writer.u8(self.role.byte())?;
        writer.u64(self.expires_at)?;
        let (state, device) = match self.state {
            InviteState::Open => (0, None),
            InviteState::Claimed(device) => (1, Some(device)),
            InviteState::Approved(device) => (2, Some(device)),
            InviteState::Burnt => (3, None),
            InviteState::Leaked(None) => (4, None),
            InviteState::Leaked(Some(device)) => (5, Some(device)),
        };
        writer.u8(state)?;
        device.map_or(Ok(()), |device| writer.bytes(device.as_bytes()))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let keys = InviteKeys::read(reader)?;
        let role = Role::from_byte(reader.u8()?)?;
        let expires_at = reader.u64()?;
        let state = match reader.u8()? {
            0 => InviteState::Open,
            1 => InviteState::Claimed(DeviceId(*reader.array()?)),
            2 => InviteState::Approved(DeviceId(*reader.array()?)),
            3 => InviteState::Burnt,
            4 => InviteState::Leaked(None),
            5 => InviteState::Leaked(Some(DeviceId(*reader.array()?))),
            _ => return Err(CodecError),
        };
        Ok(Self { keys, role, expires_at, state })
    }
}

/// Certifies a verified request under this owner's own chain; returns the new device's chain, written into `out`.
///
/// # Errors
/// [`CryptoError`] when this owner's chain has no room for another certificate.
pub fn certify<'o>(
    owner: &Identity,
    membership: &Membership,
    request: &VerifiedRequest,
    issued_at: u64,
    out: &'o mut [u8],
) -> Result<Chain<'o>, CryptoError> {
    certify_device(owner, membership, request.device(), issued_at, out)
}

/// The same of a device that is known already.
pub(crate) fn certify_device<'o>(
    owner: &Identity,
    membership: &Membership,
    device: &DevicePublic,
    issued_at: u64,
    out: &'o mut [u8],
) -> Result<Chain<'o>, CryptoError> {
    let cert = DeviceCert {
        tenant_id: *membership.tenant_id(),
        device: *device,
        issued_at,
        issuer: *owner.device_id(),
    };
    let mut signed = [0; DeviceCert::SIGNED_LEN];
    let signed = sign_cert(owner.signing(), &cert, &mut signed)?;
    let chain = Chain::prepend(membership.root(), signed, Some(membership.chain()), out);
    chain.map(Chain::new).map_err(|_| CryptoError)
}

/// Writes the grant for a verified request into `out`, tagged with the invite's grant key. The link keys are the
/// one in use and its successor, 32 zero bytes for none.
///
/// # Errors
/// [`CryptoError`] for too many serials, or when `out` is too small.
pub fn write_grant<'o>(
    invite: &Invite,
    request: &VerifiedRequest,
    chain: Chain<'_>,
    origin: &Origin,
    [link_key, next_link_key]: [&[u8; 32]; 2],
    serials: &[OwnerSerial],
    out: &'o mut [u8],
) -> Result<&'o [u8], CryptoError> {
    let tag = invite.keys().grant_tag(
        request.transcript(),
        &chain.hash(),
        origin.as_str(),
        link_key,
        next_link_key,
        serials,
    )?;
    let grant = Grant {
        chain: chain.as_bytes(),
        origin: origin.as_str(),
        link_key: *link_key,
        next_link_key: *next_link_key,
        serials: List::new(serials),
        tag,
    };
    av_wire::encode(&grant, out).map_err(|_| CryptoError)
}
