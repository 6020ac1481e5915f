use av_wire::RefusalCode;
use av_wire::frame::LinkKind;
use av_wire::ids::Origin;
use av_wire::limits::MAX_OWNERS;
use av_wire::public::Role;
use av_wire::statement::Verdict;

use super::refusal;
use crate::Founding;
use crate::testing::{ORIGIN, Tenant, TestDevice, certify_by_root, random, relay, relay_as};

#[tokio::test]
async fn a_tenant_is_founded_once_and_the_same_call_again_succeeds() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::unknown(&relay);
    tenant.found(&tenant.owner, ORIGIN).await.unwrap();
    tenant.found(&tenant.owner, ORIGIN).await.unwrap();

    let nonce = random();
    let claim = tenant.owner.authentication(tenant.id, nonce, ORIGIN, LinkKind::Plain);
    let actor = relay.authenticate(&claim).await.unwrap();
    assert_eq!(actor, tenant.founder());
    let welcome = relay.welcome(&actor).await.unwrap();
    assert_eq!((welcome.inbox.next_sequence, welcome.inbox.acknowledged), (1, 0));
    assert_eq!(welcome.one_time_prekeys, 1);
}

#[tokio::test]
async fn the_root_lets_a_further_owner_in() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let mut other = TestDevice::new(Role::Owner);
    other.chain = certify_by_root(&tenant.root, tenant.id, &other);
    let claim = other.authentication(tenant.id, random(), ORIGIN, LinkKind::Plain);
    assert_eq!(refusal(relay.authenticate(&claim).await).code(), RefusalCode::NotAuthorized);
    for _ in 0..2 {
        tenant.found(&other, ORIGIN).await.unwrap();
    }
    assert_eq!(relay.authenticate(&claim).await.unwrap(), tenant.actor(&other));

    // Not beyond the owners that a tenant may have, and not one that is out.
    tenant.state(Verdict::Revoked, other.id(), 1).await.unwrap_err();
    let revocation = tenant.statement_of_root(Verdict::Revoked, other.id(), 1);
    relay.post_statement(&tenant.founder(), &revocation).await.unwrap();
    assert_eq!(refusal(relay.authenticate(&claim).await).code(), RefusalCode::NotAuthorized);
    tenant.found(&other, ORIGIN).await.unwrap();
    assert_eq!(
        refusal(relay.authenticate(&claim).await).code(),
        RefusalCode::NotAuthorized,
        "revoked is final"
    );
    for _ in 1..MAX_OWNERS {
        let mut further = TestDevice::new(Role::Owner);
        further.chain = certify_by_root(&tenant.root, tenant.id, &further);
        tenant.found(&further, ORIGIN).await.unwrap();
    }
    let mut one_more = TestDevice::new(Role::Owner);
    one_more.chain = certify_by_root(&tenant.root, tenant.id, &one_more);
    assert_eq!(refusal(tenant.found(&one_more, ORIGIN).await).code(), RefusalCode::OverQuota);
}

#[tokio::test]
async fn founding_is_refused_for_another_origin_role_root_or_code() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::unknown(&relay);
    let refused = |result| assert_eq!(refusal(result).code(), RefusalCode::NotAuthorized);

    refused(tenant.found(&tenant.owner, "ws://127.0.0.1:7461").await);

    let mut agent = TestDevice::new(Role::Agent);
    agent.chain = certify_by_root(&tenant.root, tenant.id, &agent);
    refused(tenant.found(&agent, ORIGIN).await);

    let mut foreign = TestDevice::new(Role::Owner);
    foreign.chain = certify_by_root(&Tenant::unknown(&relay).root, tenant.id, &foreign);
    refused(tenant.found(&foreign, ORIGIN).await);

    let mut second = TestDevice::new(Role::Owner);
    second.chain = tenant.owner.certify(tenant.id, &second.public);
    refused(tenant.found(&second, ORIGIN).await);

    let signature = av_wire::Signature([0; 64]);
    refused(relay.found(b"code", &tenant.owner.chain, &tenant.owner.bundle(), &signature).await);

    // Nothing of all that stands in the way of the real founder.
    tenant.found(&tenant.owner, ORIGIN).await.unwrap();
}

#[tokio::test]
async fn a_closed_relay_founds_nobody_and_still_lets_a_tenants_further_owner_in() {
    let origin = Origin::parse(ORIGIN).unwrap();
    let (_cluster, closed) = relay_as(origin.clone(), Founding::Closed).await;
    let stranger = Tenant::unknown(&closed);
    assert_eq!(refusal(stranger.found(&stranger.owner, ORIGIN).await).code(), RefusalCode::NotAuthorized);
    let claim = stranger.owner.authentication(stranger.id, random(), ORIGIN, LinkKind::Plain);
    assert_eq!(refusal(closed.authenticate(&claim).await).code(), RefusalCode::NotAuthorized);

    let open = relay_as(origin, Founding::Open).await.1;
    let mut tenant = Tenant::founded(&open).await;
    tenant.relay = closed;
    let mut other = TestDevice::new(Role::Owner);
    other.chain = certify_by_root(&tenant.root, tenant.id, &other);
    tenant.found(&other, ORIGIN).await.unwrap();
}
