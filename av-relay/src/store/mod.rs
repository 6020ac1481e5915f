//! The database: the only module that knows SQL, and a transaction of one tenant the only way through it to a row.
//!
//! ```text
//! service ─▶ TenantTx ─▶ tenants │ devices │ invites │ api_keys │ prekeys │ statements │ inboxes ─▶ PostgreSQL
//! writer ──▶ GroupTx ─▶ TenantPart ─▶ messages │ acknowledgements ─────────────────────────▲
//! janitor ─▶ Expiry, as a role that sees only what expired ─────────────────────────────────┘
//! ```
//!
//! A transaction, or a part of one, is bound to one tenant before anybody can ask it for anything, and the database's
//! own policies hold it there: a forgotten WHERE shows nothing foreign. The client itself is private to this module.

mod acknowledgements;
mod api_keys;
mod devices;
pub mod embedded;
mod error;
mod expiry;
mod group_tx;
mod inboxes;
mod invites;
#[cfg(test)]
mod isolation;
mod login;
mod messages;
mod migrate;
mod prekeys;
mod row;
mod statements;
mod tenant_tx;
mod tenants;

use std::path::PathBuf;
use std::time::Duration;

use av_wire::ids::{LookupHash, TenantId};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Client, Config};

pub(crate) use self::acknowledgements::{NewAcknowledgement, acknowledged};
pub(crate) use self::api_keys::{ApiKey, EnrolledWithKey};
pub(crate) use self::devices::{Approval, Device, DeviceStatus, Enrolled};
pub use self::error::{OpenError, StoreError};
pub(crate) use self::expiry::Expiry;
pub(crate) use self::group_tx::{GroupError, GroupTx};
pub(crate) use self::inboxes::{Entry, EntryContent, InboxState, Page};
pub(crate) use self::invites::{Invite, PendingRequest};
pub use self::login::{Login, Logins};
pub(crate) use self::messages::{NewMessage, Outcome};
pub(crate) use self::prekeys::{FoundKemPrekey, StoredKind, StoredPrekey};
pub(crate) use self::statements::{NewStatement, PostedStatement};
pub use self::tenant_tx::TenantTx;
use crate::limits::WRITERS;

/// Owns the tables and runs migrations; no traffic passes through it.
pub(crate) const OWNER_ROLE: &str = "av_owner";
/// All traffic; owns nothing and cannot get past row-level security.
pub(crate) const APP_ROLE: &str = "av_app";
/// Removes what expired; sees nothing else, and no content.
pub(crate) const JANITOR_ROLE: &str = "av_janitor";
/// The relay's database.
pub(crate) const DATABASE: &str = "agentvault";

/// Connections for traffic. On one node the disk's fsync is the limit, and a few connections already fill it.
const POOL_SIZE: usize = 16;
/// Longer than any burst takes to drain; a caller that waits longer is told to come again.
const POOL_WAIT: Duration = Duration::from_secs(10);
/// For a server to take a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Set for each connection: no statement, lock or forgotten transaction holds others up for ever, and no statement is
/// planned anew each time, which with partitions would take longer than running it.
const SESSION_SETTINGS: &str = "-c statement_timeout=30s -c lock_timeout=15s \
    -c idle_in_transaction_session_timeout=60s -c plan_cache_mode=force_generic_plan";
/// What "accepted means stored" rests on.
const DURABLE: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// Where a PostgreSQL server takes connections.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Folder of its Unix socket.
    pub socket_folder: PathBuf,
    /// Part of the socket's file name.
    pub port: u16,
}

impl Endpoint {
    fn login(&self, role: &str) -> Result<Login, OpenError> {
        let mut config = session(role);
        config.host_path(&self.socket_folder).port(self.port).dbname(DATABASE);
        Ok(Login::plain(config)?)
    }

