//! Founding a tenant (`PROTOCOL.md` section 4.4).

use av_wire::bundle::Bundle;
use av_wire::chain::Chain;
use av_wire::frame::founding_message;
use av_wire::ids::DeviceId;
use av_wire::limits::MAX_OWNERS;
use av_wire::public::Role;
use av_wire::signature::{Signature, verify_message};

use super::prekeys::VerifiedPrekeys;
use super::{Founding, Refusal, Relay};

impl Relay {
    /// Founds the tenant that the chain's root certifies, with its founder as an active owner; or lets a further
    /// owner into a tenant that exists, for whoever holds the root can do that when the founder's device is lost. The
    /// identical call again succeeds again.
    ///
    /// `code` must be empty: no relay gives out any. A relay that founds nobody still lets further owners in.
    pub(crate) async fn found(
        &self,
        code: &[u8],
        chain: &[u8],
        bundle: &[u8],
        signature: &Signature,
    ) -> Result<(), Refusal> {
        if !code.is_empty() {
            return Err(Refusal::NotAuthorized);
        }
        let certs = Chain::new(chain);
        let tenant = certs.claimed().map_err(|_| Refusal::NotAuthorized)?.tenant_id;
        let founder = certs.verify(&tenant, |_| false).map_err(|_| Refusal::NotAuthorized)?;
        if founder.cert().issuer != DeviceId::ROOT || founder.public().role != Role::Owner {
            return Err(Refusal::NotAuthorized);
        }
        founding_message(&tenant, &self.origin, &founder.device_id())
            .and_then(|message| verify_message(founder.root(), &message, signature))
            .map_err(|_| Refusal::NotAuthorized)?;
        let bundle = Bundle::decode(bundle).map_err(|_| Refusal::NotAuthorized)?;
        let prekeys = VerifiedPrekeys::of_bundle(&bundle, founder.public())?;

        let tx = self.store.tenant(tenant).await?;
        let is_new = tx.insert_tenant(founder.root()).await?;
        if is_new && self.founding == Founding::Closed {
            tracing::warn!(%tenant, "a founding was refused, since this relay is closed: --found opens it");
            return Err(Refusal::NotAuthorized);
        }
        if !is_new {
            tx.lock_authority().await?;
            let known = tx.device(&founder.device_id()).await?;
            match known {
                None => {}
                Some(device) if device.chain.as_deref() == Some(chain) => return Ok(()),
                Some(_) => return Err(Refusal::NotAuthorized),
            }
            if tx.owner_count().await? >= MAX_OWNERS as u64 {
                return Err(Refusal::OverQuota);
            }
        }
        let user = tx.insert_user().await?;
        tx.insert_founder(founder.public(), &user, chain).await?;
        tx.insert_inbox(&founder.device_id()).await?;
        prekeys.store(&tx, &founder.device_id()).await?;
        tx.commit().await?;
        tracing::info!(%tenant, founder = %founder.device_id(), "an owner by the root's word");
        Ok(())
    }
}
