use std::sync::Arc;

use av_wire::RefusalCode;
use av_wire::enroll::EnrollRequest;
use av_wire::frame::LinkKind;
use av_wire::ids::LookupHash;
use av_wire::limits::MAX_INVITE_SECONDS;
use av_wire::public::Role;
use av_wire::statement::Verdict;
use tokio::sync::Barrier;

use super::refusal;
use crate::service::{Actor, Refusal};
use crate::testing::{ORIGIN, Tenant, TestDevice, enroll, random, relay};

const ROUNDS: usize = 20;
const RIVALS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_requests_at_once_one_uses_the_invite() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let owner = cluster.owner().await;
    for round in 0..ROUNDS {
        let lookup = tenant.invite(Role::Agent).await;
        let barrier = Arc::new(Barrier::new(RIVALS));
        let rivals: Vec<_> = (0..RIVALS)
            .map(|_| {
                let (relay, barrier) = (relay.clone(), Arc::clone(&barrier));
                let request = TestDevice::new(Role::Agent).request(&lookup);
                tokio::spawn(async move {
                    barrier.wait().await;
                    enroll(&relay, &request).await
                })
            })
            .collect();
        let mut pending = Vec::new();
        for rival in rivals {
            match rival.await.unwrap() {
                Ok(enrollment) => pending.push(enrollment.device),
                Err(Refusal::InviteRefused) => {}
                Err(refusal) => panic!("round {round}: {refusal}"),
            }
        }
        assert_eq!(pending.len(), 1, "round {round}");
        let of_tenant = "SELECT count(*) FROM av.devices WHERE status = 'pending'";
        assert_eq!(cluster.count(&owner, tenant.id, of_tenant).await, 1 + round as i64);
    }
}

#[tokio::test]
async fn unknown_expired_revoked_and_used_invites_are_refused_alike() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let unknown = random();

    let expired = tenant.invite(Role::Agent).await;
    let expire = "UPDATE av.invites SET expires_at = now() - interval '1 second' WHERE lookup_hash = $1";
    let hash = LookupHash::of(&expired);
    cluster.change(&cluster.owner().await, tenant.id, expire, &[&hash.as_bytes().as_slice()]).await;

    let revoked = tenant.invite(Role::Agent).await;
    relay.revoke_invite(&tenant.founder(), &LookupHash::of(&revoked)).await.unwrap();
    relay.revoke_invite(&tenant.founder(), &LookupHash::of(&revoked)).await.unwrap();

    let used = tenant.invite(Role::Agent).await;
    tenant.enroll(&TestDevice::new(Role::Agent).request(&used)).await.unwrap();

    for lookup in [unknown, expired, revoked, used] {
        let refusal = refusal(tenant.enroll(&TestDevice::new(Role::Agent).request(&lookup)).await);
        assert!(matches!(refusal, Refusal::InviteRefused), "{refusal}");
        assert_eq!(refusal.retry_after(), 0);
    }
    // A used invite cannot be revoked any more.
    let refusal = refusal(relay.revoke_invite(&tenant.founder(), &LookupHash::of(&used)).await);
    assert_eq!(refusal.code(), RefusalCode::NotFound);
}

#[tokio::test]
async fn an_invite_dies_with_its_inviter() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let second = tenant.active(Role::Owner).await;
    let lookup = random();
    let hash = LookupHash::of(&lookup);
    relay.create_invite(&tenant.actor(&second), &hash, Role::Agent, 600).await.unwrap();
    tenant.state(Verdict::Revoked, second.id(), 1).await.unwrap();
    let request = TestDevice::new(Role::Agent).request(&lookup);
    assert!(matches!(refusal(tenant.enroll(&request).await), Refusal::InviteRefused));
}

#[tokio::test]
async fn a_request_without_possession_does_not_consume_the_invite() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let lookup = tenant.invite(Role::Agent).await;
    let request = TestDevice::new(Role::Agent).request(&lookup);
    let mut bent: EnrollRequest<'_> = av_wire::decode(&request).unwrap();
    bent.pop.0[3] ^= 1;
    assert!(matches!(refusal(relay.enroll(&bent, &request).await), Refusal::InviteRefused));

    // Nor does one whose prekeys are another device's.
    let other = TestDevice::new(Role::Agent);
    let mut foreign: EnrollRequest<'_> = av_wire::decode(&request).unwrap();
    let bundle = other.bundle();
    foreign.bundle = bundle.as_slice();
    assert!(matches!(refusal(relay.enroll(&foreign, &request).await), Refusal::InviteRefused));

    tenant.enroll(&request).await.unwrap();
}

