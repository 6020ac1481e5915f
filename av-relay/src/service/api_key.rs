//! API keys: granted by an owner, found and used by agents (`PROTOCOL.md` section 4.6).

use av_wire::bundle::Bundle;
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::enroll::verify_key_possession;
use av_wire::ids::{KeyId, TenantId};
use av_wire::key_grant::KeyGrant;
use av_wire::signature::{Signature, Unverified};

use super::prekeys::VerifiedPrekeys;
use super::statement::with_revocations;
use super::{Actor, Refusal, Relay};
use crate::store::{ApiKey, DeviceStatus, EnrolledWithKey, TenantTx};

/// Keys of one device that can be used at one time. An owner's device keeps the state of each.
const MAX_OPEN_KEYS: u64 = 32;

impl Relay {
    /// Registers an API key that the calling owner grants. The identical call again succeeds again.
    pub(crate) async fn post_key_grant(&self, actor: &Actor, key_grant: &[u8]) -> Result<(), Refusal> {
        let object = Unverified::decode(key_grant).map_err(|_| Refusal::NotAuthorized)?;
        let grant = KeyGrant::from_unverified(&object).map_err(|_| Refusal::NotAuthorized)?;
        if grant.issuer != actor.device || i64::try_from(grant.expires_at).is_err() {
            return Err(Refusal::NotAuthorized);
        }
        let tx = self.as_authority(actor).await?;
        let owner = tx.device(&actor.device).await?.and_then(|owner| owner.chain);
        let chain = key_chain(&tx, key_grant, &owner.ok_or(Refusal::NotAuthorized)?).await?;
        let revoked = tx.revoked_owners().await?;
        Chain::new(&chain)
            .verify_key(&actor.tenant, |issuer| revoked.contains(issuer))
            .map_err(|_| Refusal::NotAuthorized)?;
        let key = grant.key_id();
        if let Some(known) = tx.api_key(&key).await? {
            return if known.key_grant == key_grant { Ok(()) } else { Err(Refusal::NotAuthorized) };
        }
        if tx.open_api_keys(&actor.device).await? >= MAX_OPEN_KEYS {
            return Err(Refusal::OverQuota);
        }
        if !tx.insert_api_key(&key, &actor.device, key_grant, grant.expires_at).await? {
            return Err(Refusal::NotAuthorized);
        }
        tx.commit().await?;
        tracing::info!(tenant = %actor.tenant, %key, "API key granted");
        Ok(())
    }

    /// The grant of a key that can be used, with the chain of the owner that signed it.
    pub(crate) async fn find_key(&self, tenant: &TenantId, key: &KeyId) -> Result<Vec<u8>, Refusal> {
        let tx = self.store.tenant(*tenant).await?;
        let known = tx.api_key(key).await?.filter(|key| key.is_open).ok_or(Refusal::InviteRefused)?;
        known.chain(&tx).await
    }

    /// Lets in a device that a key of the tenant certified, while the key is open and has not let in as many as it may,
    /// and tells the owner that granted it. The identical call again succeeds again.
    pub(crate) async fn enroll_with_key(
        &self,
        chain_bytes: &[u8],
        bundle_bytes: &[u8],
        pop: &Signature,
    ) -> Result<(), Refusal> {
        // What proves nothing is refused for any key alike, so this tells nothing about this one.
        let chain = Chain::new(chain_bytes);
        let tenant = chain.claimed().map_err(|_| Refusal::InviteRefused)?.tenant_id;
        let certified = chain.verify(&tenant, |_| false).map_err(|_| Refusal::InviteRefused)?;
        let (public, device) = (certified.public(), certified.device_id());
        let grant = certified.key_grant().ok_or(Refusal::InviteRefused)?;
        verify_key_possession(public, bundle_bytes, chain, pop).map_err(|_| Refusal::InviteRefused)?;
        let bundle = Bundle::decode(bundle_bytes).map_err(|_| Refusal::InviteRefused)?;
        let prekeys = VerifiedPrekeys::of_bundle(&bundle, public).map_err(|_| Refusal::InviteRefused)?;

        let tx = self.store.tenant(tenant).await?;
        tx.lock_authority().await?;
        if let Some(known) = tx.device(&device).await? {
            let is_in = matches!(known.status, DeviceStatus::Active | DeviceStatus::Suspended);
            let is_it = known.chain.as_deref() == Some(chain_bytes);
            return if is_in && is_it { Ok(()) } else { Err(Refusal::InviteRefused) };
        }
        let key = grant.key_id();
        let known = tx.api_key(&key).await?.filter(|key| key.is_open).ok_or(Refusal::InviteRefused)?;
        let posted =
            Unverified::decode(&known.key_grant).and_then(|object| KeyGrant::from_unverified(&object));
        let revoked = tx.revoked_owners().await?;
        let stands = chain.verify(&tenant, |issuer| revoked.contains(issuer)).is_ok();
        if posted.as_ref() != Ok(grant) || !stands || tx.api_key_uses(&key).await? >= u64::from(grant.most) {
            return Err(Refusal::InviteRefused);
        }
        let enrolled = EnrolledWithKey { public, chain: chain_bytes, key: &key, owner: &known.owner };
        tx.insert_enrolled_with_key(&enrolled).await?;
        tx.insert_inbox(&device).await?;
        prekeys.store(&tx, &device).await?;
        tx.insert_key_used(&known.owner, chain_bytes).await?;
        tx.commit().await?;
        self.bus.wake(&tenant, &known.owner);
        tracing::info!(%tenant, %device, %key, "device enrolled with an API key");
        Ok(())
    }
}

/// A key's grant and the chain of its owner as it stands now.
async fn key_chain(tx: &TenantTx, key_grant: &[u8], owner_chain: &[u8]) -> Result<Vec<u8>, Refusal> {
    let owner = Chain::new(owner_chain);
    let root = owner.claimed_root().map_err(|_| Refusal::NotAuthorized)?;
    let mut buffer = [0; MAX_CHAIN_BYTES];
    let chain = Chain::prepend(&root, key_grant, Some(owner), &mut buffer);
    with_revocations(tx, chain.map_err(|_| Refusal::NotAuthorized)?.to_vec()).await
}

impl ApiKey {
    /// The chain that gives the root, and the owners on it, a say over the key.
    pub(super) async fn chain(&self, tx: &TenantTx) -> Result<Vec<u8>, Refusal> {
        key_chain(tx, &self.key_grant, &self.owner_chain).await
    }
}
