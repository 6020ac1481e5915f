//! One transaction with parts of several tenants: so many commits for the price of one fsync.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use av_wire::ids::{DeviceId, TenantId};
use deadpool_postgres::Object;
use futures_util::FutureExt;
use futures_util::future::{MaybeDone, maybe_done};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Row, Statement};

use super::error::StoreError;
use super::tenant_tx::{NO_TENANT, SET_TENANT};
use super::{acknowledgements, messages};

/// In order of device; all transactions lock in order of tenant and device, so that none waits for one that waits
/// for it.
const LOCK: &str = "SELECT FROM av.inboxes WHERE tenant_id = $1 AND device_id = ANY ($2)
     ORDER BY device_id FOR NO KEY UPDATE";
pub(super) const CLEAR_TENANT: &str = "SELECT set_config('app.tenant_id', '', true)";

/// An answer on its way. The request went out before it.
type Pending<'c> = Pin<Box<MaybeDone<Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'c>>>>>;

/// What a part may ask, prepared on this connection.
pub(super) struct Statements {
    set_tenant: Statement,
    clear_tenant: Statement,
    lock: Statement,
    pub(super) acknowledge: Statement,
    pub(super) send: Statement,
}

/// An open transaction for several tenants, one after the other. Nothing waits for an answer before
/// [`commit`](Self::commit): all of it is one round trip. Dropping it rolls back.
pub(crate) struct GroupTx<'c> {
    client: &'c Object,
    statements: Statements,
    pending: Vec<Pending<'c>>,
    is_open: bool,
}

/// Where the rows of a statement are among those that the commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(usize);

/// The rows of all statements.
#[derive(Debug)]
pub(crate) struct Answers(Vec<Vec<Row>>);

impl Answers {
    pub(crate) fn rows(&self, ticket: Ticket) -> &[Row] {
        self.0.get(ticket.0).map_or(&[], Vec::as_slice)
    }
}

/// Why a group was not, or may not have been, committed.
#[derive(Debug)]
pub(crate) enum GroupError {
    /// The server refused a statement: nothing was stored.
    Refused(Error),
    /// The connection was lost: it may have been stored.
    Lost(Error),
}

impl<'c> GroupTx<'c> {
    /// Begins, without waiting.
    pub(crate) async fn begin(client: &'c Object) -> Result<Self, StoreError> {
        let statements = Statements {
            set_tenant: client.prepare_cached(SET_TENANT).await?,
            clear_tenant: client.prepare_cached(CLEAR_TENANT).await?,
            lock: client.prepare_cached(LOCK).await?,
            acknowledge: client.prepare_cached(acknowledgements::ACKNOWLEDGE).await?,
            send: client.prepare_cached(messages::SEND).await?,
        };
        let mut group = Self { client, statements, pending: Vec::new(), is_open: true };
        group.submit(async { client.batch_execute("BEGIN").await.map(|()| Vec::new()) });
        Ok(group)
    }

    /// From here until the part is dropped, statements see and change this tenant's rows only. Afterwards, and
    /// between two parts, they see none.
    pub(crate) fn as_tenant(&mut self, tenant: &TenantId) -> TenantPart<'_, 'c> {
        self.set_tenant(*tenant);
        TenantPart { group: self, tenant: *tenant }
    }

    fn set_tenant(&mut self, tenant: TenantId) {
        let client = self.client;
        if tenant == NO_TENANT {
            let clear = self.statements.clear_tenant.clone();
            self.submit(async move { client.query(&clear, &[]).await });
        } else {
            let set = self.statements.set_tenant.clone();
            self.submit(async move { client.query(&set, &[&tenant.as_bytes().as_slice()]).await });
        }
    }

    /// Sends a statement behind all earlier ones: polling it once does that, if it is a prepared one. A text would
    /// first wait to be prepared.
    fn submit(&mut self, statement: impl Future<Output = Result<Vec<Row>, Error>> + Send + 'c) -> Ticket {
        let statement: Pin<Box<dyn Future<Output = _> + Send + 'c>> = Box::pin(statement);
        let mut pending = Box::pin(maybe_done(statement));
        // Whether it is done shows when everything is awaited.
        let _ = pending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.pending.push(pending);
        Ticket(self.pending.len() - 1)
    }

    /// Makes everything durable, or nothing.
    ///
    /// # Errors
    /// [`GroupError`].
    pub(crate) async fn commit(mut self) -> Result<Answers, GroupError> {
        let client = self.client;
        self.is_open = false;
        // A failed statement makes this a rollback, of which the failure tells and the answer to this does not.
        self.submit(async move { client.batch_execute("COMMIT").await.map(|()| Vec::new()) });
        let mut answers = Vec::with_capacity(self.pending.len());
        for pending in &mut self.pending {
            pending.as_mut().await;
            let answer = pending.as_mut().take_output().unwrap_or_else(|| Ok(Vec::new()));
            answers.push(answer.map_err(GroupError::new)?);
        }
        Ok(Answers(answers))
    }
}

impl GroupError {
    fn new(error: Error) -> Self {
        // A server that is told to end says so in place of an answer, perhaps of the one to COMMIT.
        const ENDING: [SqlState; 3] =
            [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
        match error.code() {
            Some(code) if !ENDING.contains(code) => Self::Refused(error),
            _ => Self::Lost(error),
        }
    }
}

impl Drop for GroupTx<'_> {
    /// As with a [`TenantTx`](super::TenantTx), whoever uses the connection next is queued behind the ROLLBACK.
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.client.batch_execute("ROLLBACK").now_or_never();
        }
    }
}

impl fmt::Debug for GroupTx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupTx").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// The part of one tenant.
pub(crate) struct TenantPart<'g, 'c> {
    group: &'g mut GroupTx<'c>,
    tenant: TenantId,
}

impl<'c> TenantPart<'_, 'c> {
    /// Locks the inboxes until the group ends. To be asked before anything else.
    pub(crate) fn lock_inboxes(&mut self, devices: BTreeSet<DeviceId>) {
        let (client, statement, tenant) = (self.client(), self.group.statements.lock.clone(), self.tenant);
        self.submit(async move {
            let devices: Vec<&[u8]> = devices.iter().map(|device| device.as_bytes().as_slice()).collect();
            client.query(&statement, &[&tenant.as_bytes().as_slice(), &devices]).await
        });
    }

    pub(super) fn submit(
        &mut self,
        statement: impl Future<Output = Result<Vec<Row>, Error>> + Send + 'c,
    ) -> Ticket {
        self.group.submit(statement)
    }

    pub(super) fn client(&self) -> &'c Object {
        self.group.client
    }

    pub(super) fn statements(&self) -> &Statements {
        &self.group.statements
    }

    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}

impl Drop for TenantPart<'_, '_> {
    fn drop(&mut self) {
        self.group.set_tenant(NO_TENANT);
    }
}

impl fmt::Debug for TenantPart<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantPart").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