#[tokio::test]
async fn the_identical_request_hears_how_it_stands() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let lookup = tenant.invite(Role::Agent).await;
    let mut agent = TestDevice::new(Role::Agent);
    let request = agent.request(&lookup);
    for _ in 0..2 {
        let enrollment = tenant.enroll(&request).await.unwrap();
        assert_eq!((enrollment.tenant, enrollment.device), (tenant.id, agent.id()));
        assert_eq!(enrollment.grant, None);
    }
    agent.chain = tenant.owner.certify(tenant.id, &agent.public);
    let grant = TestDevice::grant(&agent.chain);
    for _ in 0..2 {
        relay.approve(&tenant.founder(), &agent.id(), &grant).await.unwrap();
    }
    assert_eq!(tenant.enroll(&request).await.unwrap().grant, Some(grant.clone()));

    // The same keys with another request are not the identical request, and prove no leak.
    assert!(matches!(refusal(tenant.enroll(&agent.request(&lookup)).await), Refusal::InviteRefused));
    assert!(relay.list_pending(&tenant.founder()).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_first_request_with_other_keys_is_kept_as_evidence() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let lookup = tenant.invite(Role::Agent).await;
    let first = TestDevice::new(Role::Agent).request(&lookup);
    tenant.enroll(&first).await.unwrap();
    let thief = TestDevice::new(Role::Agent);
    let late = thief.request(&lookup);
    assert!(matches!(refusal(tenant.enroll(&late).await), Refusal::InviteRefused));
    assert!(matches!(refusal(tenant.enroll(&late).await), Refusal::InviteRefused));
    let third = TestDevice::new(Role::Agent).request(&lookup);
    assert!(matches!(refusal(tenant.enroll(&third).await), Refusal::InviteRefused));

    let pending = relay.list_pending(&tenant.founder()).await.unwrap();
    let seen: Vec<_> = pending.iter().map(|waiting| (waiting.request.clone(), waiting.late)).collect();
    assert_eq!(seen, [(first, false), (late, true)]);
    assert!(pending.iter().all(|waiting| waiting.inviter == tenant.owner.id()));

    // Dealt with, it is gone, and no further one takes its place.
    relay.reject(&tenant.founder(), &thief.id()).await.unwrap();
    assert!(matches!(refusal(tenant.enroll(&third).await), Refusal::InviteRefused));
    assert_eq!(relay.list_pending(&tenant.founder()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_rejected_device_stays_rejected() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let (device, request) = tenant.pending(Role::Agent).await;
    relay.reject(&tenant.founder(), &device.id()).await.unwrap();
    relay.reject(&tenant.founder(), &device.id()).await.unwrap();
    assert!(matches!(refusal(tenant.enroll(&request).await), Refusal::InviteRefused));

    let grant = TestDevice::grant(&tenant.owner.certify(tenant.id, &device.public));
    let approved = relay.approve(&tenant.founder(), &device.id(), &grant).await;
    assert_eq!(refusal(approved).code(), RefusalCode::NotFound);

    // A new invite does not bring it back, and is not used up by the attempt.
    let lookup = tenant.invite(Role::Agent).await;
    assert!(matches!(refusal(tenant.enroll(&device.request(&lookup)).await), Refusal::InviteRefused));
    tenant.enroll(&TestDevice::new(Role::Agent).request(&lookup)).await.unwrap();
}

#[tokio::test]
async fn only_a_grant_for_exactly_this_device_by_this_owner_passes() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let other_tenant = Tenant::founded(&relay).await;
    let (device, _) = tenant.pending(Role::Agent).await;
    let agent = tenant.active(Role::Agent).await;
    let second = tenant.active(Role::Owner).await;
    let other_keys = TestDevice::new(Role::Agent);
    let mut same_keys_as_owner = device.public;
    same_keys_as_owner.role = Role::Owner;

    let chains = [
        tenant.owner.certify(tenant.id, &other_keys.public),
        tenant.owner.certify(tenant.id, &same_keys_as_owner),
        tenant.owner.certify(other_tenant.id, &device.public),
        other_tenant.owner.certify(other_tenant.id, &device.public),
        agent.certify(tenant.id, &device.public),
        // Right, but signed by an owner who is not the caller.
        second.certify(tenant.id, &device.public),
        tenant.owner.chain.clone(),
    ];
    for (index, chain) in chains.iter().enumerate() {
        let grant = TestDevice::grant(chain);
        let result = relay.approve(&tenant.founder(), &device.id(), &grant).await;
        assert_eq!(refusal(result).code(), RefusalCode::NotAuthorized, "chain {index}");
    }
    let grant = TestDevice::grant(&tenant.owner.certify(tenant.id, &device.public));
    let by_agent = relay.approve(&tenant.actor(&agent), &device.id(), &grant).await;
    assert_eq!(refusal(by_agent).code(), RefusalCode::NotAuthorized);
    let garbage = relay.approve(&tenant.founder(), &device.id(), b"garbage").await;
    assert_eq!(refusal(garbage).code(), RefusalCode::NotAuthorized);

    relay.approve(&tenant.founder(), &device.id(), &grant).await.unwrap();
    let another = TestDevice::grant(&tenant.owner.certify(tenant.id, &device.public));
    let again = relay.approve(&tenant.founder(), &device.id(), &another).await;
    assert_eq!(refusal(again).code(), RefusalCode::NotFound);
}

#[tokio::test]
async fn a_tenant_has_at_most_eight_owners() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    for _ in 1..8 {
        tenant.active(Role::Owner).await;
    }
    let (ninth, _) = tenant.pending(Role::Owner).await;
    let grant = TestDevice::grant(&tenant.owner.certify(tenant.id, &ninth.public));
    let result = relay.approve(&tenant.founder(), &ninth.id(), &grant).await;
    assert_eq!(refusal(result).code(), RefusalCode::OverQuota);
}

