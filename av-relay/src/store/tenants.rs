//! Tenants and their people.

use super::error::StoreError;
use super::row::{id, unsigned};
use super::tenant_tx::TenantTx;

const INSERT_TENANT: &str =
    "INSERT INTO av.tenants (tenant_id, root_key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const INSERT_USER: &str = "INSERT INTO av.users (tenant_id, user_id) VALUES ($1, $2)";
const ROOT_KEY: &str = "SELECT root_key FROM av.tenants WHERE tenant_id = $1";
const LOCK_AUTHORITY: &str = "SELECT FROM av.tenants WHERE tenant_id = $1 FOR NO KEY UPDATE";
const NEXT_PLACE: &str =
    "UPDATE av.tenants SET statements = statements + 1 WHERE tenant_id = $1 RETURNING statements";

impl TenantTx {
    /// Whether the tenant is new.
    pub(crate) async fn insert_tenant(&self, root_key: &[u8; 32]) -> Result<bool, StoreError> {
        let inserted = self.execute(INSERT_TENANT, &[&self.tenant_bytes(), &root_key.as_slice()]).await?;
        Ok(inserted == 1)
    }

    /// Adds a person and returns their id.
    pub(crate) async fn insert_user(&self) -> Result<[u8; 16], StoreError> {
        let mut user = [0; 16];
        getrandom::fill(&mut user)?;
        self.execute(INSERT_USER, &[&self.tenant_bytes(), &user.as_slice()]).await?;
        Ok(user)
    }

    /// The key that the tenant's id commits to.
    pub(crate) async fn root_key(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let row = self.query_opt(ROOT_KEY, &[&self.tenant_bytes()]).await?;
        row.map(|row| id(&row, 0)).transpose()
    }

    /// Puts approvals, activations and statements of one tenant in one order, before any other row is locked,
    /// so that no two of them can wait for each other.
    pub(crate) async fn lock_authority(&self) -> Result<(), StoreError> {
        self.query_opt(LOCK_AUTHORITY, &[&self.tenant_bytes()]).await?;
        Ok(())
    }

    /// The place of a new statement among all of the tenant's.
    pub(crate) async fn next_statement_place(&self) -> Result<u64, StoreError> {
        let row = self.query_one(NEXT_PLACE, &[&self.tenant_bytes()]).await?;
        unsigned(&row, 0)
    }
}
