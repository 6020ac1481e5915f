use av_wire::RefusalCode;
use av_wire::frame::LinkKind;
use av_wire::public::Role;

use super::refusal;
use crate::testing::{ORIGIN, Tenant, TestDevice, certify_by_root, random, relay};

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
async fn a_tenant_that_exists_takes_no_other_founder() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let mut other = TestDevice::new(Role::Owner);
    other.chain = certify_by_root(&tenant.root, tenant.id, &other);
    assert_eq!(refusal(tenant.found(&other, ORIGIN).await).code(), RefusalCode::NotAuthorized);

    let claim = other.authentication(tenant.id, random(), ORIGIN, LinkKind::Plain);
    assert_eq!(refusal(relay.authenticate(&claim).await).code(), RefusalCode::NotAuthorized);
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
