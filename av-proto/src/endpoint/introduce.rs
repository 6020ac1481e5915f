//! How an unknown device becomes a peer, and how a peer is certified anew (`PROTOCOL.md` sections 4.4 and 6).

use av_wire::chain::{Chain, VerifiedChain};
use av_wire::frame::ToRelay;
use av_wire::{DeviceId, DevicePublic, RejectCode, Role};

use super::Endpoint;
use super::calls::CallAbout;
use super::entries::Entry;
use super::error::{ConnectionError, EndpointError};
use super::event::{Event, Standing};
use super::link::Awaited;
use super::meta::{Allowed, Meta};
use super::peer::NewPeer;
use super::slot::{Held, Slot};
use crate::Now;
use crate::crypto::Aead;
use crate::enroll::Certification;
use crate::limits::INTRODUCTION_WAIT;
use crate::ratchet::HeaderBlob;

/// A device that a chain certifies and that is no peer.
pub(super) struct Acquaintance {
    device: DevicePublic,
    certification: Certification,
}

#[cfg(feature = "owner")]
impl Acquaintance {
    /// The name by which its certificate can be kept.
    pub(super) const fn name(&self) -> &[u8; 16] {
        self.certification.name()
    }
}

/// What is known of a sender that was no peer.
pub(super) enum Introduction {
    /// It has a place among the peers now.
    Peer(usize),
    /// Its chain is asked for.
    Awaited,
    /// Nothing, or that this device does not want to know it.
    Unknown,
}

/// Who may begin a session: with an owner everybody, with an agent owners and those that its application allowed.
pub(super) fn may_begin(own: Role, device: &DevicePublic, id: &DeviceId, allowed: &Allowed) -> bool {
    own == Role::Owner || device.role == Role::Owner || allowed.contains(id)
}

