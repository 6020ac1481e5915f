//! Prekeys: the current signed one, and one-time ones that are handed out once (`PROTOCOL.md` section 5).

use av_wire::bundle::{Prekey, PrekeyKind, SignedPrekey};
use av_wire::ids::DeviceId;
use av_wire::signature::Signature;
use tokio_postgres::Row;

use super::error::StoreError;
use super::row::{id, unsigned};
use super::tenant_tx::TenantTx;

/// Publishing and handing out for one device take turns.
const LOCK: &str = "SELECT one_time_high FROM av.devices
     WHERE tenant_id = $1 AND device_id = $2 FOR NO KEY UPDATE";
const SET_HIGH: &str = "UPDATE av.devices SET one_time_high = greatest(one_time_high, $3)
     WHERE tenant_id = $1 AND device_id = $2";
const INSERT: &str = "INSERT INTO av.prekeys (tenant_id, device_id, kind, prekey_id, record, signature)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const DELETE_OLDER_SIGNED: &str = "DELETE FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind = 1 AND prekey_id < $3";
/// What was made under a signed prekey before the last one is wiped at the device by now, or soon: its ids are below
/// the last one's.
const DELETE_ONE_TIME_OF_OLDER: &str = "DELETE FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind = 4 AND handed_to IS NULL AND prekey_id < (
         SELECT max(last.prekey_id) FROM av.prekeys last
         WHERE last.tenant_id = $1 AND last.device_id = $2 AND last.kind = 1 AND last.prekey_id < $3)";
const SIGNED: &str = "SELECT record, signature FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind = 1 ORDER BY prekey_id DESC LIMIT 1";
/// A key that went to this requester within the hour stands in the way of another.
const HAND_OUT: &str = "UPDATE av.prekeys SET handed_to = $3, handed_at = now()
     WHERE tenant_id = $1 AND device_id = $2 AND kind = 4 AND prekey_id = (
         SELECT min(free.prekey_id) FROM av.prekeys free
         WHERE free.tenant_id = $1 AND free.device_id = $2 AND free.kind = 4 AND free.handed_to IS NULL)
       AND NOT EXISTS (
         SELECT FROM av.prekeys recent
         WHERE recent.tenant_id = $1 AND recent.device_id = $2 AND recent.handed_to = $3
           AND recent.handed_at > now() - interval '1 hour')
     RETURNING record, signature";
const FORGET_HANDED_OUT: &str = "DELETE FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND handed_at <= now() - interval '1 hour'";
const ONE_TIME_LEFT: &str = "SELECT count(*) FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind = 4 AND handed_to IS NULL";

/// A prekey whose signature was verified, as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredPrekey<'a> {
    pub(crate) key: &'a Prekey,
    pub(crate) signed: &'a SignedPrekey,
}

impl TenantTx {
    /// Locks the device's prekeys until the transaction ends, and returns the greatest one-time id that was
    /// ever published; -1 before the first.
    pub(crate) async fn lock_prekeys(&self, device: &DeviceId) -> Result<Option<i64>, StoreError> {
        let row = self.query_opt(LOCK, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Stores prekeys: a signed one takes the place of older ones, one-time ones count from `high` on. Returns
    /// how many one-time keys wait then. Call it under [`lock_prekeys`](Self::lock_prekeys).
    pub(crate) async fn store_prekeys(
        &self,
        device: &DeviceId,
        prekeys: &[StoredPrekey<'_>],
        high: i64,
    ) -> Result<u64, StoreError> {
        let (tenant, device_bytes) = (self.tenant_bytes(), device.as_bytes().as_slice());
        self.execute(FORGET_HANDED_OUT, &[&tenant, &device_bytes]).await?;
        let mut new_high = high;
        for StoredPrekey { key, signed } in prekeys {
            let prekey_id = i64::from(key.id);
            let kind = match key.kind {
                PrekeyKind::Signed => {
                    self.execute(DELETE_ONE_TIME_OF_OLDER, &[&tenant, &device_bytes, &prekey_id]).await?;
                    self.execute(DELETE_OLDER_SIGNED, &[&tenant, &device_bytes, &prekey_id]).await?;
                    1_i16
                }
                PrekeyKind::OneTime if prekey_id <= high => continue,
                PrekeyKind::OneTime => {
                    new_high = new_high.max(prekey_id);
                    4_i16
                }
            };
            self.execute(
                INSERT,
                &[
                    &tenant,
                    &device_bytes,
                    &kind,
                    &prekey_id,
                    &signed.record.as_slice(),
                    &signed.signature.0.as_slice(),
                ],
            )
            .await?;
        }
        self.execute(SET_HIGH, &[&tenant, &device_bytes, &new_high]).await?;
        self.one_time_prekeys_left(device).await
    }

    /// Counts a one-time prekey, and all below it, as published before.
    pub(crate) async fn pass_over_one_time_prekeys(
        &self,
        device: &DeviceId,
        prekey_id: u32,
    ) -> Result<(), StoreError> {
        self.execute(SET_HIGH, &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &i64::from(prekey_id)])
            .await?;
        Ok(())
    }

    /// The device's signed prekey.
    pub(crate) async fn signed_prekey(&self, device: &DeviceId) -> Result<Option<SignedPrekey>, StoreError> {
        let row = self.query_opt(SIGNED, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        row.map(|row| prekey(&row)).transpose()
    }

    /// Hands out a one-time prekey, if there is one and the requester had none within the hour. Call it under
    /// [`lock_prekeys`](Self::lock_prekeys).
    pub(crate) async fn hand_out_one_time_prekey(
        &self,
        device: &DeviceId,
        requester: &DeviceId,
    ) -> Result<Option<SignedPrekey>, StoreError> {
        let row = self
            .query_opt(
                HAND_OUT,
                &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &requester.as_bytes().as_slice()],
            )
            .await?;
        row.map(|row| prekey(&row)).transpose()
    }

    /// One-time prekeys that nobody has been given.
    pub(crate) async fn one_time_prekeys_left(&self, device: &DeviceId) -> Result<u64, StoreError> {
        let row =
            self.query_one(ONE_TIME_LEFT, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        unsigned(&row, 0)
    }
}

fn prekey(row: &Row) -> Result<SignedPrekey, StoreError> {
    Ok(SignedPrekey { record: id(row, 0)?, signature: Signature(id(row, 1)?) })
}
