//! Statements that this owner makes, or the root through its connection (`PROTOCOL.md` section 4.5).

use av_wire::frame::ToRelay;
use av_wire::limits::MAX_KEEP;
use av_wire::statement::{AnnouncedKeys, Statement, Verdict};
use av_wire::{DeviceId, Role};
use heapless::Vec;

use super::calls::{OwnersCall, put_call, request_number};
use crate::Now;
use crate::crypto::{Aead, SigningSecret};
use crate::endpoint::Endpoint;
use crate::endpoint::device::LinkKeys;
use crate::endpoint::error::EndpointError;
use crate::endpoint::event::Standing;
use crate::endpoint::slot::Slot;
use crate::enroll::{RecoveryKey, sign_statement};

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
    /// ([`Event::StatementFailed`](crate::Event::StatementFailed)).
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
        let certifies = peer.device.role == Role::Owner;
        let names = self.names_of(keep)?;
        let issuer = self.post_in_turn(now.wall, subject, verdict, &names, None)?;
        self.obey(&issuer, subject, certifies, verdict);
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
    pub(super) fn post_in_turn(
        &mut self,
        issued_at: u64,
        subject: &DeviceId,
        verdict: Verdict,
        keep: &[[u8; 16]],
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
        let keep = self.names_of(keep)?;
        self.post(now.wall, Some(root.signing()), DeviceId::ROOT, serial, subject, verdict, &keep, None)
    }

    /// The names of the certificates of these peers, or of this device.
    fn names_of(&self, devices: &[DeviceId]) -> Result<Vec<[u8; 16], MAX_KEEP>, EndpointError> {
        let own = self.device.get().ok_or(EndpointError::NotActive)?;
        let membership = own.membership().ok_or(EndpointError::NotActive)?;
        let mut names = Vec::new();
        for device in devices {
            let peer = self.peers.iter().filter_map(Slot::get).find(|peer| peer.device_id == *device);
            let name = match peer {
                Some(peer) => *peer.certification.name(),
                None if device == own.identity.device_id() => membership.name().ok_or(EndpointError::Bug)?,
                None => return Err(EndpointError::Unknown),
            };
            names.push(name).map_err(|_| EndpointError::Full)?;
        }
        Ok(names)
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
        keep: &[[u8; 16]],
        link_keys: Option<AnnouncedKeys>,
    ) -> Result<(), EndpointError> {
        let device = self.device.get().ok_or(EndpointError::NotActive)?;
        let membership = device.membership().ok_or(EndpointError::NotActive)?;
        let id = self.next_outbox_id();
        let statement = Statement {
            verdict,
            tenant_id: *membership.tenant_id(),
            subject: *subject,
            issuer,
            serial,
            issued_at,
            keep: keep.as_flattened(),
            link_keys,
        };
        let signer = signer.unwrap_or_else(|| device.identity.signing());
        let signed = sign_statement(signer, &statement, &mut self.scratch).map_err(|_| EndpointError::Bug)?;
        let call = ToRelay::PostStatement { request: request_number(id), statement: signed };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(EndpointError::Full)?;
        put_call(slot, id, OwnersCall::Statement(*subject, verdict), &call)
            .map_err(|_| EndpointError::Bug)?;
        self.use_outbox_id();
        Ok(())
    }
}
