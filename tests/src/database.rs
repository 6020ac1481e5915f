//! A look into the relay's PostgreSQL beside the relay: through its Unix socket.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use av_wire::{Role, TenantId};
use postgres::{Client, Config, NoTls, Transaction};

use crate::Outcome;

/// The role that owns the tables, and the database: `av-relay/src/store/embedded.rs`.
const OWNER: &str = "av_owner";
const DATABASE: &str = "agentvault";

/// The cluster of a running relay.
#[derive(Clone, Debug)]
pub struct Cluster {
    folder: PathBuf,
    process: u32,
    socket_folder: String,
}

impl Cluster {
    /// The cluster that runs under a relay's data directory.
    ///
    /// # Errors
    /// When there is none, or it does not run.
    pub fn find(data: &Path) -> Outcome<Self> {
        // The file that PostgreSQL writes while it runs: process id, folder, start, port, socket folder.
        let mut folders = vec![data.to_owned()];
        for entry in fs::read_dir(data)? {
            folders.push(entry?.path());
        }
        let (folder, text) = folders
            .into_iter()
            .find_map(|folder| {
                fs::read_to_string(folder.join("postmaster.pid")).ok().map(|text| (folder, text))
            })
            .ok_or_else(|| format!("no running cluster in {}", data.display()))?;
        let mut lines = text.lines();
        let process = lines.next().and_then(|line| line.trim().parse().ok()).ok_or("no process id")?;
        let socket_folder = lines.nth(3).unwrap_or_default().to_owned();
        Ok(Self { folder, process, socket_folder })
    }

    /// The id of its first process.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// The folder of the Unix socket that it listens on.
    pub fn socket_folder(&self) -> &str {
        &self.socket_folder
    }

    /// Its folder: tables, write-ahead log and all.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A connection to a relay's database with the rights of its owner, who is bound by the tenants' policies like
/// everyone else: a query sees the rows of the tenant it names.
pub struct Database {
    client: Client,
}

/// A waiting message as the relay has it.
pub struct StoredMessage {
    /// Everything up to and with the header ciphertext.
    pub header_blob: Vec<u8>,
    /// The body.
    pub ciphertext: Vec<u8>,
}

/// What a cluster promises, read from its catalogue and settings.
#[derive(Clone, Debug)]
pub struct Facts {
    /// PostgreSQL's major version.
    pub major: i32,
    /// Tables of the relay, every one of which forces row-level security.
    pub tables: i64,
}

impl Database {
    /// Connects to a running cluster.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub fn connect(cluster: &Cluster) -> Outcome<Self> {
        let mut config = Config::new();
        config.host_path(&cluster.socket_folder).user(OWNER).dbname(DATABASE);
        Ok(Self { client: config.connect(NoTls)? })
    }

