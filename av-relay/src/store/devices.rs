//! Devices and their states: pending → approved → active ⇄ suspended; pending → rejected; any → revoked
//! (`PROTOCOL.md` section 4).

use av_wire::enroll::EnrollTranscript;
use av_wire::ids::DeviceId;
use av_wire::public::{DevicePublic, Role};
use av_wire::signature::Signature;
use tokio_postgres::Row;

use super::error::StoreError;
use super::row::{id, optional_id, unsigned};
use super::tenant_tx::TenantTx;

const DEVICE: &str = "SELECT device_public, status, transcript, approved_by, chain, enroll_grant
    FROM av.devices WHERE tenant_id = $1 AND device_id = $2";
const STANDING: &str = "SELECT status, role FROM av.devices WHERE tenant_id = $1 AND device_id = $2";
const INSERT_FOUNDER: &str =
    "INSERT INTO av.devices (tenant_id, device_id, user_id, device_public, status, chain)
     VALUES ($1, $2, $3, $4, 'active', $5)";
/// A device belongs to whoever invited it.
const INSERT_PENDING: &str =
    "INSERT INTO av.devices (tenant_id, device_id, user_id, device_public, status, transcript)
     SELECT $1, $2, inviter.user_id, $3, 'pending', $4
     FROM av.devices inviter WHERE inviter.tenant_id = $1 AND inviter.device_id = $5
     ON CONFLICT DO NOTHING";
const APPROVE: &str =
    "UPDATE av.devices SET status = 'approved', approved_by = $3, chain = $4, enroll_grant = $5
     WHERE tenant_id = $1 AND device_id = $2 AND status = 'pending'";
const REJECT: &str = "UPDATE av.devices SET status = 'rejected'
     WHERE tenant_id = $1 AND device_id = $2 AND status = 'pending'";
const ACTIVATE: &str = "UPDATE av.devices SET status = 'active', activation = $3
     WHERE tenant_id = $1 AND device_id = $2 AND status = 'approved'";
const RECERTIFY: &str = "UPDATE av.devices SET chain = $3
     WHERE tenant_id = $1 AND device_id = $2 AND status IN ('active', 'suspended')";
/// Revoked and rejected are final, here too.
const SET_STATUS: &str = "UPDATE av.devices SET status = $3
     WHERE tenant_id = $1 AND device_id = $2 AND status NOT IN ('revoked', 'rejected')";
const OWNERS: &str = "SELECT count(*) FROM av.devices
     WHERE tenant_id = $1 AND role = 1 AND status IN ('approved', 'active', 'suspended')";
const REVOKED_OWNERS: &str =
    "SELECT device_id FROM av.devices WHERE tenant_id = $1 AND role = 1 AND status = 'revoked'";

/// What a device is to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceStatus {
    /// Waits for an owner.
    Pending,
    /// Has a grant that it has not taken up.
    Approved,
    /// Sends and receives.
    Active,
    /// Held by an owner.
    Suspended,
    /// Refused by an owner. Final.
    Rejected,
    /// Out. Final.
    Revoked,
}

impl DeviceStatus {
    const ALL: [Self; 6] =
        [Self::Pending, Self::Approved, Self::Active, Self::Suspended, Self::Rejected, Self::Revoked];

    const fn text(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
        }
    }

    pub(super) fn from_column(row: &Row, column: usize) -> Result<Self, StoreError> {
        let text: &str = row.try_get(column)?;
        let status = Self::ALL.into_iter().find(|status| status.text() == text);
        status.ok_or(StoreError::Unexpected("a device's status"))
    }
}

/// A device's row.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) public: DevicePublic,
    pub(crate) status: DeviceStatus,
    /// None of a founder.
    pub(crate) transcript: Option<EnrollTranscript>,
    pub(crate) approved_by: Option<DeviceId>,
    /// Its certificate chain, from the approval on.
    pub(crate) chain: Option<Vec<u8>>,
    pub(crate) grant: Option<Vec<u8>>,
}

/// A device that asks to be approved.
#[derive(Debug)]
pub(crate) struct Enrolled<'a> {
    pub(crate) public: &'a DevicePublic,
    pub(crate) transcript: &'a EnrollTranscript,
    pub(crate) inviter: &'a DeviceId,
}

/// An owner's approval.
#[derive(Debug)]
pub(crate) struct Approval<'a> {
    pub(crate) by: &'a DeviceId,
    pub(crate) chain: &'a [u8],
    pub(crate) grant: &'a [u8],
}

