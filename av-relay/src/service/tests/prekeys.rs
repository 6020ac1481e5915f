use av_wire::RefusalCode;
use av_wire::bundle::{KemPrekeyKind, PrekeyKind, SignedKemPrekey};
use av_wire::public::Role;

use super::refusal;
use crate::testing::{Tenant, TestDevice, relay};

#[tokio::test]
async fn a_one_time_prekey_is_handed_out_once_and_one_an_hour() {
    let (cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let (one, two) = (tenant.active(Role::Agent).await, tenant.active(Role::Agent).await);
    let third = tenant.active(Role::Agent).await;
    let fetch = async |by: &TestDevice| {
        let found = relay.fetch_bundle(&tenant.actor(by), &tenant.owner.id(), true).await.unwrap();
        assert_eq!(found.chain, tenant.owner.chain);
        found.bundle().verify(&tenant.owner.public).unwrap().one_time().map(|key| key.id)
    };
    let more = tenant.owner.prekey(PrekeyKind::OneTime, 3);
    relay.publish_prekeys(&tenant.founder(), &[more], &[]).await.unwrap();
    assert_eq!(fetch(&one).await, Some(2));
    assert_eq!(fetch(&one).await, None);
    assert_eq!(fetch(&two).await, Some(3));
    assert_eq!(fetch(&third).await, None);

    // A retry of what was published does not bring back what was handed out.
    relay.publish_prekeys(&tenant.founder(), &[more], &[]).await.unwrap();
    assert_eq!(fetch(&third).await, None);

    // After the hour, the requester gets another, and the old one stays gone.
    let hour = "UPDATE av.prekeys SET handed_at = handed_at - interval '1 hour' WHERE handed_to = $1";
    let id = one.id();
    cluster.change(&cluster.owner().await, tenant.id, hour, &[&id.as_bytes().as_slice()]).await;
    let fourth = tenant.owner.prekey(PrekeyKind::OneTime, 4);
    relay.publish_prekeys(&tenant.founder(), &[more, fourth], &[]).await.unwrap();
    assert_eq!(relay.welcome(&tenant.founder()).await.unwrap().one_time_prekeys, 1);
    assert_eq!(fetch(&one).await, Some(4));
}

#[tokio::test]
async fn the_enrollments_one_time_prekey_is_the_approving_owners() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let found = relay.fetch_bundle(&tenant.founder(), &agent.id(), true).await.unwrap();
    assert_eq!(found.bundle().one_time, None);
    // Nor can a retry publish it.
    let enrolled = agent.prekey(PrekeyKind::OneTime, 2);
    relay.publish_prekeys(&tenant.actor(&agent), &[enrolled], &[]).await.unwrap();
    let found = relay.fetch_bundle(&tenant.founder(), &agent.id(), true).await.unwrap();
    assert_eq!(found.bundle().one_time, None);
}

#[tokio::test]
async fn the_signed_prekey_that_was_published_last_counts() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let current =
        async || relay.fetch_bundle(&tenant.founder(), &agent.id(), true).await.unwrap().bundle().signed;
    let newer = agent.prekey(PrekeyKind::Signed, 9);
    relay.publish_prekeys(&tenant.actor(&agent), &[newer], &[]).await.unwrap();
    assert_eq!(current().await, newer);
    // Its storage went back: the id is lower, and the secret of the other is gone.
    let lower = agent.prekey(PrekeyKind::Signed, 8);
    relay.publish_prekeys(&tenant.actor(&agent), &[lower], &[]).await.unwrap();
    assert_eq!(current().await, lower);
}

/// A device wipes the one-time prekeys of a signed prekey when it replaces the one after that.
#[tokio::test]
async fn one_time_prekeys_go_when_their_signed_prekey_is_replaced_twice() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let publish = async |keys: &[_]| relay.publish_prekeys(&tenant.actor(&agent), keys, &[]).await.unwrap();
    let left = async || relay.welcome(&tenant.actor(&agent)).await.unwrap().one_time_prekeys;
    publish(&[agent.prekey(PrekeyKind::OneTime, 10), agent.prekey(PrekeyKind::OneTime, 11)]).await;
    publish(&[agent.prekey(PrekeyKind::Signed, 12), agent.prekey(PrekeyKind::OneTime, 13)]).await;
    assert_eq!(left().await, 3);
    publish(&[agent.prekey(PrekeyKind::Signed, 14)]).await;
    assert_eq!(left().await, 1);
    let found = relay.fetch_bundle(&tenant.founder(), &agent.id(), true).await.unwrap();
    let id = found.bundle().verify(&agent.public).unwrap().one_time().map(|key| key.id);
    assert_eq!(id, Some(13));
}

