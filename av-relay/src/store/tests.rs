use std::sync::Arc;

use av_wire::ids::{LookupHash, TenantId};
use av_wire::public::Role;
use av_wire::statement::Verdict;

use super::{APP_ROLE, POOL_SIZE};
use crate::testing::{Tenant, TestCluster, random, relay};

pub(super) async fn visible(cluster: &TestCluster, client: &tokio_postgres::Client) -> i64 {
    let mut total = 0;
    for table in cluster.tables(client).await {
        let count = format!("SELECT count(*) FROM av.{table}");
        total += client.query_one(&count, &[]).await.unwrap().get::<_, i64>(0);
    }
    total
}

#[tokio::test]
async fn without_a_tenant_no_table_shows_a_row() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    tenant.send(&tenant.owner, &agent, b"x").await.unwrap();
    tenant.state(Verdict::Suspended, agent.id(), 1).await.unwrap();
    tenant.api_key(1).await;
    let owner = cluster.owner().await;
    for table in cluster.tables(&owner).await {
        let count = format!("SELECT count(*) FROM av.{table}");
        assert!(cluster.count(&owner, tenant.id, &count).await > 0, "{table} has rows to hide");
    }
    // Neither for the traffic role, nor for the role that owns the tables.
    let app = cluster.connect(APP_ROLE).await;
    assert_eq!(visible(&cluster, &app).await, 0);
    assert_eq!(visible(&cluster, &owner).await, 0);
}

#[tokio::test]
async fn a_transaction_leaves_no_tenant_on_its_connection() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let hash = LookupHash::of(&tenant.invite(Role::Agent).await);
    let store = &relay.store();
    // One way to end a transaction for each connection of the pool, and each connection is used.
    let mut open = Vec::new();
    for _ in 0..POOL_SIZE {
        open.push(store.tenant(tenant.id).await.unwrap());
    }
    let mut committed = 0;
    for (index, tx) in open.into_iter().enumerate() {
        match index % 4 {
            0 => {
                tx.commit().await.unwrap();
                committed += 1;
            }
            1 => drop(tx),
            // Aborted by the server.
            2 => drop(tx.query("SELECT 1 / 0", &[]).await.unwrap_err()),
            // Left in the middle of a query.
            _ => {
                let query = tx.query("SELECT pg_sleep(0.2), count(*) FROM av.devices", &[]);
                assert!(futures_util::FutureExt::now_or_never(query).is_none());
            }
        }
    }
    assert_eq!(committed, POOL_SIZE / 4);
    drop(store.tenant_of_invite(&hash).await.unwrap());
    let mut clients = Vec::new();
    for _ in 0..POOL_SIZE {
        let client = store.pool.get().await.unwrap();
        assert_eq!(visible(&cluster, &client).await, 0);
        let setting = "SELECT coalesce(current_setting('app.tenant_id', true), '')
                           || coalesce(current_setting('app.invite_hash', true), '')";
        assert_eq!(client.query_one(setting, &[]).await.unwrap().get::<_, String>(0), "");
        clients.push(client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interleaved_tenants_never_see_each_other() {
    let (_cluster, relay) = relay().await;
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let tenant = Arc::new(Tenant::founded(&relay).await);
        tasks.push(tokio::spawn(async move {
            for round in 0..100 {
                let tx = tenant.relay.store().tenant(tenant.id).await.unwrap();
                assert_eq!(tx.root_key().await.unwrap(), Some(tenant.root.verifying_key().to_bytes()));
                assert_eq!(tx.owner_count().await.unwrap(), 1);
                if round % 2 == 0 {
                    tx.commit().await.unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_invite_opens_a_transaction_that_sees_nothing() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let hash = LookupHash::of(&tenant.invite(Role::Agent).await);
    let tx = relay.store().tenant_of_invite(&hash).await.unwrap();
    assert_eq!(*tx.tenant(), tenant.id);
    let tx = relay.store().tenant_of_invite(&LookupHash(random())).await.unwrap();
    assert_eq!(*tx.tenant(), TenantId([0; 16]));
    assert_eq!(tx.owner_count().await.unwrap(), 0);
    assert_eq!(tx.root_key().await.unwrap(), None);
}

#[tokio::test]
async fn the_look_up_of_an_invite_uses_its_index() {
    let (cluster, _relay) = relay().await;
    let app = cluster.connect(APP_ROLE).await;
    app.batch_execute("SET enable_seqscan = off").await.unwrap();
    let plan = format!("EXPLAIN {}", super::tenant_tx::TENANT_OF_INVITE.replace("$1", "'\\x00'::bytea"));
    let plan: Vec<String> = app.query(&plan, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(plan.iter().any(|line| line.contains("invites_by_hash")), "{plan:#?}");
}

/// Ends when some other connection waits for a lock that the connection of this process id holds.
async fn someone_waits_for(cluster: &TestCluster, holder: i32) {
    const WAITS: &str =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid)))";
    let looking = cluster.connect(APP_ROLE).await;
    while !looking.query_one(WAITS, &[&holder]).await.unwrap().get::<_, bool>(0) {}
}

#[tokio::test]
async fn a_statement_overtakes_no_message_on_its_way_in() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let bystander = tenant.active(Role::Agent).await;
    // Also none to the owner whose statement it is, and who gets no copy of it.
    for (serial, recipient) in [(1, bystander.id()), (2, tenant.owner.id())] {
        let message = relay.store().tenant(tenant.id).await.unwrap();
        message.next_sequence(&recipient).await.unwrap();
        let holder = message.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let mut statement = std::pin::pin!(tenant.state(Verdict::Suspended, agent.id(), serial));
        tokio::select! {
            posted = &mut statement => panic!("a message may follow its sender's suspension: {posted:?}"),
            () = someone_waits_for(&cluster, holder) => {}
        }
        message.commit().await.unwrap();
        statement.await.unwrap();
    }
}
