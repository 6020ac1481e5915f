//! Prekeys and chains of devices (`PROTOCOL.md` section 5).

use av_wire::bundle::{Bundle, Prekey, PrekeyKind, SignedPrekey};
use av_wire::ids::DeviceId;
use av_wire::limits::MAX_PREKEYS_PER_CALL;
use av_wire::public::DevicePublic;

use super::statement::with_revocations;
use super::{Actor, Refusal, Relay};
use crate::store::{DeviceStatus, StoredPrekey, TenantTx};

/// One-time prekeys that wait for one device: a week of one request an hour, and 32 to spare.
const MAX_ONE_TIME_PREKEYS: u64 = 200;

/// A device's prekeys and the chain that certifies it.
#[derive(Debug)]
pub(crate) struct DeviceBundle {
    pub(crate) chain: Vec<u8>,
    pub(crate) bundle: Bundle,
}

/// Prekeys whose signatures were verified.
#[derive(Debug)]
pub(super) struct VerifiedPrekeys(Vec<(Prekey, SignedPrekey)>);

/// Verifies prekeys of a device, each of the kind that it is given as.
pub(super) fn verified(
    prekeys: impl Iterator<Item = (SignedPrekey, PrekeyKind)>,
    device: &DevicePublic,
) -> Result<VerifiedPrekeys, Refusal> {
    let verify = |(signed, kind): (SignedPrekey, PrekeyKind)| match signed.verify(device) {
        Ok(key) if key.kind == kind => Ok((key, signed)),
        _ => Err(Refusal::NotAuthorized),
    };
    prekeys.map(verify).collect::<Result<_, _>>().map(VerifiedPrekeys)
}

impl VerifiedPrekeys {
    /// Stores the keys, if so many may wait.
    pub(super) async fn store(&self, tx: &TenantTx, device: &DeviceId) -> Result<(), Refusal> {
        let high = tx.lock_prekeys(device).await?.ok_or(Refusal::NotFound)?;
        let keys: Vec<StoredPrekey<'_>> =
            self.0.iter().map(|(key, signed)| StoredPrekey { key, signed }).collect();
        if tx.store_prekeys(device, &keys, high).await? > MAX_ONE_TIME_PREKEYS {
            return Err(Refusal::OverQuota);
        }
        Ok(())
    }
}

impl Relay {
    /// Replaces the caller's signed prekey and adds one-time prekeys. Ids that were published before are passed
    /// over, so that a retry brings back no key that was handed out.
    pub(crate) async fn publish_prekeys(
        &self,
        actor: &Actor,
        prekeys: &[SignedPrekey],
    ) -> Result<(), Refusal> {
        if prekeys.len() > MAX_PREKEYS_PER_CALL {
            return Err(Refusal::TooLarge);
        }
        let tx = self.as_active(actor).await?;
        let device = tx.device(&actor.device).await?.ok_or(Refusal::NotAuthorized)?;
        let keys: Result<Vec<_>, _> =
            prekeys.iter().map(|signed| signed.verify(&device.public).map(|key| (key, *signed))).collect();
        VerifiedPrekeys(keys.map_err(|_| Refusal::NotAuthorized)?).store(&tx, &actor.device).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A device's chain and prekeys: if `one_time` is asked for, with a one-time key while there is one, and at most
    /// one an hour for one requester.
    pub(crate) async fn fetch_bundle(
        &self,
        actor: &Actor,
        target: &DeviceId,
        one_time: bool,
    ) -> Result<DeviceBundle, Refusal> {
        let tx = self.as_active(actor).await?;
        let chain = reachable_chain(&tx, target).await?;
        tx.lock_prekeys(target).await?.ok_or(Refusal::NotFound)?;
        let signed = tx.signed_prekey(target).await?.ok_or(Refusal::NotFound)?;
        let one_time =
            if one_time { tx.hand_out_one_time_prekey(target, &actor.device).await? } else { None };
        tx.commit().await?;
        Ok(DeviceBundle { chain, bundle: Bundle { signed, one_time } })
    }

    /// A device's chain.
    pub(crate) async fn fetch_certs(&self, actor: &Actor, target: &DeviceId) -> Result<Vec<u8>, Refusal> {
        let tx = self.as_active(actor).await?;
        reachable_chain(&tx, target).await
    }
}

/// The chain of a device that is in, or held. A device that is out has none any more.
async fn reachable_chain(tx: &TenantTx, target: &DeviceId) -> Result<Vec<u8>, Refusal> {
    let device = tx.device(target).await?.ok_or(Refusal::NotFound)?;
    match device.status {
        DeviceStatus::Approved | DeviceStatus::Active | DeviceStatus::Suspended => {
            with_revocations(tx, device.chain.ok_or(Refusal::NotFound)?).await
        }
        DeviceStatus::Pending | DeviceStatus::Rejected | DeviceStatus::Revoked => Err(Refusal::NotFound),
    }
}
