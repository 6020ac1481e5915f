//! Statements of owners: made by this device, or come through its inbox (`PROTOCOL.md` section 4.5).

use core::ops::Range;

#[cfg(feature = "owner")]
use av_wire::KeyId;
use av_wire::frame::ToRelay;
use av_wire::grant::OwnerSerial;
use av_wire::posted::{Posted, VerifiedPosted, VerifiedStatement};
use av_wire::statement::{AnnouncedKeys, Statement, Verdict};
use av_wire::{DeviceId, RejectCode, Role, Unverified};

use super::Endpoint;
use super::calls::CallAbout;
use super::entries::Entry;
use super::error::ConnectionError;
use super::event::{Event, Standing};
use super::slot::Slot;
use crate::crypto::Aead;
use crate::enroll::{Certification, Revoked, SerialError};

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
        let verified = self.verify_statement(posted)?;
        self.take_verified(posted.signed, &verified)
    }

    /// What a statement does that was verified. In a frame of its own, which is not there yet while it is verified.
    #[inline(never)]
    fn take_verified(&mut self, signed: &[u8], verified: &VerifiedPosted<'_>) -> Result<(), NoEffect> {
        let own_id = self.device_id().ok_or(NoEffect::Refused)?;
        let (said, has_say) = self.read_statement(verified).ok_or(NoEffect::Refused)?;
        let Said { issuer, subject, certifies, verdict, serial, link_keys } = said;
        if subject != own_id && self.is_absent(&subject) {
            return Err(NoEffect::NeedPeer(subject));
        }
        let meta = self.meta.edit().ok_or(NoEffect::Refused)?;
        // A revocation is final, whatever was said before it, and waits for nothing: not for what is missing before it,
        // nor for room to count in. The root's serials have gaps, so that one of its words can come behind a later one.
        let is_revocation = verdict == Verdict::Revoked;
        match meta.serials.advance(&issuer, serial, &meta.revoked) {
            Ok(()) => {}
            Err(SerialError::Replayed) if is_revocation && !meta.revoked.has_heard(&subject, &issuer) => {}
            Err(SerialError::Replayed) => return Err(NoEffect::Known),
            Err(SerialError::Full) if is_revocation => {}
            Err(SerialError::Full) => return Err(NoEffect::Refused),
            Err(SerialError::Gap) => {
                // It comes again, in its turn, when what is missing is fetched.
                if has_say {
                    meta.serials.hear(&issuer, serial, &meta.revoked);
                    self.ask_again(&issuer);
                }
                if !is_revocation {
                    return Ok(());
                }
            }
        }
        if !has_say {
            return Err(NoEffect::Refused);
        }
        if let Some((keys, stated_at)) = link_keys {
            self.link_keys_announced(&subject, &keys, stated_at);
            return Ok(());
        }
        let stood = self.stands();
        if verdict == Verdict::Revoked
            && let Some(Some(membership)) = self.device.get_mut().map(super::Device::membership_mut)
            && membership.keep(signed, &subject, &issuer)
        {
            self.device.mark_changed();
        }
        let has_effect = self.obey(&issuer, &subject, certifies, verdict);
        if subject == own_id {
            let counts = self.membership().is_some_and(|own| own.is_below(&issuer));
            if counts || verdict != Verdict::Revoked {
                self.notify(Event::OwnStanding(verdict));
            }
        } else if has_effect {
            self.notify(Event::PeerStanding(subject, verdict));
        }
        if stood && !self.stands() && subject != own_id {
            self.notify(Event::Uncertified);
        }
        Ok(())
    }

    /// Proof that the statement was said, unless it is this device's own, come back to it.
    fn verify_statement<'b>(&self, posted: &Posted<'b>) -> Result<VerifiedPosted<'b>, NoEffect> {
        let (issuer, serial) = claimed(posted.signed).ok_or(NoEffect::Refused)?;
        let device = self.device.get().ok_or(NoEffect::Refused)?;
        let membership = device.membership().ok_or(NoEffect::Refused)?;
        let meta = self.meta.get().ok_or(NoEffect::Refused)?;
        if issuer == *device.identity.device_id() && serial <= meta.statement_serial {
            return Err(NoEffect::Known);
        }
        let verified = posted.verify_signatures(membership.tenant_id(), membership.root());
        verified.map_err(|_| NoEffect::Refused)
    }

    /// What a statement says, and whether its issuer has that say.
    #[inline(never)]
    fn read_statement(&self, verified: &VerifiedPosted<'_>) -> Option<(Said, bool)> {
        let verified = verified.statement().ok()?;
        Some((Said::of(&verified), has_say(&verified, &self.meta.get()?.revoked)))
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

    /// Does what a statement says; `false` when it is about no peer, or changes nothing. Whether others are in on the
    /// word of a subject that is out counts for ever.
    ///
    /// A revocation is obeyed where its issuer stands above the peer in the chain by which this device knows it; else it
    /// is noted, for chains in which it does. The chain that came with it may have been made for it.
    pub(super) fn obey(
        &mut self,
        issuer: &DeviceId,
        subject: &DeviceId,
        certifies: bool,
        verdict: Verdict,
    ) -> bool {
        let peer = self.peer_slot(subject).and_then(|slot| slot.get());
        let is_peer = peer.is_some();
        let is_below = peer.map_or(*issuer == DeviceId::ROOT, |peer| peer.certification.is_below(issuer));
        let counts = is_below || self.device_id() == Some(*issuer);
        // An owner comes to know every device that shows a chain, so it has to know who is out.
        let is_noted = is_peer || certifies || self.is_owner();
        if verdict == Verdict::Revoked && is_noted {
            let by = if counts { &DeviceId::ROOT } else { issuer };
            if !self.meta.edit().is_some_and(|meta| meta.revoked.add(subject, by)) {
                self.notify(Event::RevocationsFull);
            }
        }
        #[cfg(feature = "owner")]
        if verdict == Verdict::Revoked {
            // A key of this owner that somebody else closed: closing it once more could keep whom that one did not.
            self.forget_key(&KeyId(subject.0));
        }
        if verdict == Verdict::Revoked && !counts {
            return false;
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
        let missing = meta.serials.missing(&meta.revoked).find(|missing| is_open(&missing.owner));
        if let Some(OwnerSerial { owner: issuer, serial: after }) = missing {
            // With too many calls under way, the next frame brings it up again.
            let _ = self.fetch_statements(issuer, after);
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
        let is_missing = meta.serials.missing(&meta.revoked).any(|missing| missing.owner == *owner);
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

/// Who says a statement, and its serial, unverified. In a frame of its own.
#[inline(never)]
fn claimed(signed: &[u8]) -> Option<(DeviceId, u64)> {
    let object = Unverified::decode(signed).ok()?;
    let statement = Statement::from_unverified(&object).ok()?;
    Some((statement.issuer, statement.serial))
}

/// Whether a statement's issuer is one whose word counts now. A revocation counts whenever it was said.
fn has_say(verified: &VerifiedStatement<'_>, revoked: &Revoked) -> bool {
    let (statement, provenance) = (verified.statement(), verified.provenance());
    statement.verdict == Verdict::Revoked
        || statement.issuer == DeviceId::ROOT
        || Certification::new(provenance.clone()).admits(&statement.issuer, revoked)
}

/// What is left of a statement when its bytes are no longer borrowed.
struct Said {
    issuer: DeviceId,
    subject: DeviceId,
    certifies: bool,
    verdict: Verdict,
    serial: u64,
    link_keys: Option<(AnnouncedKeys, u64)>,
}

impl Said {
    fn of(verified: &VerifiedStatement<'_>) -> Self {
        let Statement { verdict, subject, issuer, serial, issued_at, link_keys, .. } = *verified.statement();
        let link_keys = link_keys.map(|keys| (keys, issued_at));
        Self { issuer, subject, certifies: verified.subject_certifies(), verdict, serial, link_keys }
    }
}