    /// Runs queries in a transaction that sees the rows of `tenant`, and rolls it back.
    ///
    /// # Errors
    /// Those of the queries.
    pub fn with_tenant<T>(
        &mut self,
        tenant: TenantId,
        run: impl FnOnce(&mut Transaction<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let mut transaction = self.client.transaction()?;
        transaction.execute("SELECT set_config('app.tenant_id', $1, true)", &[&tenant.to_string()])?;
        run(&mut transaction)
    }

    /// As [`Database::with_tenant`], and commits.
    ///
    /// # Errors
    /// Those of the queries and of the commit.
    pub fn change<T>(
        &mut self,
        tenant: TenantId,
        run: impl FnOnce(&mut Transaction<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let mut transaction = self.client.transaction()?;
        transaction.execute("SELECT set_config('app.tenant_id', $1, true)", &[&tenant.to_string()])?;
        let value = run(&mut transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Names of the tables that hold tenants' rows.
    ///
    /// # Errors
    /// Those of the query.
    pub fn tables(&mut self) -> Outcome<Vec<String>> {
        let query = "SELECT relname::text FROM pg_class WHERE relnamespace = 'av'::regnamespace \
                     AND relkind IN ('r', 'p') AND NOT relispartition AND relrowsecurity ORDER BY 1";
        self.client.query(query, &[])?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Rows of a tenant in each table.
    ///
    /// # Errors
    /// Those of the queries.
    pub fn counts(&mut self, tenant: TenantId) -> Outcome<BTreeMap<String, i64>> {
        let tables = self.tables()?;
        self.with_tenant(tenant, |transaction| {
            let count = |table: String| {
                let row = transaction.query_one(&format!("SELECT count(*) FROM av.{table}"), &[])?;
                Ok((table, row.try_get(0)?))
            };
            tables.into_iter().map(count).collect()
        })
    }

    /// Rows of a tenant in one table.
    ///
    /// # Errors
    /// Those of the queries, or when there is no such table.
    pub fn count(&mut self, tenant: TenantId, table: &str) -> Outcome<i64> {
        self.counts(tenant)?.remove(table).ok_or_else(|| format!("no table {table}").into())
    }

    /// A digest of each table's rows of a tenant: equal exactly when nothing changed.
    ///
    /// # Errors
    /// Those of the queries.
    pub fn digest(&mut self, tenant: TenantId) -> Outcome<BTreeMap<String, String>> {
        let tables = self.tables()?;
        self.with_tenant(tenant, |transaction| {
            let digest = |table: String| {
                let rows = "coalesce(string_agg(md5(t::text), ',' ORDER BY md5(t::text)), '')";
                let row = transaction.query_one(&format!("SELECT {rows} FROM av.{table} t"), &[])?;
                Ok((table, row.try_get(0)?))
            };
            tables.into_iter().map(digest).collect()
        })
    }

    /// Messages of a tenant that wait for devices of this role, the oldest first.
    ///
    /// # Errors
    /// Those of the query.
    pub fn messages(&mut self, tenant: TenantId, recipients: Role) -> Outcome<Vec<StoredMessage>> {
        let query = "SELECT header_blob, ciphertext FROM av.messages JOIN av.devices \
                     ON device_id = recipient WHERE role = $1 ORDER BY received_at";
        self.with_tenant(tenant, |transaction| {
            let rows = transaction.query(query, &[&i16::from(recipients.byte())])?;
            rows.iter()
                .map(|row| Ok(StoredMessage { header_blob: row.try_get(0)?, ciphertext: row.try_get(1)? }))
                .collect()
        })
    }

    /// Messages that a tenant's devices ever sent and the relay accepted, as its conversations count them.
    ///
    /// # Errors
    /// Those of the query.
    pub fn accepted(&mut self, tenant: TenantId) -> Outcome<i64> {
        let query = "SELECT coalesce(sum(messages), 0)::bigint FROM av.conversations";
        self.with_tenant(tenant, |transaction| Ok(transaction.query_one(query, &[])?.try_get(0)?))
    }

    /// What the cluster promises.
    ///
    /// # Errors
    /// When one of the promises does not hold: a table without forced row-level security, a TCP address, or a
    /// setting that lets a commit be lost.
    pub fn facts(&mut self) -> Outcome<Facts> {
        let query = "SELECT current_setting('server_version_num')::int / 10000, \
                     count(*) FILTER (WHERE relrowsecurity AND relforcerowsecurity AND NOT relispartition), \
                     count(*) FILTER (WHERE NOT (relrowsecurity AND relforcerowsecurity)), \
                     current_setting('listen_addresses'), \
                     ARRAY['fsync', 'full_page_writes', 'synchronous_commit']::text[] \
                     <@ (SELECT array_agg(name) FROM pg_settings WHERE setting = 'on') \
                     FROM pg_class WHERE relnamespace = 'av'::regnamespace AND relkind IN ('r', 'p', 'm', 'f')";
        let row = self.client.query_one(query, &[])?;
        let (open, addresses, durable): (i64, String, bool) =
            (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        if open != 0 || !addresses.is_empty() || !durable {
            return Err(format!("{open} tables are open, TCP on {addresses:?}, durable: {durable}").into());
        }
        Ok(Facts { major: row.try_get(0)?, tables: row.try_get(1)? })
    }

    /// Writes everything that PostgreSQL holds in memory to its files.
    ///
    /// # Errors
    /// When the role may not.
    pub fn checkpoint(&mut self) -> Outcome {
        Ok(self.client.batch_execute("CHECKPOINT")?)
    }

    /// Writes bytes into the write-ahead log and nowhere else.
    ///
    /// # Errors
    /// Those of the query.
    pub fn write_to_log(&mut self, bytes: &[u8]) -> Outcome {
        self.client.execute("SELECT pg_logical_emit_message(true, 'canary', $1::bytea)", &[&bytes])?;
        Ok(())
    }

    /// Notes a migration that this relay does not know, as a newer one would have.
    ///
    /// # Errors
    /// Those of the query.
    pub fn pretend_newer(&mut self) -> Outcome {
        let insert = "INSERT INTO av_meta.schema_migrations (version) VALUES (9999)";
        Ok(self.client.batch_execute(insert)?)
    }
}
