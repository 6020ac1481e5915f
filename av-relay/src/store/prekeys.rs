//! Prekeys: the current signed one, and one-time ones that are handed out once (`PROTOCOL.md` section 5).

use av_wire::bundle::{KEM_RECORD, KemPrekeyKind, PrekeyKind, SignedKemPrekey, SignedPrekey};
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
/// Whatever its id: a device whose storage went back begins again with lower ones.
const DELETE_REPLACED: &str = "DELETE FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind = $3";
/// What was made under a signed prekey before the last one is wiped at the device by now, or soon: its ids are below
/// the last one's.
const DELETE_ONE_TIME_OF_OLDER: &str = "DELETE FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind IN (3, 4) AND handed_to IS NULL AND prekey_id < (
         SELECT max(last.prekey_id) FROM av.prekeys last
         WHERE last.tenant_id = $1 AND last.device_id = $2 AND last.kind = 1 AND last.prekey_id < $3)";
const CURRENT: &str = "SELECT record, signature FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind = $3";
/// A key of this kind that went to this requester within the hour stands in the way of another.
const HAND_OUT: &str = "UPDATE av.prekeys SET handed_to = $3, handed_at = now()
     WHERE tenant_id = $1 AND device_id = $2 AND kind = $4 AND prekey_id = (
         SELECT min(free.prekey_id) FROM av.prekeys free
         WHERE free.tenant_id = $1 AND free.device_id = $2 AND free.kind = $4 AND free.handed_to IS NULL)
       AND NOT EXISTS (
         SELECT FROM av.prekeys recent
         WHERE recent.tenant_id = $1 AND recent.device_id = $2 AND recent.kind = $4
           AND recent.handed_to = $3 AND recent.handed_at > now() - interval '1 hour')
     RETURNING record, signature";
const FORGET_HANDED_OUT: &str = "DELETE FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND handed_at <= now() - interval '1 hour'";
const LEFT: &str = "SELECT count(*) FROM av.prekeys
     WHERE tenant_id = $1 AND device_id = $2 AND kind = $3 AND handed_to IS NULL";

/// What a prekey is for, by its number in the record and in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub(crate) enum StoredKind {
    Signed = 1,
    LastResortKem = 2,
    OneTimeKem = 3,
    OneTime = 4,
}

impl From<PrekeyKind> for StoredKind {
    fn from(kind: PrekeyKind) -> Self {
        match kind {
            PrekeyKind::Signed => Self::Signed,
            PrekeyKind::OneTime => Self::OneTime,
        }
    }
}

impl From<KemPrekeyKind> for StoredKind {
    fn from(kind: KemPrekeyKind) -> Self {
        match kind {
            KemPrekeyKind::LastResort => Self::LastResortKem,
            KemPrekeyKind::OneTime => Self::OneTimeKem,
        }
    }
}

/// A prekey whose signature was verified, as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredPrekey<'a> {
    pub(crate) kind: StoredKind,
    pub(crate) id: u32,
    pub(crate) record: &'a [u8],
    pub(crate) signature: Signature,
}

/// A KEM prekey as it was stored.
#[derive(Clone, Debug)]
pub(crate) struct FoundKemPrekey {
    record: Box<[u8; KEM_RECORD]>,
    signature: Signature,
}

impl FoundKemPrekey {
    pub(crate) fn signed(&self) -> SignedKemPrekey<'_> {
        SignedKemPrekey { record: &self.record, signature: self.signature }
    }
}

