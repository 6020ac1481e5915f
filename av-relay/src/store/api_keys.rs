//! API keys, and the devices that enrolled with them (`PROTOCOL.md` section 4.6).

use av_wire::ids::{DeviceId, KeyId};
use av_wire::public::DevicePublic;

use super::error::StoreError;
use super::row::{id, signed, unsigned};
use super::tenant_tx::TenantTx;

const KEY: &str = "SELECT k.key_grant, k.granted_by, o.chain, o.status = 'active',
            k.expires_at < extract(epoch FROM now())::bigint,
            EXISTS (SELECT FROM av.statements s WHERE s.tenant_id = k.tenant_id AND s.api_key = k.key_id)
     FROM av.api_keys k
     JOIN av.devices o ON o.tenant_id = k.tenant_id AND o.device_id = k.granted_by
     WHERE k.tenant_id = $1 AND k.key_id = $2";
const INSERT: &str = "INSERT INTO av.api_keys (tenant_id, key_id, granted_by, key_grant, expires_at)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
const OPEN_COUNT: &str = "SELECT count(*) FROM av.api_keys k
     WHERE tenant_id = $1 AND granted_by = $2 AND expires_at >= extract(epoch FROM now())::bigint
       AND NOT EXISTS (SELECT FROM av.statements s WHERE s.tenant_id = k.tenant_id AND s.api_key = k.key_id)";
const USES: &str = "SELECT count(*) FROM av.devices WHERE tenant_id = $1 AND api_key = $2";
/// A device belongs to whoever granted the key.
const INSERT_DEVICE: &str =
    "INSERT INTO av.devices (tenant_id, device_id, user_id, device_public, status, approved_by, chain, api_key)
     SELECT $1, $2, o.user_id, $3, 'active', o.device_id, $4, $5
     FROM av.devices o WHERE o.tenant_id = $1 AND o.device_id = $6";

/// An API key as whoever uses it meets it.
#[derive(Debug)]
pub(crate) struct ApiKey {
    /// The signed object.
    pub(crate) key_grant: Vec<u8>,
    pub(crate) owner: DeviceId,
    pub(crate) owner_chain: Vec<u8>,
    /// Neither closed by a revocation nor expired, and the owner that granted it is in good standing.
    pub(crate) is_open: bool,
}

/// A device that enrolls with a key.
#[derive(Debug)]
pub(crate) struct EnrolledWithKey<'a> {
    pub(crate) public: &'a DevicePublic,
    pub(crate) chain: &'a [u8],
    pub(crate) key: &'a KeyId,
    pub(crate) owner: &'a DeviceId,
}

impl TenantTx {
    pub(crate) async fn api_key(&self, key: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let row = self.query_opt(KEY, &[&self.tenant_bytes(), &key.as_bytes().as_slice()]).await?;
        row.map(|row| {
            let (is_owner_active, is_expired, is_closed): (bool, bool, bool) =
                (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
            Ok(ApiKey {
                key_grant: row.try_get(0)?,
                owner: DeviceId(id(&row, 1)?),
                owner_chain: row.try_get(2)?,
                is_open: is_owner_active && !is_expired && !is_closed,
            })
        })
        .transpose()
    }

    /// Whether the key is new to the tenant.
    pub(crate) async fn insert_api_key(
        &self,
        key: &KeyId,
        owner: &DeviceId,
        key_grant: &[u8],
        expires_at: u64,
    ) -> Result<bool, StoreError> {
        let inserted = self
            .execute(
                INSERT,
                &[
                    &self.tenant_bytes(),
                    &key.as_bytes().as_slice(),
                    &owner.as_bytes().as_slice(),
                    &key_grant,
                    &signed(expires_at)?,
                ],
            )
            .await?;
        Ok(inserted == 1)
    }

    /// Keys of this owner that can still be used.
    pub(crate) async fn open_api_keys(&self, owner: &DeviceId) -> Result<u64, StoreError> {
        let row = self.query_one(OPEN_COUNT, &[&self.tenant_bytes(), &owner.as_bytes().as_slice()]).await?;
        unsigned(&row, 0)
    }

    /// Devices that enrolled with the key, whatever became of them.
    pub(crate) async fn api_key_uses(&self, key: &KeyId) -> Result<u64, StoreError> {
        unsigned(&self.query_one(USES, &[&self.tenant_bytes(), &key.as_bytes().as_slice()]).await?, 0)
    }

    pub(crate) async fn insert_enrolled_with_key(
        &self,
        enrolled: &EnrolledWithKey<'_>,
    ) -> Result<(), StoreError> {
        let (device, public) = (enrolled.public.device_id(), enrolled.public.to_bytes());
        self.execute(
            INSERT_DEVICE,
            &[
                &self.tenant_bytes(),
                &device.as_bytes().as_slice(),
                &public.as_slice(),
                &enrolled.chain,
                &enrolled.key.as_bytes().as_slice(),
                &enrolled.owner.as_bytes().as_slice(),
            ],
        )
        .await?;
        Ok(())
    }
}
