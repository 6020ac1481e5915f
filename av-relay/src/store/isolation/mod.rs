//! The proof that tenants are apart. Every function of the store is called as one tenant beside another that has the
//! same ids, and must do what it does when it is alone; two walls keep it so, the policies of the database and the
//! predicates of the statements, and each is tried without the other. `mutants` breaks them one by one.

mod calls;
mod fixture;
mod mutants;
mod pool;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use av_wire::ids::{LookupHash, TenantId};
use tokio_postgres::Client;

use self::calls::{REFUSED, ask, call};
use self::fixture::{A, B, Fixture, NOWHERE, OPEN_INVITE};
use super::group_tx::GroupTx;
use super::tests::visible;
use super::{APP_ROLE, Endpoint, JANITOR_ROLE, Store, TenantTx};
use crate::testing::TestCluster;

const SET_TENANT: &str = "SELECT set_config('app.tenant_id', $1, true)";
/// Every row of the tenant, without the times, and what is random without its value.
const ROWS: &str = "
    WITH rows AS (
        SELECT tenant_id, 'api_keys' AS t, r::text FROM av.api_keys r
        UNION ALL SELECT tenant_id, 'conversations', r::text FROM av.conversations r
        UNION ALL SELECT tenant_id, 'devices', r::text FROM av.devices r
        UNION ALL SELECT tenant_id, 'inbox_entries', r::text FROM av.inbox_entries r
        UNION ALL SELECT tenant_id, 'inboxes', concat_ws(' ', device_id, next_sequence, acknowledged, received_bytes,
            waiting_bytes, CASE WHEN get_byte(epoch, 0) = get_byte(epoch, 15) THEN epoch END) FROM av.inboxes r
        UNION ALL SELECT tenant_id, 'invites', r::text FROM av.invites r
        UNION ALL SELECT tenant_id, 'message_receipts', r::text FROM av.message_receipts r
        UNION ALL SELECT tenant_id, 'messages', r::text FROM av.messages r
        UNION ALL SELECT tenant_id, 'prekeys', r::text FROM av.prekeys r
        UNION ALL SELECT tenant_id, 'statements', r::text FROM av.statements r
        UNION ALL SELECT tenant_id, 'tenants', r::text FROM av.tenants r
        UNION ALL SELECT tenant_id, 'users', '' FROM av.users r)
    SELECT coalesce(string_agg(t || ' ' || regexp_replace(r, '\\d+-\\d\\d-\\d\\d \\d\\d:\\d\\d:[0-9.+]*', 'time', 'g'),
                               E'\\n' ORDER BY t, r), '')
    FROM rows WHERE tenant_id = decode(nullif(current_setting('app.tenant_id'), ''), 'hex')";

/// Who is there when B is asked.
const BOTH: [TenantId; 2] = [A, B];

/// What a call said, and what its tenant's rows were after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    call: String,
    said: String,
    rows: String,
}

/// Which tenant the database is told of, when a transaction is for tenant B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// B, as it is.
    Own,
    /// None: nothing may be found.
    None,
    /// A: nothing may be found either, for the statements say B.
    Other,
}

/// The functions of these types, by their names in the store's sources.
struct Functions {
    transaction: Vec<String>,
    part: Vec<String>,
    /// Comparisons of a tenant in all statements.
    predicates: usize,
}

impl Functions {
    fn read() -> Self {
        let mut functions = Self { transaction: Vec::new(), part: Vec::new(), predicates: 0 };
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store")).unwrap() {
            let path = entry.unwrap().path();
            // Expiry is of all tenants, and another role's.
            if path.extension().is_none_or(|extension| extension != "rs")
                || ["expiry.rs", "tests.rs"].iter().any(|name| path.ends_with(name))
            {
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let mut list: Option<&mut Vec<String>> = None;
            for line in text.lines() {
                functions.predicates +=
                    if line.trim_start().starts_with("//") { 0 } else { predicates(line).len() };
                if line.starts_with("impl") {
                    list = match line {
                        "impl TenantTx {" => Some(&mut functions.transaction),
                        "impl<'c> TenantPart<'_, 'c> {" => Some(&mut functions.part),
                        _ => None,
                    };
                }
                let signature = line.strip_prefix("    pub(crate) ");
                let signature = signature.map(|line| line.strip_prefix("async ").unwrap_or(line));
                if let (Some(list), Some(signature)) =
                    (&mut list, signature.and_then(|line| line.strip_prefix("fn ")))
                {
                    list.push(signature.split(['(', '<']).next().unwrap().to_owned());
                }
            }
        }
        functions.transaction.sort();
        functions.part.sort();
        functions
    }
}

