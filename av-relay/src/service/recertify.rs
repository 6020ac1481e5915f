//! Certifying a device anew (`PROTOCOL.md` section 4.4).

use av_wire::chain::Chain;

use super::{Actor, Refusal, Relay};
use crate::store::DeviceStatus;

impl Relay {
    /// Gives an active device another chain, by the calling owner, when its own passes a revoked owner. The identical
    /// call again succeeds again.
    pub(crate) async fn recertify(&self, actor: &Actor, chain: &[u8]) -> Result<(), Refusal> {
        let tx = self.as_authority(actor).await?;
        let revoked = tx.revoked_owners().await?;
        let certified = Chain::new(chain)
            .verify(&actor.tenant, |issuer| revoked.contains(issuer))
            .map_err(|_| Refusal::NotAuthorized)?;
        let device_id = certified.device_id();
        let device = tx.device(&device_id).await?.ok_or(Refusal::NotFound)?;
        let (DeviceStatus::Active | DeviceStatus::Suspended, Some(before)) = (device.status, device.chain)
        else {
            return Err(Refusal::NotFound);
        };
        if before == chain {
            return Ok(());
        }
        if certified.cert().issuer != actor.device || *certified.public() != device.public {
            return Err(Refusal::NotAuthorized);
        }
        let passes = |owner| matches!(Chain::new(&before).find(owner), Ok(Some(_)));
        if !revoked.iter().any(passes) || !tx.recertify_device(&device_id, chain).await? {
            return Err(Refusal::NotFound);
        }
        tx.insert_recertified(&device_id, chain).await?;
        tx.commit().await?;
        self.bus.wake(&actor.tenant, &device_id);
        tracing::info!(tenant = %actor.tenant, device = %device_id, "device certified anew");
        Ok(())
    }
}
