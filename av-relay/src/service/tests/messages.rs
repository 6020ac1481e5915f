use std::sync::Arc;

use av_wire::limits::DELIVER_OVERHEAD;
use av_wire::public::Role;
use av_wire::statement::Verdict;
use av_wire::{InboxEpoch, RefusalCode, RejectCode};
use tokio::sync::Barrier;

use super::refusal;
use crate::bus::Presence;
use crate::store::EntryContent;
use crate::testing::{Tenant, TestDevice, random, relay};

#[tokio::test]
async fn a_message_waits_until_it_is_acknowledged_and_leaves_a_receipt() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let actor = tenant.actor(&agent);
    let mut line = relay.bus().register(tenant.id, agent.id(), Presence::Authenticated);
    for body in [b"one", b"two"] {
        tenant.send(&tenant.owner, &agent, body).await.unwrap();
    }
    assert_eq!(line.see().wakes, 2);
    for _ in 0..2 {
        let entries = relay.entries_after(&actor, 0, 10).await.unwrap().entries;
        let bodies: Vec<_> = entries
            .iter()
            .map(|entry| match &entry.content {
                EntryContent::Message { sender, header_blob, ciphertext, .. } => {
                    (entry.sequence, *sender, header_blob.as_slice(), ciphertext.as_slice())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let owner = tenant.owner.id();
        assert_eq!(bodies, [(1, owner, &b"header"[..], &b"one"[..]), (2, owner, b"header", b"two")]);
    }
    let epoch = relay.welcome(&actor).await.unwrap().inbox.epoch;
    assert!(tenant.acknowledge(&agent, &epoch, 2, &[(2, RejectCode::Unopened)]).await);
    assert!(relay.entries_after(&actor, 0, 10).await.unwrap().entries.is_empty());

    let owner = cluster.owner().await;
    assert_eq!(cluster.count(&owner, tenant.id, "SELECT count(*) FROM av.messages").await, 0);
    let receipts = "SELECT state, reject_code FROM av.message_receipts ORDER BY state";
    let receipts: Vec<(String, Option<i16>)> = cluster
        .rows(&owner, tenant.id, receipts, &[])
        .await
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(receipts, [("delivered".to_owned(), None), ("rejected".to_owned(), Some(1))]);
    let conversation = "SELECT messages FROM av.conversations";
    assert_eq!(cluster.count(&owner, tenant.id, conversation).await, 2);
}

#[tokio::test]
async fn a_retry_is_accepted_and_stored_once_even_after_delivery() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let actor = tenant.actor(&agent);
    for _ in 0..3 {
        tenant.send(&tenant.owner, &agent, b"once").await.unwrap();
    }
    let inbox = relay.welcome(&actor).await.unwrap().inbox;
    assert_eq!(inbox.next_sequence, 2);
    assert!(tenant.acknowledge(&agent, &inbox.epoch, 1, &[]).await);
    tenant.send(&tenant.owner, &agent, b"once").await.unwrap();
    assert!(relay.entries_after(&actor, 0, 10).await.unwrap().entries.is_empty());
    let owner = cluster.owner().await;
    assert_eq!(cluster.count(&owner, tenant.id, "SELECT messages FROM av.conversations").await, 1);
}

#[tokio::test]
async fn acknowledgements_only_go_forward_within_what_was_given() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let actor = tenant.actor(&agent);
    tenant.send(&tenant.owner, &agent, b"one").await.unwrap();
    tenant.send(&tenant.owner, &agent, b"two").await.unwrap();
    let epoch = relay.welcome(&actor).await.unwrap().inbox.epoch;
    let acknowledge = async |epoch: &InboxEpoch, sequence: u64, rejected: &[(u64, RejectCode)]| {
        tenant.acknowledge(&agent, epoch, sequence, rejected).await
    };
    assert!(!acknowledge(&InboxEpoch(random()), 1, &[]).await);
    for never_given in [3, u64::MAX] {
        assert!(!acknowledge(&epoch, never_given, &[]).await);
    }
    assert!(!acknowledge(&epoch, 1, &[(2, RejectCode::Malformed)]).await);
    assert_eq!(relay.entries_after(&actor, 0, 10).await.unwrap().entries.len(), 2);
    assert!(acknowledge(&epoch, 1, &[]).await);
    assert!(!acknowledge(&epoch, 1, &[]).await);
    assert!(!acknowledge(&epoch, 0, &[]).await);
    assert_eq!(relay.entries_after(&actor, 0, 10).await.unwrap().entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_have_no_gap_under_concurrent_senders() {
    const SENDERS: usize = 6;
    const EACH: u8 = 20;
    let (_cluster, relay) = relay().await;
    let tenant = Arc::new(Tenant::founded(&relay).await);
    let barrier = Arc::new(Barrier::new(SENDERS));
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        let (tenant, barrier) = (Arc::clone(&tenant), Arc::clone(&barrier));
        let agent = tenant.active(Role::Agent).await;
        senders.push(tokio::spawn(async move {
            barrier.wait().await;
            for number in 0..EACH {
                // Every other one twice, as after a lost answer.
                for _ in 0..=number % 2 {
                    tenant.send(&agent, &tenant.owner, &[number]).await.unwrap();
                }
            }
        }));
    }
    // The owner reads along: whatever it sees is a gapless beginning.
    let mut last = 0;
    let total = (SENDERS + SENDERS * usize::from(EACH)) as u64;
    while last < total {
        for entry in relay.entries_after(&tenant.founder(), last, 16).await.unwrap().entries {
            assert_eq!(entry.sequence, last + 1);
            last = entry.sequence;
        }
        tokio::task::yield_now().await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(relay.welcome(&tenant.founder()).await.unwrap().inbox.next_sequence, total + 1);
}

#[tokio::test]
async fn recipients_that_cannot_be_written_to_are_refused_alike() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let (pending, _) = tenant.pending(Role::Agent).await;
    let (rejected, _) = tenant.pending(Role::Agent).await;
    relay.reject(&tenant.founder(), &rejected.id()).await.unwrap();
    let suspended = tenant.active(Role::Agent).await;
    tenant.state(Verdict::Suspended, suspended.id(), 1).await.unwrap();
    let revoked = tenant.active(Role::Agent).await;
    tenant.state(Verdict::Revoked, revoked.id(), 2).await.unwrap();
    let unknown = TestDevice::new(Role::Agent);
    let foreign = Tenant::founded(&relay).await.owner;
    for recipient in [&pending, &rejected, &suspended, &revoked, &unknown, &foreign, &tenant.owner] {
        let refused = refusal(tenant.send(&tenant.owner, recipient, b"x").await);
        assert_eq!((refused.code(), refused.retry_after()), (RefusalCode::RecipientUnavailable, 0));
    }
    // The first message waits for a device that has not yet come.
    let (approved, _) = tenant.approved(Role::Agent).await;
    tenant.send(&tenant.owner, &approved, b"x").await.unwrap();
}

#[tokio::test]
async fn a_message_is_as_large_as_its_recipient_takes() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let mut small = TestDevice::with_max_message(Role::Agent, 4_096);
    let request = small.request(&tenant.invite(Role::Agent).await);
    tenant.enroll(&request).await.unwrap();
    small.chain = tenant.owner.certify(tenant.id, &small.public);
    let grant = TestDevice::grant(&small.chain);
    relay.approve(&tenant.founder(), &small.id(), &grant).await.unwrap();
    let largest = 4_096 - DELIVER_OVERHEAD - b"header".len();
    let refused = refusal(tenant.send(&tenant.owner, &small, &vec![7; largest + 1]).await);
    assert_eq!(refused.code(), RefusalCode::TooLarge);
    tenant.send(&tenant.owner, &small, &vec![7; largest]).await.unwrap();
}

