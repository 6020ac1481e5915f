//! An owner's device: founds the tenant, invites, approves, revokes.

use std::path::Path;

use av_proto::invite::InviteKeys;
use av_proto::wire::statement::Verdict;
use av_proto::wire::{DeviceId, LookupHash, Origin, Role};
use av_proto::{EndpointError, InviteText, RecoveryKey};

use crate::clock::Clock;
use crate::device::{Device, StoredDevice};
use crate::error::Error;
use crate::keystore::Unlock;
use crate::randomness::randomness;

/// A running owner's device.
pub struct Owner {
    device: Device,
}

impl Owner {
    /// Founds a tenant at the relay of `origin`, which has `link_key` unless it is on this machine: makes the tenant's
    /// root and this device. `keep` is given the recovery key, its only copy, before
    /// anything is stored or sent; a tenant whose key nobody kept is never made. The relay has confirmed the tenant
    /// at `Event::Founded`.
    ///
    /// # Errors
    /// [`Error`]; without a stored device there is no tenant.
    pub fn found<E: From<Error>>(
        mut stored: StoredDevice,
        origin: &Origin,
        link_key: Option<[u8; 32]>,
        name: &str,
        keep: impl FnOnce(&RecoveryKey) -> Result<(), E>,
    ) -> Result<Self, E> {
        let now = Clock::new().now();
        let found = stored.endpoint().found(now, &mut randomness()?, origin, link_key, name);
        keep(&found.map_err(Error::from)?)?;
        Ok(Self { device: stored.start()? })
    }

    /// Starts the owner's device that a directory holds.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::Command`] when the directory holds none that is ready.
    pub fn open(directory: &Path, unlock: &Unlock) -> Result<Self, Error> {
        Self::start(StoredDevice::open(directory, unlock)?)
    }

    /// Starts a stored device whose founding is finished or under way.
    ///
    /// # Errors
    /// [`Error::Command`] when it is no owner's device.
    pub fn start(mut stored: StoredDevice) -> Result<Self, Error> {
        let endpoint = stored.endpoint();
        match endpoint.public().map(|public| public.role) {
            Some(Role::Owner) => Ok(Self { device: stored.start()? }),
            Some(Role::Agent) => Err(EndpointError::NotOwner.into()),
            None => Err(EndpointError::NotActive.into()),
        }
    }

    /// What owners have in common with agents: messages, peers, what happens.
    pub fn device(&mut self) -> &mut Device {
        &mut self.device
    }

    /// Makes an invite; it can be given away after `Event::InviteReady`.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::Stopped`].
    pub async fn create_invite(
        &self,
        role: Role,
        lifetime_s: u32,
    ) -> Result<(InviteText, LookupHash), Error> {
        let text =
            self.device.command(move |d| d.endpoint.create_invite(d.now, d.rng, role, lifetime_s)).await??;
        let lookup_hash = LookupHash::of(InviteKeys::derive(&text).lookup());
        Ok((text, lookup_hash))
    }

    /// Asks for enrollment requests: `Event::EnrollmentRequest` each, then `Event::PendingListed`.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::Stopped`].
    pub async fn list_pending(&self) -> Result<(), Error> {
        Ok(self.device.command(|d| d.endpoint.list_pending()).await??)
    }

    /// Approves a request that an event has shown.
    ///
    /// # Errors
    /// [`Error::Approve`], [`Error::Stopped`].
    pub async fn approve(&self, device: DeviceId) -> Result<(), Error> {
        Ok(self
            .device
            .command(move |d| d.feed(|endpoint, now, rng| endpoint.approve(now, rng, &device)))
            .await???)
    }

    /// Rejects a request, for good.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::Stopped`].
    pub async fn reject(&self, device: DeviceId) -> Result<(), Error> {
        Ok(self.device.command(move |d| d.endpoint.reject_request(&device)).await??)
    }

    /// Puts a peer out, for good.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::Stopped`].
    pub async fn revoke(&self, device: DeviceId) -> Result<(), Error> {
        Ok(self
            .device
            .command(move |d| d.feed(|endpoint, now, _| endpoint.state(now, &device, Verdict::Revoked)))
            .await???)
    }

    /// Holds a peer until it is resumed.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::Stopped`].
    pub async fn suspend(&self, device: DeviceId) -> Result<(), Error> {
        Ok(self
            .device
            .command(move |d| d.feed(|endpoint, now, _| endpoint.state(now, &device, Verdict::Suspended)))
            .await???)
    }

    /// Lifts this owner's suspension.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::Stopped`].
    pub async fn resume(&self, device: DeviceId) -> Result<(), Error> {
        Ok(self
            .device
            .command(move |d| d.feed(|endpoint, now, _| endpoint.state(now, &device, Verdict::Resumed)))
            .await???)
    }

    /// Stops the device and waits until its state is closed.
    ///
    /// # Errors
    /// What made the device stop before: [`Error::Store`] when something could not be stored.
    pub async fn close(self) -> Result<(), Error> {
        self.device.close().await
    }
}
