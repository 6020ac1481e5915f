use std::sync::Arc;

use av_wire::public::Role;
use av_wire::statement::Verdict;
use tokio::sync::{Semaphore, oneshot};

use super::{Job, commit};
use crate::bus::{Bus, Presence};
use crate::store::{EntryContent, Outcome, StoreError};
use crate::testing::{Tenant, TestCluster, TestDevice, random, relay, relay_on};
use crate::writer::OutgoingMessage;

type Answered = oneshot::Receiver<Result<Outcome, StoreError>>;

/// A job that sends this message.
fn send(tenant: &Tenant, from: &TestDevice, to: &TestDevice, ciphertext: &[u8]) -> (Job, Answered) {
    let (tenant, sender, recipient) = (tenant.id, from.id(), to.id());
    let id = av_wire::message::message_id(&tenant, &sender, &recipient, b"header", ciphertext);
    let (header_blob, ciphertext) = (b"header".as_slice().into(), ciphertext.into());
    let message = OutgoingMessage { tenant, id, sender, recipient, header_blob, ciphertext };
    let (answer, answered) = oneshot::channel();
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    (Job::Send { message, answers: vec![answer], _room: room }, answered)
}

fn answers(answered: Vec<Answered>) -> Vec<Option<Outcome>> {
    answered.into_iter().map(|mut answered| answered.try_recv().unwrap().ok()).collect()
}

/// The numbers and texts in a device's inbox.
async fn inbox(tenant: &Tenant, device: &TestDevice) -> Vec<(u64, Vec<u8>)> {
    let (mut inbox, mut cursor) = (Vec::new(), 0);
    loop {
        let page = tenant.relay.entries_after(&tenant.actor(device), cursor, u16::MAX).await.unwrap();
        for entry in page.entries {
            cursor = entry.sequence;
            if let EntryContent::Message { ciphertext, .. } = entry.content {
                inbox.push((entry.sequence, ciphertext));
            }
        }
        if !page.is_full {
            return inbox;
        }
    }
}

#[tokio::test]
async fn of_255_good_messages_and_one_of_each_bad_kind_the_good_ones_are_stored() {
    let (cluster, relay) = relay().await;
    let (a, b) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    let agents = [a.active(Role::Agent).await, a.active(Role::Agent).await];
    let (other, full) = (b.active(Role::Agent).await, b.active(Role::Agent).await);
    let (approved, _) = a.approved(Role::Agent).await;
    let (pending, _) = a.pending(Role::Agent).await;
    let suspended = a.active(Role::Agent).await;
    a.state(Verdict::Suspended, suspended.id(), 1).await.unwrap();
    let revoked = a.active(Role::Agent).await;
    a.state(Verdict::Revoked, revoked.id(), 2).await.unwrap();
    a.send(&a.owner, &agents[0], b"sent before").await.unwrap();
    let owner = cluster.owner().await;
    let id = full.id();
    let nearly =
        "UPDATE av.inboxes SET received_bytes = (64 << 20) - 8, next_sequence = 2 WHERE device_id = $1";
    cluster.change(&owner, b.id, nearly, &[&id.as_bytes().as_slice()]).await;
    let oldest = "INSERT INTO av.messages (tenant_id, recipient, sequence, sender, message_id, header_blob,
                      ciphertext, bytes_before, received_at, expires_at)
                  SELECT tenant_id, device_id, 1, device_id, device_id, '', '', 0, now(), now() + interval '1 day'
                  FROM av.inboxes WHERE device_id = $1";
    cluster.change(&owner, b.id, oldest, &[&id.as_bytes().as_slice()]).await;

    // In between, so that each has good ones before and behind it.
    let bad: Vec<(Outcome, (Job, Answered))> = vec![
        (Outcome::StoredBefore, send(&a, &a.owner, &agents[0], b"sent before")),
        (Outcome::SenderOut, send(&a, &suspended, &agents[0], b"suspended")),
        (Outcome::SenderOut, send(&a, &revoked, &agents[0], b"revoked")),
        (Outcome::SenderOut, send(&a, &pending, &agents[0], b"pending")),
        (Outcome::SenderOut, send(&a, &approved, &agents[0], b"approved, and did not come yet")),
        (Outcome::SenderOut, send(&a, &b.owner, &agents[0], b"of another tenant")),
        (Outcome::RecipientUnavailable, send(&a, &a.owner, &suspended, b"to a suspended one")),
        (Outcome::RecipientUnavailable, send(&a, &a.owner, &revoked, b"to a revoked one")),
        (Outcome::RecipientUnavailable, send(&a, &a.owner, &pending, b"to a pending one")),
        (Outcome::RecipientUnavailable, send(&a, &a.owner, &other, b"to one of another tenant")),
        (Outcome::RecipientUnavailable, send(&a, &a.owner, &a.owner, b"to itself")),
        (Outcome::RecipientUnavailable, send(&a, &a.owner, &TestDevice::new(Role::Agent), b"to nobody")),
        (Outcome::TooLarge, send(&a, &a.owner, &agents[0], &[7; 16_384])),
        (Outcome::OverQuota, send(&b, &b.owner, &full, b"one byte too many")),
    ];
    let (mut jobs, mut answered, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    let mut bad = bad.into_iter();
    for number in 0..255_u8 {
        let (job, answer) = match number % 4 {
            0 => send(&b, &b.owner, &other, &[number]),
            n => send(&a, &a.owner, &agents[usize::from(n) % 2], &[number]),
        };
        jobs.push(job);
        answered.push(answer);
        expected.push(Some(Outcome::Stored));
        if number % 16 == 7
            && let Some((outcome, (job, answer))) = bad.next()
        {
            jobs.push(job);
            answered.push(answer);
            expected.push(Some(outcome));
        }
    }
    assert!(bad.next().is_none());
    // The same message twice in one batch is stored once.
    let (copy, copied) = send(&a, &a.owner, &agents[1], &[1]);
    jobs.push(copy);
    answered.push(copied);
    expected.push(Some(Outcome::Stored));

    let bus = Arc::new(Bus::default());
    let mut lines = [&agents[0], &agents[1], &suspended]
        .map(|device| bus.register(a.id, device.id(), Presence::Authenticated));
    commit(relay.store(), &bus, jobs).await;
    assert_eq!(answers(answered), expected);

    // In each inbox they stand in the order in which they were sent, without a gap.
    // (Behind the two statements, in a's.)
    let numbers = |wanted: fn(u8) -> bool| (0..255_u8).filter(move |n| wanted(*n)).map(|n| vec![n]);
    let expected: Vec<_> = [b"sent before".to_vec()]
        .into_iter()
        .chain(numbers(|n| n % 4 == 2))
        .zip(3..)
        .map(|(t, n)| (n, t))
        .collect();
    assert_eq!(inbox(&a, &agents[0]).await, expected);
    let expected: Vec<_> = numbers(|n| n % 2 == 1).zip(3..).map(|(text, n)| (n, text)).collect();
    assert_eq!(inbox(&a, &agents[1]).await, expected);
    let expected: Vec<_> = numbers(|n| n % 4 == 0).zip(1..).map(|(text, n)| (n, text)).collect();
    assert_eq!(inbox(&b, &other).await, expected);
    assert_eq!(inbox(&b, &full).await.len(), 1);
    // Each was woken once, and who got nothing was not.
    assert_eq!(lines.each_mut().map(|line| line.see().wakes), [1, 1, 0]);
}