#[tokio::test]
async fn activation_takes_the_devices_own_signature_over_its_own_grant() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let (pending, pending_request) = tenant.pending(Role::Agent).await;
    let (device, request) = tenant.approved(Role::Agent).await;
    let other_chain = tenant.owner.certify(tenant.id, &pending.public);
    let signatures = [
        (device.id(), device.activation(&request, &other_chain)),
        (device.id(), device.activation(&pending_request, &device.chain)),
        (device.id(), pending.activation(&request, &device.chain)),
        (pending.id(), pending.activation(&pending_request, &other_chain)),
        (TestDevice::new(Role::Agent).id(), device.activation(&request, &device.chain)),
    ];
    for (id, signature) in signatures {
        let result = relay.activate(&tenant.id, &id, &signature).await;
        assert_eq!(refusal(result).code(), RefusalCode::NotAuthorized);
    }
    let claim = device.authentication(tenant.id, random(), ORIGIN, LinkKind::Plain);
    assert_eq!(refusal(relay.authenticate(&claim).await).code(), RefusalCode::NotAuthorized);

    let signature = device.activation(&request, &device.chain);
    for _ in 0..2 {
        relay.activate(&tenant.id, &device.id(), &signature).await.unwrap();
    }
    relay.authenticate(&claim).await.unwrap();
    // The owner hears of it once.
    let entries = relay.entries_after(&tenant.founder(), 0, 10).await.unwrap().entries;
    assert_eq!(entries.len(), 1, "{entries:?}");
}

#[tokio::test]
async fn a_grant_dies_with_the_owner_who_made_it() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let second = tenant.active(Role::Owner).await;
    let (mut device, request) = tenant.pending(Role::Agent).await;
    device.chain = second.certify(tenant.id, &device.public);
    let grant = TestDevice::grant(&device.chain);
    relay.approve(&tenant.actor(&second), &device.id(), &grant).await.unwrap();
    tenant.state(Verdict::Revoked, second.id(), 1).await.unwrap();
    let signature = device.activation(&request, &device.chain);
    let result = relay.activate(&tenant.id, &device.id(), &signature).await;
    assert_eq!(refusal(result).code(), RefusalCode::NotAuthorized);
}

#[tokio::test]
async fn only_owners_invite_and_only_within_limits() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let create = async |actor: &Actor, seconds: u32| {
        relay.create_invite(actor, &LookupHash::of(&random()), Role::Agent, seconds).await
    };
    let by_agent = create(&tenant.actor(&agent), 600).await;
    assert_eq!(refusal(by_agent).code(), RefusalCode::NotAuthorized);
    for seconds in [0, MAX_INVITE_SECONDS + 1, u32::MAX] {
        assert_eq!(refusal(create(&tenant.founder(), seconds).await).code(), RefusalCode::TooLarge);
    }
    let hash = LookupHash::of(&random());
    for _ in 0..2 {
        relay.create_invite(&tenant.founder(), &hash, Role::Agent, 600).await.unwrap();
    }
    for _ in 1..32 {
        create(&tenant.founder(), 600).await.unwrap();
    }
    assert_eq!(refusal(create(&tenant.founder(), 600).await).code(), RefusalCode::OverQuota);
    let listed = relay.list_invites(&tenant.founder()).await.unwrap();
    // The agent's own invite is listed too, as consumed.
    assert_eq!(listed.len(), 33);
    assert_eq!(listed.iter().filter(|invite| invite.consumed).count(), 1);
    assert!(listed.iter().all(|invite| invite.role == Role::Agent && invite.expires_at > 1_700_000_000));
    relay.revoke_invite(&tenant.founder(), &hash).await.unwrap();
    create(&tenant.founder(), 600).await.unwrap();
}
