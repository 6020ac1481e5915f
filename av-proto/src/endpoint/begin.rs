//! How a device begins with an invite.

use av_wire::bundle::KEM_RECORD;
use av_wire::limits::MIN_MAX_MESSAGE_WITH_KEM;
use av_wire::{DeviceId, Origin, Role, Suites};
use heapless::String;
use rand_core::CryptoRng;

use super::device::{Device, LinkKeys};
use super::error::EndpointError;
use super::meta::Meta;
use super::{Endpoint, Phase};
use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::invite::{InviteText, NAME_MAX, PLATFORM_MAX, is_plain};
use crate::keys::{Identity, Prekeys};
use crate::limits::KEM_PREKEYS_IN_BUNDLE;

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
        if options.platform.len() > PLATFORM_MAX || !is_plain(options.platform) {
            return Err(EndpointError::InvalidName);
        }
        let identity = self.generate_identity(rng, options.role)?;
        let link_keys = LinkKeys::of(options.link_key, now.wall);
        self.begin(now, rng, identity, name, options.origin, link_keys);
        let requested = self.request(rng, invite, options);
        if requested.is_err() {
            self.device.clear();
            self.prekeys.clear();
            self.meta.clear();
        }
        requested
    }

    /// Makes the request where it stays, of the identity and the prekeys that stand in their places.
    #[inline(never)]
    fn request(
        &mut self,
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        options: &EnrollOptions<'_>,
    ) -> Result<(), EndpointError> {
        let device = self.device.get_mut().ok_or(EndpointError::Bug)?;
        let prekeys = self.prekeys.get().ok_or(EndpointError::Bug)?;
        let link_key = device.link_keys.current;
        let (identity, requested) = device.await_grant().map_err(|_| EndpointError::Bug)?;
        let mut room = [[0; KEM_RECORD]; KEM_PREKEYS_IN_BUNDLE];
        let bundle = prekeys.bundle(identity, &mut room).map_err(|_| EndpointError::Bug)?;
        let EnrollOptions { name, platform, inviter, .. } = *options;
        requested
            .fill(rng, invite, identity, &bundle, name, platform, link_key, inviter)
            .map_err(|_| EndpointError::Bug)
    }

    pub(super) fn require_empty(&self) -> Result<(), EndpointError> {
        if self.device.is_empty() { Ok(()) } else { Err(EndpointError::NotEmpty) }
    }

    #[inline(never)]
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

    /// Puts a device without a tenant into its place, and makes its prekeys.
    pub(super) fn begin(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        identity: Identity,
        name: String<NAME_MAX>,
        origin: &Origin,
        link_keys: LinkKeys,
    ) {
        // A connection that was allowed before may not be allowed to this device.
        self.disconnected();
        let suites = identity.public().suites;
        self.place_device(identity, name, origin, link_keys);
        self.place_prekeys(now, rng, suites);
        self.place_meta();
    }

    /// In a frame of its own, as the two below: what makes keys has no room for a device beside them.
    #[inline(never)]
    fn place_device(
        &mut self,
        identity: Identity,
        name: String<NAME_MAX>,
        origin: &Origin,
        link_keys: LinkKeys,
    ) {
        self.device.set(Device::new(identity, name, origin.clone(), link_keys));
    }

    #[inline(never)]
    fn place_prekeys(&mut self, now: Now, rng: &mut dyn CryptoRng, suites: Suites) {
        self.prekeys.set(Prekeys::generate(rng, suites, now.wall));
    }

    #[inline(never)]
    fn place_meta(&mut self) {
        self.meta.set(Meta::new());
    }
}

pub(super) fn valid_name(name: &str) -> Result<String<NAME_MAX>, EndpointError> {
    let is_fit = !name.is_empty() && is_plain(name);
    is_fit.then(|| name.try_into().ok()).flatten().ok_or(EndpointError::InvalidName)
}