/// How the sender of a first message names itself. In a frame of its own, as a prelude takes three hundred bytes.
#[inline(never)]
fn initiator(header_blob: &[u8]) -> Option<&[u8]> {
    HeaderBlob::parse(header_blob).ok()?.prelude.map(|prelude| prelude.initiator)
}

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

    /// Lets an agent begin sessions with this agent, and this one begin a session with it ([`Self::meet`]). Owners may
    /// in any case, and with an owner's device everybody, so there it changes nothing. Stored; it ends with
    /// [`Self::disallow`].
    ///
    /// # Errors
    /// [`EndpointError::Full`] with [`ALLOWED_PEERS`](crate::limits::ALLOWED_PEERS) allowed,
    /// [`EndpointError::NotActive`].
    pub fn allow(&mut self, agent: &DeviceId) -> Result<(), EndpointError> {
        self.membership().ok_or(EndpointError::NotActive)?;
        if self.is_owner() || self.meta.get().is_some_and(|meta| meta.allowed.contains(agent)) {
            return Ok(());
        }
        let meta = self.meta.get_mut().ok_or(EndpointError::NotActive)?;
        meta.allowed.push(*agent).map_err(|_| EndpointError::Full)?;
        self.meta.mark_changed();
        Ok(())
    }

    /// An agent that was allowed begins no further sessions with this agent. Those that stand go on: it stays a peer.
    pub fn disallow(&mut self, agent: &DeviceId) {
        if self.meta.get().is_some_and(|meta| meta.allowed.contains(agent))
            && let Some(meta) = self.meta.edit()
        {
            meta.allowed.retain(|known| known != agent);
        }
    }

    /// A message came from an unknown device, which names itself by its chain or by its id. Its place is not stored
    /// before the message opens.
    #[inline(never)]
    pub(super) fn introduced(
        &mut self,
        now: Now,
        entry: Entry,
        sender: &DeviceId,
        header_blob: &[u8],
    ) -> Introduction {
        let Some(initiator) = initiator(header_blob) else { return Introduction::Unknown };
        let device = match DeviceId::from_slice(initiator) {
            Some(id) if id != *sender => None,
            Some(_) => match self.take_acquaintance(sender) {
                None => return self.ask_for_chain(now, entry, sender),
                known => known,
            },
            None if !self.introductions.take(now) => None,
            None => self.believed(sender, Chain::new(initiator)),
        };
        let place = device.and_then(|device| self.add_introduced(now, &device));
        place.map_or(Introduction::Unknown, Introduction::Peer)
    }

    /// Fetches the chain of an unknown sender. Until it is there, the message is neither taken nor acknowledged.
    fn ask_for_chain(&mut self, now: Now, entry: Entry, sender: &DeviceId) -> Introduction {
        let device_id = *sender;
        let may_ask = self.link.get().is_some_and(|link| !link.in_vain.contains(sender))
            && self.meta.get().is_some_and(|meta| !meta.revoked.contains(sender))
            && self.device_id() != Some(device_id)
            && self.introductions.take(now)
            && self
                .call(CallAbout::FetchCerts(device_id), |request| ToRelay::FetchCerts { request, device_id })
                .is_ok();
        match self.link.get_mut().filter(|_| may_ask) {
            Some(link) => {
                let until = now.uptime.saturating_add(INTRODUCTION_WAIT);
                link.awaited = Some(Awaited { entry, sender: device_id, until, has_followers: false });
                Introduction::Awaited
            }
            None => Introduction::Unknown,
        }
    }

    /// The device whose chain was asked for, once: the message that it is known for opens, or it is forgotten.
    fn take_acquaintance(&mut self, sender: &DeviceId) -> Option<Acquaintance> {
        let revoked = &self.meta.get()?.revoked;
        let is_its = |known: &&Acquaintance| {
            known.device.device_id() == *sender && known.certification.admits(sender, revoked)
        };
        self.acquaintance.get().filter(is_its)?;
        match core::mem::replace(&mut self.acquaintance, Held::Empty) {
            Held::Full(known) => Some(known),
            Held::Empty => None,
        }
    }

    /// What was asked about an unknown sender is answered: its message comes again on the next connection, behind the
    /// last acknowledgement, or is refused.
    ///
    /// # Errors
    /// [`ConnectionError::Redeliver`].
    pub(super) fn end_introduction(&mut self) -> Result<(), ConnectionError> {
        let awaited = self.link.get().and_then(|link| link.awaited);
        let Some(Awaited { entry, sender, has_followers, .. }) = awaited else { return Ok(()) };
        if self.is_under_way(CallAbout::FetchCerts(sender)) {
            return Ok(());
        }
        if let Some(link) = self.link.get_mut() {
            link.awaited = None;
        }
        let is_known = self.acquaintance.get().is_some_and(|known| known.device.device_id() == sender)
            || self.peer_index(&sender).is_some();
        if !is_known {
            self.reject(entry, sender, RejectCode::UnknownSender);
        }
        if is_known || has_followers { Err(ConnectionError::Redeliver) } else { Ok(()) }
    }

    /// A relay that does not say who sent a message keeps no others back by that.
    pub(super) fn give_up_introduction(&mut self, now: Now) {
        let awaited = self.link.get().and_then(|link| link.awaited);
        let Some(awaited) = awaited.filter(|awaited| awaited.until <= now.uptime) else { return };
        self.end_call_about(CallAbout::FetchCerts(awaited.sender));
        self.fetched_in_vain(&awaited.sender);
        if self.end_introduction().is_err() {
            self.notify(Event::ConnectionSilent);
        }
    }

    /// A device that a chain certifies, if this device believes it and wants to know the device. One too many with an API
    /// key of this owner it does not.
    pub(super) fn believed(&self, device_id: &DeviceId, chain: Chain<'_>) -> Option<Acquaintance> {
        let known = self.certified(device_id, chain)?;
        #[cfg(feature = "owner")]
        let known = Some(known).filter(|known| self.lets_in(chain, known))?;
        Some(known)
    }

    /// The same, however many came.
    #[inline(never)]
    pub(super) fn certified(&self, device_id: &DeviceId, chain: Chain<'_>) -> Option<Acquaintance> {
        let tenant = self.device.get()?.membership()?.tenant_id();
        let revoked = &self.meta.get()?.revoked;
        let verified = chain.verify_links(tenant, &mut |id, above| revoked.is_out(id, above)).ok()?;
        self.acquaintance_of(device_id, &verified)
    }

    /// In a frame of its own, which is not there yet while the chain is verified.
    #[inline(never)]
    fn acquaintance_of(&self, device_id: &DeviceId, verified: &VerifiedChain<'_>) -> Option<Acquaintance> {
        let own = self.device.get()?;
        let Meta { revoked, allowed, .. } = self.meta.get()?;
        let device = verified.device().ok()?;
        let is_wanted = may_begin(own.identity.public().role, device.public(), device_id, allowed);
        let is_it = device.device_id() == *device_id && device_id != own.identity.device_id();
        (is_wanted && is_it && revoked.is_complete()).then(|| Acquaintance {
            device: *device.public(),
            certification: Certification::new(device.provenance().clone()),
        })
    }

    pub(super) fn add_introduced(&mut self, now: Now, known: &Acquaintance) -> Option<usize> {
        let name = match known.device.role {
            Role::Owner => "owner",
            Role::Agent => "agent",
        };
        let (device, certification) = (&known.device, &known.certification);
        let new = NewPeer { device, name, standing: Standing::Active, certification, psk: None };
        let vacancy = self.vacancy(now)?;
        self.add_peer(&vacancy, &new);
        Some(vacancy.slot)
    }

    /// The chain came of an unknown sender, or of a peer whose certification no longer stood.
    pub(super) fn certs_came(&mut self, request: u32, chain: Chain<'_>) {
        let Some(CallAbout::FetchCerts(device_id)) = self.call_about(request) else { return };
        self.end_call(request);
        let device = self.believed(&device_id, chain);
        match (device, self.peer_slot(&device_id).and_then(Slot::edit)) {
            (Some(device), Some(peer)) => peer.certification = device.certification,
            (Some(device), None) => self.acquaintance = Held::Full(device),
            (None, _) => self.fetched_in_vain(&device_id),
        }
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