impl TenantTx {
    pub(crate) async fn device(&self, device: &DeviceId) -> Result<Option<Device>, StoreError> {
        let row = self.query_opt(DEVICE, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        row.map(|row| {
            Ok(Device {
                public: DevicePublic::from_bytes(row.try_get(0)?)
                    .map_err(|_| StoreError::Unexpected("a device's public keys"))?,
                status: DeviceStatus::from_column(&row, 1)?,
                transcript: optional_id(&row, 2)?.map(EnrollTranscript),
                approved_by: optional_id(&row, 3)?.map(DeviceId),
                chain: row.try_get(4)?,
                grant: row.try_get(5)?,
            })
        })
        .transpose()
    }

    /// Status and role alone: what every call of a device begins with.
    pub(crate) async fn standing(
        &self,
        device: &DeviceId,
    ) -> Result<Option<(DeviceStatus, Role)>, StoreError> {
        let row = self.query_opt(STANDING, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        row.map(|row| Ok((DeviceStatus::from_column(&row, 0)?, role(&row, 1)?))).transpose()
    }

    pub(crate) async fn insert_founder(
        &self,
        public: &DevicePublic,
        user: &[u8; 16],
        chain: &[u8],
    ) -> Result<(), StoreError> {
        let (device, public) = (public.device_id(), public.to_bytes());
        self.execute(
            INSERT_FOUNDER,
            &[
                &self.tenant_bytes(),
                &device.as_bytes().as_slice(),
                &user.as_slice(),
                &public.as_slice(),
                &chain,
            ],
        )
        .await?;
        Ok(())
    }

    /// Whether the device is new to the tenant; a device that is known, in whatever state, stays as it is.
    pub(crate) async fn insert_pending(&self, enrolled: &Enrolled<'_>) -> Result<bool, StoreError> {
        let (device, public) = (enrolled.public.device_id(), enrolled.public.to_bytes());
        let inserted = self
            .execute(
                INSERT_PENDING,
                &[
                    &self.tenant_bytes(),
                    &device.as_bytes().as_slice(),
                    &public.as_slice(),
                    &enrolled.transcript.0.as_slice(),
                    &enrolled.inviter.as_bytes().as_slice(),
                ],
            )
            .await?;
        Ok(inserted == 1)
    }

    /// Whether a pending device was approved.
    pub(crate) async fn approve_device(
        &self,
        device: &DeviceId,
        approval: &Approval<'_>,
    ) -> Result<bool, StoreError> {
        let approved = self
            .execute(
                APPROVE,
                &[
                    &self.tenant_bytes(),
                    &device.as_bytes().as_slice(),
                    &approval.by.as_bytes().as_slice(),
                    &approval.chain,
                    &approval.grant,
                ],
            )
            .await?;
        Ok(approved == 1)
    }

    /// Whether a pending device was rejected.
    pub(crate) async fn reject_device(&self, device: &DeviceId) -> Result<bool, StoreError> {
        let rejected = self.execute(REJECT, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        Ok(rejected == 1)
    }

    /// Whether an approved device became active.
    pub(crate) async fn activate_device(
        &self,
        device: &DeviceId,
        signature: &Signature,
    ) -> Result<bool, StoreError> {
        let activated = self
            .execute(
                ACTIVATE,
                &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &signature.0.as_slice()],
            )
            .await?;
        Ok(activated == 1)
    }

    /// Whether a device that is in, or held, has this chain now.
    pub(crate) async fn recertify_device(&self, device: &DeviceId, chain: &[u8]) -> Result<bool, StoreError> {
        let recertified =
            self.execute(RECERTIFY, &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &chain]).await?;
        Ok(recertified == 1)
    }

    /// Sets the status, unless it is a final one.
    pub(crate) async fn set_status(&self, device: &DeviceId, status: DeviceStatus) -> Result<(), StoreError> {
        self.execute(SET_STATUS, &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &status.text()])
            .await?;
        Ok(())
    }

    /// Owners' devices that are approved, active or suspended.
    pub(crate) async fn owner_count(&self) -> Result<u64, StoreError> {
        unsigned(&self.query_one(OWNERS, &[&self.tenant_bytes()]).await?, 0)
    }

    /// Owners' devices whose certificates count no more.
    pub(crate) async fn revoked_owners(&self) -> Result<Vec<DeviceId>, StoreError> {
        let rows = self.query(REVOKED_OWNERS, &[&self.tenant_bytes()]).await?;
        rows.iter().map(|row| id(row, 0).map(DeviceId)).collect()
    }
}

pub(super) fn role(row: &Row, column: usize) -> Result<Role, StoreError> {
    let byte: i16 = row.try_get(column)?;
    let byte = u8::try_from(byte).map_err(|_| StoreError::Unexpected("a role"))?;
    Role::from_byte(byte).map_err(|_| StoreError::Unexpected("a role"))
}
