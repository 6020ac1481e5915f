//! How a device begins with an invite.

use av_wire::bundle::KEM_RECORD;
use av_wire::limits::MIN_MAX_MESSAGE_WITH_KEM;
use av_wire::{DeviceId, Origin, Role, Suites};
use heapless::String;
use rand_core::CryptoRng;

use super::device::{Device, LinkKeys, Progress};
use super::error::EndpointError;
use super::meta::Meta;
use super::{Endpoint, Phase};
use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::enroll::Requested;
use crate::invite::{InviteText, NAME_MAX, is_plain};
use crate::keys::{Identity, Prekeys};
use crate::limits::{KEM_PREKEYS_IN_BUNDLE, ONE_TIME_PREKEYS};

/// Where an enrolling device is to be found, and what the invite's URL said beside its token.
#[derive(Clone, Copy, Debug)]
pub struct EnrollOptions<'o> {
    /// The relay's origin.
    pub origin: &'o Origin,
    /// The relay's link key; `None` where the relay offers no Noise link.
    pub link_key: Option<[u8; 32]>,
    /// The owner's device that made the invite; a grant from another is then refused.
    pub inviter: Option<DeviceId>,
    /// The role that the invite is for.
    pub role: Role,
    /// The name that the device proposes, 1 to 40 bytes without control characters.
    pub name: &'o str,
    /// What it runs on, at most 22 bytes without control characters.
    pub platform: &'o str,
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Begins to enroll with an invite (`PROTOCOL.md` section 4.1). The text can be wiped afterwards.
    ///
    /// A request that no owner has approved is replaced.
    ///
    /// # Errors
    /// [`EndpointError::NotEmpty`], [`EndpointError::InvalidName`], or [`EndpointError::NotOwner`] for an owner's role in a
    /// build without feature `owner`.
    pub fn enroll(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        options: &EnrollOptions<'_>,
    ) -> Result<(), EndpointError> {
        scrubbed(|| self.begin_enrollment(now, rng, invite, options))
    }

    fn begin_enrollment(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        options: &EnrollOptions<'_>,
    ) -> Result<(), EndpointError> {
        if self.phase() != Phase::Enrolling {
            self.require_empty()?;
        }
        if options.role == Role::Owner && !cfg!(feature = "owner") {
            return Err(EndpointError::NotOwner);
        }
        let name = valid_name(options.name)?;
        let identity = self.generate_identity(rng, options.role)?;
        let prekeys = Prekeys::generate(rng, identity.public().suites, now.wall);
        let mut room = [[0; KEM_RECORD]; KEM_PREKEYS_IN_BUNDLE];
        let bundle = prekeys.bundle(&identity, &mut room).map_err(|_| EndpointError::Bug)?;
        let link_keys = LinkKeys::of(options.link_key, now.wall);
        let requested = Requested::new(
            rng,
            invite,
            &identity,
            &bundle,
            &name,
            options.platform,
            link_keys.current,
            options.inviter,
        )
        .map_err(|_| EndpointError::InvalidName)?;
        self.begin(identity, name, options.origin, link_keys, requested, prekeys);
        Ok(())
    }

    pub(super) fn require_empty(&self) -> Result<(), EndpointError> {
        if self.device.is_empty() { Ok(()) } else { Err(EndpointError::NotEmpty) }
    }

    pub(super) fn generate_identity(
        &self,
        rng: &mut dyn CryptoRng,
        role: Role,
    ) -> Result<Identity, EndpointError> {
        let max_message = u32::try_from(Self::MAX_MESSAGE).map_err(|_| EndpointError::Bug)?;
        Ok(Identity::generate(rng, role, Self::suites(), max_message))
    }

    /// The suites that a device lists: those with its AEAD, with a KEM too where the build has one (`pq`) and frames
    /// are large enough for first flights with it.
    fn suites() -> Suites {
        let has_kem = cfg!(feature = "pq") && Self::MAX_MESSAGE >= MIN_MAX_MESSAGE_WITH_KEM as usize;
        if has_kem { A::SUITE.alone().and(A::SUITE.with_kem()) } else { A::SUITE.alone() }
    }

    /// In a frame of its own: what makes keys and signatures before it has no room for a device beside them.
    #[inline(never)]
    pub(super) fn begin(
        &mut self,
        identity: Identity,
        name: String<NAME_MAX>,
        origin: &Origin,
        link_keys: LinkKeys,
        progress: impl Into<Progress>,
        prekeys: Prekeys<ONE_TIME_PREKEYS>,
    ) {
        // A connection that was allowed before may not be allowed to this device.
        self.disconnected();
        self.device.set(Device::new(identity, name, origin.clone(), link_keys, progress.into()));
        self.prekeys.set(prekeys);
        self.meta.set(Meta::new());
    }
}

pub(super) fn valid_name(name: &str) -> Result<String<NAME_MAX>, EndpointError> {
    let is_fit = !name.is_empty() && is_plain(name);
    is_fit.then(|| name.try_into().ok()).flatten().ok_or(EndpointError::InvalidName)
}
