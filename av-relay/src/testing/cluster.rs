//! A private cluster for tests, in a folder of its own that goes away with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread::{self, JoinHandle};

use av_wire::ids::TenantId;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

use super::random;
use crate::store::embedded::Cluster;
use crate::store::{DATABASE, Endpoint, OWNER_ROLE};

/// A new folder that PostgreSQL's account may enter. Whoever asks for it removes it.
pub(crate) fn scratch_folder() -> PathBuf {
    let name: String = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = std::env::temp_dir().join(format!("av-relay-test-{name}"));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A running cluster. Dropping it stops the server and removes its files.
pub(crate) struct TestCluster {
    pub(crate) endpoint: Endpoint,
    folder: PathBuf,
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl TestCluster {
    /// The server ends with the thread that starts it, and tests come and go on theirs: so it gets one to itself.
    pub(crate) fn start() -> Self {
        let folder = scratch_folder();
        let (stop, stopped) = mpsc::channel::<()>();
        let (tell, started) = mpsc::channel();
        let data = folder.clone();
        let keeper = thread::spawn(move || {
            let cluster = Cluster::start(&data, binaries().as_deref()).unwrap();
            tell.send(cluster.endpoint()).unwrap();
            // An error means that the handle is gone, which is the sign too.
            let _ = stopped.recv();
        });
        Self { endpoint: started.recv().unwrap(), folder, stop: Some(stop), keeper: Some(keeper) }
    }

    /// The server's own files.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.join("cluster")
    }

    /// A connection as the role that owns the tables.
    pub(crate) async fn owner(&self) -> Client {
        self.connect(OWNER_ROLE).await
    }

    pub(crate) async fn connect(&self, role: &str) -> Client {
        self.try_connect(role).await.unwrap()
    }

    pub(crate) async fn try_connect(&self, role: &str) -> Option<Client> {
        let mut config = Config::new();
        config.host_path(&self.endpoint.socket_folder).port(self.endpoint.port).dbname(DATABASE).user(role);
        let (client, connection) = config.connect(NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            keeper.join().unwrap();
        }
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// The cluster that tests share while any of them runs.
pub(crate) fn shared() -> Arc<TestCluster> {
    static SHARED: Mutex<Weak<TestCluster>> = Mutex::new(Weak::new());
    // A test that failed while it started the cluster says so itself.
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(TestCluster::start());
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

/// Binaries in an unusual place are named as for the program.
pub(crate) fn binaries() -> Option<PathBuf> {
    std::env::var_os("AV_PG_BIN").map(|folder| Path::new(&folder).to_path_buf())
}

/// What the operator's role sees and changes of one tenant; row security binds it too.
impl TestCluster {
    pub(crate) async fn count(&self, owner: &Client, tenant: TenantId, sql: &str) -> i64 {
        let rows = self.rows(owner, tenant, sql, &[]).await;
        rows[0].get(0)
    }

    pub(crate) async fn rows(
        &self,
        owner: &Client,
        tenant: TenantId,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Vec<Row> {
        self.scope(owner, tenant).await;
        let rows = owner.query(sql, parameters).await.unwrap();
        owner.batch_execute("COMMIT").await.unwrap();
        rows
    }

    /// Changes exactly one row.
    pub(crate) async fn change(
        &self,
        owner: &Client,
        tenant: TenantId,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) {
        self.scope(owner, tenant).await;
        assert_eq!(owner.execute(sql, parameters).await.unwrap(), 1);
        owner.batch_execute("COMMIT").await.unwrap();
    }

    async fn scope(&self, owner: &Client, tenant: TenantId) {
        owner.batch_execute("BEGIN").await.unwrap();
        let set = "SELECT set_config('app.tenant_id', $1, true)";
        owner.query_one(set, &[&tenant.to_string()]).await.unwrap();
    }
}

impl TestCluster {
    /// Every table of the schema, and every row of the tenant in it, as text.
    pub(crate) async fn dump(&self, owner: &Client, tenant: TenantId) -> Vec<String> {
        let tables = self.tables(owner).await;
        let mut dump = Vec::new();
        for table in tables {
            let rows = format!("SELECT format('%s %s', '{table}', t) FROM av.{table} t ORDER BY 1");
            dump.extend(self.rows(owner, tenant, &rows, &[]).await.iter().map(|row| row.get::<_, String>(0)));
        }
        dump
    }

    pub(crate) async fn tables(&self, client: &Client) -> Vec<String> {
        let tables = "SELECT relname::text FROM pg_class
                      WHERE relnamespace = 'av'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname";
        client.query(tables, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}
