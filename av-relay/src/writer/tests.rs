use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use av_wire::ids::Origin;
use av_wire::public::Role;
use av_wire::statement::Verdict;

use crate::Founding;
use crate::Relay;
use crate::store::Store;
use crate::testing::{ORIGIN, Proxy, Tenant, TestCluster, random, relay, relay_on};

#[tokio::test]
async fn a_connection_lost_in_commit_is_settled_by_the_messages_ids() {
    let (cluster, _) = relay().await;
    let proxy = Proxy::start(&cluster);
    let store = Store::open(&proxy.endpoint).await.unwrap();
    let relay = Relay::new(store, Origin::parse(ORIGIN).unwrap(), Founding::Open);
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    proxy.cut_the_next_commit();
    tenant.send(&tenant.owner, &agent, b"stored, and the answer lost").await.unwrap();
    assert_eq!(proxy.cuts(), 1);
    let inbox = relay.welcome(&tenant.actor(&agent)).await.unwrap().inbox;
    assert_eq!(inbox.next_sequence, 2);
    // An acknowledgement that was taken is not taken again, and is not lost either.
    proxy.cut_the_next_commit();
    tenant.acknowledge(&agent, &inbox.epoch, 1, &[]).await;
    assert_eq!(proxy.cuts(), 2);
    assert_eq!(relay.welcome(&tenant.actor(&agent)).await.unwrap().inbox.acknowledged, 1);
}

/// Two relays on one database send to the same inboxes of several tenants, in orders of their own, while an owner's
/// statements go to all of them.
#[tokio::test(flavor = "multi_thread")]
async fn relays_and_statements_that_lock_the_same_inboxes_never_wait_for_each_other() {
    const ROUNDS: u64 = 40;
    let cluster = TestCluster::start();
    let relays = [relay_on(&cluster).await, relay_on(&cluster).await];
    let mut tenants = Vec::new();
    for _ in 0..2 {
        let tenant = Tenant::founded(&relays[0]).await;
        let agents = [
            tenant.active(Role::Agent).await,
            tenant.active(Role::Agent).await,
            tenant.active(Role::Agent).await,
        ];
        tenants.push(Arc::new((tenant, agents)));
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut senders = Vec::new();
    for number in 0..24_usize {
        let (relay, done) = (relays[number % 2].clone(), Arc::clone(&done));
        let tenants = tenants.clone();
        senders.push(tokio::spawn(async move {
            let mut sent = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let (tenant, agents) = &*tenants[(number + usize::try_from(sent).unwrap()) % 2];
                let [from, to] = [&agents[number % 3], &agents[(number + 1) % 3]];
                let sending = relay.send(&tenant.actor(from), &to.id(), b"header", &random::<32>()).await;
                sending.unwrap().stored().await.unwrap();
                sent += 1;
            }
            sent
        }));
    }
    for round in 1..=ROUNDS {
        for tenant in &tenants {
            // About a device that is not one of those.
            let (tenant, _) = &**tenant;
            let bystander = tenant.approved(Role::Agent).await.0;
            tenant.state(Verdict::Revoked, bystander.id(), round).await.unwrap();
        }
    }
    done.store(true, Ordering::Relaxed);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    assert!(sent > ROUNDS, "{sent} messages");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = cluster.owner().await.query_one(deadlocks, &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0, "in {sent} messages");
}
