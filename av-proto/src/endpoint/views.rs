//! What an application can ask at any time.

use av_wire::{DeviceId, DevicePublic, Fingerprint, Origin, TenantId};

use super::Endpoint;
use super::device::Progress;
use super::event::PeerView;
use super::slot::Slot;
use super::working_set::PeerRecord;
use crate::crypto::Aead;

/// How far a device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No identity yet.
    Empty,
    /// The founding call waits for the relay.
    Founding,
    /// The enrollment request waits for an owner, or with an API key for the relay.
    Enrolling,
    /// Approved; the activation waits for the relay.
    Granted,
    /// A member of its tenant.
    Active,
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// How far this device has come.
    pub fn phase(&self) -> Phase {
        match self.device.get().map(|device| &device.progress) {
            None => Phase::Empty,
            Some(Progress::Founding(_)) => Phase::Founding,
            Some(Progress::Requested(_) | Progress::KeyHeld(_) | Progress::CertifiedByKey(_)) => {
                Phase::Enrolling
            }
            Some(Progress::Granted(_)) => Phase::Granted,
            Some(Progress::Active) => Phase::Active,
        }
    }

    /// This device's public identity, 74 bytes, once there is one (`PROTOCOL.md` section 2).
    pub fn public(&self) -> Option<&DevicePublic> {
        self.device.get().map(|device| device.identity.public())
    }

    /// The link keys with which a Noise link to this device's relay may be made, the one in use first, then its
    /// announced successor; none where the relay offers no such link.
    pub fn link_keys(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.device.get().into_iter().flat_map(|device| device.link_keys.iter())
    }

    /// This device's fingerprint, to show to the owner who approves.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.device.get().map(|device| *device.identity.fingerprint())
    }

    /// This device's id, 16 bytes: the beginning of its fingerprint.
    pub fn device_id(&self) -> Option<DeviceId> {
        self.device.get().map(|device| *device.identity.device_id())
    }

    /// The name, 1 to 40 bytes, that this device proposed when it enrolled, or was founded under; empty with an API key.
    pub fn name(&self) -> Option<&str> {
        self.device.get().map(|device| device.name.as_str())
    }

    /// The tenant of an active device, 16 bytes (`PROTOCOL.md` section 4.4).
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.membership().map(|membership| *membership.tenant_id())
    }

    /// The origin of the relay that this device was set up for; it connects to no other.
    pub fn origin(&self) -> Option<&Origin> {
        self.device.get().map(|device| &device.origin)
    }

    /// The peers in memory, in no particular order; all of them unless the driver lends.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> {
        let full = self.peers.iter().filter_map(|slot| Some((slot, slot.get()?)));
        full.map(|(slot, peer)| {
            let (index, mark) = (slot.index, slot.mark());
            let standing = self.meta.get().map_or(peer.standing, |meta| peer.visible_standing(&meta.revoked));
            let view = peer.head().view(PeerRecord { device_id: peer.device_id, index, mark });
            PeerView { standing, ..view }
        })
    }

    /// Messages and calls of the application that the relay has not answered yet; an event tells of each answer. What
    /// the relay has accepted and the peer has not receipted is in [`Endpoint::unreceipted`].
    pub fn outbox_len(&self) -> usize {
        let entries = self.outbox.iter().filter_map(Slot::get);
        entries.filter(|entry| entry.is_unanswered() && !entry.is_control()).count() + self.calls.len()
    }

    /// Messages to a peer that wait for its receipt.
    pub fn unreceipted(&self, peer: &DeviceId) -> usize {
        self.outbox.iter().filter_map(Slot::get).filter(|entry| entry.is_unreceipted_by(peer)).count()
    }

    /// Whether the present connection is authenticated.
    pub fn is_authenticated(&self) -> bool {
        self.link.get().is_some_and(|link| link.authenticated)
    }
}
