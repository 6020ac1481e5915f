//! What only an owner's device does (`PROTOCOL.md` sections 3 and 4), feature `owner`: here its invites and approvals, in
//! the files beside it how it begins, what it states, whom it certifies anew, and what it tells its siblings.

mod api_keys;
mod calls;
mod founding;
mod recertify;
mod siblings;
mod statements;

pub(super) use calls::OwnersCall;

use av_wire::chain::MAX_CHAIN_BYTES;
use av_wire::enroll::EnrollRequest;
use av_wire::frame::ToRelay;
use av_wire::grant::OwnerSerial;
use av_wire::limits::{MAX_INVITE_SECONDS, MAX_OWNERS};
use av_wire::{DeviceId, DevicePublic, LookupHash, Role};
use heapless::{String, Vec};
use rand_core::CryptoRng;

use super::Endpoint;
use super::calls::CallAbout;
use super::control::kind;
use super::error::{ApproveError, EndpointError};
use super::event::{Event, RequestVerdict, RequestView, Standing};
use super::peer::{Context, NewPeer};
use super::slot::Slot;
use super::working_set::Vacancy;
use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::enroll::{Certification, Claim, Invite, InviteState, VerifiedRequest, certify, write_grant};
use crate::invite::InviteText;
use crate::keys::Secret;
use calls::{put_call, request_number};

/// A request that can be approved.
pub(super) struct PendingRequest {
    invite: usize,
    verified: VerifiedRequest,
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    fn require_owner(&self) -> Result<(), EndpointError> {
        let device = self.device.get().ok_or(EndpointError::NotActive)?;
        device.membership().ok_or(EndpointError::NotActive)?;
        if device.identity.public().role == Role::Owner { Ok(()) } else { Err(EndpointError::NotOwner) }
    }

    /// Makes an invite for one device, valid for `lifetime` seconds. Give its text away only after
    /// [`Event::InviteReady`]; it is the token's only copy.
    ///
    /// # Errors
    /// [`EndpointError::Full`] while all invites are open, [`EndpointError::NotOwner`],
    /// [`EndpointError::NotActive`].
    pub fn create_invite(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        role: Role,
        lifetime: u32,
    ) -> Result<InviteText, EndpointError> {
        scrubbed(|| self.add_invite(now, rng, role, lifetime))
    }

    fn add_invite(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        role: Role,
        lifetime: u32,
    ) -> Result<InviteText, EndpointError> {
        self.require_owner()?;
        let lifetime = lifetime.clamp(1, MAX_INVITE_SECONDS);
        let is_free = |slot: &Slot<Invite>| slot.get().is_none_or(|invite| invite.is_over(now.wall));
        let free = self.invites.iter().position(is_free).ok_or(EndpointError::Full)?;
        let (invite, text) = Invite::create(rng, role, now.wall.saturating_add(u64::from(lifetime)));
        let lookup_hash = invite.lookup_hash();
        self.call(CallAbout::CreateInvite(lookup_hash), |request| ToRelay::CreateInvite {
            request,
            lookup_hash,
            role,
            expires_in: lifetime,
        })?;
        self.requests.retain(|request| request.invite != free);
        if let Some(slot) = self.invites.get_mut(free) {
            slot.set(invite);
        }
        Ok(text)
    }

    /// Asks the relay for enrollment requests: an [`Event::EnrollmentRequest`] each, then [`Event::PendingListed`].
    ///
    /// # Errors
    /// [`EndpointError::Full`] while too many calls are under way, [`EndpointError::NotOwner`],
    /// [`EndpointError::NotActive`].
    pub fn list_pending(&mut self) -> Result<(), EndpointError> {
        self.require_owner()?;
        self.call(CallAbout::ListPending, |request| ToRelay::ListPending { request })
    }

    /// The relay did not register an invite.
    fn forget_invite(&mut self, lookup_hash: LookupHash) {
        let is_its =
            |slot: &&mut Slot<Invite>| slot.get().is_some_and(|invite| invite.lookup_hash() == lookup_hash);
        if let Some(slot) = self.invites.iter_mut().find(is_its) {
            slot.clear();
        }
    }

