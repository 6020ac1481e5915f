//! Invites, and the enrollment requests that used them.

use av_wire::ids::{DeviceId, LookupHash};
use av_wire::public::Role;

use super::devices::role;
use super::error::StoreError;
use super::row::{id, optional_id, unsigned};
use super::tenant_tx::TenantTx;

const OPEN_COUNT: &str = "SELECT count(*) FROM av.invites WHERE tenant_id = $1 AND inviter = $2
     AND consumed_by IS NULL AND revoked_at IS NULL AND expires_at > now()";
const INSERT: &str = "INSERT INTO av.invites (tenant_id, lookup_hash, inviter, role, expires_at)
     VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5)) ON CONFLICT DO NOTHING";
const INVITER: &str = "SELECT inviter FROM av.invites WHERE tenant_id = $1 AND lookup_hash = $2";
const LIST: &str = "SELECT lookup_hash, role, extract(epoch FROM expires_at)::bigint, consumed_by IS NOT NULL
     FROM av.invites
     WHERE tenant_id = $1 AND inviter = $2 AND revoked_at IS NULL AND expires_at > now()
     ORDER BY created_at, lookup_hash";
/// The first revocation's time stays.
const REVOKE: &str = "UPDATE av.invites SET revoked_at = coalesce(revoked_at, now())
     WHERE tenant_id = $1 AND lookup_hash = $2 AND inviter = $3 AND consumed_by IS NULL";
/// The row lock makes requests for one invite take turns.
const USE: &str = "SELECT i.inviter, i.consumed_by, i.request, i.late_device,
            i.revoked_at IS NULL AND i.expires_at > now() AND d.status = 'active'
     FROM av.invites i
     JOIN av.devices d ON d.tenant_id = i.tenant_id AND d.device_id = i.inviter
     WHERE i.tenant_id = $1 AND i.lookup_hash = $2
     FOR UPDATE OF i";
const REQUEST_OF: &str = "SELECT request FROM av.invites WHERE tenant_id = $1 AND consumed_by = $2";
const CONSUME: &str = "UPDATE av.invites SET consumed_by = $3, request = $4
     WHERE tenant_id = $1 AND lookup_hash = $2 AND consumed_by IS NULL";
const KEEP_LATE: &str = "UPDATE av.invites SET late_device = $3, late_request = $4
     WHERE tenant_id = $1 AND lookup_hash = $2 AND late_device IS NULL";
const CLEAR_LATE: &str =
    "UPDATE av.invites SET late_request = NULL WHERE tenant_id = $1 AND late_device = $2";
const PENDING: &str = "SELECT i.inviter, i.request, false, i.created_at
     FROM av.invites i
     JOIN av.devices d ON d.tenant_id = i.tenant_id AND d.device_id = i.consumed_by
     WHERE i.tenant_id = $1 AND d.status = 'pending'
     UNION ALL
     SELECT inviter, late_request, true, created_at FROM av.invites
     WHERE tenant_id = $1 AND late_request IS NOT NULL
     ORDER BY 4, 3";

/// An invite as its owner sees it.
#[derive(Debug)]
pub(crate) struct Invite {
    pub(crate) lookup_hash: LookupHash,
    pub(crate) role: Role,
    /// Seconds since 1970.
    pub(crate) expires_at: u64,
    pub(crate) consumed: bool,
}

/// An invite as an enrollment request meets it.
#[derive(Debug)]
pub(crate) struct InviteUse {
    pub(crate) inviter: DeviceId,
    /// The device whose request consumed it, and that request.
    pub(crate) consumed: Option<(DeviceId, Vec<u8>)>,
    /// Whether a later request with other keys was kept already.
    pub(crate) has_late: bool,
    /// Neither expired nor revoked, and its inviter is in good standing.
    pub(crate) is_open: bool,
}

/// An enrollment request that an owner has to look at.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    pub(crate) inviter: DeviceId,
    /// As received.
    pub(crate) request: Vec<u8>,
    /// It came when the invite was consumed.
    pub(crate) late: bool,
}

impl TenantTx {
    /// Invites of this device that can still be used.
    pub(crate) async fn open_invites(&self, inviter: &DeviceId) -> Result<u64, StoreError> {
        let row = self.query_one(OPEN_COUNT, &[&self.tenant_bytes(), &inviter.as_bytes().as_slice()]).await?;
        unsigned(&row, 0)
    }