    fn logins(&self) -> Result<Logins, OpenError> {
        Ok(Logins { app: self.login(APP_ROLE)?, janitor: self.login(JANITOR_ROLE)? })
    }
}

/// What every connection of the relay has in common, wherever the server is.
pub(crate) fn session(role: &str) -> Config {
    let mut config = Config::new();
    config
        .user(role)
        .application_name("av-relay")
        .options(SESSION_SETTINGS)
        .connect_timeout(CONNECT_DEADLINE);
    config
}

/// The relay's database, migrated, audited, and opened as the traffic role.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// Apart from the others, so that a thousand readers do not hold up who writes.
    writers: Pool,
    janitor: Pool,
    catalogue: std::sync::Arc<[String]>,
}

impl Store {
    /// Migrates the schema of a cluster that is the relay's own, then [serves](Store::serve) it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(endpoint: &Endpoint) -> Result<Self, OpenError> {
        Self::migrate(&endpoint.login(OWNER_ROLE)?).await?;
        Self::serve(&endpoint.logins()?).await
    }

    /// Brings the schema up to date, as the role that owns it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn migrate(owner: &Login) -> Result<(), OpenError> {
        migrate::migrate(&mut login::log_in(owner).await?).await
    }

    /// Opens the pool as the traffic role, but only if that role cannot get past row-level security, the schema is
    /// this relay's, and the server stores what it says it stored.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn serve(logins: &Logins) -> Result<Self, OpenError> {
        let app = login::log_in(&logins.app).await?;
        migrate::check(&app).await?;
        check_durable(&app).await?;
        let catalogue = crate::audit_rls::audit(&app).await?;
        crate::audit_rls::audit_janitor(&login::log_in(&logins.janitor).await?).await?;

        Ok(Self {
            pool: pool(&logins.app, POOL_SIZE)?,
            writers: pool(&logins.app, WRITERS)?,
            janitor: pool(&logins.janitor, 1)?,
            catalogue: catalogue.into(),
        })
    }

    /// What the audit of row-level security found, one line a table.
    pub fn catalogue(&self) -> &[String] {
        &self.catalogue
    }

    /// A transaction that sees and changes this tenant's rows only.
    pub(crate) async fn tenant(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        TenantTx::begin(self.pool.get().await?, tenant).await
    }

    /// A connection for a [`GroupTx`].
    pub(crate) async fn writer(&self) -> Result<Object, StoreError> {
        Ok(self.writers.get().await?)
    }

    /// What removes what expired.
    pub(crate) async fn expiry(&self) -> Result<Expiry, StoreError> {
        Ok(Expiry::new(self.janitor.get().await?))
    }

    /// A transaction for the tenant of the invite with this hash. For a hash that nobody registered it is one
    /// for no tenant at all, so that the caller goes the same way and finds nothing.
    pub(crate) async fn tenant_of_invite(&self, hash: &LookupHash) -> Result<TenantTx, StoreError> {
        TenantTx::begin_for_invite(self.pool.get().await?, hash).await
    }
}

fn pool(login: &Login, size: usize) -> Result<Pool, StoreError> {
    let Login { config, tls } = login.clone();
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(config, tls, recycling))
        .max_size(size)
        .wait_timeout(Some(POOL_WAIT))
        .create_timeout(Some(POOL_WAIT))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|_| StoreError::Unexpected("the pool's settings"))
}

/// One connection outside the pool, for the start.
async fn connect(login: &Login) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = login.config.connect(login.tls.clone()).await?;
    tokio::spawn(async move {
        // Its error also reaches whoever uses the client.
        let _ = connection.await;
    });
    Ok(client)
}

async fn check_durable(client: &Client) -> Result<(), OpenError> {
    const SETTING: &str = "SELECT current_setting($1)";
    for setting in DURABLE {
        let value: String = client.query_one(SETTING, &[&setting]).await?.try_get(0)?;
        if value != "on" {
            return Err(OpenError::NotDurable { setting, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