    /// An enrollment request came: this device, not the relay, decides what it is worth.
    pub(super) fn requested(&mut self, now: Now, call: u32, inviter: &DeviceId, request: &EnrollRequest<'_>) {
        let is_asked = self.call_about(call) == Some(CallAbout::ListPending);
        let Ok(device) = DevicePublic::from_bytes(&request.device) else {
            return;
        };
        if !is_asked {
            return;
        }
        if Some(*inviter) != self.device_id() {
            self.notify_request(&device, None, RequestVerdict::InvitedElsewhere(*inviter));
            return;
        }
        let is_named = |slot: &Slot<Invite>| slot.get().is_some_and(|invite| invite.is_named_by(request));
        let Some(index) = self.invites.iter().position(is_named) else {
            return;
        };
        // Its keys are known to be another's now: no invite makes it a device again.
        if self.is_out_below_us(&device.device_id()) {
            self.notify_request(&device, None, RequestVerdict::NotOpen);
            return;
        }
        let Some(slot) = self.invites.get_mut(index) else {
            return;
        };
        let Some(invite) = slot.get_mut() else { return };
        let before = invite.state();
        let claim = invite.examine(request, now.wall);
        let after = invite.state();
        if after != before {
            slot.mark_changed();
        }
        if matches!(after, InviteState::Burnt | InviteState::Leaked(_)) {
            self.requests.retain(|request| request.invite != index);
        }
        match claim {
            Claim::Verified(verified) => {
                self.notify_request(&device, Some(&verified), RequestVerdict::TagVerified);
                let device_id = device.device_id();
                self.requests.retain(|known| known.verified.device().device_id() != device_id);
                if self.requests.is_full() {
                    self.requests.remove(0);
                }
                // There is room: one was removed.
                let _ = self.requests.push(PendingRequest { invite: index, verified });
            }
            Claim::Attack => self.notify_request(&device, None, RequestVerdict::Attack),
            Claim::TokenLeaked { approved } => {
                self.notify_request(&device, None, RequestVerdict::TokenLeaked { approved });
            }
            Claim::NotOpen => self.notify_request(&device, None, RequestVerdict::NotOpen),
        }
    }

    /// Whether a device that this owner certified would be out.
    fn is_out_below_us(&self, device_id: &DeviceId) -> bool {
        let own = self.device_id().zip(self.membership()).zip(self.meta.get());
        own.is_some_and(|((own_id, own), meta)| own.is_out_below(&own_id, device_id, &meta.revoked))
    }

    fn notify_request(
        &mut self,
        device: &DevicePublic,
        verified: Option<&VerifiedRequest>,
        verdict: RequestVerdict,
    ) {
        let plain = |text: &str| text.try_into().unwrap_or_default();
        self.notify(Event::EnrollmentRequest(RequestView {
            device_id: device.device_id(),
            fingerprint: device.fingerprint(),
            role: device.role,
            name: verified.map_or_else(String::new, |verified| plain(verified.name())),
            platform: verified
                .map_or_else(String::new, |verified| verified.platform().try_into().unwrap_or_default()),
            verdict,
        }));
    }

    /// Approves a request that verified: certifies the device, starts the session with it, and queues the grant and
    /// the first message. The invite is marked in the same commit, before the grant can leave.
    ///
    /// # Errors
    /// [`ApproveError`]; nothing changed.
    pub fn approve(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        device_id: &DeviceId,
    ) -> Result<(), ApproveError> {
        scrubbed(|| self.approve_request(now, rng, device_id))
    }

    fn approve_request(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        device_id: &DeviceId,
    ) -> Result<(), ApproveError> {
        self.require_owner().map_err(|_| ApproveError::NotOwner)?;
        let is_its = |request: &PendingRequest| request.verified.device().device_id() == *device_id;
        let pending =
            self.requests.iter().find(|request| is_its(request)).ok_or(ApproveError::NoSuchRequest)?;
        let (request, invite) = (pending.verified.clone(), pending.invite);
        if self.outbox.iter().filter(|slot| slot.is_empty()).count() < 2 {
            return Err(ApproveError::OutboxFull);
        }
        if self.is_absent(device_id) {
            return Err(ApproveError::NeedPeer(*device_id));
        }
        if self.meta.get().is_some_and(|meta| meta.serials.missing(&meta.revoked).next().is_some()) {
            return Err(ApproveError::StatementsMissing);
        }
        let known = self.peer_index(device_id);
        let vacancy = self.vacancy(now).filter(|_| known.is_none()).ok_or(ApproveError::PeersFull)?;

        let (chain_hash, certification, grant) = self.grant(&request, invite, now)?;
        let slot = self.invites.get_mut(invite).ok_or(ApproveError::InviteOver)?;
        let approved = slot.get_mut().ok_or(ApproveError::InviteOver)?;
        let before = approved.state();
        let psk = approved.approve(&request, now.wall).map_err(|_| ApproveError::InviteOver)?;
        let replaced = self.peers.get_mut(vacancy.slot).and_then(Slot::take);
        let started = self.add_approved(now, rng, &request, &vacancy, psk, chain_hash, certification);
        let queued = started.and_then(|()| self.queue_grant(device_id, grant));
        let Some(slot) = self.invites.get_mut(invite) else { return Err(ApproveError::Bug) };
        if let Err(error) = queued {
            if let Some(invite) = slot.get_mut() {
                invite.restore_state(before);
            }
            match (self.peers.get_mut(vacancy.slot), replaced) {
                (Some(slot), Some(replaced)) => slot.set(replaced),
                (_, None) => self.remove_peer(vacancy.slot),
                (None, _) => {}
            }
            return Err(error);
        }
        slot.mark_changed();
        self.requests.retain(|request| !is_its(request));
        self.send_kind(rng, device_id, kind::HELLO, &[]).map_err(|_| ApproveError::Bug)?;
        Ok(())
    }

