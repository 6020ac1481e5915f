//! An owner's devices (`PROTOCOL.md` section 8): each is a device of its own, so an agent writes to all of them, and
//! what one of them sends, the others get a copy of.

use av_wire::{DeviceId, Role};
use rand_core::CryptoRng;

use super::Endpoint;
use super::control::kind;
use super::error::SendError;
use super::slot::Slot;
use crate::crypto::{Aead, scrubbed};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Sends a message to every active device of the owner that this device has a session with, and returns how many
    /// there are. In the outbox of all of them, or of none.
    ///
    /// # Errors
    /// [`SendError::OutboxFull`] without room for all of them, [`SendError::NotReady`] when there is none, else as
    /// [`Endpoint::send`] for the first that fails.
    pub fn send_to_owners(&mut self, rng: &mut dyn CryptoRng, payload: &[u8]) -> Result<usize, SendError> {
        scrubbed(|| self.send_to_each_owner(rng, payload))
    }

    fn send_to_each_owner(&mut self, rng: &mut dyn CryptoRng, payload: &[u8]) -> Result<usize, SendError> {
        let owners = self.ready_owners();
        if owners.is_empty() {
            return Err(SendError::NotReady);
        }
        if self.outbox_room() < owners.len() {
            return Err(SendError::OutboxFull);
        }
        for owner in &owners {
            self.send_kind(rng, owner, kind::APPLICATION, payload)?;
        }
        Ok(owners.len())
    }

    /// Owners that are in and that this device can write to. A tenant has eight at most.
    pub(super) fn ready_owners(&self) -> heapless::Vec<DeviceId, { av_wire::limits::MAX_OWNERS }> {
        let Some(meta) = self.meta.get() else { return heapless::Vec::new() };
        let is_ready = |peer: &&super::Peer<A, SKIP>| {
            peer.device.role == Role::Owner && peer.is_in(&meta.revoked) && peer.is_ready()
        };
        let owners = self.peers.iter().filter_map(Slot::get).filter(is_ready);
        owners.take(av_wire::limits::MAX_OWNERS).map(|peer| peer.device_id).collect()
    }

    /// Whether this device is an owner's, which in a build without feature `owner` none is.
    pub(super) fn is_owner(&self) -> bool {
        cfg!(feature = "owner") && self.public().is_some_and(|public| public.role == Role::Owner)
    }
}