#[tokio::test]
async fn an_inbox_that_nobody_empties_fills_up() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    tenant.send(&tenant.owner, &agent, b"the first").await.unwrap();
    let nearly = "UPDATE av.inboxes SET next_sequence = 10000 WHERE device_id = $1";
    let id = agent.id();
    cluster.change(&cluster.owner().await, tenant.id, nearly, &[&id.as_bytes().as_slice()]).await;
    tenant.send(&tenant.owner, &agent, b"the last").await.unwrap();
    let refused = refusal(tenant.send(&tenant.owner, &agent, b"one more").await);
    assert_eq!(refused.code(), RefusalCode::OverQuota);
    // What was accepted stays accepted.
    tenant.send(&tenant.owner, &agent, b"the last").await.unwrap();
}

#[tokio::test]
async fn pages_are_bounded_in_bytes_and_leave_nothing_out() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let text = |number: u8| vec![number; 12_000];
    for number in 1..=8 {
        tenant.send(&tenant.owner, &agent, &text(number)).await.unwrap();
    }
    // A small one behind those that the first page has no room for.
    let other = tenant.approved(Role::Agent).await.0;
    tenant.state(Verdict::Revoked, other.id(), 1).await.unwrap();
    let (mut cursor, mut pages) = (0, Vec::new());
    loop {
        let page = relay.entries_after(&tenant.actor(&agent), cursor, 64).await.unwrap();
        pages.push(page.entries.len());
        for entry in &page.entries {
            assert_eq!(entry.sequence, cursor + 1);
            cursor = entry.sequence;
        }
        if !page.is_full {
            break;
        }
    }
    assert_eq!((cursor, pages), (9, vec![6, 3]));
}
