//! Who is on the other end of a connection (`PROTOCOL.md` section 9).

use av_wire::frame::{LinkKind, authentication_message};
use av_wire::ids::{DeviceId, TenantId};
use av_wire::signature::{Signature, verify_message};

use super::{Actor, Refusal, Relay};
use crate::store::{DeviceStatus, InboxState, StoredKind};

/// A key that nobody holds: what an unknown device's signature is checked against, so that the answer takes the
/// time it takes for a known one. Any point will do; this is the curve's base point.
const NOBODY: [u8; 32] = [
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
];

/// What a device says to prove who it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authentication {
    pub(crate) tenant: TenantId,
    pub(crate) device: DeviceId,
    /// What protects its connection, as the door sees it.
    pub(crate) link: LinkKind,
    /// What belongs to this connection alone: the nonce of its challenge, or the Noise link's handshake.
    pub(crate) channel: [u8; 32],
    pub(crate) signature: Signature,
}

/// Where a device stands when it comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Welcome {
    pub(crate) inbox: InboxState,
    pub(crate) one_time_prekeys: u16,
}

impl Relay {
    /// Whether an active device signed for this very connection, and for this relay's origin.
    pub(crate) async fn authenticate(&self, claim: &Authentication) -> Result<Actor, Refusal> {
        let tx = self.store.tenant(claim.tenant).await?;
        let device = tx.device(&claim.device).await?;
        let active = device.filter(|device| device.status == DeviceStatus::Active);
        let key = active.as_ref().map_or(NOBODY, |device| device.public.identity_key);
        let Authentication { tenant, device: id, link, channel, signature } = claim;
        let proven = authentication_message(*link, channel, tenant, id, &self.origin)
            .and_then(|message| verify_message(&key, &message, signature))
            .is_ok();
        if !proven || active.is_none() {
            return Err(Refusal::NotAuthorized);
        }
        Ok(Actor { tenant: claim.tenant, device: claim.device })
    }

    /// Where an authenticated device stands. Asked once the device is on the bus: a revocation that came between
    /// its signature and its place on the bus is seen here, a later one reaches it there.
    pub(crate) async fn welcome(&self, actor: &Actor) -> Result<Welcome, Refusal> {
        let tx = self.as_active(actor).await?;
        let inbox = tx.inbox(&actor.device).await?.ok_or(Refusal::NotAuthorized)?;
        let left = tx.prekeys_left(&actor.device, StoredKind::OneTime).await?;
        Ok(Welcome { inbox, one_time_prekeys: u16::try_from(left).unwrap_or(u16::MAX) })
    }
}
