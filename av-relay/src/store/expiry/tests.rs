use av_wire::ids::TenantId;
use av_wire::public::Role;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::janitor;
use crate::store::{APP_ROLE, JANITOR_ROLE};
use crate::testing::{Tenant, TestCluster, relay};

async fn set(cluster: &TestCluster, owner: &Client, tenant: TenantId, sql: &str) {
    cluster.rows(owner, tenant, sql, &[]).await;
}

#[tokio::test]
async fn a_message_that_nobody_fetches_expires_and_its_receipt_stays() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let actor = tenant.actor(&agent);
    for text in [b"one", b"two", b"six"] {
        tenant.send(&tenant.owner, &agent, text).await.unwrap();
    }
    let owner = cluster.owner().await;
    let of_agent = format!("device_id = '\\x{}'", agent.id());
    let count = async |table: &str| {
        cluster.count(&owner, tenant.id, &format!("SELECT count(*) FROM av.{table}")).await
    };
    let waiting = format!("SELECT waiting_bytes FROM av.inboxes WHERE {of_agent}");
    assert_eq!(cluster.count(&owner, tenant.id, &waiting).await, 27);

    let age = "UPDATE av.messages SET expires_at = now() - interval '1 second' WHERE sequence <= 2";
    set(&cluster, &owner, tenant.id, age).await;
    janitor::round(relay.store()).await.unwrap();
    let left = relay.entries_after(&actor, 0, 10).await.unwrap().entries;
    assert_eq!(left.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3]);
    // Its sender's retry is recognised; the number is not used again; the room is free.
    assert_eq!(count("message_receipts").await, 3);
    tenant.send(&tenant.owner, &agent, b"one").await.unwrap();
    tenant.send(&tenant.owner, &agent, b"new").await.unwrap();
    let left = relay.entries_after(&actor, 0, 10).await.unwrap().entries;
    assert_eq!(left.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(cluster.count(&owner, tenant.id, &waiting).await, 18);

    // Nobody writes to it again: still its room becomes free.
    set(&cluster, &owner, tenant.id, "UPDATE av.messages SET expires_at = now() - interval '1 second'").await;
    let age = "UPDATE av.inboxes SET expires_at = now() - interval '1 second' WHERE waiting_bytes > 0";
    set(&cluster, &owner, tenant.id, age).await;
    let age = "UPDATE av.message_receipts SET expires_at = now() - interval '1 second'";
    set(&cluster, &owner, tenant.id, age).await;
    janitor::round(relay.store()).await.unwrap();
    assert_eq!(count("messages").await, 0);
    assert_eq!(count("message_receipts").await, 0);
    assert_eq!(cluster.count(&owner, tenant.id, &waiting).await, 0);
    assert_eq!(relay.welcome(&actor).await.unwrap().inbox.next_sequence, 5);
}

async fn is_denied(client: &Client, sql: &str) {
    let error = client.batch_execute(sql).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{sql}: {error}");
}

#[tokio::test]
async fn the_janitor_sees_what_expired_and_nothing_else_whatever_it_says() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    tenant.send(&tenant.owner, &agent, b"secret").await.unwrap();
    let janitor = cluster.connect(JANITOR_ROLE).await;
    janitor.batch_execute(&format!("SET app.tenant_id = '{}'", tenant.id)).await.unwrap();
    for table in ["messages", "message_receipts", "inboxes"] {
        let seen = format!("SELECT count(tenant_id) FROM av.{table} WHERE expires_at >= now()");
        assert_eq!(janitor.query_one(&seen, &[]).await.unwrap().get::<_, i64>(0), 0, "{table}");
    }
    let removed = janitor.execute("DELETE FROM av.messages", &[]).await.unwrap();
    let removed = removed
        + janitor
            .execute("UPDATE av.inboxes SET waiting_bytes = 0 WHERE waiting_bytes > 0", &[])
            .await
            .unwrap();
    assert_eq!(removed, 0);
    for content in ["header_blob", "ciphertext", "sender", "message_id"] {
        is_denied(&janitor, &format!("SELECT {content} FROM av.messages")).await;
    }
    for table in
        ["devices", "tenants", "conversations", "inbox_entries", "statements", "prekeys", "invites", "users"]
    {
        is_denied(&janitor, &format!("SELECT FROM av.{table}")).await;
    }
    is_denied(&janitor, "UPDATE av.messages SET expires_at = now()").await;
    is_denied(&janitor, "UPDATE av.inboxes SET next_sequence = 1").await;
    // A partition by its name is nobody's.
    for role in [APP_ROLE, JANITOR_ROLE] {
        let client = cluster.connect(role).await;
        for part in 0..8 {
            is_denied(&client, &format!("SELECT FROM av.messages_{part}")).await;
        }
    }
    assert_eq!(relay.entries_after(&tenant.actor(&agent), 0, 10).await.unwrap().entries.len(), 1);
}
