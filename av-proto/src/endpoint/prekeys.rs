//! This device's prekeys at the relay, and sessions that begin with a peer's (`PROTOCOL.md` sections 5 and 6).

use av_wire::bundle::{Bundle, KEM_RECORD, SignedKemPrekey, SignedPrekey};
use av_wire::frame::ToRelay;
use av_wire::{DeviceId, List};
use heapless::Vec;
use rand_core::CryptoRng;

use super::Endpoint;
use super::calls::{CallAbout, FIRST_CALL};
use super::control::kind;
use super::error::EndpointError;
use super::event::Event;
use super::link::Publishing;
use super::peer::Context;
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;
use crate::limits::{KEM_PREKEYS_PUBLISHED, ONE_TIME_PREKEYS};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Rotates and refills this device's prekeys, when it is active and connected.
    pub(super) fn maintain_prekeys(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let is_authenticated = self.link.get().is_some_and(|link| link.authenticated);
        let (Some(device), Some(prekeys)) = (self.device.get(), self.prekeys.get_mut()) else { return };
        if !is_authenticated || device.membership().is_none() {
            return;
        }
        if prekeys.maintain(now, rng, &device.identity).unwrap_or(false) {
            self.prekeys.mark_changed();
        }
    }

    /// The call that publishes what the relay has not confirmed; it takes its answer on this connection.
    pub(super) fn transmit_prekeys(&mut self) -> Option<&[u8]> {
        let (device, prekeys) = (self.device.get()?, self.prekeys.get()?);
        let link = self.link.get_mut()?;
        let request = FIRST_CALL | self.calls_made;
        self.calls_made = (self.calls_made + 1) % FIRST_CALL;
        link.publishing = Some(Publishing { request, last: prekeys.unpublished()? });
        let mut signed = Vec::<SignedPrekey, { 1 + ONE_TIME_PREKEYS }>::new();
        let mut has_room = true;
        prekeys
            .for_each_unpublished(&device.identity, |prekey| has_room &= signed.push(prekey).is_ok())
            .ok()?;
        let mut room = [[0; KEM_RECORD]; KEM_PREKEYS_PUBLISHED];
        let mut kem = Vec::<SignedKemPrekey<'_>, KEM_PREKEYS_PUBLISHED>::new();
        prekeys
            .for_each_unpublished_kem(&device.identity, &mut room, |prekey| {
                has_room &= kem.push(prekey).is_ok();
            })
            .ok()?;
        debug_assert!(has_room, "there is room for all that a device keeps");
        let (prekeys, kem_prekeys) = (List::new(&signed), List::new(&kem));
        av_wire::encode(&ToRelay::PublishPrekeys { request, prekeys, kem_prekeys }, &mut self.scratch).ok()
    }

    /// Whether an answer was to the prekeys under way. A relay that refuses them gets them on the next connection.
    pub(super) fn prekeys_answered(&mut self, request: u32, is_done: bool) -> bool {
        let publishing = self.link.get().and_then(|link| link.publishing);
        let Some(publishing) = publishing.filter(|publishing| publishing.request == request) else {
            return false;
        };
        if is_done && self.prekeys.get_mut().is_some_and(|prekeys| prekeys.confirm_published(publishing.last))
        {
            self.prekeys.mark_changed();
        }
        true
    }

    /// Begins a new session with a peer: asks the relay for its prekeys, and sends a hello when they are there. Ends
    /// in [`Event::SessionStarted`] or [`Event::SessionFailed`]; a restart forgets it.
    ///
    /// `one_time` asks for a one-time prekey too, which the relay hands out once an hour at most; without one the
    /// first flight is protected by the peer's signed prekey alone, until the peer answers.
    ///
    /// # Errors
    /// [`EndpointError::Unknown`] for no such peer or one that is not active, [`EndpointError::Full`] while too many
    /// calls are under way.
    pub fn start_session(&mut self, peer: &DeviceId, one_time: bool) -> Result<(), EndpointError> {
        let index = self.peer_index(peer).ok_or(EndpointError::Unknown)?;
        let known = self.peers.get(index).and_then(Slot::get).ok_or(EndpointError::Unknown)?;
        if !self.meta.get().is_some_and(|meta| known.is_in(&meta.revoked)) {
            return Err(EndpointError::Unknown);
        }
        let device_id = *peer;
        self.call(CallAbout::FetchBundle(device_id), |request| ToRelay::FetchBundle {
            request,
            device_id,
            one_time,
        })
    }

    /// Prekeys came. Nothing of them is used before their signatures have verified under the keys that this device
    /// knows the peer by; the chain beside them tells it nothing new.
    pub(super) fn bundle_came(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        request: u32,
        bundle: &Bundle<'_>,
    ) {
        let Some(CallAbout::FetchBundle(peer)) = self.call_about(request) else { return };
        self.end_call(request);
        let event = match self.begin_session(now, rng, &peer, bundle) {
            Some(one_time_key) => Event::SessionStarted { peer, one_time_key },
            None => Event::SessionFailed(peer),
        };
        self.notify(event);
    }

    /// Whether a one-time prekey went into the session that began; `None` when none did.
    pub(super) fn begin_session(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        peer: &DeviceId,
        bundle: &Bundle<'_>,
    ) -> Option<bool> {
        // The hello has to go out in the same commit.
        self.outbox.iter().find(|slot| slot.is_empty())?;
        let index = self.peer_index(peer)?;
        let device = self.device.get()?;
        let context = Context {
            tenant: device.membership()?.tenant_id(),
            identity: &device.identity,
            now,
            may_begin: true,
        };
        let slot = self.peers.get_mut(index)?;
        let known = slot.get_mut()?;
        if !known.is_in(&self.meta.get()?.revoked) {
            return None;
        }
        let verified = bundle.verify(&known.device).ok()?;
        known.initiate(&context, &verified, rng).ok()?;
        slot.mark_changed();
        self.send_kind(rng, peer, kind::HELLO, &[]).ok()?;
        Some(verified.one_time().is_some())
    }
}
