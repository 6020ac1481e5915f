use std::fs::OpenOptions;
use std::io::Write;

use tokio_postgres::Client;

use super::audit;
use crate::store::{APP_ROLE, DATABASE, OWNER_ROLE, OpenError, Store};
use crate::testing::{TestCluster, relay, wait_until};

#[tokio::test]
async fn the_shipped_schema_passes_and_is_reported_table_by_table() {
    let (_cluster, relay) = relay().await;
    let catalogue = relay.store().catalogue();
    for line in catalogue {
        println!("{line}");
    }
    let (partitions, catalogue) = catalogue.split_last().unwrap();
    assert!(partitions.starts_with("8 partitions: the same"), "{partitions}");
    let tables: Vec<&str> = catalogue.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        tables,
        [
            "av.api_keys",
            "av.conversations",
            "av.devices",
            "av.inbox_entries",
            "av.inboxes",
            "av.invites",
            "av.message_receipts",
            "av.messages",
            "av.prekeys",
            "av.statements",
            "av.tenants",
            "av.users"
        ]
    );
    assert!(catalogue.iter().all(|line| line.contains("enabled and forced")));
    let more_policies: Vec<&str> = catalogue
        .iter()
        .filter(|line| line.contains(", tenant]"))
        .map(|line| &line[..line.find(':').unwrap()])
        .collect();
    assert_eq!(more_policies, ["av.inboxes", "av.invites", "av.message_receipts", "av.messages"]);
}

/// A way around row security: what opens it, what the audit must say, what closes it.
struct Bypass {
    open: String,
    seen: &'static str,
    close: String,
}

fn bypass(open: &str, seen: &'static str, close: &str) -> Bypass {
    Bypass { open: open.to_owned(), seen, close: close.to_owned() }
}

