//! A peer and the sessions with it (`PROTOCOL.md` sections 6 and 7).

mod prelude;
mod psk;
mod record;

use av_wire::bundle::{KemPrekey, KemPrekeyKind, VerifiedBundle};
use av_wire::limits::MAX_OWNERS;
use av_wire::message::MessageType;
use av_wire::{DeviceId, DevicePublic, TenantId};
use heapless::{String, Vec};
use rand_core::CryptoRng;

use super::bucket::Bucket;
use super::event::Standing;
use super::received::Received;
use super::resync::Resync;
use super::sessions::Sessions;
use super::wait::Wait;
use crate::Now;
use crate::crypto::Aead;
use crate::enroll::{Certification, Revoked};
use crate::error::{RatchetError, X3dhError};
use crate::invite::NAME_MAX;
use crate::keys::{Identity, Prekeys, Secret};
use crate::limits::{ANSWER_AFTER, MAX_PREKEY_AGE, ONE_TIME_PREKEYS, PADDING_BLOCK};
use crate::ratchet::{HeaderBlob, Opened, Place, Sealed, Session};
use crate::x3dh::{self, Parameters};
use psk::InvitePsk;

/// Where a message came in: the context that opening it needs.
pub(super) struct Context<'c> {
    pub(super) tenant: &'c TenantId,
    pub(super) identity: &'c Identity,
    pub(super) now: Now,
    /// Whether the peer may begin a session; not asked where this device does.
    pub(super) may_begin: bool,
}

/// What a peer begins with; borrowed, because a peer is made in its slot.
pub(super) struct NewPeer<'p> {
    pub(super) device: &'p DevicePublic,
    pub(super) name: &'p str,
    pub(super) standing: Standing,
    pub(super) certification: &'p Certification,
    pub(super) psk: Option<&'p Secret<32>>,
}

/// A peer, and what is known of the sessions with it.
pub(super) struct Peer<A: Aead, const SKIP: usize> {
    pub(super) device: DevicePublic,
    pub(super) device_id: DeviceId,
    pub(super) name: String<NAME_MAX>,
    pub(super) standing: Standing,
    /// The owners on whose word it is in.
    pub(super) certification: Certification,
    /// Whose latest word on it is a suspension.
    suspended_by: Vec<DeviceId, { MAX_OWNERS + 1 }>,
    /// The invite's, between a device and the owner that approved it, until both chains of a session are in use.
    psk: InvitePsk,
    /// The greatest generation accepted from this peer. Kept apart from what was sent: when both begin a session at
    /// once with the same generation, each has to take the other's.
    accepted_generation: u32,
    /// The greatest generation sent to this peer.
    sent_generation: u32,
    /// When the newest signed prekey of this peer was made that this side used, s; 0 without clocks. Not its id: that of a
    /// peer whose storage went back is lower.
    newest_prekey: u64,
    /// A message of ours opened there, so preludes name us by id instead of by chain.
    knows_us: bool,
    /// What this owner told it of its own last serial; not stored.
    #[cfg(feature = "owner")]
    pub(super) told_serial: Option<u64>,
    /// Whether the application was told that the peer is confirmed.
    pub(super) was_confirmed: bool,
    /// Whether it ever ran on an old copy of its storage.
    pub(super) diverged: bool,
    /// Transcript and chain hash of its enrollment, until its activation came.
    pub(super) enrollment: Option<([u8; 32], [u8; 32])>,
    sessions: Sessions<A, SKIP>,
    pub(super) received: Received,
    // What follows is not stored.
    preludes: Bucket,
    pub(super) resync: Resync,
    /// When to repeat the first flight, while no reply has opened.
    flight: Option<Wait>,
}

