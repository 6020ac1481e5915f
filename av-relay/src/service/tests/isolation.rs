//! Every function of the store as tenant B over tenant A's ids: nothing found, nothing changed, and no error
//! that would tell that there is something.

use av_wire::bundle::PrekeyKind;
use av_wire::enroll::EnrollTranscript;
use av_wire::ids::{KeyId, LookupHash, MessageId, TenantId};
use av_wire::public::Role;
use av_wire::statement::Verdict;
use av_wire::{RefusalCode, RejectCode, Signature};

use super::refusal;
use crate::bus::Presence;
use crate::store::{
    Approval, DeviceStatus, Enrolled, EnrolledWithKey, GroupTx, NewAcknowledgement, NewMessage, NewStatement,
    Outcome, StoredKind, StoredPrekey, acknowledged,
};
use crate::testing::{Tenant, TestDevice, random, relay};

#[tokio::test]
async fn no_store_function_reaches_another_tenants_rows() {
    let (cluster, relay) = relay().await;
    let a = Tenant::founded(&relay).await;
    let lookup = a.invite(Role::Agent).await;
    let hash = LookupHash::of(&lookup);
    let (pending, _) = a.pending(Role::Agent).await;
    let agent = a.active(Role::Agent).await;
    a.send(&a.owner, &agent, b"secret").await.unwrap();
    a.send(&agent, &a.owner, b"secret").await.unwrap();
    a.state(Verdict::Suspended, agent.id(), 1).await.unwrap();
    a.state(Verdict::Resumed, agent.id(), 2).await.unwrap();
    let key = KeyId::of(&a.api_key(2).await.verifying_key().to_bytes());
    let b = Tenant::founded(&relay).await;

    let owner = cluster.owner().await;
    let before = cluster.dump(&owner, a.id).await;
    let tx = relay.store.tenant(b.id).await.unwrap();
    let (a_owner, a_agent) = (a.owner.id(), agent.id());

    // Reading finds nothing.
    assert!(tx.device(&a_agent).await.unwrap().is_none());
    assert!(tx.standing(&a_agent).await.unwrap().is_none());
    assert_eq!(tx.owner_count().await.unwrap(), 1);
    assert!(tx.revoked_owners().await.unwrap().is_empty());
    assert_eq!(tx.open_invites(&a_owner).await.unwrap(), 0);
    assert!(tx.inviter(&hash).await.unwrap().is_none());
    assert!(tx.invites(&a_owner).await.unwrap().is_empty());
    assert!(tx.use_invite(&hash).await.unwrap().is_none());
    assert!(tx.request_of(&pending.id()).await.unwrap().is_none());
    assert!(tx.pending_requests().await.unwrap().is_empty());
    assert!(tx.lock_prekeys(&a_agent).await.unwrap().is_none());
    assert!(tx.signed_prekey(&a_agent).await.unwrap().is_none());
    assert!(tx.hand_out_one_time_prekey(&a_owner, &b.owner.id()).await.unwrap().is_none());
    assert_eq!(tx.prekeys_left(&a_owner, StoredKind::OneTime).await.unwrap(), 0);
    assert!(tx.posted_statement(&a_owner, 1).await.unwrap().is_none());
    assert_eq!(tx.last_serial(&a_owner).await.unwrap(), 0);
    assert!(!tx.is_suspended(&a_agent).await.unwrap());
    assert!(tx.inbox(&a_agent).await.unwrap().is_none());
    assert!(tx.next_sequence(&a_agent).await.unwrap().is_none());
    assert!(tx.entries_after(&a_agent, 0, 10).await.unwrap().entries.is_empty());
    assert!(tx.api_key(&key).await.unwrap().is_none());
    assert_eq!(tx.open_api_keys(&a_owner).await.unwrap(), 0);
    assert_eq!(tx.api_key_uses(&key).await.unwrap(), 0);
    assert!(tx.revocations_of(&[a_agent, key.as_issuer()]).await.unwrap().is_empty());
    assert_eq!(tx.root_key().await.unwrap(), Some(b.root.verifying_key().to_bytes()));

    // Writing changes nothing.
    let approval = Approval { by: &a_owner, chain: b"chain", grant: b"grant" };
    assert!(!tx.approve_device(&pending.id(), &approval).await.unwrap());
    assert!(!tx.reject_device(&pending.id()).await.unwrap());
    assert!(!tx.activate_device(&a_agent, &Signature([0; 64])).await.unwrap());
    tx.set_status(&a_agent, DeviceStatus::Revoked).await.unwrap();
    assert!(!tx.revoke_invite(&a_owner, &hash).await.unwrap());
    assert!(!tx.consume_invite(&hash, &a_agent, b"request").await.unwrap());
    tx.keep_late_request(&hash, &a_agent, b"request").await.unwrap();
    assert!(!tx.clear_late_request(&a_agent).await.unwrap());
    let enrolled =
        Enrolled { public: &agent.public, transcript: &EnrollTranscript([0; 32]), inviter: &a_owner };
    assert!(!tx.insert_pending(&enrolled).await.unwrap(), "its inviter is not this tenant's");
    tx.insert_activated(&a_owner, &a_agent).await.unwrap();
    tx.insert_key_used(&a_owner, b"chain").await.unwrap();
    let enrolled = EnrolledWithKey { public: &agent.public, chain: b"chain", key: &key, owner: &a_owner };
    tx.insert_enrolled_with_key(&enrolled).await.unwrap();
    tx.pass_over_one_time_prekeys(&a_agent, 99).await.unwrap();
    assert!(tx.insert_statement_entries(&b.owner.id(), 1).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert_eq!(cluster.dump(&owner, a.id).await, before);

    // Sending and acknowledging, as parts of a group.
    let epoch = relay.welcome(&a.actor(&agent)).await.unwrap().inbox.epoch;
    let rejected = [(1, RejectCode::Unopened)];
    let client = relay.store.writer().await.unwrap();
    let mut group = GroupTx::begin(&client).await.unwrap();
    let mut part = group.as_tenant(&b.id);
    part.lock_inboxes([a_owner, a_agent].into());
    let acknowledgement = NewAcknowledgement { device: a_agent, epoch, sequence: 1, rejected: &rejected };
    let taken = part.acknowledge(vec![acknowledgement]).unwrap();
    let message = |sender, recipient| NewMessage {
        id: MessageId(random()),
        sender,
        recipient,
        header_blob: b"h",
        ciphertext: b"c",
    };
    let ends = [(a_owner, a_agent), (b.owner.id(), a_agent), (a_owner, b.owner.id())];
    let sent = part.send(ends.map(|(sender, recipient)| message(sender, recipient)).into());
    drop(part);
    let answers = group.commit().await.unwrap();
    assert_eq!(acknowledged(answers.rows(taken), 1).unwrap(), [false]);
    assert_eq!(
        Outcome::from_rows(answers.rows(sent)).unwrap(),
        [Outcome::SenderOut, Outcome::RecipientUnavailable, Outcome::SenderOut]
    );
    assert_eq!(cluster.dump(&owner, a.id).await, before);

    // What would hang on a row of A's fails, as it would for a row that nowhere is.
    for (device, other) in
        [(a_owner, a_agent), (TestDevice::new(Role::Owner).id(), TestDevice::new(Role::Agent).id())]
    {
        let tx = relay.store.tenant(b.id).await.unwrap();
        tx.insert_inbox(&device).await.unwrap_err();
        let tx = relay.store.tenant(b.id).await.unwrap();
        tx.insert_invite(&device, &LookupHash(random()), Role::Agent, 60).await.unwrap_err();
        let tx = relay.store.tenant(b.id).await.unwrap();
        tx.insert_api_key(&KeyId(random()), &device, b"grant", 1).await.unwrap_err();
        let tx = relay.store.tenant(b.id).await.unwrap();
        let statement = NewStatement {
            issuer: &device,
            serial: 1,
            subject: &other,
            is_key: false,
            verdict: Verdict::Revoked,
            signed: b"",
            chain: &[],
        };
        tx.insert_statement(&statement).await.unwrap_err();
        let tx = relay.store.tenant(b.id).await.unwrap();
        let signed = agent.prekey(PrekeyKind::OneTime, 77);
        let (kind, record) = (StoredKind::OneTime, signed.record.as_slice());
        let keys = [StoredPrekey { kind, id: 77, record, signature: signed.signature }];
        tx.store_prekeys(&device, &keys, -1).await.unwrap_err();
    }
    assert_eq!(cluster.dump(&owner, a.id).await, before);
}

#[tokio::test]
async fn the_same_device_and_the_same_invite_can_be_in_two_tenants() {
    let (_cluster, relay) = relay().await;
    let (a, b) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    let lookup = a.invite(Role::Agent).await;
    // B learns the hash and registers it, too: A, who was first, keeps the invite.
    relay.create_invite(&b.founder(), &LookupHash::of(&lookup), Role::Agent, 600).await.unwrap();
    let device = TestDevice::new(Role::Agent);
    assert_eq!(a.enroll(&device.request(&lookup)).await.unwrap().tenant, a.id);
    let elsewhere = b.invite(Role::Agent).await;
    assert_eq!(b.enroll(&device.request(&elsewhere)).await.unwrap().tenant, b.id);
}

#[tokio::test]
async fn the_bus_wakes_nobody_of_another_tenant() {
    let (_cluster, relay) = relay().await;
    let (a, b) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    let agent = a.active(Role::Agent).await;
    let mut foreign = relay.bus().register(b.id, agent.id(), Presence::Authenticated);
    a.send(&a.owner, &agent, b"x").await.unwrap();
    a.state(Verdict::Revoked, agent.id(), 1).await.unwrap();
    assert_eq!(foreign.see(), crate::bus::Signals::default());
}

#[tokio::test]
async fn an_actor_of_another_tenant_is_nobody() {
    let (_cluster, relay) = relay().await;
    let (a, b) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    let actor = crate::service::Actor { tenant: a.id, device: b.owner.id() };
    let results = [
        relay.fetch_certs(&actor, &a.owner.id()).await.map(drop),
        relay.fetch_bundle(&actor, &a.owner.id(), true).await.map(drop),
        relay.list_pending(&actor).await.map(drop),
        relay.list_invites(&actor).await.map(drop),
        relay.entries_after(&actor, 0, 1).await.map(drop),
        relay.welcome(&actor).await.map(drop),
        relay.create_invite(&actor, &LookupHash(random()), Role::Agent, 60).await,
        relay.reject(&actor, &a.owner.id()).await,
        relay.publish_prekeys(&actor, &[], &[]).await,
    ];
    for result in results {
        assert_eq!(refusal(result).code(), RefusalCode::NotAuthorized);
    }
    let nobody = crate::service::Actor { tenant: TenantId([0; 16]), device: b.owner.id() };
    assert_eq!(refusal(relay.welcome(&nobody).await).code(), RefusalCode::NotAuthorized);
}