#[tokio::test]
async fn prekeys_are_ones_own_and_not_too_many() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let publish = async |keys: &[_]| relay.publish_prekeys(&tenant.actor(&agent), keys, &[]).await;
    let foreign = tenant.owner.prekey(PrekeyKind::OneTime, 50);
    assert_eq!(refusal(publish(&[foreign]).await).code(), RefusalCode::NotAuthorized);
    let keys: Vec<_> = (10..211).map(|id| agent.prekey(PrekeyKind::OneTime, id)).collect();
    assert_eq!(refusal(publish(&keys[..101]).await).code(), RefusalCode::TooLarge);
    publish(&keys[..100]).await.unwrap();
    publish(&keys[100..200]).await.unwrap();
    assert_eq!(refusal(publish(&keys[200..]).await).code(), RefusalCode::OverQuota);
    assert_eq!(relay.welcome(&tenant.actor(&agent)).await.unwrap().one_time_prekeys, 200);
}

#[tokio::test]
async fn kem_prekeys_go_out_once_each_then_the_last_resort_and_only_to_who_can_use_them() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let (one, two) = (tenant.active(Role::Agent).await, tenant.active(Role::Agent).await);
    let fetch = async |by: &TestDevice, one_time: bool| {
        let found = relay.fetch_bundle(&tenant.actor(by), &tenant.owner.id(), one_time).await.unwrap();
        let bundle = found.bundle();
        bundle.verify(&tenant.owner.public).unwrap().kem().map(|key| (key.kind(), key.id()))
    };
    assert_eq!(fetch(&one, false).await, None, "none was published");
    let made = [
        tenant.owner.kem_prekey(KemPrekeyKind::LastResort, 10),
        tenant.owner.kem_prekey(KemPrekeyKind::OneTime, 11),
        tenant.owner.kem_prekey(KemPrekeyKind::OneTime, 12),
    ];
    let keys: Vec<_> =
        made.iter().map(|(record, signature)| SignedKemPrekey { record, signature: *signature }).collect();
    relay.publish_prekeys(&tenant.founder(), &[], &keys).await.unwrap();
    let last_resort = Some((KemPrekeyKind::LastResort, 10));
    assert_eq!(fetch(&one, false).await, last_resort, "nobody asked for a one-time key");
    assert_eq!(fetch(&one, true).await, Some((KemPrekeyKind::OneTime, 11)));
    assert_eq!(fetch(&one, true).await, last_resort, "one an hour");
    // A retry of what was published does not bring back what was handed out.
    relay.publish_prekeys(&tenant.founder(), &[], &keys).await.unwrap();
    assert_eq!(fetch(&two, true).await, Some((KemPrekeyKind::OneTime, 12)));

    let (record, signature) = tenant.owner.kem_prekey(KemPrekeyKind::LastResort, 13);
    let newer = SignedKemPrekey { record: &record, signature };
    relay.publish_prekeys(&tenant.founder(), &[], &[newer]).await.unwrap();
    assert_eq!(fetch(&one, false).await, Some((KemPrekeyKind::LastResort, 13)));
    let foreign = SignedKemPrekey { record: &record, signature: made[0].1 };
    let refused = relay.publish_prekeys(&tenant.founder(), &[], &[foreign]).await;
    assert_eq!(refusal(refused).code(), RefusalCode::NotAuthorized);

    let mut small = TestDevice::with_max_message(Role::Agent, 4_096);
    let request = small.request(&tenant.invite(Role::Agent).await);
    tenant.enroll(&request).await.unwrap();
    small.chain = tenant.owner.certify(tenant.id, &small.public);
    let grant = TestDevice::grant(&small.chain);
    relay.approve(&tenant.founder(), &small.id(), &grant).await.unwrap();
    let signature = small.activation(&request, &small.chain);
    relay.activate(&tenant.id, &small.id(), &signature).await.unwrap();
    assert_eq!(fetch(&small, true).await, None);
}