#[tokio::test]
async fn a_message_that_the_database_chokes_on_fails_alone() {
    let cluster = TestCluster::start();
    let relay = relay_on(&cluster).await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let choke = "ALTER TABLE av.messages ADD CONSTRAINT choke CHECK (ciphertext <> 'choke')";
    cluster.owner().await.batch_execute(choke).await.unwrap();
    let texts = [b"one".as_slice(), b"two", b"choke", b"three", b"four"];
    let (jobs, answered) = texts.iter().map(|text| send(&tenant, &tenant.owner, &agent, text)).unzip();
    commit(relay.store(), &Arc::new(Bus::default()), jobs).await;
    let stored = Some(Outcome::Stored);
    assert_eq!(answers(answered), [stored, stored, None, stored, stored]);
    let texts: Vec<(u64, Vec<u8>)> = [b"one".as_slice(), b"two", b"three", b"four"]
        .iter()
        .zip(1..)
        .map(|(t, n)| (n, t.to_vec()))
        .collect();
    assert_eq!(inbox(&tenant, &agent).await, texts);
}

#[tokio::test]
async fn a_tenant_has_a_quota_over_all_its_inboxes() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let (agent, other) = (tenant.active(Role::Agent).await, tenant.active(Role::Agent).await);
    // What waits for others is as good as all.
    let owner = cluster.owner().await;
    let nearly =
        "UPDATE av.inboxes SET received_bytes = 1 << 30, waiting_bytes = (1 << 30) - 20 WHERE device_id = $1";
    let id = other.id();
    cluster.change(&owner, tenant.id, nearly, &[&id.as_bytes().as_slice()]).await;
    // 6 bytes of header each: two fit, the third would not, and the small one behind it waits like the others.
    let texts = [[1; 4].as_slice(), &[2; 4], &[3; 4], b""];
    let (jobs, answered) = texts.iter().map(|text| send(&tenant, &tenant.owner, &agent, text)).unzip();
    commit(relay.store(), &Arc::new(Bus::default()), jobs).await;
    let (stored, over) = (Some(Outcome::Stored), Some(Outcome::OverQuota));
    assert_eq!(answers(answered), [stored, stored, over, over]);
    // Another tenant has its own.
    let neighbour = Tenant::founded(&relay).await;
    let agent = neighbour.active(Role::Agent).await;
    neighbour.send(&neighbour.owner, &agent, &random::<64>()).await.unwrap();
}