    /// Writes the grant for a request into the scratch buffer; the hash of its chain, what the chain says, its length.
    fn grant(
        &mut self,
        request: &VerifiedRequest,
        invite: usize,
        now: Now,
    ) -> Result<([u8; 32], Certification, usize), ApproveError> {
        let device = self.device.get().ok_or(ApproveError::NotOwner)?;
        let membership = device.membership().ok_or(ApproveError::NotOwner)?;
        let meta = self.meta.get().ok_or(ApproveError::NotOwner)?;
        let invite = self.invites.get(invite).and_then(Slot::get).ok_or(ApproveError::InviteOver)?;
        let own_id = *device.identity.device_id();
        let own = OwnerSerial { owner: own_id, serial: meta.statement_serial };
        // The root's next, whose word counts for more than any other owner's, and nobody's who is out.
        let root = OwnerSerial { owner: DeviceId::ROOT, serial: meta.serials.last(&DeviceId::ROOT) };
        let others = meta.serials.iter().filter(|known| ![own_id, DeviceId::ROOT].contains(&known.owner));
        let others = others.filter(|known| !meta.revoked.contains(&known.owner));
        let mut serials: Vec<OwnerSerial, MAX_OWNERS> = Vec::new();
        let said = core::iter::once(root).chain(others).filter(|known| known.serial > 0);
        serials.extend(core::iter::once(own).chain(said).take(MAX_OWNERS));
        let mut chain = [0; MAX_CHAIN_BYTES];
        let chain = certify(&device.identity, membership, request, now.wall, &mut chain)
            .map_err(|_| ApproveError::Bug)?;
        let (origin, link_keys) = (&device.origin, device.link_keys.both());
        let grant = write_grant(invite, request, chain, origin, link_keys, &serials, &mut self.scratch)
            .map_err(|_| ApproveError::Bug)?;
        let certification = Certification::new(chain.provenance(0).map_err(|_| ApproveError::Bug)?);
        Ok((chain.hash(), certification, grant.len()))
    }

    #[expect(clippy::too_many_arguments, reason = "what the approval made, in one place")]
    /// Makes the peer in its slot, and the session with it (X3DH with the prekeys of its request).
    fn add_approved(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        request: &VerifiedRequest,
        vacancy: &Vacancy,
        psk: Secret<32>,
        chain_hash: [u8; 32],
        certification: Certification,
    ) -> Result<(), ApproveError> {
        let new = NewPeer {
            device: request.device(),
            name: request.name(),
            standing: Standing::Approved,
            certification: &certification,
            psk: Some(&psk),
        };
        self.add_peer(vacancy, &new);
        let device = self.device.get().ok_or(ApproveError::NotOwner)?;
        let tenant = device.membership().ok_or(ApproveError::NotOwner)?.tenant_id();
        let context = Context { tenant, identity: &device.identity, now, may_begin: true };
        let slot = self.peers.get_mut(vacancy.slot).ok_or(ApproveError::PeersFull)?;
        let peer = slot.get_mut().ok_or(ApproveError::Bug)?;
        peer.enrollment = Some((request.transcript().0, chain_hash));
        // It shares no suite with us, offers a key of small order, or is ourselves.
        peer.initiate(&context, &request.bundle(), rng).map_err(|_| ApproveError::NoSuchRequest)
    }

    /// Queues the grant that stands in the scratch buffer.
    fn queue_grant(&mut self, device_id: &DeviceId, len: usize) -> Result<(), ApproveError> {
        let id = self.next_outbox_id();
        let grant = self.scratch.get(..len).ok_or(ApproveError::Bug)?;
        let call = ToRelay::Approve { request: request_number(id), device_id: *device_id, grant };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(ApproveError::OutboxFull)?;
        put_call(slot, id, OwnersCall::Approve(*device_id), &call).map_err(|_| ApproveError::Bug)?;
        self.use_outbox_id();
        Ok(())
    }

    /// Rejects a pending device, for good.
    ///
    /// # Errors
    /// [`EndpointError::Full`], [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn reject_request(&mut self, device_id: &DeviceId) -> Result<(), EndpointError> {
        self.require_owner()?;
        let id = self.next_outbox_id();
        let call = ToRelay::Reject { request: request_number(id), device_id: *device_id };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(EndpointError::Full)?;
        put_call(slot, id, OwnersCall::Reject(*device_id), &call).map_err(|_| EndpointError::Bug)?;
        self.use_outbox_id();
        self.requests.retain(|request| request.verified.device().device_id() != *device_id);
        Ok(())
    }

    /// Whether a device that was approved has activated, or said something since.
    fn has_shown_itself(&mut self, device_id: &DeviceId) -> bool {
        let peer = self.peer_slot(device_id).and_then(|slot| slot.get());
        peer.is_some_and(|peer| peer.standing != Standing::Approved)
    }

    /// The relay refused the approval: there is no peer after all. The invite stays used.
    fn forget_peer(&mut self, device_id: &DeviceId) {
        while self.take_outbox(|entry| entry.about.recipient() == Some(*device_id)).is_some() {}
        if let Some(place) = self.peer_index(device_id) {
            self.remove_peer(place);
        }
    }
}
