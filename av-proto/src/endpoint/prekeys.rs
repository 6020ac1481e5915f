//! Sessions that begin with a peer's published prekeys (`PROTOCOL.md` sections 5 and 6).

use av_wire::DeviceId;
use av_wire::bundle::Bundle;
use av_wire::frame::ToRelay;
use rand_core::CryptoRng;

use super::Endpoint;
use super::calls::CallAbout;
use super::error::EndpointError;
use super::event::{Event, Standing};
use super::peer::{Context, kind};
use super::slot::Slot;
use crate::Now;
use crate::crypto::Aead;

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
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
        if !matches!(known.standing, Standing::Approved | Standing::Active) {
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
    pub(super) fn bundle_came(&mut self, now: Now, rng: &mut dyn CryptoRng, request: u32, bundle: &Bundle) {
        let Some(CallAbout::FetchBundle(peer)) = self.call_about(request) else { return };
        self.end_call(request);
        let event = match self.begin_session(now, rng, &peer, bundle) {
            Some(one_time_key) => Event::SessionStarted { peer, one_time_key },
            None => Event::SessionFailed(peer),
        };
        self.notify(event);
    }

    /// Whether a one-time prekey went into the session that began; `None` when none did.
    fn begin_session(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        peer: &DeviceId,
        bundle: &Bundle,
    ) -> Option<bool> {
        // The hello has to go out in the same commit.
        self.outbox.iter().find(|slot| slot.is_empty())?;
        let index = self.peer_index(peer)?;
        let device = self.device.get()?;
        let context = Context { tenant: device.membership()?.tenant_id(), identity: &device.identity, now };
        let slot = self.peers.get_mut(index)?;
        let known = slot.get_mut()?;
        if !matches!(known.standing, Standing::Approved | Standing::Active) {
            return None;
        }
        let verified = bundle.verify(&known.device).ok()?;
        known.initiate(&context, &verified, rng).ok()?;
        slot.mark_changed();
        self.send_kind(rng, peer, kind::HELLO, &[]).ok()?;
        Some(verified.one_time().is_some())
    }
}
