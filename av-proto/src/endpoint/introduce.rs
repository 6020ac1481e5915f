//! How an unknown device becomes a peer, and how a peer is certified anew (`PROTOCOL.md` sections 4.4 and 6).

use av_wire::chain::{Chain, VerifiedDevice};
use av_wire::frame::ToRelay;
use av_wire::{DeviceId, RejectCode, Role};

use super::Endpoint;
use super::calls::CallAbout;
use super::entries::Entry;
use super::error::EndpointError;
use super::event::{Event, Standing};
use super::outbox::{About, request_number};
use super::peer::Peer;
use super::send::put_frame;
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;
use crate::enroll::{Certification, certify_device};
use crate::ratchet::HeaderBlob;

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Makes a device of this tenant a peer and begins a session with it, as an owner's second device does with the
    /// agents of the first. Ends in [`Event::SessionStarted`] or [`Event::SessionFailed`]; a restart forgets it.
    ///
    /// # Errors
    /// [`EndpointError::Full`] while too many calls are under way, [`EndpointError::Unknown`] for a peer that is not in,
    /// [`EndpointError::NotActive`].
    pub fn meet(&mut self, device_id: &DeviceId) -> Result<(), EndpointError> {
        self.membership().ok_or(EndpointError::NotActive)?;
        if self.peer_index(device_id).is_some() {
            return self.start_session(device_id, true);
        }
        let device_id = *device_id;
        self.call(CallAbout::FetchBundle(device_id), |request| ToRelay::FetchBundle {
            request,
            device_id,
            one_time: true,
        })
    }

    /// Prekeys came with a chain: of a device that is no peer yet, the chain makes it one.
    pub(super) fn met(&mut self, now: Now, request: u32, chain: Chain<'_>) {
        let Some(CallAbout::FetchBundle(device_id)) = self.call_about(request) else { return };
        if self.peer_index(&device_id).is_none()
            && let Some(device) = self.believed(&device_id, chain)
        {
            self.add_introduced(now, &device);
        }
    }

    /// A message came from an unknown device that names itself by a chain. Its place is not stored before the message
    /// opens.
    pub(super) fn introduced(&mut self, now: Now, sender: &DeviceId, header_blob: &[u8]) -> Option<usize> {
        let prelude = HeaderBlob::parse(header_blob).ok()?.prelude?;
        if DeviceId::from_slice(prelude.initiator).is_some() || !self.introductions.take(now) {
            return None;
        }
        let device = self.believed(sender, Chain::new(prelude.initiator))?;
        self.add_introduced(now, &device)
    }

    /// A device that a chain certifies, if this device believes it and wants to know the device: an owner knows
    /// everybody, an agent only owners.
    fn believed(&self, device_id: &DeviceId, chain: Chain<'_>) -> Option<VerifiedDevice> {
        let own = self.device.get()?;
        let revoked = &self.meta.get()?.revoked;
        let tenant = own.membership()?.tenant_id();
        let device = chain.verify(tenant, |id| revoked.contains(id)).ok()?;
        let is_wanted = own.identity.public().role == Role::Owner || device.public().role == Role::Owner;
        let is_it = device.device_id() == *device_id && device_id != own.identity.device_id();
        (is_wanted && is_it && revoked.is_complete()).then_some(device)
    }

    fn add_introduced(&mut self, now: Now, device: &VerifiedDevice) -> Option<usize> {
        let name = match device.public().role {
            Role::Owner => "owner",
            Role::Agent => "agent",
        };
        let peer = Peer::new(
            *device.public(),
            name.try_into().ok()?,
            Standing::Active,
            Certification::new(device.provenance().clone()),
            None,
        );
        let vacancy = self.vacancy(now)?;
        self.add_peer(&vacancy, peer);
        Some(vacancy.slot)
    }

    /// The chain of a peer came whose certification no longer stood.
    pub(super) fn certs_came(&mut self, request: u32, chain: Chain<'_>) {
        let Some(CallAbout::FetchCerts(device_id)) = self.call_about(request) else { return };
        self.end_call(request);
        let device = self.believed(&device_id, chain);
        match (device, self.peer_slot(&device_id).and_then(Slot::edit)) {
            (Some(device), Some(peer)) => {
                peer.certification = Certification::new(device.provenance().clone());
            }
            _ => self.fetched_in_vain(&device_id),
        }
    }

    /// Certifies a peer anew on whose chain an owner was revoked, under this owner's own chain. The sessions with it go
    /// on. Ends in [`Event::PeerRecertified`] or [`Event::RecertificationFailed`].
    ///
    /// # Errors
    /// [`EndpointError::Unknown`] for no such peer, one that is revoked, or one whose certification stands,
    /// [`EndpointError::Full`], [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn recertify(&mut self, now: Now, peer: &DeviceId) -> Result<(), EndpointError> {
        self.require_owner()?;
        let own = self.device.get().ok_or(EndpointError::NotActive)?;
        let membership = own.membership().ok_or(EndpointError::NotActive)?;
        let revoked = &self.meta.get().ok_or(EndpointError::NotActive)?.revoked;
        let known = self.peer_index(peer).and_then(|index| self.peers.get(index)?.get());
        let known = known.filter(|peer| peer.visible_standing(revoked) == Standing::Uncertified);
        let known = known.ok_or(EndpointError::Unknown)?;
        let id = self.next_outbox_id();
        let chain = certify_device(&own.identity, membership, &known.device, now.wall, &mut self.scratch)
            .map_err(|_| EndpointError::Bug)?;
        let certification = Certification::new(chain.provenance(0).map_err(|_| EndpointError::Bug)?);
        let call = ToRelay::Recertify { request: request_number(id), chain: chain.as_bytes() };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(EndpointError::Full)?;
        put_frame(slot, id, About::Recertify(*peer), &call).map_err(|_| EndpointError::Bug)?;
        self.use_outbox_id();
        if let Some(known) = self.peer_slot(peer).and_then(Slot::edit) {
            known.certification = certification;
        }
        Ok(())
    }

    /// An owner certified this device anew: taken only in place of a chain that no longer stands.
    pub(super) fn recertified(&mut self, entry: Entry, chain: Chain<'_>) {
        let Some(meta) = self.meta.get() else { return };
        let taken = self.device.get_mut().is_some_and(|device| {
            let public = *device.identity.public();
            let own = device.membership_mut();
            own.is_some_and(|own| own.recertify(chain, &public, &meta.revoked).is_ok())
        });
        if !taken {
            self.reject(entry, DeviceId::ROOT, RejectCode::Unopened);
            return;
        }
        self.device.mark_changed();
        self.take_entry(entry);
        self.notify(Event::Recertified);
    }
}
