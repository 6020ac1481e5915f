//! A transaction that is bound to one tenant.

use std::fmt;

use av_wire::ids::{LookupHash, TenantId};
use deadpool_postgres::Object;
use futures_util::FutureExt;
use futures_util::future::try_join3;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::StoreError;
use super::row::id;

/// Local to the transaction (the last argument): at its end the connection knows no tenant again.
pub(super) const SET_TENANT: &str = "SELECT set_config('app.tenant_id', encode($1::bytea, 'hex'), true)";
const SET_INVITE: &str = "SELECT set_config('app.invite_hash', encode($1::bytea, 'hex'), true)";
/// Should two tenants have registered one hash, then it is the first one's: a later one cannot take it over.
pub(super) const TENANT_OF_INVITE: &str =
    "SELECT tenant_id FROM av.invites WHERE lookup_hash = $1 ORDER BY created_at, tenant_id LIMIT 1";

/// The tenant that no root key hashes to; its rows do not exist.
pub(super) const NO_TENANT: TenantId = TenantId([0; TenantId::LEN]);

/// An open transaction for one tenant. Committing consumes it; dropping it rolls back.
pub struct TenantTx {
    client: Object,
    tenant: TenantId,
    is_open: bool,
}

impl TenantTx {
    /// BEGIN and the tenant go out before the first query, and nothing waits for their answers: had one of them
    /// failed, then so does every query behind it, or it sees no row.
    pub(super) async fn begin(client: Object, tenant: TenantId) -> Result<Self, StoreError> {
        let set_tenant = client.prepare_cached(SET_TENANT).await?;
        // Made first: from here on, leaving in whatever way rolls back.
        let tx = Self { client, tenant, is_open: true };
        let tenant_bytes = tenant.as_bytes().as_slice();
        let _ = tx.client.batch_execute("BEGIN").now_or_never();
        let _ = tx.client.query_one(&set_tenant, &[&tenant_bytes]).now_or_never();
        Ok(tx)
    }

    /// Finds the invite's tenant by the one policy that shows a row to whoever names it, and goes on as that.
    pub(super) async fn begin_for_invite(client: Object, hash: &LookupHash) -> Result<Self, StoreError> {
        let set_invite = client.prepare_cached(SET_INVITE).await?;
        let tenant_of_invite = client.prepare_cached(TENANT_OF_INVITE).await?;
        let set_tenant = client.prepare_cached(SET_TENANT).await?;
        let mut tx = Self { client, tenant: NO_TENANT, is_open: true };
        let hash = hash.as_bytes().as_slice();
        let (_, _, found) = try_join3(
            tx.client.batch_execute("BEGIN"),
            tx.client.query_one(&set_invite, &[&hash]),
            tx.client.query_opt(&tenant_of_invite, &[&hash]),
        )
        .await?;
        if let Some(row) = found {
            tx.tenant = TenantId(id(&row, 0)?);
        }
        let tenant_bytes = tx.tenant.as_bytes().as_slice();
        tx.client.query_one(&set_tenant, &[&tenant_bytes]).await?;
        Ok(tx)
    }

    /// Whose rows this transaction sees.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// [`StoreError`]; whether it was stored is then unknown, as with any lost answer.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.client.batch_execute("COMMIT").await?;
        self.is_open = false;
        Ok(())
    }

    pub(super) async fn query(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query(&statement, parameters).await?)
    }

    pub(super) async fn query_opt(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, StoreError> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query_opt(&statement, parameters).await?)
    }

    pub(super) async fn query_one(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, StoreError> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query_one(&statement, parameters).await?)
    }

    /// Number of rows changed.
    pub(super) async fn execute(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.execute(&statement, parameters).await?)
    }

    pub(super) fn tenant_bytes(&self) -> &[u8] {
        self.tenant.as_bytes()
    }
}

impl Drop for TenantTx {
    /// Sends ROLLBACK without waiting for its answer: polled once, it is on its way, and whoever uses the
    /// connection next is queued behind it.
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.client.batch_execute("ROLLBACK").now_or_never();
        }
    }
}

impl fmt::Debug for TenantTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantTx").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}
