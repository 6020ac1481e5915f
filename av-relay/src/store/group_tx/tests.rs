use av_wire::public::Role;
use tokio_postgres::error::SqlState;

use super::{GroupError, GroupTx};
use crate::store::tests::visible;
use crate::testing::{Tenant, relay};

const DEVICES: &str = "SELECT device_id FROM av.devices";
const INSERT: &str = "INSERT INTO av.users (tenant_id, user_id) VALUES ($1, $1)";

#[tokio::test]
async fn between_two_parts_a_query_sees_no_row() {
    let (cluster, relay) = relay().await;
    let (a, b) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    b.active(Role::Agent).await;
    let client = relay.store().writer().await.unwrap();
    let devices = client.prepare(DEVICES).await.unwrap();
    let mut group = GroupTx::begin(&client).await.unwrap();
    let mut seen = Vec::new();
    seen.push(group.submit(async { client.query(&devices, &[]).await }));
    for tenant in [&a, &b, &a] {
        let mut part = group.as_tenant(&tenant.id);
        seen.push(part.submit(async { client.query(&devices, &[]).await }));
        drop(part);
        seen.push(group.submit(async { client.query(&devices, &[]).await }));
    }
    let answers = group.commit().await.unwrap();
    let counts: Vec<usize> = seen.into_iter().map(|ticket| answers.rows(ticket).len()).collect();
    assert_eq!(counts, [0, 1, 0, 2, 0, 1, 0]);
    // Nor does the connection know a tenant afterwards.
    assert_eq!(visible(&cluster, &client).await, 0);
}

#[tokio::test]
async fn a_part_cannot_write_rows_of_another_tenant() {
    let (cluster, relay) = relay().await;
    let (a, b) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    let owner = cluster.owner().await;
    let before = cluster.dump(&owner, a.id).await;
    let connection = relay.store().writer().await.unwrap();
    let client = &connection;
    let insert = &client.prepare(INSERT).await.unwrap();
    let mut group = GroupTx::begin(client).await.unwrap();
    group.as_tenant(&b.id).submit(async { client.query(insert, &[&a.id.as_bytes().as_slice()]).await });
    let refused = group.commit().await.unwrap_err();
    let GroupError::Refused(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error:?}");
    assert_eq!(cluster.dump(&owner, a.id).await, before);
}

#[tokio::test]
async fn one_failed_part_undoes_all_and_leaves_the_connection_clean() {
    let (cluster, relay) = relay().await;
    let (a, b) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    let owner = cluster.owner().await;
    let before = cluster.dump(&owner, a.id).await;
    let connection = relay.store().writer().await.unwrap();
    let client = &connection;
    let (insert, failing) =
        (&client.prepare(INSERT).await.unwrap(), &client.prepare("SELECT 1 / $1::int").await.unwrap());
    for commits in [true, false] {
        let mut group = GroupTx::begin(client).await.unwrap();
        let user = a.id.0;
        group.as_tenant(&a.id).submit(async move { client.query(insert, &[&user.as_slice()]).await });
        if commits {
            group.as_tenant(&b.id).submit(async { client.query(failing, &[&0_i32]).await });
            assert!(matches!(group.commit().await, Err(GroupError::Refused(_))));
        } else {
            drop(group);
        }
        assert_eq!(visible(&cluster, client).await, 0);
        assert_eq!(cluster.dump(&owner, a.id).await, before);
    }
}