/// Where a statement compares a tenant: start and end of the comparison, and whether with the parameter.
fn predicates(sql: &str) -> Vec<(usize, usize, bool)> {
    const COMPARES: &str = "tenant_id = ";
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    sql.match_indices(COMPARES)
        .map(|(at, _)| {
            let start = sql[..at].rfind(|c| !word(c)).map_or(0, |before| before + 1);
            let right = at + COMPARES.len();
            let is_parameter = sql[right..].starts_with("$1");
            let length = sql[right..].find(|c| !word(c) && c != '$').unwrap_or(sql.len() - right);
            (start, right + length, is_parameter)
        })
        .collect()
}

/// A cluster of its own with the two tenants, and what a store that keeps them apart does.
struct Trial {
    cluster: TestCluster,
    owner: Client,
    /// Looks on as traffic does.
    app: Client,
    fixture: Fixture,
    functions: Functions,
    /// As B while there is no A.
    alone: Vec<Seen>,
    /// As a tenant that is not there.
    nowhere: Vec<Seen>,
    rows_of_a: String,
    rows_of_b: String,
}

impl Trial {
    async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(TestCluster::start).await.unwrap();
        let store = Store::open(&cluster.endpoint).await.unwrap();
        let (owner, app) = (cluster.owner().await, cluster.connect(APP_ROLE).await);
        let mut trial = Self {
            cluster,
            owner,
            app,
            fixture: Fixture::new(),
            functions: Functions::read(),
            alone: Vec::new(),
            nowhere: Vec::new(),
            rows_of_a: String::new(),
            rows_of_b: String::new(),
        };
        trial.put(&[B]).await;
        trial.alone = trial.calls(&store, B, Told::Own, &[B]).await;
        trial.put(&BOTH).await;
        trial.nowhere = trial.calls(&store, NOWHERE, Told::Own, &BOTH).await;
        trial.rows_of_a = trial.rows(A).await;
        trial.rows_of_b = trial.rows(B).await;
        trial
    }

    async fn put(&self, tenants: &[TenantId]) {
        self.fixture.put(&self.owner, tenants).await.unwrap();
    }

    /// The same as far as the policies let the owner; where they do not, what is seen differs anyway.
    async fn try_put(&self, tenants: &[TenantId]) {
        let _ = self.fixture.put(&self.owner, tenants).await;
    }

    async fn rows(&self, tenant: TenantId) -> String {
        self.cluster.rows(&self.owner, tenant, ROWS, &[]).await[0].get(0)
    }

    /// Whether somebody holds a lock on A's inboxes.
    async fn is_a_locked(&self) -> bool {
        const FREE: &str =
            "SELECT FROM av.inboxes WHERE tenant_id = decode(current_setting('app.tenant_id'), 'hex')
                            FOR NO KEY UPDATE SKIP LOCKED";
        self.app.batch_execute(&format!("BEGIN; SET LOCAL app.tenant_id = '{A}'")).await.unwrap();
        let free = self.app.query(FREE, &[]).await.unwrap().len();
        let count = "SELECT count(*) FROM av.inboxes WHERE tenant_id = decode(current_setting('app.tenant_id'), 'hex')";
        let all: i64 = self.app.query_one(count, &[]).await.unwrap().get(0);
        self.app.batch_execute("ROLLBACK").await.unwrap();
        i64::try_from(free).unwrap() != all
    }

    /// Every function of the store as this tenant, each undone.
    async fn calls(&self, store: &Store, tenant: TenantId, told: Told, there: &[TenantId]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for name in &self.functions.transaction {
            let tx = store.tenant(tenant).await.unwrap();
            if let Some(variable) = told.variable() {
                tx.query(SET_TENANT, &[&variable]).await.unwrap();
            }
            let said = call(&tx, &self.fixture, name).await;
            let said = said.unwrap_or_else(|| panic!("the store's function {name} has no row in calls.rs"));
            let (rows_of_a, rows) = (rows_in(&tx, A).await, rows_in(&tx, tenant).await);
            seen.push(self.seen(name, said, rows_of_a, rows).await);
        }
        for name in &self.functions.part {
            let client = store.writer().await.unwrap();
            let set = &client.prepare(SET_TENANT).await.unwrap();
            let mut group = GroupTx::begin(&client).await.unwrap();
            let mut part = group.as_tenant(&tenant);
            let client = &client;
            if let Some(variable) = told.variable() {
                part.submit(async move { client.query(set, &[&variable]).await });
            }
            let ticket = ask(&mut part, &self.fixture, name);
            let ticket =
                ticket.unwrap_or_else(|| panic!("the store's function {name} has no row in calls.rs"));
            drop(part);
            // Behind the others, so they have been done; it fails where one of them did.
            let _ = client.query(set, &[&""]).await;
            let locked = if self.is_a_locked().await { "; locks of A" } else { "" };
            let said = match (group.commit().await, ticket) {
                (Err(_), _) => REFUSED.to_owned(),
                (Ok(_), None) => "()".to_owned(),
                (Ok(answers), Some(ticket)) => answers
                    .rows(ticket)
                    .iter()
                    .map(|row| match row.columns()[0].type_().name() {
                        "_int2" => format!("{:?}", row.get::<_, Vec<i16>>(0)),
                        _ => format!("{:?}", row.get::<_, Vec<i64>>(0)),
                    })
                    .collect(),
            };
            let (rows_of_a, rows) = (self.rows(A).await, self.rows(tenant).await);
            seen.push(self.seen(name, said + locked, Some(rows_of_a), Some(rows)).await);
            self.try_put(there).await;
        }
        seen
    }

    async fn seen(&self, call: &str, said: String, rows_of_a: Option<String>, rows: Option<String>) -> Seen {
        let changed = rows_of_a.is_some_and(|rows| !self.rows_of_a.is_empty() && rows != self.rows_of_a);
        let locked = self.is_a_locked().await;
        let said = format!(
            "{said}{}{}",
            if changed { "; changes A" } else { "" },
            if locked { "; locks A" } else { "" }
        );
        Seen { call: call.to_owned(), said, rows: rows.unwrap_or_else(|| "undone".to_owned()) }
    }

    /// What does not keep the tenants apart: the tests that fail, and at what.
    async fn findings(&self, store: &Store) -> BTreeSet<String> {
        let mut findings = BTreeSet::new();
        findings
            .extend(self.differences(&self.calls(store, B, Told::Own, &BOTH).await, "beside another tenant"));
        for told in [Told::None, Told::Other] {
            for seen in self.calls(store, B, told, &BOTH).await {
                let nothing = self.nowhere.iter().find(|nowhere| nowhere.call == seen.call).unwrap();
                let is_found = seen.said != REFUSED && seen.said != nothing.said;
                if is_found || ![&self.rows_of_b, "undone"].contains(&seen.rows.as_str()) {
                    let who = if told == Told::None { "no tenant" } else { "another tenant" };
                    findings.insert(format!("as {who}: {}", seen.call));
                }
            }
        }
        self.tables(&mut findings).await;
        self.writing(&mut findings).await;
        self.janitor(&mut findings).await;
        self.leftovers(store, &mut findings).await;
        findings
    }

    fn differences(&self, seen: &[Seen], what: &str) -> Vec<String> {
        let pairs = self.alone.iter().zip(seen).filter(|(alone, seen)| alone != seen);
        pairs.map(|(_, seen)| format!("{what}: {}", seen.call)).collect()
    }

    /// Tables by their names, and partitions by theirs.
    async fn tables(&self, findings: &mut BTreeSet<String>) {
        for (role, partitions) in [(APP_ROLE, false), (super::OWNER_ROLE, true)] {
            let client = self.cluster.connect(role).await;
            for (table, is_partition) in self.relations().await {
                if is_partition && !partitions {
                    continue;
                }
                let count = async |of: &str| -> i64 {
                    let count = format!("SELECT count(*) FROM av.{table} WHERE {of}");
                    client.query_one(&count, &[]).await.unwrap().get(0)
                };
                if count("true").await != 0 {
                    findings.insert(format!("no tenant sees no row: {role}, {table}"));
                }
                client.batch_execute(&format!("BEGIN; SET LOCAL app.tenant_id = '{A}'")).await.unwrap();
                let is_other = format!("tenant_id <> '\\x{A}'");
                if count(&is_other).await != 0 || !is_partition && count("true").await == 0 {
                    findings.insert(format!("a tenant sees its rows: {role}, {table}"));
                }
                client.batch_execute("COMMIT").await.unwrap();
            }
        }
    }

    async fn relations(&self) -> Vec<(String, bool)> {
        let relations = "SELECT relname::text, relispartition FROM pg_class
                         WHERE relnamespace = 'av'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname";
        self.owner.query(relations, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// As A, a row of B is written into every table.
    async fn writing(&self, findings: &mut BTreeSet<String>) {
        for (table, is_partition) in self.relations().await {
            let parent = if is_partition { "messages" } else { &table };
            let row = format!("SELECT t::text FROM av.{parent} t WHERE tenant_id = '\\x{B}' LIMIT 1");
            let row = self.cluster.rows(&self.owner, B, &row, &[]).await;
            let Some(row) = row.first().map(|row| row.get::<_, String>(0)) else {
                findings.insert(format!("a tenant sees its rows: {table}"));
                continue;
            };
            let columns = format!(
                "SELECT string_agg(attname, ', ' ORDER BY attnum), string_agg('(r).' || attname, ', ' ORDER BY attnum)
                 FROM pg_attribute WHERE attrelid = 'av.{table}'::regclass AND attnum > 0 AND NOT attisdropped
                   AND attgenerated = ''"
            );
            let columns = self.owner.query_one(&columns, &[]).await.unwrap();
            let (into, from): (&str, &str) = (columns.get(0), columns.get(1));
            let insert = format!(
                "INSERT INTO av.{table} ({into}) SELECT {from} FROM (SELECT $${row}$$::av.{table} AS r) AS b"
            );
            for client in [&self.owner, &self.app] {
                if is_partition && std::ptr::eq(client, &self.app) {
                    continue;
                }
                client.batch_execute(&format!("BEGIN; SET LOCAL app.tenant_id = '{A}'")).await.unwrap();
                let error = client.batch_execute(&insert).await.unwrap_err();
                client.batch_execute("ROLLBACK").await.unwrap();
                if !error.as_db_error().is_some_and(|error| error.message().contains("row-level security")) {
                    findings.insert(format!("a tenant writes its rows only: {table}"));
                }
            }
        }
    }

    /// The janitor, with no tenant and naming one, sees what expired and nothing else.
    async fn janitor(&self, findings: &mut BTreeSet<String>) {
        let janitor = self.cluster.connect(JANITOR_ROLE).await;
        for table in ["inboxes", "message_receipts", "messages"] {
            let expire = format!(
                "UPDATE av.{table} SET expires_at = now() - interval '1 second' WHERE tenant_id = '\\x{B}'"
            );
            self.cluster.rows(&self.owner, B, &expire, &[]).await;
            let rows = format!("SELECT count(*) FROM av.{table} WHERE tenant_id = '\\x{B}'");
            let expired = self.cluster.count(&self.owner, B, &rows).await;
            for tenant in [String::new(), A.to_string()] {
                janitor.batch_execute(&format!("SET app.tenant_id = '{tenant}'")).await.unwrap();
                let seen =
                    |which| format!("SELECT count(tenant_id) FROM av.{table} WHERE expires_at {which} now()");
                let fresh: i64 = janitor.query_one(&seen(">="), &[]).await.unwrap().get(0);
                let old: i64 = janitor.query_one(&seen("<"), &[]).await.unwrap().get(0);
                // Inboxes without a message never held any: they expired long ago, in both tenants.
                if fresh != 0 || old < expired {
                    findings.insert(format!("the janitor sees what expired: {table}"));
                }
            }
        }
        self.try_put(&BOTH).await;
    }

    /// After every way to end a transaction, its connection knows no tenant.
    async fn leftovers(&self, store: &Store, findings: &mut BTreeSet<String>) {
        store.tenant(B).await.unwrap().commit().await.unwrap();
        self.leftover(store, "committed", findings).await;
        drop(store.tenant(B).await.unwrap());
        self.leftover(store, "dropped", findings).await;
        drop(store.tenant(B).await.unwrap().query("SELECT 1 / 0", &[]).await.unwrap_err());
        self.leftover(store, "failed", findings).await;
        for hash in [OPEN_INVITE, LookupHash([0xff; 32])] {
            store.tenant_of_invite(&hash).await.unwrap().commit().await.unwrap();
            self.leftover(store, "of an invite", findings).await;
        }
        let client = store.writer().await.unwrap();
        let mut group = GroupTx::begin(&client).await.unwrap();
        drop(group.as_tenant(&B));
        // Behind the part, and before the commit.
        if visible(&self.cluster, &client).await != 0 {
            findings.insert("no tenant stays on a connection: between two parts".to_owned());
        }
        group.commit().await.unwrap();
        if visible(&self.cluster, &client).await != 0 {
            findings.insert("no tenant stays on a connection: a group".to_owned());
        }
    }

    async fn leftover(&self, store: &Store, which: &str, findings: &mut BTreeSet<String>) {
        let client = store.pool.get().await.unwrap();
        let setting = "SELECT coalesce(current_setting('app.tenant_id', true), '')
                           || coalesce(current_setting('app.invite_hash', true), '')";
        let left: String = client.query_one(setting, &[]).await.unwrap().get(0);
        if !left.is_empty() || visible(&self.cluster, &client).await != 0 {
            findings.insert(format!("no tenant stays on a connection: {which}"));
        }
    }
}

impl Told {
    fn variable(self) -> Option<String> {
        match self {
            Self::Own => None,
            Self::None => Some(String::new()),
            Self::Other => Some(A.to_string()),
        }
    }
}

/// The tenant's rows as this transaction left them; none if it has failed and nothing of it stays.
async fn rows_in(tx: &TenantTx, tenant: TenantId) -> Option<String> {
    tx.query(SET_TENANT, &[&tenant.to_string()]).await.ok()?;
    Some(tx.query(ROWS, &[]).await.unwrap()[0].get(0))
}

/// A store that is opened whatever the audit would say, with one connection of each kind.
fn unaudited(endpoint: &Endpoint) -> Store {
    let pool = |role| super::pool(&endpoint.login(role).unwrap(), 1).unwrap();
    Store {
        pool: pool(APP_ROLE),
        writers: pool(APP_ROLE),
        janitor: pool(JANITOR_ROLE),
        catalogue: std::sync::Arc::from([]),
    }
}

#[tokio::test]
async fn every_function_of_the_store_keeps_to_its_tenant() {
    let trial = Trial::start().await;
    for table in trial.cluster.tables(&trial.owner).await {
        assert!(ROWS.contains(&format!("FROM av.{table} r")), "{table} is looked at");
    }
    let idle =
        trial.alone.iter().filter(|seen| seen.said == REFUSED).map(|seen| &seen.call).collect::<Vec<_>>();
    assert!(idle.is_empty(), "called so that it does something: {idle:?}");
    assert_eq!(trial.findings(&unaudited(&trial.cluster.endpoint)).await, BTreeSet::new());
}