fn bypasses() -> Vec<Bypass> {
    let mut bypasses = vec![
        bypass("GRANT pg_read_all_data TO av_app", "is a member of", "REVOKE pg_read_all_data FROM av_app"),
        bypass("GRANT av_owner TO av_app", "is a member of av_owner", "REVOKE av_owner FROM av_app"),
        bypass(
            "ALTER ROLE av_app SET app.tenant_id = '00'",
            "sessions begin with app.tenant_id set",
            "ALTER ROLE av_app RESET app.tenant_id",
        ),
        bypass(
            "ALTER TABLE av.messages NO FORCE ROW LEVEL SECURITY",
            "av.messages does not force",
            "ALTER TABLE av.messages FORCE ROW LEVEL SECURITY",
        ),
        bypass(
            "ALTER TABLE av.messages DISABLE ROW LEVEL SECURITY",
            "av.messages does not force",
            "ALTER TABLE av.messages ENABLE ROW LEVEL SECURITY",
        ),
        bypass(
            "CREATE TABLE av.forgotten (tenant_id bytea)",
            "av.forgotten does not force",
            "DROP TABLE av.forgotten",
        ),
        bypass(
            "CREATE TABLE av.parent (tenant_id bytea) PARTITION BY LIST (tenant_id);
             CREATE TABLE av.part PARTITION OF av.parent DEFAULT",
            "av.part does not force",
            "DROP TABLE av.parent",
        ),
        bypass(
            "CREATE POLICY leak ON av.users USING (true)",
            "av.users has other policies",
            "DROP POLICY leak ON av.users",
        ),
        bypass(
            "CREATE MATERIALIZED VIEW av.copy AS SELECT 1",
            "materialized view",
            "DROP MATERIALIZED VIEW av.copy",
        ),
        bypass("CREATE VIEW av.all AS SELECT * FROM av.users", "no security_invoker", "DROP VIEW av.all"),
        bypass(
            "CREATE FUNCTION av.all() RETURNS bigint LANGUAGE sql SECURITY DEFINER
             AS 'SELECT count(*) FROM av.users'",
            "definer''s rights",
            "DROP FUNCTION av.all",
        ),
        bypass(
            "CREATE RULE spy AS ON INSERT TO av.users DO ALSO NOTIFY spy",
            "has rule spy",
            "DROP RULE spy ON av.users",
        ),
        bypass(
            "CREATE FUNCTION av.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER spy BEFORE INSERT ON av.users FOR EACH ROW EXECUTE FUNCTION av.spy()",
            "has trigger spy",
            "DROP FUNCTION av.spy CASCADE",
        ),
        bypass(
            "ALTER TABLE av.users OWNER TO av_app",
            "owns av.users",
            "ALTER TABLE av.users OWNER TO av_owner",
        ),
        bypass("ALTER SCHEMA av OWNER TO av_app", "owns schema av", "ALTER SCHEMA av OWNER TO av_owner"),
        bypass(
            "ALTER TABLE av.users OWNER TO postgres",
            "av.users belongs to postgres",
            "ALTER TABLE av.users OWNER TO av_owner",
        ),
        bypass(
            "GRANT CREATE ON SCHEMA av TO av_app",
            "may create in schema av",
            "REVOKE CREATE ON SCHEMA av FROM av_app",
        ),
        bypass(
            "GRANT TEMPORARY ON DATABASE agentvault TO PUBLIC",
            "may create in database",
            "REVOKE TEMPORARY ON DATABASE agentvault FROM PUBLIC",
        ),
        bypass(
            "GRANT SELECT ON av.users TO PUBLIC",
            "everybody may select av.users",
            "REVOKE SELECT ON av.users FROM PUBLIC",
        ),
        bypass(
            "CREATE TABLE public.aside (x int); GRANT SELECT ON public.aside TO av_app",
            "may select aside",
            "DROP TABLE public.aside",
        ),
        bypass(
            "GRANT REFERENCES (user_id) ON av.users TO av_app",
            "may references av.users",
            "REVOKE REFERENCES (user_id) ON av.users FROM av_app",
        ),
        bypass(
            "CREATE UNIQUE INDEX tell ON av.users (user_id)",
            "unique index av.tell",
            "DROP INDEX av.tell",
        ),
        bypass(
            "CREATE UNIQUE INDEX solo ON av.users (user_id, tenant_id);
             ALTER TABLE av.messages ADD CONSTRAINT tell FOREIGN KEY (sender, tenant_id)
             REFERENCES av.users (user_id, tenant_id)",
            "foreign key tell",
            "ALTER TABLE av.messages DROP CONSTRAINT tell; DROP INDEX av.solo",
        ),
    ];
    bypasses.extend([
        bypass(
            "GRANT SELECT ON av.messages_3 TO av_app",
            "av_app may select partition av.messages_3",
            "REVOKE SELECT ON av.messages_3 FROM av_app",
        ),
        bypass(
            "ALTER TABLE av.messages_3 NO FORCE ROW LEVEL SECURITY",
            "av.messages_3 does not force",
            "ALTER TABLE av.messages_3 FORCE ROW LEVEL SECURITY",
        ),
        bypass(
            "GRANT SELECT (ciphertext) ON av.messages TO av_janitor",
            "av_janitor has other rights",
            "REVOKE SELECT (ciphertext) ON av.messages FROM av_janitor",
        ),
        bypass(
            "REVOKE DELETE ON av.message_receipts FROM av_janitor",
            "av_janitor has other rights",
            "GRANT DELETE ON av.message_receipts TO av_janitor",
        ),
        bypass("ALTER ROLE av_janitor BYPASSRLS", "has BYPASSRLS", "ALTER ROLE av_janitor NOBYPASSRLS"),
        bypass("GRANT av_app TO av_janitor", "is a member of av_app", "REVOKE av_app FROM av_janitor"),
        bypass(
            "DROP POLICY only_expired ON av.messages",
            "av.messages has other policies",
            "CREATE POLICY only_expired ON av.messages AS RESTRICTIVE TO av_janitor USING (expires_at < now())",
        ),
    ]);
    for attribute in ["SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"] {
        let seen = match attribute {
            "SUPERUSER" => "is a superuser",
            "BYPASSRLS" => "has BYPASSRLS",
            "CREATEROLE" => "may create roles",
            "CREATEDB" => "may create databases",
            _ => "may replicate",
        };
        bypasses.push(bypass(
            &format!("ALTER ROLE av_app {attribute}"),
            seen,
            &format!("ALTER ROLE av_app NO{attribute}"),
        ));
    }
    for privilege in ["TRUNCATE", "TRIGGER", "REFERENCES"] {
        let seen = match privilege {
            "TRUNCATE" => "may truncate av.messages",
            "TRIGGER" => "may trigger av.messages",
            _ => "may references av.messages",
        };
        bypasses.push(bypass(
            &format!("GRANT {privilege} ON av.messages TO av_app"),
            seen,
            &format!("REVOKE {privilege} ON av.messages FROM av_app"),
        ));
    }
    bypasses
}

