//! One frame from the relay (`PROTOCOL.md` section 9). The relay is not trusted: what it says is a hint, unless a
//! signature, a tag or a seal of a device stands under it.

use av_wire::chain::Chain;
use av_wire::frame::ToDevice;
use av_wire::grant::Grant;
use av_wire::posted::Posted;
use av_wire::{DecodeError, DeviceId, InboxEpoch, MessageId, RefusalCode};
use rand_core::CryptoRng;

use super::control::is_receipted;
use super::device::{Device, Handshake, LinkKeys, Progress};
use super::entries::Entry;
use super::error::ConnectionError;
use super::event::{EndReason, Event, Standing};
use super::outbox::OutboxEntry;
use super::peer::NewPeer;
use super::slot::Slot;
use super::wait::Wait;
use super::{Endpoint, Phase};
use crate::Now;
use crate::crypto::{Aead, scrubbed};
use crate::enroll::{GrantError, VerifiedGrant};
use crate::limits::CHECK_AFTER;

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Takes in one frame.
    ///
    /// # Errors
    /// [`ConnectionError`]: close the connection. Unless it is [`ConnectionError::Redeliver`], nothing that the frame
    /// asked for has happened.
    pub fn receive(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        frame: &[u8],
    ) -> Result<(), ConnectionError> {
        scrubbed(|| self.take_in(now, rng, frame))
    }

    fn take_in(&mut self, now: Now, rng: &mut dyn CryptoRng, frame: &[u8]) -> Result<(), ConnectionError> {
        // By reference from here on: the verification of a signature leaves no room for copies.
        let frame = read(frame);
        self.act_on(now, rng, frame.as_ref().map_err(|_| ConnectionError::Violation)?)?;
        self.follow_up(now, rng)
    }

    /// What any frame may have made due. In a frame of its own, as what the frame asked for.
    #[inline(never)]
    fn follow_up(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), ConnectionError> {
        self.maintain_prekeys(now, rng);
        self.fetch_missing();
        self.attend(now, rng);
        self.end_introduction()
    }

    /// Small, as are the frames of those that it calls by the way: beneath it signatures are verified.
    #[inline(never)]
    fn act_on(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        frame: &ToDevice<'_>,
    ) -> Result<(), ConnectionError> {
        let phase = self.phase();
        let link = self.link.get_mut().ok_or(ConnectionError::Violation)?;
        link.heard(now);
        let (sent, authenticated) = (link.sent, link.authenticated);
        match *frame {
            ToDevice::Challenge { nonce, .. } if link.channel.is_none() => link.challenged(nonce, now)?,
            ToDevice::Ping => link.pong_due = true,
            ToDevice::Pong | ToDevice::Status { .. } => {}
            ToDevice::Moved => return Err(ConnectionError::Moved),
            ToDevice::Error { request: 0, code, retry_after } => {
                return self.refused_connection(sent, code, retry_after);
            }
            ToDevice::Pending { .. } if sent == Some(Handshake::Enroll) => {
                self.notify(Event::EnrollmentPending);
            }
            ToDevice::Granted { grant } if phase == Phase::Enrolling => self.granted(now, grant),
            // Late: the relay repeats itself after a lost connection, and the first one was believed already.
            ToDevice::Pending { .. } | ToDevice::Granted { .. } => {}
            ToDevice::Key { chain } if sent == Some(Handshake::FindKey) => {
                self.key_found(now, Chain::new(chain));
            }
            ToDevice::Key { .. } => {}
            ToDevice::Done { request: 0 } => self.confirmed(now, sent)?,
            ToDevice::Welcome { inbox_epoch, next_sequence, .. } if sent == Some(Handshake::Authenticate) => {
                link.authenticated = true;
                link.waiting = next_sequence.saturating_sub(1);
                self.welcomed(inbox_epoch, next_sequence);
            }
            _ if !authenticated => return Err(ConnectionError::Violation),
            ToDevice::Accepted { message_id } => self.accepted(now, message_id),
            ToDevice::Refused { message_id, code } => self.refused(message_id, code)?,
            ToDevice::Done { request } if self.prekeys_answered(request, true) => {}
            ToDevice::Error { request, .. } if self.prekeys_answered(request, false) => {}
            ToDevice::Error { code, retry_after, .. } if asks_for_patience(code) => {
                return Err(ConnectionError::RetryAfter(retry_after));
            }
            #[cfg(feature = "owner")]
            ToDevice::Done { request } if self.owners_call_done(request) => {}
            #[cfg(feature = "owner")]
            ToDevice::Error { request, code, .. } if self.owners_call_failed(request, code) => {}
            ToDevice::Done { request } => self.call_done(request),
            ToDevice::Error { request, .. } => self.call_failed(request),
            #[cfg(feature = "owner")]
            ToDevice::PendingDevice { request, ref inviter, ref enroll, .. } => {
                self.requested(now, request, inviter, enroll);
            }
            #[cfg(feature = "owner")]
            ToDevice::EnrollmentWaiting => self.notify(Event::EnrollmentWaiting),
            ToDevice::Deliver { sequence, previous, sender, header_blob, ciphertext, .. } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.require_peer(&sender)?;
                    self.delivered(now, rng, entry, sender, header_blob, ciphertext);
                }
            }
            ToDevice::Statement { sequence, previous, statement, chain } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.stated(entry, &Posted { signed: statement, chain: Chain::new(chain) })?;
                }
            }
            ToDevice::Recertified { sequence, previous, chain } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.recertified(entry, Chain::new(chain));
                }
            }
            #[cfg(feature = "owner")]
            ToDevice::KeyUsed { sequence, previous, chain } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.key_used(now, entry, Chain::new(chain))?;
                }
            }
            ToDevice::Activated { sequence, previous, device_id, ref signature } => {
                let entry = Entry { sequence, previous };
                if self.is_next(entry)? {
                    self.require_peer(&device_id)?;
                    self.peer_activated(entry, &device_id, signature);
                }
            }
            ToDevice::Challenge { .. } | ToDevice::Welcome { .. } => return Err(ConnectionError::Violation),
            ToDevice::Bundle { request, chain, ref bundle } => {
                self.met(now, request, Chain::new(chain));
                self.bundle_came(now, rng, request, bundle);
            }
            ToDevice::Certs { request, chain } => self.certs_came(request, Chain::new(chain)),
            ToDevice::Posted { request, statement, chain } => {
                self.posted_came(request, &Posted { signed: statement, chain: Chain::new(chain) })?;
            }
            // Answers to calls that this endpoint does not make.
            _ => {}
        }
        Ok(())
    }

    /// An input about a peer that is not in memory changes nothing.
    pub(super) fn require_peer(&self, peer: &DeviceId) -> Result<(), ConnectionError> {
        if self.is_absent(peer) { Err(ConnectionError::NeedPeer(*peer)) } else { Ok(()) }
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
            (_, Some(Handshake::Enroll | Handshake::FindKey | Handshake::EnrollWithKey)) => {
                Event::EnrollmentEnded(EndReason::InviteRefused)
            }
            (_, Some(Handshake::Activate)) => Event::EnrollmentEnded(EndReason::NotAuthorized),
            (_, Some(Handshake::Authenticate) | None) => Event::NotAuthorized,
        };
        self.notify(event);
        Ok(())
    }

    /// A grant came: believed only with the invite's tag, and for exactly this device, origin and link key.
    #[inline(never)]
    fn granted(&mut self, now: Now, grant: &[u8]) {
        match self.accept_grant(now, grant) {
            Ok(()) => {}
            Err(GrantError::Invalid) => self.notify(Event::EnrollmentEnded(EndReason::GrantInvalid)),
            Err(GrantError::LinkKey) => {
                self.disconnected();
                self.device.clear();
                self.prekeys.clear();
                self.meta.clear();
                self.notify(Event::EnrollmentEnded(EndReason::LinkKeyDiffers));
            }
        }
    }

    /// Apart from what follows it: a verification takes eight kilobytes of stack, which leaves no room for records.
    #[inline(never)]
    fn accept_grant(&mut self, now: Now, grant: &[u8]) -> Result<(), GrantError> {
        let grant = av_wire::decode::<Grant<'_>>(grant);
        let grant = grant.as_ref().map_err(|_| GrantError::Invalid)?;
        let device = self.device.get().ok_or(GrantError::Invalid)?;
        let Progress::Requested(requested) = &device.progress else { return Err(GrantError::Invalid) };
        let verified = requested.verify(&device.identity, &device.origin, grant);
        self.enter_tenant(
            now,
            verified.as_ref().map_err(|error| *error)?,
            [grant.link_key, grant.next_link_key],
        )
    }

    #[inline(never)]
    fn enter_tenant(
        &mut self,
        now: Now,
        grant: &VerifiedGrant<'_>,
        [current, next]: [[u8; 32]; 2],
    ) -> Result<(), GrantError> {
        let stated_at = grant.chain().claimed().map_err(|_| GrantError::Invalid)?.issued_at;
        let link_keys = LinkKeys { current, next, stated_at };
        let device = self.device.edit().ok_or(GrantError::Invalid)?;
        let psk = device.take_grant(grant, link_keys).ok_or(GrantError::Invalid)?;
        if let Some(meta) = self.meta.edit() {
            meta.serials = grant.serials();
        }
        let owner = *grant.approver();
        if let Some(vacancy) = self.vacancy(now) {
            let new = NewPeer {
                device: &owner,
                name: "owner",
                standing: Standing::Active,
                certification: grant.owner_certification(),
                psk: Some(&psk),
            };
            self.add_peer(&vacancy, &new);
        }
        self.notify(Event::EnrollmentGranted { owner: owner.fingerprint() });
        Ok(())
    }

    /// The relay confirmed the founding or the activation.
    fn confirmed(&mut self, now: Now, sent: Option<Handshake>) -> Result<(), ConnectionError> {
        let expected = self.device.get().map(Device::handshake);
        let event = match sent.filter(|_| sent == expected) {
            Some(Handshake::Found) => Event::Founded,
            Some(Handshake::Activate | Handshake::EnrollWithKey) => Event::EnrollmentActive,
            _ => return Err(ConnectionError::Violation),
        };
        self.device.edit().ok_or(ConnectionError::Violation)?.progress = Progress::Active;
        if sent == Some(Handshake::EnrollWithKey) {
            self.enrolled_with_key(now);
        }
        self.notify(event);
        Ok(())
    }

    /// A relay that has yet to give out a sequence that this device took went back, or numbered entries as it liked
    /// before: the count begins anew, or this device would hear nothing until that number is reached. It gives a relay
    /// no power that a new epoch does not. What comes a second time is known by its id.
    #[inline(never)]
    fn welcomed(&mut self, epoch: InboxEpoch, next_sequence: u64) {
        let is_new = self.meta.get().is_some_and(|meta| meta.inbox_epoch != Some(epoch));
        let is_behind = self.meta.get().is_some_and(|meta| meta.taken >= next_sequence.max(1));
        let was_known = self.meta.get().is_some_and(|meta| meta.inbox_epoch.is_some());
        if is_new
            && was_known
            && let Some(prekeys) = self.prekeys.edit()
        {
            prekeys.publish_anew();
            prekeys.replace_all();
        }
        if (is_new || is_behind)
            && let Some(meta) = self.meta.edit()
        {
            meta.enter_epoch(epoch);
            for slot in &mut self.inbox {
                if let Some(entry) = slot.edit() {
                    entry.sequence = 0;
                }
            }
        }
        if is_new {
            // A relay that went back may have lost what it had accepted: all that has no receipt is sent once more.
            for entry in self.outbox.iter_mut().filter_map(Slot::get_mut) {
                (entry.transmitted, entry.accepted) = (false, None);
            }
        }
        self.notify(Event::Authenticated);
        self.begin_unapproved();
    }

    /// The relay has a message, which now waits for its receipt; what needs none is done.
    fn accepted(&mut self, now: Now, message_id: MessageId) {
        let is_its =
            |entry: &OutboxEntry<BODY>| entry.is_unanswered() && entry.about.message_id() == Some(message_id);
        let slot = self.outbox.iter_mut().find(|slot| slot.get().is_some_and(is_its));
        let Some(slot) = slot else { return };
        let Some(entry) = slot.get_mut() else { return };
        let id = entry.id;
        (entry.accepted, entry.check) = (Some(now.uptime), Wait::begin(now, CHECK_AFTER));
        if entry.sealing.is_some() {
            self.notify(Event::Accepted(id));
        } else {
            slot.clear();
        }
    }

    fn refused(&mut self, message_id: MessageId, code: RefusalCode) -> Result<(), ConnectionError> {
        if asks_for_patience(code) {
            return Err(ConnectionError::RetryAfter(0));
        }
        let taken = self.take_outbox(|entry| entry.about.message_id() == Some(message_id));
        if let Some((id, about)) = taken
            && about.message().is_some_and(|message| is_receipted(message.kind))
        {
            self.notify(Event::Refused(id, code));
        }
        Ok(())
    }
}

/// In a frame of its own: reading every kind of frame takes a kilobyte of stack.
#[inline(never)]
fn read(frame: &[u8]) -> Result<ToDevice<'_>, DecodeError> {
    av_wire::decode(frame)
}

/// The relay cannot take it just now: it stays in the outbox, and goes out again on the next connection.
const fn asks_for_patience(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::RateLimited | RefusalCode::Unavailable)
}
