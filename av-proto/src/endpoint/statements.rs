//! Statements of owners: made by this device, or come through its inbox (`PROTOCOL.md` section 4.5).

use av_wire::frame::ToRelay;
use av_wire::posted::Posted;
use av_wire::statement::{Statement, Verdict};
use av_wire::{DeviceId, RejectCode};

use super::Endpoint;
use super::entries::Entry;
use super::error::{ConnectionError, EndpointError};
use super::event::{Event, Standing};
use super::outbox::{About, request_number};
use super::send::put_frame;
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;
use crate::enroll::{sign_statement, verify_statement};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// States something of a peer to the whole tenant, and obeys it at once.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`] for no such peer or one that is revoked, [`EndpointError::NeedPeer`],
    /// [`EndpointError::Full`], [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn state(&mut self, now: Now, subject: &DeviceId, verdict: Verdict) -> Result<(), EndpointError> {
        self.require_owner()?;
        if self.is_absent(subject) {
            return Err(EndpointError::NeedPeer(*subject));
        }
        let standing = self.peer_slot(subject).and_then(|slot| slot.get()).map(|peer| peer.standing);
        if matches!(standing, None | Some(Standing::Revoked)) {
            return Err(EndpointError::Unknown);
        }
        let device = self.device.get().ok_or(EndpointError::NotActive)?;
        let membership = device.membership().ok_or(EndpointError::NotActive)?;
        let meta = self.meta.get().ok_or(EndpointError::NotActive)?;
        let serial = meta.statement_serial.checked_add(1).ok_or(EndpointError::Bug)?;
        let id = self.next_outbox_id();
        let statement = Statement {
            verdict,
            tenant_id: *membership.tenant_id(),
            subject: *subject,
            issuer: *device.identity.device_id(),
            serial,
            issued_at: now.wall,
            keep: &[],
        };
        let signed = sign_statement(device.identity.signing(), &statement, &mut self.scratch)
            .map_err(|_| EndpointError::Bug)?;
        let call = ToRelay::PostStatement { request: request_number(id), statement: signed };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(EndpointError::Full)?;
        put_frame(slot, id, About::Statement(*subject, verdict), &call).map_err(|_| EndpointError::Bug)?;
        self.use_outbox_id();
        if let Some(meta) = self.meta.edit() {
            meta.statement_serial = serial;
        }
        self.obey(subject, verdict);
        Ok(())
    }

    pub(super) fn stated(&mut self, entry: Entry, posted: &Posted<'_>) -> Result<(), ConnectionError> {
        let Some(device) = self.device.get() else { return Ok(()) };
        let own_id = *device.identity.device_id();
        let verified = device.membership().zip(self.meta.get()).and_then(|(membership, meta)| {
            let verified = verify_statement(membership, &meta.serials, posted).ok()?;
            let statement = verified.statement();
            Some((statement.issuer, statement.serial, statement.subject, statement.verdict))
        });
        let Some((issuer, serial, subject, verdict)) = verified else {
            self.reject_statement(entry, posted.signed, own_id);
            return Ok(());
        };
        if subject != own_id && issuer != own_id {
            self.require_peer(&subject)?;
        }
        let has_room = self.meta.edit().is_some_and(|meta| meta.serials.advance(&issuer, serial));
        if !has_room {
            self.reject(entry, issuer, RejectCode::Unopened);
            return Ok(());
        }
        self.take_entry(entry);
        if subject == own_id {
            self.notify(Event::OwnStanding(verdict));
        } else if issuer != own_id && self.obey(&subject, verdict) {
            self.notify(Event::PeerStanding(subject, verdict));
        }
        Ok(())
    }

    /// This owner's own statement comes back through its inbox, with a serial that it knows: no news, no fault.
    fn reject_statement(&mut self, entry: Entry, signed: &[u8], own_id: DeviceId) {
        let object = av_wire::Unverified::decode(signed).ok();
        let statement =
            object.and_then(|object| av_wire::statement::Statement::from_unverified(&object).ok());
        let known_last = self.meta.get().map_or(0, |meta| meta.statement_serial);
        match statement {
            Some(statement) if statement.issuer == own_id && statement.serial <= known_last => {
                self.take_entry(entry);
            }
            _ => self.reject(entry, DeviceId::ROOT, RejectCode::Unopened),
        }
    }

    /// Does what a statement says of a peer; `false` when there is no such peer or nothing changes.
    pub(super) fn obey(&mut self, subject: &DeviceId, verdict: Verdict) -> bool {
        let Some(peer) = self.peer_slot(subject).and_then(Slot::edit) else { return false };
        match (verdict, peer.standing) {
            (_, Standing::Revoked) => return false,
            (Verdict::Revoked, _) => peer.revoke(),
            (Verdict::Suspended, _) => peer.standing = Standing::Suspended,
            (Verdict::Resumed, Standing::Suspended) => peer.standing = Standing::Active,
            (Verdict::Resumed, _) => return false,
        }
        if verdict == Verdict::Revoked {
            let is_to_subject =
                |about: About| matches!(about, About::Message { peer, .. } if peer == *subject);
            while self.take_outbox(|entry| is_to_subject(entry.about)).is_some() {}
        }
        true
    }
}