#[tokio::test]
async fn every_way_around_row_security_is_seen() {
    let cluster = TestCluster::start();
    Store::open(&cluster.endpoint).await.unwrap();
    let superuser = superuser(&cluster).await;
    let app = cluster.connect(APP_ROLE).await;
    for Bypass { open, seen, close } in bypasses() {
        superuser.batch_execute(&open).await.unwrap();
        // The relay does not start; and says why.
        let error = Store::open(&cluster.endpoint).await.unwrap_err().to_string();
        assert!(error.contains(&seen.replace("''", "'")), "{open}\n{error}");
        superuser.batch_execute(&close).await.unwrap();
        audit(&app).await.unwrap();
    }
    superuser.batch_execute("SET ROLE av_app").await.unwrap();
    let error = audit(&superuser).await.unwrap_err().to_string();
    assert!(error.contains("the session logged in as postgres and acts as av_app"), "{error}");
    assert!(error.contains("role postgres is a superuser"), "{error}");
}

/// Each policy is dropped in turn, weakened in turn, and narrowed to another role in turn.
#[tokio::test]
async fn every_table_needs_exactly_its_policies() {
    let (cluster, _relay) = relay().await;
    let owner = cluster.owner().await;
    let app = cluster.connect(APP_ROLE).await;
    for table in cluster.tables(&owner).await {
        let names = format!("SELECT polname::text FROM pg_policy WHERE polrelid = 'av.{table}'::regclass");
        for row in owner.query(&names, &[]).await.unwrap() {
            let name: String = row.get(0);
            let changes = [
                format!("DROP POLICY {name} ON av.{table}"),
                format!("ALTER POLICY {name} ON av.{table} USING (true)"),
                format!("ALTER POLICY {name} ON av.{table} TO {OWNER_ROLE}"),
                format!("ALTER POLICY {name} ON av.{table} RENAME TO other"),
            ];
            let with_check =
                (name == "tenant").then(|| format!("ALTER POLICY {name} ON av.{table} WITH CHECK (true)"));
            for change in changes.into_iter().chain(with_check) {
                // Audited in the same transaction, which then never happened.
                owner.batch_execute("BEGIN").await.unwrap();
                owner.batch_execute(&change).await.unwrap();
                let problems = match audit(&owner).await {
                    Err(OpenError::NotIsolated(problems)) => problems,
                    other => panic!("{change}: {other:?}"),
                };
                owner.batch_execute("ROLLBACK").await.unwrap();
                let seen = format!("table av.{table} has other policies");
                assert!(problems.iter().any(|problem| problem.starts_with(&seen)), "{change}: {problems:?}");
            }
        }
    }
    audit(&app).await.unwrap();
}

#[tokio::test]
async fn the_owner_role_would_not_pass() {
    let (cluster, _relay) = relay().await;
    let error = audit(&cluster.owner().await).await.unwrap_err().to_string();
    assert!(error.contains("role av_owner owns av.messages"), "{error}");
}

/// Opens the door to the superuser that the cluster keeps shut, as somebody with the account's rights could.
async fn superuser(cluster: &TestCluster) -> Client {
    let relay = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let lines = [
        ("pg_hba.conf", format!("local {DATABASE} postgres peer map=relay\n")),
        ("pg_ident.conf", format!("relay \"{relay}\" postgres\n")),
    ];
    for (file, line) in lines {
        let mut file = OpenOptions::new().append(true).open(cluster.files().join(file)).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    let pid_file = std::fs::read_to_string(cluster.files().join("postmaster.pid")).unwrap();
    let pid = pid_file.lines().next().unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGHUP).unwrap();
    wait_until("the server has read its files again", async || {
        cluster.try_connect("postgres").await.is_some()
    })
    .await;
    cluster.connect("postgres").await
}
