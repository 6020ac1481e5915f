//! Statements of owners: made by this device, or come through its inbox (`PROTOCOL.md` section 4.5).

use core::ops::Range;

use av_wire::frame::ToRelay;
use av_wire::grant::OwnerSerial;
use av_wire::limits::MAX_KEEP;
use av_wire::posted::{Posted, VerifiedStatement};
use av_wire::statement::{AnnouncedKeys, Statement, Verdict};
use av_wire::{DeviceId, RejectCode, Role, Unverified};
use heapless::Vec;

use super::Endpoint;
use super::calls::CallAbout;
use super::device::LinkKeys;
use super::entries::Entry;
use super::error::{ConnectionError, EndpointError};
use super::event::{Event, Standing};
use super::outbox::{About, request_number};
use super::send::put_frame;
use super::slot::Slot;
use crate::Now;
use crate::crypto::{Aead, SigningSecret};
use crate::enroll::{RecoveryKey, SerialError, sign_statement};

/// Why a statement has no effect.
enum NoEffect {
    /// It was taken in before, or is this device's own.
    Known,
    /// Whoever says it has no say.
    Refused,
    /// It is about a peer that is not in memory.
    NeedPeer(DeviceId),
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// States something of a peer to the whole tenant, and obeys it at once. A revocation of an owner keeps nothing
    /// that it certified: see [`Self::revoke_owner`].
    ///
    /// # Errors
    /// [`EndpointError::Unknown`] for no such peer or one that is revoked, [`EndpointError::NeedPeer`],
    /// [`EndpointError::Full`], [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn state(&mut self, now: Now, subject: &DeviceId, verdict: Verdict) -> Result<(), EndpointError> {
        self.state_keeping(now, subject, verdict, &[])
    }

    /// Revokes an owner that is a peer, and that has this owner on its chain. Of what it signed,
    /// only the certificates of these peers stay valid, at most 64, and what they certified.
    ///
    /// # Errors
    /// As [`Self::state`], [`EndpointError::Unknown`] also for a kept device that is no peer; the relay refuses the revocation of an owner above this one
    /// ([`Event::StatementFailed`]).
    pub fn revoke_owner(
        &mut self,
        now: Now,
        owner: &DeviceId,
        keep: &[DeviceId],
    ) -> Result<(), EndpointError> {
        self.state_keeping(now, owner, Verdict::Revoked, keep)
    }

    fn state_keeping(
        &mut self,
        now: Now,
        subject: &DeviceId,
        verdict: Verdict,
        keep: &[DeviceId],
    ) -> Result<(), EndpointError> {
        self.require_owner()?;
        if self.is_absent(subject) {
            return Err(EndpointError::NeedPeer(*subject));
        }
        let peer = self.peers.iter().filter_map(Slot::get).find(|peer| peer.device_id == *subject);
        // Link keys are announced of a relay, not of a peer.
        let peer = peer.filter(|_| verdict != Verdict::LinkKeys);
        let peer = peer.filter(|peer| peer.standing != Standing::Revoked).ok_or(EndpointError::Unknown)?;
        let role = peer.device.role;
        let issuer = self.post_in_turn(now.wall, subject, verdict, keep, None)?;
        self.obey(&issuer, subject, Some(role), verdict);
        Ok(())
    }

    /// Tells the whole tenant the relay's link key and the one that it changes over to (`PROTOCOL.md` section 4.5), as
    /// the relay's operator named them; this device goes by it at once. Devices take either key, and forget every
    /// other: one that is away from before the successor is announced until after it is in use alone finds no relay.
    ///
    /// # Errors
    /// [`EndpointError::Full`], [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn announce_link_keys(
        &mut self,
        now: Now,
        current: Option<[u8; 32]>,
        next: Option<[u8; 32]>,
    ) -> Result<(), EndpointError> {
        self.require_owner()?;
        let device = self.device.get().ok_or(EndpointError::NotActive)?;
        let keys = AnnouncedKeys {
            current: current.unwrap_or(LinkKeys::NONE),
            next: next.unwrap_or(LinkKeys::NONE),
        };
        // Never older than what it takes the place of, or nobody would go by it.
        let issued_at = now.wall.max(device.link_keys.stated_at);
        let relay = device.origin.subject();
        self.post_in_turn(issued_at, &relay, Verdict::LinkKeys, &[], Some(keys))?;
        if let Some(device) = self.device.edit() {
            device.link_keys.announce(&keys, issued_at);
        }
        Ok(())
    }

    /// Posts this owner's next statement, and returns its issuer.
    fn post_in_turn(
        &mut self,
        issued_at: u64,
        subject: &DeviceId,
        verdict: Verdict,
        keep: &[DeviceId],
        link_keys: Option<AnnouncedKeys>,
    ) -> Result<DeviceId, EndpointError> {
        let device = self.device.get().ok_or(EndpointError::NotActive)?;
        let meta = self.meta.get().ok_or(EndpointError::NotActive)?;
        let issuer = *device.identity.device_id();
        let serial = meta.statement_serial.checked_add(1).ok_or(EndpointError::Bug)?;
        self.post(issued_at, None, issuer, serial, subject, verdict, keep, link_keys)?;
        if let Some(meta) = self.meta.edit() {
            meta.statement_serial = serial;
        }
        Ok(issuer)
    }

    /// States something in the root's name, which may state everything of everybody, through this owner's connection.
    /// This device obeys when the statement comes back to it. A revocation of an owner keeps the certificates of the peers
    /// in `keep`, and what they certified.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`] for another tenant's root, [`EndpointError::Full`], [`EndpointError::NotOwner`],
    /// [`EndpointError::NotActive`].
    pub fn state_as_root(
        &mut self,
        now: Now,
        root: &RecoveryKey,
        subject: &DeviceId,
        verdict: Verdict,
        keep: &[DeviceId],
    ) -> Result<(), EndpointError> {
        self.require_owner()?;
        if self.tenant_id() != Some(root.tenant_id()) || verdict == Verdict::LinkKeys {
            return Err(EndpointError::Unknown);
        }
        let last = self.meta.get().map_or(0, |meta| meta.serials.last(&DeviceId::ROOT));
        // The root has no counter that it could store: its serial is the time in ms, and grows in any case.
        let serial = now.wall.saturating_mul(1_000).max(last.saturating_add(1));
        self.post(now.wall, Some(root.signing()), DeviceId::ROOT, serial, subject, verdict, keep, None)
    }

    #[expect(clippy::too_many_arguments, reason = "they are the statement's fields, and its signer")]
    fn post(
        &mut self,
        issued_at: u64,
        signer: Option<&SigningSecret>,
        issuer: DeviceId,
        serial: u64,
        subject: &DeviceId,
        verdict: Verdict,
        keep: &[DeviceId],
        link_keys: Option<AnnouncedKeys>,
    ) -> Result<(), EndpointError> {
        let device = self.device.get().ok_or(EndpointError::NotActive)?;
        let membership = device.membership().ok_or(EndpointError::NotActive)?;
        let id = self.next_outbox_id();
        let mut names = Vec::<[u8; 16], MAX_KEEP>::new();
        for kept in keep {
            let peer = self.peers.iter().filter_map(Slot::get).find(|peer| peer.device_id == *kept);
            let name = match peer {
                Some(peer) => *peer.certification.name(),
                None if kept == device.identity.device_id() => membership.name().ok_or(EndpointError::Bug)?,
                None => return Err(EndpointError::Unknown),
            };
            names.push(name).map_err(|_| EndpointError::Full)?;
        }
        let statement = Statement {
            verdict,
            tenant_id: *membership.tenant_id(),
            subject: *subject,
            issuer,
            serial,
            issued_at,
            keep: names.as_flattened(),
            link_keys,
        };
        let signer = signer.unwrap_or_else(|| device.identity.signing());
        let signed = sign_statement(signer, &statement, &mut self.scratch).map_err(|_| EndpointError::Bug)?;
        let call = ToRelay::PostStatement { request: request_number(id), statement: signed };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(EndpointError::Full)?;
        put_frame(slot, id, About::Statement(*subject, verdict), &call).map_err(|_| EndpointError::Bug)?;
        self.use_outbox_id();
        Ok(())
    }

    /// A statement came through the inbox.
    pub(super) fn stated(&mut self, entry: Entry, posted: &Posted<'_>) -> Result<(), ConnectionError> {
        match self.take_statement(posted) {
            Ok(()) | Err(NoEffect::Known) => self.take_entry(entry),
            Err(NoEffect::Refused) => self.reject(entry, DeviceId::ROOT, RejectCode::Unopened),
            Err(NoEffect::NeedPeer(peer)) => return Err(ConnectionError::NeedPeer(peer)),
        }
        Ok(())
    }

    /// A statement came that was asked for.
    pub(super) fn posted_came(&mut self, request: u32, posted: &Posted<'_>) -> Result<(), ConnectionError> {
        let is_asked = matches!(self.call_about(request), Some(CallAbout::FetchStatements(..)));
        // What has no effect leaves the gap as it is, and that is told when the answer ends.
        if is_asked && let Err(NoEffect::NeedPeer(peer)) = self.take_statement(posted) {
            return Err(ConnectionError::NeedPeer(peer));
        }
        Ok(())
    }

    fn take_statement(&mut self, posted: &Posted<'_>) -> Result<(), NoEffect> {
        let device = self.device.get().ok_or(NoEffect::Refused)?;
        let own_id = *device.identity.device_id();
        let membership = device.membership().ok_or(NoEffect::Refused)?;
        let meta = self.meta.get().ok_or(NoEffect::Refused)?;
        let object = Unverified::decode(posted.signed).map_err(|_| NoEffect::Refused)?;
        let claimed = Statement::from_unverified(&object).map_err(|_| NoEffect::Refused)?;
        if claimed.issuer == own_id && claimed.serial <= meta.statement_serial {
            return Err(NoEffect::Known);
        }
        let verified = posted
            .verify(membership.tenant_id(), membership.root(), |id| meta.revoked.contains(id))
            .map_err(|_| NoEffect::Refused)?;
        let Said { issuer, subject, role, verdict, serial, link_keys } = Said::of(&verified);
        if subject != own_id && self.is_absent(&subject) {
            return Err(NoEffect::NeedPeer(subject));
        }
        let meta = self.meta.edit().ok_or(NoEffect::Refused)?;
        match meta.serials.advance(&issuer, serial, &meta.revoked) {
            Ok(()) => {}
            Err(SerialError::Replayed) => return Err(NoEffect::Known),
            Err(SerialError::Full) => return Err(NoEffect::Refused),
            Err(SerialError::Gap) => {
                // It comes again, in its turn, when what is missing is fetched. But a revocation is final, whatever was
                // said before it, and waits for nothing.
                meta.serials.hear(&issuer, serial, &meta.revoked);
                self.ask_again(&issuer);
                if verdict != Verdict::Revoked {
                    return Ok(());
                }
            }
        }
        if let Some((keys, stated_at)) = link_keys {
            self.link_keys_announced(&subject, &keys, stated_at);
            return Ok(());
        }
        let stood = self.stands();
        if verdict == Verdict::Revoked
            && let Some(Some(membership)) = self.device.get_mut().map(super::Device::membership_mut)
            && membership.keep(posted.signed)
        {
            self.device.mark_changed();
        }
        let has_effect = self.obey(&issuer, &subject, role, verdict);
        if subject == own_id {
            self.notify(Event::OwnStanding(verdict));
        } else if has_effect {
            self.notify(Event::PeerStanding(subject, verdict));
        }
        if stood && !self.stands() && subject != own_id {
            self.notify(Event::Uncertified);
        }
        Ok(())
    }

    /// The link keys of a relay: nothing to a device that is at another one.
    fn link_keys_announced(&mut self, relay: &DeviceId, keys: &AnnouncedKeys, stated_at: u64) {
        let Some(device) = self.device.get() else { return };
        if device.origin.subject() == *relay
            && stated_at >= device.link_keys.stated_at
            && self.device.edit().is_some_and(|device| device.link_keys.announce(keys, stated_at))
        {
            self.notify(Event::LinkKeys);
        }
    }

    /// Does what a statement says; `false` when it is about no peer, or changes nothing.
    pub(super) fn obey(
        &mut self,
        issuer: &DeviceId,
        subject: &DeviceId,
        role: Option<Role>,
        verdict: Verdict,
    ) -> bool {
        let is_peer = self.peer_index(subject).is_some();
        if verdict == Verdict::Revoked
            && (is_peer || role == Some(Role::Owner))
            && !self.meta.edit().is_some_and(|meta| meta.revoked.add(subject))
        {
            self.notify(Event::RevocationsFull);
        }
        let Some(peer) = self.peer_slot(subject).and_then(Slot::edit) else { return false };
        if peer.standing == Standing::Revoked {
            return false;
        }
        match verdict {
            Verdict::Revoked => peer.revoke(),
            Verdict::Suspended => peer.suspend(issuer),
            Verdict::Resumed => peer.resume(issuer),
            Verdict::LinkKeys => return false,
        }
        if verdict == Verdict::Revoked {
            while self.take_outbox(|entry| entry.about.recipient() == Some(*subject)).is_some() {}
        }
        true
    }

    /// Whether this device's own chain is believed by whoever knows what this device knows.
    fn stands(&self) -> bool {
        self.membership().zip(self.meta.get()).is_some_and(|(own, meta)| own.stands(&meta.revoked))
    }

    /// An owner's last serial came in a session with it.
    pub(super) fn serials_came(&mut self, from: &DeviceId, body: Range<usize>) -> Option<RejectCode> {
        let serial = self.scratch.get(body).and_then(|body| <[u8; 8]>::try_from(body).ok());
        let is_owner = self.peer_slot(from).and_then(|slot| slot.get()).map(|peer| peer.device.role);
        let (Some(serial), Some(Role::Owner)) = (serial, is_owner) else {
            return Some(RejectCode::Malformed);
        };
        let serial = u64::from_be_bytes(serial);
        let is_news = self.meta.get().is_some_and(|meta| meta.serials.last(from) < serial);
        if is_news
            && let Some(meta) = self.meta.edit()
            && meta.serials.hear(from, serial, &meta.revoked)
        {
            self.ask_again(from);
        }
        None
    }

    /// Asks the relay for what is missing: statements behind the last, and the chains of peers whose certification no
    /// longer stands. What the relay does not give is asked for again on the next connection.
    pub(super) fn fetch_missing(&mut self) {
        let Some(link) = self.link.get().filter(|link| link.authenticated) else { return };
        let Some(meta) = self.meta.get() else { return };
        let is_open = |device: &DeviceId| !link.in_vain.contains(device) && !link.in_vain.is_full();
        let missing = meta.serials.missing().find(|missing| is_open(&missing.owner));
        if let Some(OwnerSerial { owner: issuer, serial: after }) = missing {
            // With too many calls under way, the next frame brings it up again.
            let _ = self.call(CallAbout::FetchStatements(issuer, after), |request| {
                ToRelay::FetchStatements { request, issuer, after }
            });
            return;
        }
        let unproven = self.peers.iter().filter_map(Slot::get).find(|peer| {
            peer.visible_standing(&meta.revoked) == Standing::Uncertified && is_open(&peer.device_id)
        });
        if let Some(device_id) = unproven.map(|peer| peer.device_id) {
            let _ = self
                .call(CallAbout::FetchCerts(device_id), |request| ToRelay::FetchCerts { request, device_id });
        }
    }

    /// The relay has given the statements that it has.
    pub(super) fn statements_fetched(&mut self, owner: &DeviceId, after: u64) {
        let Some(meta) = self.meta.get() else { return };
        let is_missing = meta.serials.missing().any(|missing| missing.owner == *owner);
        if is_missing && meta.serials.last(owner) == after {
            self.fetched_in_vain(owner);
            self.notify(Event::StatementsMissing(*owner));
        }
    }

    /// The relay did not give what was asked of this device.
    pub(super) fn fetched_in_vain(&mut self, device: &DeviceId) {
        if let Some(link) = self.link.get_mut() {
            // With no room, nothing more is asked for on this connection.
            let _ = link.in_vain.push(*device);
        }
    }

    fn ask_again(&mut self, device: &DeviceId) {
        if let Some(link) = self.link.get_mut() {
            link.in_vain.retain(|known| known != device);
        }
    }
}

/// What is left of a statement when its bytes are no longer borrowed.
struct Said {
    issuer: DeviceId,
    subject: DeviceId,
    role: Option<Role>,
    verdict: Verdict,
    serial: u64,
    link_keys: Option<(AnnouncedKeys, u64)>,
}

impl Said {
    fn of(verified: &VerifiedStatement<'_>) -> Self {
        let Statement { verdict, subject, issuer, serial, issued_at, link_keys, .. } = *verified.statement();
        let link_keys = link_keys.map(|keys| (keys, issued_at));
        Self { issuer, subject, role: verified.subject_role(), verdict, serial, link_keys }
    }
}