    /// Whether the hash is new to the tenant.
    pub(crate) async fn insert_invite(
        &self,
        inviter: &DeviceId,
        hash: &LookupHash,
        role: Role,
        expires_in: u32,
    ) -> Result<bool, StoreError> {
        let inserted = self
            .execute(
                INSERT,
                &[
                    &self.tenant_bytes(),
                    &hash.as_bytes().as_slice(),
                    &inviter.as_bytes().as_slice(),
                    &i16::from(role.byte()),
                    &f64::from(expires_in),
                ],
            )
            .await?;
        Ok(inserted == 1)
    }

    /// Who made the invite with this hash.
    pub(crate) async fn inviter(&self, hash: &LookupHash) -> Result<Option<DeviceId>, StoreError> {
        let row = self.query_opt(INVITER, &[&self.tenant_bytes(), &hash.as_bytes().as_slice()]).await?;
        row.map(|row| id(&row, 0).map(DeviceId)).transpose()
    }

    pub(crate) async fn invites(&self, inviter: &DeviceId) -> Result<Vec<Invite>, StoreError> {
        let rows = self.query(LIST, &[&self.tenant_bytes(), &inviter.as_bytes().as_slice()]).await?;
        let invite = |row| {
            Ok(Invite {
                lookup_hash: LookupHash(id(row, 0)?),
                role: role(row, 1)?,
                expires_at: unsigned(row, 2)?,
                consumed: row.try_get(3)?,
            })
        };
        rows.iter().map(invite).collect()
    }

    /// Whether there was such an invite of this device that nobody has used.
    pub(crate) async fn revoke_invite(
        &self,
        inviter: &DeviceId,
        hash: &LookupHash,
    ) -> Result<bool, StoreError> {
        let revoked = self
            .execute(
                REVOKE,
                &[&self.tenant_bytes(), &hash.as_bytes().as_slice(), &inviter.as_bytes().as_slice()],
            )
            .await?;
        Ok(revoked == 1)
    }

    /// The invite with this hash, locked until the transaction ends.
    pub(crate) async fn use_invite(&self, hash: &LookupHash) -> Result<Option<InviteUse>, StoreError> {
        let row = self.query_opt(USE, &[&self.tenant_bytes(), &hash.as_bytes().as_slice()]).await?;
        row.map(|row| {
            let request: Option<Vec<u8>> = row.try_get(2)?;
            Ok(InviteUse {
                inviter: DeviceId(id(&row, 0)?),
                consumed: optional_id(&row, 1)?.map(DeviceId).zip(request),
                has_late: optional_id::<16>(&row, 3)?.is_some(),
                is_open: row.try_get(4)?,
            })
        })
        .transpose()
    }

    pub(crate) async fn consume_invite(
        &self,
        hash: &LookupHash,
        device: &DeviceId,
        request: &[u8],
    ) -> Result<bool, StoreError> {
        let consumed = self
            .execute(
                CONSUME,
                &[&self.tenant_bytes(), &hash.as_bytes().as_slice(), &device.as_bytes().as_slice(), &request],
            )
            .await?;
        Ok(consumed == 1)
    }

    /// The request with which a device enrolled, as received.
    pub(crate) async fn request_of(&self, device: &DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.query_opt(REQUEST_OF, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    pub(crate) async fn keep_late_request(
        &self,
        hash: &LookupHash,
        device: &DeviceId,
        request: &[u8],
    ) -> Result<(), StoreError> {
        self.execute(
            KEEP_LATE,
            &[&self.tenant_bytes(), &hash.as_bytes().as_slice(), &device.as_bytes().as_slice(), &request],
        )
        .await?;
        Ok(())
    }

    /// Whether a late request of this device was there to be put aside.
    pub(crate) async fn clear_late_request(&self, device: &DeviceId) -> Result<bool, StoreError> {
        let cleared =
            self.execute(CLEAR_LATE, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        Ok(cleared > 0)
    }

    pub(crate) async fn pending_requests(&self) -> Result<Vec<PendingRequest>, StoreError> {
        let rows = self.query(PENDING, &[&self.tenant_bytes()]).await?;
        let pending = |row| {
            let inviter = DeviceId(id(row, 0)?);
            Ok(PendingRequest { inviter, request: row.try_get(1)?, late: row.try_get(2)? })
        };
        rows.iter().map(pending).collect()
    }
}
