//! What becomes of an enrollment: approved by an owner and taken up by the device, or rejected
//! (`PROTOCOL.md` sections 4.2 and 4.3).

use av_wire::bundle::Bundle;
use av_wire::chain::Chain;
use av_wire::enroll::{EnrollRequest, verify_activation};
use av_wire::grant::Grant;
use av_wire::ids::{DeviceId, TenantId};
use av_wire::limits::MAX_OWNERS;
use av_wire::public::Role;
use av_wire::signature::Signature;

use super::prekeys::VerifiedPrekeys;
use super::{Actor, Refusal, Relay};
use crate::store::{Approval, Device, DeviceStatus, PendingRequest, StoreError, TenantTx};

impl Relay {
    /// Enrollment requests of the tenant that an owner has to look at.
    pub(crate) async fn list_pending(&self, actor: &Actor) -> Result<Vec<PendingRequest>, Refusal> {
        let tx = self.as_owner(actor).await?;
        Ok(tx.pending_requests().await?)
    }

    /// Approves a pending device with the grant that the calling owner made for it. The relay passes the grant
    /// on only if its chain certifies exactly that device, by that owner, up to the tenant's root. The identical
    /// call again succeeds again.
    pub(crate) async fn approve(
        &self,
        actor: &Actor,
        device_id: &DeviceId,
        grant_bytes: &[u8],
    ) -> Result<(), Refusal> {
        let grant: Grant<'_> = av_wire::decode(grant_bytes).map_err(|_| Refusal::NotAuthorized)?;
        let tx = self.as_authority(actor).await?;
        let device = tx.device(device_id).await?.ok_or(Refusal::NotFound)?;
        match device.status {
            DeviceStatus::Pending => {}
            DeviceStatus::Approved | DeviceStatus::Active if device.grant.as_deref() == Some(grant_bytes) => {
                return Ok(());
            }
            _ => return Err(Refusal::NotFound),
        }
        check_chain(&tx, actor, &device, grant.chain()).await?;
        if device.public.role == Role::Owner && tx.owner_count().await? >= MAX_OWNERS as u64 {
            return Err(Refusal::OverQuota);
        }
        let approval = Approval { by: &actor.device, chain: grant.chain, grant: grant_bytes };
        if !tx.approve_device(device_id, &approval).await? {
            return Err(Refusal::NotFound);
        }
        tx.insert_inbox(device_id).await?;
        publish_enrolled_prekey(&tx, device_id, &device).await?;
        tx.commit().await?;
        self.bus.wake(&actor.tenant, device_id);
        tracing::info!(tenant = %actor.tenant, device = %device_id, "device approved");
        Ok(())
    }

    /// Rejects a pending device, for good; or puts aside a request that came late. Again is the same as once.
    pub(crate) async fn reject(&self, actor: &Actor, device_id: &DeviceId) -> Result<(), Refusal> {
        let tx = self.as_authority(actor).await?;
        let rejected = tx.reject_device(device_id).await?;
        let cleared = tx.clear_late_request(device_id).await?;
        let standing = tx.standing(device_id).await?;
        let was_rejected = matches!(standing, Some((DeviceStatus::Rejected, _)));
        if !rejected && !cleared && !was_rejected {
            return Err(Refusal::NotFound);
        }
        tx.commit().await?;
        if rejected {
            self.bus.wake(&actor.tenant, device_id);
            tracing::info!(tenant = %actor.tenant, device = %device_id, "device rejected");
        }
        Ok(())
    }

    /// Lets a device in that proves that it took up its grant, and tells the owner who approved it. Again is the
    /// same as once.
    pub(crate) async fn activate(
        &self,
        tenant: &TenantId,
        device_id: &DeviceId,
        signature: &Signature,
    ) -> Result<(), Refusal> {
        let tx = self.store.tenant(*tenant).await?;
        tx.lock_authority().await?;
        let device = tx.device(device_id).await?.ok_or(Refusal::NotAuthorized)?;
        let is_first = match device.status {
            DeviceStatus::Approved => true,
            DeviceStatus::Active => false,
            _ => return Err(Refusal::NotAuthorized),
        };
        let (Some(transcript), Some(chain), Some(owner)) =
            (device.transcript, device.chain.as_deref(), device.approved_by)
        else {
            return Err(Refusal::NotAuthorized);
        };
        verify_activation(&device.public, &transcript, &Chain::new(chain).hash(), signature)
            .map_err(|_| Refusal::NotAuthorized)?;
        if !is_first {
            return Ok(());
        }
        // Whoever approved it may be out by now; then another owner has to.
        if tx.revoked_owners().await?.contains(&owner) {
            return Err(Refusal::NotAuthorized);
        }
        if !tx.activate_device(device_id, signature).await? {
            return Err(Refusal::NotAuthorized);
        }
        tx.insert_activated(&owner, device_id).await?;
        tx.commit().await?;
        self.bus.wake(tenant, &owner);
        tracing::info!(%tenant, device = %device_id, "device active");
        Ok(())
    }
}

/// The chain certifies exactly the pending device, was issued by the calling owner, and ends at the tenant's
/// root without passing a revoked owner.
async fn check_chain(tx: &TenantTx, actor: &Actor, device: &Device, chain: Chain<'_>) -> Result<(), Refusal> {
    let revoked = tx.revoked_owners().await?;
    let certified =
        chain.verify(&actor.tenant, |issuer| revoked.contains(issuer)).map_err(|_| Refusal::NotAuthorized)?;
    if *certified.public() != device.public || certified.cert().issuer != actor.device {
        return Err(Refusal::NotAuthorized);
    }
    Ok(())
}

/// Publishes the signed and the last-resort prekey that came with the enrollment request. The one-time prekey beside it is the
/// approving owner's, who has it from the request.
async fn publish_enrolled_prekey(
    tx: &TenantTx,
    device_id: &DeviceId,
    device: &Device,
) -> Result<(), Refusal> {
    let stored = tx.request_of(device_id).await?.ok_or(Refusal::NotFound)?;
    let unexpected = || StoreError::Unexpected("an enrollment request");
    let request: EnrollRequest<'_> = av_wire::decode(&stored).map_err(|_| unexpected())?;
    let bundle = Bundle::decode(request.bundle).map_err(|_| unexpected())?;
    let published = Bundle { one_time: None, ..bundle };
    VerifiedPrekeys::of_bundle(&published, &device.public)?.store(tx, device_id).await?;
    // Its id counts as used, so that no later publishing brings it back.
    if let Some(one_time) = bundle.one_time.and_then(|key| key.verify(&device.public).ok()) {
        tx.pass_over_one_time_prekeys(device_id, one_time.id).await?;
    }
    Ok(())
}