impl<A: Aead, const SKIP: usize> Peer<A, SKIP> {
    /// Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(super) fn new(new: &NewPeer<'_>) -> Self {
        Self {
            device: *new.device,
            device_id: new.device.device_id(),
            // No longer than a name may be: it is this crate's, a record's or a verified request's.
            name: new.name.try_into().unwrap_or_default(),
            standing: new.standing,
            certification: new.certification.clone(),
            suspended_by: Vec::new(),
            psk: InvitePsk::new(new.psk.map(Secret::duplicate)),
            accepted_generation: 0,
            sent_generation: 0,
            newest_prekey: 0,
            knows_us: false,
            #[cfg(feature = "owner")]
            told_serial: None,
            was_confirmed: false,
            diverged: false,
            enrollment: None,
            sessions: Sessions::new(),
            received: Received::new(),
            preludes: Bucket::FULL,
            resync: Resync::IDLE,
            flight: None,
        }
    }

    /// Whether it is written to and heard: no owner holds it, and all on whose word it is in still are owners, or kept
    /// what they certified.
    pub(super) fn is_in(&self, revoked: &Revoked) -> bool {
        let is_held = self.suspended_by.iter().any(|owner| !revoked.contains(owner));
        self.standing != Standing::Revoked && !is_held && self.certification.stands(revoked)
    }

    /// Where it stands, as the application sees it.
    pub(super) fn visible_standing(&self, revoked: &Revoked) -> Standing {
        match self.standing {
            Standing::Approved | Standing::Active if !self.certification.stands(revoked) => {
                Standing::Uncertified
            }
            Standing::Approved | Standing::Active if !self.is_in(revoked) => Standing::Suspended,
            standing => standing,
        }
    }

    /// An owner holds it.
    pub(super) fn suspend(&mut self, owner: &DeviceId) {
        // There is room for every active owner and the root. If more hold it all the same, only the root lifts that.
        if !self.suspended_by.contains(owner)
            && self.suspended_by.push(*owner).is_err()
            && let Some(last) = self.suspended_by.last_mut()
        {
            *last = DeviceId::ROOT;
        }
    }

    /// An owner lifts its suspension; the root, all of them.
    pub(super) fn resume(&mut self, owner: &DeviceId) {
        self.suspended_by.retain(|known| known != owner && *owner != DeviceId::ROOT);
    }

    /// Whether there is a session to send on.
    pub(super) const fn is_ready(&self) -> bool {
        self.sessions.winner().is_some()
    }

    /// Whether a message of the peer opened under the session that this device sends on.
    pub(super) fn is_confirmed(&self) -> bool {
        self.sessions.winner().is_some_and(Session::is_confirmed)
    }

    /// Whether a message of the peer opened on the session that this device sends on: the peer holds it.
    pub(super) fn is_established(&self) -> bool {
        self.sessions.winner().is_some_and(|winner| winner.receiving_chains() > 0)
    }

    /// `th` of the session that this device sends on.
    pub(super) fn sending_session(&self) -> Option<&[u8; 32]> {
        self.sessions.winner().map(Session::id)
    }

    /// Where a message stands whose header opens on the session that this device sends on.
    pub(super) fn place_of(&mut self, header_blob: &[u8]) -> Option<Place> {
        self.sessions.winner_mut().and_then(|winner| winner.place_of(header_blob))
    }

    /// When to repeat the first flight: from a minute after its session began, until a reply opens.
    pub(super) fn flight(&mut self, now: Now) -> Option<&mut Wait> {
        if !self.has_due_work() {
            self.flight = None;
            return None;
        }
        Some(self.flight.get_or_insert(Wait::begin(now, ANSWER_AFTER)))
    }

    /// When something is due that is not a message's own, if that lies ahead.
    pub(super) fn due(&self, now: Now) -> Option<u64> {
        let own = [self.received.have_due(), self.resync.due(), self.flight.map(Wait::due)];
        own.into_iter().flatten().filter(|due| *due > now.uptime).min()
    }

    /// Starts a session as initiator (X3DH with the peer's verified prekeys).
    pub(super) fn initiate(
        &mut self,
        context: &Context<'_>,
        bundle: &VerifiedBundle<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), X3dhError> {
        let signed = bundle.signed();
        let is_old = |created_at: u64| {
            let has_clocks = context.now.wall > 0 && created_at > 0;
            has_clocks && context.now.wall.saturating_sub(created_at) > MAX_PREKEY_AGE
        };
        // A last-resort KEM key is made right after its signed prekey: one from before was replaced.
        let is_replaced =
            |kem: &KemPrekey<'_>| kem.kind() == KemPrekeyKind::LastResort && kem.id() < signed.id;
        let is_kem_stale = bundle.kem().is_some_and(|kem| is_old(kem.created_at()) || is_replaced(kem));
        let is_replaced = signed.created_at > 0 && signed.created_at < self.newest_prekey;
        if is_replaced || is_old(signed.created_at) || is_kem_stale {
            return Err(X3dhError::Stale);
        }
        let greatest = self.accepted_generation.max(self.sent_generation);
        let generation = greatest.checked_add(1).ok_or(X3dhError::Prelude)?;
        let parameters = Parameters {
            tenant: context.tenant,
            identity: context.identity,
            peer: &self.device,
            generation,
            psk: self.psk.to_initiate(),
        };
        let session = x3dh::initiate(&parameters, bundle, rng)?;
        self.sent_generation = generation;
        // A peer whose clock was ahead is not held to that.
        self.newest_prekey = self.newest_prekey.max(signed.created_at.min(context.now.wall));
        self.sessions.install(session, context.identity.device_id(), &self.device_id, context.now);
        Ok(())
    }

    /// Seals a plaintext, kind first, on the winner.
    pub(super) fn seal(
        &mut self,
        introduction: &[u8],
        own_id: &DeviceId,
        head: &[u8],
        body: &[u8],
        rng: &mut dyn CryptoRng,
        out: &mut [u8],
    ) -> Result<Sealed, RatchetError> {
        let initiator = if self.knows_us { &own_id.as_bytes()[..] } else { introduction };
        let winner = self.sessions.winner_mut().ok_or(RatchetError::NotReady)?;
        winner.encrypt_parts(rng, initiator, head, body, PADDING_BLOCK, out)
    }

    /// Bytes that sealing a body of this length takes.
    pub(super) fn sealed_len(&self, introduction: &[u8], body_len: usize) -> Result<usize, RatchetError> {
        let initiator_len = if self.knows_us { DeviceId::LEN } else { introduction.len() };
        let winner = self.sessions.winner().ok_or(RatchetError::NotReady)?;
        winner.sealed_len(initiator_len, body_len, PADDING_BLOCK)
    }

    /// Opens a message into `out`. On an error nothing has changed but the ration of preludes.
    pub(super) fn open(
        &mut self,
        context: &Context<'_>,
        prekeys: &mut Prekeys<ONE_TIME_PREKEYS>,
        header_blob: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, RatchetError> {
        let header = HeaderBlob::parse(header_blob)?;
        // Generations are unique among the preludes that were accepted from a peer: one that repeats a generation
        // with other keys fails on the session.
        let opened = match (header.kind, header.prelude) {
            (MessageType::WithPrelude, Some(prelude))
                if !self.sessions.has_responded_in(prelude.generation) =>
            {
                self.open_first(context, prekeys, &prelude, header_blob, ciphertext, out)?
            }
            _ => self.sessions.decrypt(context.now, header_blob, ciphertext, out)?,
        };
        self.knows_us = true;
        self.psk.note(&self.sessions);
        self.received.history.retain(|session| self.sessions.has(session));
        self.received.history.note(&opened.place);
        Ok(opened)
    }

    /// Does what is due; returns whether the record changed.
    pub(super) fn tick(&mut self, now: Now) -> bool {
        self.sessions.tick(now)
    }

    /// Whether something has to be done for it that a restart does not forget.
    fn has_due_work(&self) -> bool {
        self.standing == Standing::Active && self.is_ready() && !self.is_confirmed()
    }

    /// Whether it can be sent home: nothing is due, and its ration of preludes is whole, which is not stored. A receipt
    /// that is owed does not keep it: it goes out when the peer is lent again, at the latest for its own `check`.
    pub(super) fn is_idle(&self, now: Now) -> bool {
        !self.has_due_work() && self.resync.due().is_none() && self.preludes.is_whole(now)
    }

    /// Ends everything with a revoked peer; its generation stays known.
    pub(super) fn revoke(&mut self) {
        self.standing = Standing::Revoked;
        self.psk.end();
        self.sessions.wipe();
        self.received = Received::new();
    }
}
