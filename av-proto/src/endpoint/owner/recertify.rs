//! How this owner certifies a device anew (`PROTOCOL.md` section 4.4).

use av_wire::DeviceId;
use av_wire::frame::ToRelay;

use super::calls::{OwnersCall, put_call, request_number};
use crate::Now;
use crate::crypto::Aead;
use crate::endpoint::Endpoint;
use crate::endpoint::error::EndpointError;
use crate::endpoint::event::Standing;
use crate::endpoint::slot::Slot;
use crate::enroll::{Certification, certify_device};

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Certifies a peer anew on whose chain an owner was revoked, under this owner's own chain. The sessions with it go
    /// on. Ends in [`Event::PeerRecertified`](crate::Event::PeerRecertified) or [`Event::RecertificationFailed`](crate::Event::RecertificationFailed).
    ///
    /// # Errors
    /// [`EndpointError::Unknown`] for no such peer, one that is revoked, or one whose certification stands,
    /// [`EndpointError::Full`], [`EndpointError::NotOwner`], [`EndpointError::NotActive`].
    pub fn recertify(&mut self, now: Now, peer: &DeviceId) -> Result<(), EndpointError> {
        self.require_owner()?;
        let own = self.device.get().ok_or(EndpointError::NotActive)?;
        let membership = own.membership().ok_or(EndpointError::NotActive)?;
        let revoked = &self.meta.get().ok_or(EndpointError::NotActive)?.revoked;
        let known = self.peer_index(peer).and_then(|index| self.peers.get(index)?.get());
        let known = known.filter(|peer| peer.visible_standing(revoked) == Standing::Uncertified);
        let known = known.ok_or(EndpointError::Unknown)?;
        let id = self.next_outbox_id();
        let chain = certify_device(&own.identity, membership, &known.device, now.wall, &mut self.scratch)
            .map_err(|_| EndpointError::Bug)?;
        let certification = Certification::new(chain.provenance(0).map_err(|_| EndpointError::Bug)?);
        let call = ToRelay::Recertify { request: request_number(id), chain: chain.as_bytes() };
        let slot = self.outbox.iter_mut().find(|slot| slot.is_empty()).ok_or(EndpointError::Full)?;
        put_call(slot, id, OwnersCall::Recertify(*peer), &call).map_err(|_| EndpointError::Bug)?;
        self.use_outbox_id();
        if let Some(known) = self.peer_slot(peer).and_then(Slot::edit) {
            known.certification = certification;
        }
        Ok(())
    }
}
