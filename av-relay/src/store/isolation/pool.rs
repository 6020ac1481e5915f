//! Requests of many tenants over few connections, many of them given up at any point.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use av_wire::ids::TenantId;

use super::APP_ROLE;
use crate::store::{Store, StoreError};
use crate::testing::{Tenant, random, relay};

const TENANTS: u64 = 50;
const CONNECTIONS: usize = 4;
/// In `make isolation`, a hundred thousand.
const REQUESTS: u64 = 4_000;

/// One request: everything that it sees is its tenant's.
async fn request(store: &Store, tenant: TenantId, root_key: [u8; 32], number: u64) -> Result<(), StoreError> {
    let tx = store.tenant(tenant).await?;
    assert_eq!(tx.root_key().await?, Some(root_key));
    let seen =
        tx.query("SELECT tenant_id FROM av.devices UNION ALL SELECT tenant_id FROM av.users", &[]).await?;
    assert!(!seen.is_empty());
    for row in seen {
        assert_eq!(row.get::<_, &[u8]>(0), tenant.as_bytes());
    }
    match number % 4 {
        0 => tx.commit().await,
        // Aborted by the server; the tenant goes with it.
        1 => {
            drop(tx.query("SELECT 1 / 0", &[]).await.unwrap_err());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Polls the future so many times at most, then drops it where it stands.
async fn given_up_after<F: Future>(polls: u8, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (std::pin::pin!(future), polls);
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_tenants_on_four_connections_see_nothing_of_each_other() {
    let (cluster, relay) = relay().await;
    let mut tenants = Vec::new();
    for _ in 0..TENANTS {
        let tenant = Tenant::founded(&relay).await;
        tenants.push((tenant.id, tenant.root.verifying_key().to_bytes()));
    }
    let mut store = relay.store().clone();
    store.pool = crate::store::pool(&cluster.endpoint.login(APP_ROLE).unwrap(), CONNECTIONS).unwrap();
    let requests = std::env::var("AV_REQUESTS").map_or(REQUESTS, |number| number.parse().unwrap());
    let (next, given_up) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..TENANTS {
        let (store, tenants) = (store.clone(), tenants.clone());
        let (next, given_up) = (Arc::clone(&next), Arc::clone(&given_up));
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return;
                }
                let (tenant, root_key) = tenants[usize::try_from(number % TENANTS).unwrap()];
                let request = request(&store, tenant, root_key, number);
                // Every third at any point of it.
                if number % 3 != 0 {
                    request.await.unwrap();
                } else if given_up_after(random::<1>()[0] % 10, request).await.is_none() {
                    given_up.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let given_up = given_up.load(Ordering::Relaxed);
    println!("{requests} requests of {TENANTS} tenants on {CONNECTIONS} connections, {given_up} given up");
    assert!(given_up > requests / 20, "{given_up} given up");
    for _ in 0..CONNECTIONS {
        let client = store.pool.get().await.unwrap();
        assert_eq!(crate::store::tests::visible(&cluster, &client).await, 0);
    }
}
