//! One frame from the relay (`PROTOCOL.md` section 9). The relay is not trusted: what it says is a hint, unless a
//! signature, a tag or a seal of a device stands under it.

use av_wire::enroll::{EnrollTranscript, verify_activation};
use av_wire::frame::ToDevice;
use av_wire::grant::Grant;
use av_wire::message::message_id;
use av_wire::statement::Verdict;
use av_wire::{DeviceId, InboxEpoch, MessageId, RefusalCode, RejectCode, Signature};
use heapless::Vec;
use rand_core::CryptoRng;

use super::device::{Device, Handshake, Progress};
use super::error::ConnectionError;
use super::event::{EndReason, Event, Standing};
use super::inbox::InboxEntry;
use super::outbox::{About, request_number};
use super::peer::{Context, Peer, kind};
use super::slot::Slot;
use super::{Endpoint, Phase};
use crate::Now;
use crate::crypto::Aead;
use crate::enroll::verify_statement;
use crate::ratchet::Opened;

/// The inbox entry in hand.
#[derive(Clone, Copy)]
struct Entry {
    sequence: u64,
    previous: u64,
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Takes in one frame.
    ///
    /// # Errors
    /// [`ConnectionError`]: close the connection. Nothing that the frame asked for has happened.
    pub fn receive(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        frame: &[u8],
    ) -> Result<(), ConnectionError> {
        let frame: ToDevice<'_> = av_wire::decode(frame).map_err(|_| ConnectionError::Violation)?;
        let phase = self.phase();
        let link = self.link.as_mut().ok_or(ConnectionError::Violation)?;
        link.heard(now);
        let (sent, authenticated) = (link.sent, link.authenticated);
        match frame {
            ToDevice::Challenge { nonce, .. } if link.nonce.is_none() => link.challenged(nonce, now),
            ToDevice::Ping => link.pong_due = true,
            ToDevice::Pong | ToDevice::Status { .. } => {}
            ToDevice::Moved => return Err(ConnectionError::Moved),
            ToDevice::Error { request: 0, code, retry_after } => {
                return self.refused_connection(sent, code, retry_after);
            }
            ToDevice::Pending { .. } if sent == Some(Handshake::Enroll) => {
                self.notify(Event::EnrollmentPending);
            }
            ToDevice::Granted { grant } if phase == Phase::Enrolling => self.granted(grant),
            // Late: the relay repeats itself after a lost connection, and the first one was believed already.
            ToDevice::Pending { .. } | ToDevice::Granted { .. } => {}
            ToDevice::Done { request: 0 } => self.confirmed(sent)?,
            ToDevice::Welcome { inbox_epoch, .. } if sent == Some(Handshake::Authenticate) => {
                link.authenticated = true;
                self.welcomed(inbox_epoch);
            }
            _ if !authenticated => return Err(ConnectionError::Violation),
            ToDevice::Accepted { message_id } => self.accepted(message_id),
            ToDevice::Refused { message_id, code } => self.refused(message_id, code)?,
            ToDevice::Done { request } => self.call_done(request),
            ToDevice::Error { request, code, retry_after } => self.call_failed(request, code, retry_after)?,
            ToDevice::PendingDevice { request, inviter, enroll, .. } => {
                self.requested(now, request, &inviter, &enroll);
            }
            ToDevice::EnrollmentWaiting => self.notify(Event::EnrollmentWaiting),
            ToDevice::Deliver { sequence, previous, sender, header_blob, ciphertext, .. } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.delivered(now, entry, sender, header_blob, ciphertext);
                }
            }
            ToDevice::Statement { sequence, previous, statement } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.stated(entry, statement);
                }
            }
            ToDevice::Activated { sequence, previous, device_id, signature } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.peer_activated(entry, &device_id, &signature);
                }
            }
            ToDevice::Challenge { .. } | ToDevice::Welcome { .. } => return Err(ConnectionError::Violation),
            // Answers to calls that this version of the endpoint does not make.
            ToDevice::Invite { .. } | ToDevice::Certs { .. } | ToDevice::Bundle { .. } => {}
        }
        self.answer_hellos(rng);
        Ok(())
    }

    fn refused_connection(
        &mut self,
        sent: Option<Handshake>,
        code: RefusalCode,
        retry_after: u32,
    ) -> Result<(), ConnectionError> {
        let event = match (code, sent) {
            _ if asks_for_patience(code) => return Err(ConnectionError::RetryAfter(retry_after)),
            (RefusalCode::Superseded, _) => Event::Superseded,
            (RefusalCode::Malformed, _) => return Err(ConnectionError::Violation),
            (_, Some(Handshake::Found)) => Event::EnrollmentEnded(EndReason::FoundingRefused(code)),
            (_, Some(Handshake::Enroll)) => Event::EnrollmentEnded(EndReason::InviteRefused),
            (_, Some(Handshake::Activate)) => Event::EnrollmentEnded(EndReason::NotAuthorized),
            (_, Some(Handshake::Authenticate) | None) => Event::NotAuthorized,
        };
        self.notify(event);
        Ok(())
    }

    /// A grant came: believed only with the invite's tag, and for exactly this device, origin and link key.
    fn granted(&mut self, grant: &[u8]) {
        let verified = self.device.get().and_then(|device| match &device.progress {
            Progress::Requested(requested) => {
                let grant: Grant<'_> = av_wire::decode(grant).ok()?;
                requested.verify(&device.identity, &device.origin, &grant).ok()
            }
            _ => None,
        });
        let Some(verified) = verified else {
            self.notify(Event::EnrollmentEnded(EndReason::GrantInvalid));
            return;
        };
        let Some(Device { identity, name, origin, link_key, progress: Progress::Requested(requested) }) =
            self.device.take()
        else {
            return;
        };
        let (granted, owner, serials, psk) = requested.accept(verified);
        self.device.set(Device { identity, name, origin, link_key, progress: Progress::Granted(granted) });
        if let Some(meta) = self.meta.edit() {
            meta.serials = serials;
        }
        let owner_name = "owner".try_into().unwrap_or_default();
        if let Some(slot) = self.peers.iter_mut().find(|slot| slot.is_empty()) {
            slot.set(Peer::new(owner, owner_name, Standing::Active, Some(psk)));
        }
        self.notify(Event::EnrollmentGranted { owner: owner.fingerprint() });
    }

    /// The relay confirmed the founding or the activation.
    fn confirmed(&mut self, sent: Option<Handshake>) -> Result<(), ConnectionError> {
        let expected = self.device.get().map(Device::handshake);
        if sent.is_none() || sent != expected {
            return Err(ConnectionError::Violation);
        }
        let Some(Device { identity, name, origin, link_key, progress }) = self.device.take() else {
            return Err(ConnectionError::Violation);
        };
        let (progress, event) = match progress {
            Progress::Founding(founding) => (Progress::Active(founding.confirmed()), Some(Event::Founded)),
            Progress::Granted(granted) => {
                (Progress::Active(granted.confirmed()), Some(Event::EnrollmentActive))
            }
            unchanged => (unchanged, None),
        };
        self.device.set(Device { identity, name, origin, link_key, progress });
        event.map(|event| self.notify(event)).ok_or(ConnectionError::Violation)
    }

    fn welcomed(&mut self, epoch: InboxEpoch) {
        let is_new = self.meta.get().is_some_and(|meta| meta.inbox_epoch != Some(epoch));
        if is_new && self.meta.edit().is_some_and(|meta| meta.enter_epoch(epoch)) {
            for slot in &mut self.inbox {
                if let Some(entry) = slot.edit() {
                    entry.sequence = 0;
                }
            }
        }
        self.notify(Event::Authenticated);
    }

    fn accepted(&mut self, message_id: MessageId) {
        if let Some((id, _)) = self.take_outbox(|entry| is_message(entry.about, message_id)) {
            self.notify(Event::Accepted(id));
        }
    }

    fn refused(&mut self, message_id: MessageId, code: RefusalCode) -> Result<(), ConnectionError> {
        if asks_for_patience(code) {
            return Err(ConnectionError::RetryAfter(0));
        }
        if let Some((id, _)) = self.take_outbox(|entry| is_message(entry.about, message_id)) {
            self.notify(Event::Refused(id, code));
        }
        Ok(())
    }

    fn call_done(&mut self, request: u32) {
        let taken = self.take_outbox(|entry| is_call(entry.about) && request_number(entry.id) == request);
        match taken {
            Some((_, About::Approve(device))) => self.notify(Event::Approved(device)),
            Some((_, About::Reject(device))) => self.notify(Event::Rejected(device)),
            Some((_, About::Statement(device, verdict))) => {
                self.notify(Event::StatementPosted(device, verdict));
            }
            Some((_, About::Message { .. })) => {}
            None => self.ephemeral_call_done(request),
        }
    }

    fn call_failed(
        &mut self,
        request: u32,
        code: RefusalCode,
        retry_after: u32,
    ) -> Result<(), ConnectionError> {
        if asks_for_patience(code) {
            return Err(ConnectionError::RetryAfter(retry_after));
        }
        let taken = self.take_outbox(|entry| is_call(entry.about) && request_number(entry.id) == request);
        match taken {
            Some((_, About::Approve(device))) => {
                self.forget_peer(&device);
                self.notify(Event::ApprovalFailed(device, code));
            }
            Some((_, About::Reject(device))) => self.notify(Event::RejectionFailed(device, code)),
            Some((_, About::Statement(device, _))) => self.notify(Event::StatementFailed(device, code)),
            Some((_, About::Message { .. })) => {}
            None => self.ephemeral_call_failed(request, code),
        }
        Ok(())
    }

    /// Whether an inbox entry is the next one. One that was taken before is only acknowledged again.
    fn is_next(&mut self, entry: Entry) -> Result<bool, ConnectionError> {
        let taken = self.taken();
        if entry.sequence <= taken {
            return Ok(false);
        }
        let has_room = self.inbox.iter().any(Slot::is_empty);
        if entry.previous > taken || !has_room {
            // A gap, or more than the receive window: the next connection begins at the last acknowledgement.
            return Err(ConnectionError::Violation);
        }
        Ok(true)
    }

    fn take_entry(&mut self, entry: Entry) {
        if let Some(meta) = self.meta.edit() {
            meta.taken = entry.sequence;
        }
    }

    fn reject(&mut self, entry: Entry, from: DeviceId, code: RejectCode) {
        self.take_entry(entry);
        if let Some(meta) = self.meta.edit() {
            meta.reject(entry.sequence, code);
        }
        self.notify(Event::MessageRejected { from, code });
    }

    fn delivered(&mut self, now: Now, entry: Entry, sender: DeviceId, header_blob: &[u8], ciphertext: &[u8]) {
        if header_blob.len().saturating_add(ciphertext.len()) > Self::MAX_MESSAGE {
            self.reject(entry, sender, RejectCode::TooLarge);
            return;
        }
        let known = self.peer_index(&sender).filter(|index| {
            let peer = self.peers.get(*index).and_then(Slot::get);
            peer.is_some_and(|peer| matches!(peer.standing, Standing::Approved | Standing::Active))
        });
        let Some(index) = known else {
            self.reject(entry, sender, RejectCode::UnknownSender);
            return;
        };
        match self.open(now, index, header_blob, ciphertext) {
            None => self.reject(entry, sender, RejectCode::Unopened),
            Some((opened, tenant_id, own_id)) => {
                let message_id = message_id(&tenant_id, &sender, &own_id, header_blob, ciphertext);
                self.opened(entry, index, sender, message_id, opened);
            }
        }
    }

    /// Opens a message into the scratch buffer; on `None` every record is as it was.
    fn open(
        &mut self,
        now: Now,
        index: usize,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) -> Option<(Opened, av_wire::TenantId, DeviceId)> {
        let device = self.device.get()?;
        let tenant = *device.membership()?.tenant_id();
        let context = Context { tenant: &tenant, identity: &device.identity, now };
        let peer = self.peers.get_mut(index)?.get_mut()?;
        let prekeys = self.prekeys.get_mut()?;
        let before = prekeys.one_time_len();
        let opened = peer.open(&context, prekeys, header_blob, ciphertext, &mut self.scratch).ok()?;
        if prekeys.one_time_len() != before {
            self.prekeys.mark_changed();
        }
        Some((opened, tenant, *device.identity.device_id()))
    }

    fn opened(&mut self, entry: Entry, index: usize, from: DeviceId, message_id: MessageId, opened: Opened) {
        let Some(peer) = self.peers.get_mut(index).and_then(Slot::edit) else {
            return;
        };
        if peer.standing == Standing::Approved {
            // Only the device that holds the approved keys can have sealed this.
            peer.standing = Standing::Active;
        }
        let is_confirmed = peer.is_confirmed();
        let was_confirmed = core::mem::replace(&mut peer.was_confirmed, is_confirmed);
        let code = match opened.kind {
            kind::APPLICATION => None,
            kind::HELLO => {
                peer.answer_due = true;
                None
            }
            kind::HELLO_ANSWER => None,
            _ => Some(RejectCode::Malformed),
        };
        if let Some(code) = code {
            self.reject(entry, from, code);
            return;
        }
        self.take_entry(entry);
        if opened.kind == kind::APPLICATION {
            let payload = self.scratch.get(..opened.len).and_then(|bytes| Vec::from_slice(bytes).ok());
            let free = self.inbox.iter_mut().find(|slot| slot.is_empty());
            if let (Some(payload), Some(slot)) = (payload, free) {
                slot.set(InboxEntry { sequence: entry.sequence, from, message_id, payload, offered: false });
            }
        }
        if is_confirmed && !was_confirmed {
            self.notify(Event::PeerConfirmed(from));
        }
    }

    /// Answers hellos that wait, as soon as the outbox has room.
    fn answer_hellos(&mut self, rng: &mut dyn CryptoRng) {
        let due =
            self.peers.iter().filter_map(Slot::get).find(|peer| peer.answer_due).map(|peer| peer.device_id);
        let Some(device_id) = due else { return };
        if self.send_kind(rng, &device_id, kind::HELLO_ANSWER, &[]).is_ok() {
            let index = self.peer_index(&device_id);
            if let Some(peer) = index.and_then(|index| self.peers.get_mut(index)).and_then(Slot::edit) {
                peer.answer_due = false;
            }
        }
    }

    fn stated(&mut self, entry: Entry, signed: &[u8]) {
        let Some(device) = self.device.get() else { return };
        let own_id = *device.identity.device_id();
        let verified = device.membership().zip(self.meta.get()).and_then(|(membership, meta)| {
            let statement = verify_statement(membership, &meta.serials, signed).ok()?;
            Some((statement.issuer, statement.serial, statement.subject, statement.verdict))
        });
        let Some((issuer, serial, subject, verdict)) = verified else {
            self.reject_statement(entry, signed, own_id);
            return;
        };
        let has_room = self.meta.edit().is_some_and(|meta| meta.serials.advance(&issuer, serial));
        if !has_room {
            self.reject(entry, issuer, RejectCode::Unopened);
            return;
        }
        self.take_entry(entry);
        if subject == own_id {
            if verdict != Verdict::Resumed {
                self.notify(Event::NotAuthorized);
            }
        } else if issuer != own_id && self.obey(&subject, verdict) {
            self.notify(Event::PeerStanding(subject, verdict));
        }
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
        let Some(slot) = self.peer_index(subject).and_then(|index| self.peers.get_mut(index)) else {
            return false;
        };
        let Some(peer) = slot.edit() else { return false };
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

    fn peer_activated(&mut self, entry: Entry, device_id: &DeviceId, signature: &Signature) {
        let peer =
            self.peer_index(device_id).and_then(|index| self.peers.get_mut(index)).and_then(Slot::get_mut);
        let is_valid =
            peer.as_ref().and_then(|peer| peer.enrollment).is_some_and(|(transcript, chain_hash)| {
                let device = peer.as_ref().map(|peer| peer.device);
                device.is_some_and(|device| {
                    verify_activation(&device, &EnrollTranscript(transcript), &chain_hash, signature).is_ok()
                })
            });
        if !is_valid {
            self.reject(entry, *device_id, RejectCode::Unopened);
            return;
        }
        let slot = self.peer_index(device_id).and_then(|index| self.peers.get_mut(index));
        if let Some(peer) = slot.and_then(Slot::edit) {
            peer.enrollment = None;
            if peer.standing == Standing::Approved {
                peer.standing = Standing::Active;
            }
        }
        self.take_entry(entry);
        self.notify(Event::PeerActive(*device_id));
    }
}

/// The relay cannot take it just now: it stays in the outbox, and goes out again on the next connection.
const fn asks_for_patience(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::RateLimited | RefusalCode::Unavailable)
}

fn is_message(about: About, id: MessageId) -> bool {
    matches!(about, About::Message { message_id, .. } if message_id == id)
}

const fn is_call(about: About) -> bool {
    !matches!(about, About::Message { .. })
}