impl TenantTx {
    /// Locks the device's prekeys until the transaction ends, and returns the greatest one-time id that was
    /// ever published; -1 before the first.
    pub(crate) async fn lock_prekeys(&self, device: &DeviceId) -> Result<Option<i64>, StoreError> {
        let row = self.query_opt(LOCK, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Stores prekeys: a signed or last-resort one takes the place of the one before, one-time ones count from `high` on.
    /// Call it under [`lock_prekeys`](Self::lock_prekeys).
    pub(crate) async fn store_prekeys(
        &self,
        device: &DeviceId,
        prekeys: &[StoredPrekey<'_>],
        high: i64,
    ) -> Result<(), StoreError> {
        let (tenant, device_bytes) = (self.tenant_bytes(), device.as_bytes().as_slice());
        self.execute(FORGET_HANDED_OUT, &[&tenant, &device_bytes]).await?;
        let mut new_high = high;
        for StoredPrekey { kind, id, record, signature } in prekeys {
            let (number, prekey_id) = (*kind as i16, i64::from(*id));
            match kind {
                StoredKind::Signed | StoredKind::LastResortKem => {
                    if *kind == StoredKind::Signed {
                        self.execute(DELETE_ONE_TIME_OF_OLDER, &[&tenant, &device_bytes, &prekey_id]).await?;
                    }
                    self.execute(DELETE_REPLACED, &[&tenant, &device_bytes, &number]).await?;
                }
                StoredKind::OneTime | StoredKind::OneTimeKem if prekey_id <= high => continue,
                StoredKind::OneTime | StoredKind::OneTimeKem => new_high = new_high.max(prekey_id),
            }
            let signature = signature.0.as_slice();
            self.execute(INSERT, &[&tenant, &device_bytes, &number, &prekey_id, record, &signature]).await?;
        }
        self.execute(SET_HIGH, &[&tenant, &device_bytes, &new_high]).await?;
        Ok(())
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
        let row = self.current(device, StoredKind::Signed).await?;
        row.map(|row| prekey(&row)).transpose()
    }

    /// The device's last-resort KEM prekey.
    pub(crate) async fn last_resort_kem_prekey(
        &self,
        device: &DeviceId,
    ) -> Result<Option<FoundKemPrekey>, StoreError> {
        let row = self.current(device, StoredKind::LastResortKem).await?;
        row.map(|row| kem_prekey(&row)).transpose()
    }

    async fn current(&self, device: &DeviceId, kind: StoredKind) -> Result<Option<Row>, StoreError> {
        let kind = kind as i16;
        self.query_opt(CURRENT, &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &kind]).await
    }

    /// Hands out a one-time prekey, if there is one and the requester had none within the hour. Call it under
    /// [`lock_prekeys`](Self::lock_prekeys).
    pub(crate) async fn hand_out_one_time_prekey(
        &self,
        device: &DeviceId,
        requester: &DeviceId,
    ) -> Result<Option<SignedPrekey>, StoreError> {
        let row = self.hand_out(device, requester, StoredKind::OneTime).await?;
        row.map(|row| prekey(&row)).transpose()
    }

    /// The same of the KEM.
    pub(crate) async fn hand_out_one_time_kem_prekey(
        &self,
        device: &DeviceId,
        requester: &DeviceId,
    ) -> Result<Option<FoundKemPrekey>, StoreError> {
        let row = self.hand_out(device, requester, StoredKind::OneTimeKem).await?;
        row.map(|row| kem_prekey(&row)).transpose()
    }

    async fn hand_out(
        &self,
        device: &DeviceId,
        requester: &DeviceId,
        kind: StoredKind,
    ) -> Result<Option<Row>, StoreError> {
        let (device, requester) = (device.as_bytes().as_slice(), requester.as_bytes().as_slice());
        self.query_opt(HAND_OUT, &[&self.tenant_bytes(), &device, &requester, &(kind as i16)]).await
    }

    /// Prekeys of this kind that nobody has been given.
    pub(crate) async fn prekeys_left(&self, device: &DeviceId, kind: StoredKind) -> Result<u64, StoreError> {
        let kind = kind as i16;
        let row = self.query_one(LEFT, &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &kind]).await?;
        unsigned(&row, 0)
    }
}

fn prekey(row: &Row) -> Result<SignedPrekey, StoreError> {
    Ok(SignedPrekey { record: id(row, 0)?, signature: Signature(id(row, 1)?) })
}

fn kem_prekey(row: &Row) -> Result<FoundKemPrekey, StoreError> {
    Ok(FoundKemPrekey { record: Box::new(id(row, 0)?), signature: Signature(id(row, 1)?) })
}
