//! Prekeys and chains of devices (`PROTOCOL.md` section 5).

use av_wire::bundle::{Bundle, SignedKemPrekey, SignedPrekey};
use av_wire::ids::DeviceId;
use av_wire::limits::{MAX_KEM_PREKEYS_PER_CALL, MAX_PREKEYS_PER_CALL};
use av_wire::public::DevicePublic;

use super::statement::with_revocations;
use super::{Actor, Refusal, Relay};
use crate::store::{DeviceStatus, FoundKemPrekey, StoredKind, StoredPrekey, TenantTx};

/// One-time prekeys that wait for one device: a week of one request an hour, and 32 to spare.
const MAX_ONE_TIME_PREKEYS: u64 = 200;

/// One-time KEM prekeys that wait for one device: with 1,200 bytes each, 38 KiB.
const MAX_ONE_TIME_KEM_PREKEYS: u64 = 32;

/// A device's prekeys and the chain that certifies it.
#[derive(Debug)]
pub(crate) struct DeviceBundle {
    pub(crate) chain: Vec<u8>,
    signed: SignedPrekey,
    one_time: Option<SignedPrekey>,
    kem: Option<FoundKemPrekey>,
}

impl DeviceBundle {
    pub(crate) fn bundle(&self) -> Bundle<'_> {
        let kem = self.kem.as_ref().map(FoundKemPrekey::signed);
        Bundle { signed: self.signed, one_time: self.one_time, kem }
    }
}

/// Prekeys whose signatures were verified.
#[derive(Debug)]
pub(super) struct VerifiedPrekeys<'a>(Vec<StoredPrekey<'a>>);

fn verified<'a>(signed: &'a SignedPrekey, device: &DevicePublic) -> Result<StoredPrekey<'a>, Refusal> {
    let key = signed.verify(device).map_err(|_| Refusal::NotAuthorized)?;
    let (kind, id, record) = (key.kind.into(), key.id, signed.record.as_slice());
    Ok(StoredPrekey { kind, id, record, signature: signed.signature })
}

fn verified_kem<'a>(
    signed: &SignedKemPrekey<'a>,
    device: &DevicePublic,
) -> Result<StoredPrekey<'a>, Refusal> {
    let key = signed.verify(device).map_err(|_| Refusal::NotAuthorized)?;
    let (kind, id, record) = (key.kind().into(), key.id(), signed.record.as_slice());
    Ok(StoredPrekey { kind, id, record, signature: signed.signature })
}

impl<'a> VerifiedPrekeys<'a> {
    /// Verifies a bundle of a device, each prekey in its place.
    pub(super) fn of_bundle(bundle: &'a Bundle<'a>, device: &DevicePublic) -> Result<Self, Refusal> {
        bundle.verify(device).map_err(|_| Refusal::NotAuthorized)?;
        Self::of(std::iter::once(&bundle.signed).chain(&bundle.one_time), bundle.kem.iter(), device)
    }

    /// Verifies prekeys of a device.
    fn of(
        prekeys: impl Iterator<Item = &'a SignedPrekey>,
        kem: impl Iterator<Item = &'a SignedKemPrekey<'a>>,
        device: &DevicePublic,
    ) -> Result<Self, Refusal> {
        let prekeys = prekeys.map(|signed| verified(signed, device));
        prekeys.chain(kem.map(|signed| verified_kem(signed, device))).collect::<Result<_, _>>().map(Self)
    }

    /// Stores the keys, if so many may wait.
    pub(super) async fn store(&self, tx: &TenantTx, device: &DeviceId) -> Result<(), Refusal> {
        let high = tx.lock_prekeys(device).await?.ok_or(Refusal::NotFound)?;
        tx.store_prekeys(device, &self.0, high).await?;
        let limits =
            [(StoredKind::OneTime, MAX_ONE_TIME_PREKEYS), (StoredKind::OneTimeKem, MAX_ONE_TIME_KEM_PREKEYS)];
        for (kind, limit) in limits {
            if tx.prekeys_left(device, kind).await? > limit {
                return Err(Refusal::OverQuota);
            }
        }
        Ok(())
    }
}

impl Relay {
    /// Replaces the caller's signed and last-resort prekeys and adds one-time prekeys. Ids that were published before
    /// are passed over, so that a retry brings back no key that was handed out.
    pub(crate) async fn publish_prekeys(
        &self,
        actor: &Actor,
        prekeys: &[SignedPrekey],
        kem_prekeys: &[SignedKemPrekey<'_>],
    ) -> Result<(), Refusal> {
        if prekeys.len() > MAX_PREKEYS_PER_CALL || kem_prekeys.len() > MAX_KEM_PREKEYS_PER_CALL {
            return Err(Refusal::TooLarge);
        }
        let tx = self.as_active(actor).await?;
        let device = tx.device(&actor.device).await?.ok_or(Refusal::NotAuthorized)?;
        let keys = VerifiedPrekeys::of(prekeys.iter(), kem_prekeys.iter(), &device.public)?;
        keys.store(&tx, &actor.device).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A device's chain and prekeys: if `one_time` is asked for, with one-time keys while there are some, and at most
    /// one of a kind an hour for one requester. A requester without KEM gets no KEM key.
    pub(crate) async fn fetch_bundle(
        &self,
        actor: &Actor,
        target: &DeviceId,
        one_time: bool,
    ) -> Result<DeviceBundle, Refusal> {
        let tx = self.as_active(actor).await?;
        let requester = tx.device(&actor.device).await?.ok_or(Refusal::NotAuthorized)?;
        let chain = reachable_chain(&tx, target).await?;
        tx.lock_prekeys(target).await?.ok_or(Refusal::NotFound)?;
        let signed = tx.signed_prekey(target).await?.ok_or(Refusal::NotFound)?;
        let has_kem = requester.public.suites.has_kem();
        let (mut one_time_key, mut kem) = (None, None);
        if one_time {
            one_time_key = tx.hand_out_one_time_prekey(target, &actor.device).await?;
        }
        if one_time && has_kem {
            kem = tx.hand_out_one_time_kem_prekey(target, &actor.device).await?;
        }
        if kem.is_none() && has_kem {
            kem = tx.last_resort_kem_prekey(target).await?;
        }
        tx.commit().await?;
        Ok(DeviceBundle { chain, signed, one_time: one_time_key, kem })
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
