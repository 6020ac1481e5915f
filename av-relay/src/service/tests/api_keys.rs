//! API keys at the relay: who grants one, who is let in with one, and when it is over.

use av_wire::RefusalCode;
use av_wire::chain::Chain;
use av_wire::frame::LinkKind;
use av_wire::ids::{DeviceId, KeyId};
use av_wire::public::Role;
use av_wire::signature::Signature;
use av_wire::statement::Verdict;
use ed25519_dalek::SigningKey;

use super::refusal;
use crate::Relay;
use crate::service::Refusal;
use crate::store::EntryContent;
use crate::testing::{ORIGIN, Tenant, TestDevice, in_an_hour, random, relay};

fn id_of(key: &SigningKey) -> KeyId {
    KeyId::of(&key.verifying_key().to_bytes())
}

/// What a device sends to enroll.
struct Call {
    chain: Vec<u8>,
    bundle: Vec<u8>,
    pop: Signature,
}

impl Call {
    fn of(tenant: &Tenant, key: &SigningKey, key_chain: &[u8], device: &TestDevice) -> Self {
        let chain = device.certified_by_key(tenant.id, key, key_chain);
        let bundle = device.bundle();
        let pop = device.key_possession(&bundle, &chain);
        Self { chain, bundle, pop }
    }

    async fn make(&self, relay: &Relay) -> Result<(), Refusal> {
        relay.enroll_with_key(&self.chain, &self.bundle, &self.pop).await
    }
}

/// An agent that asks with this key, and its call.
async fn agent(tenant: &Tenant, key: &SigningKey) -> (TestDevice, Call) {
    let chain = tenant.relay.find_key(&tenant.id, &id_of(key)).await.unwrap();
    let mut device = TestDevice::new(Role::Agent);
    let call = Call::of(tenant, key, &chain, &device);
    device.chain.clone_from(&call.chain);
    (device, call)
}

#[track_caller]
fn is_refused_as_any<T: std::fmt::Debug>(result: Result<T, Refusal>) {
    assert_eq!(refusal(result).code(), RefusalCode::InviteRefused);
}

#[tokio::test]
async fn an_agent_with_a_key_is_in_and_its_owner_hears_of_it() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let key = tenant.api_key(2).await;
    let (device, call) = agent(&tenant, &key).await;
    call.make(&relay).await.unwrap();
    call.make(&relay).await.unwrap();

    let claim = device.authentication(tenant.id, random(), ORIGIN, LinkKind::Plain);
    assert_eq!(relay.authenticate(&claim).await.unwrap(), tenant.actor(&device));
    let entries = relay.entries_after(&tenant.founder(), 0, 16).await.unwrap().entries;
    let told: Vec<_> = entries.iter().map(|entry| &entry.content).collect();
    assert!(matches!(&told[..], [EntryContent::KeyUsed(chain)] if *chain == call.chain), "once: {told:?}");
    let found = relay.fetch_bundle(&tenant.founder(), &device.id(), true).await.unwrap();
    assert_eq!(found.chain, call.chain);
    assert!(found.bundle().one_time.is_some());
    tenant.send(&device, &tenant.owner, b"from an agent with a key").await.unwrap();
}

#[tokio::test]
async fn as_many_as_the_key_may_and_no_more() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let key = tenant.api_key(2).await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        calls.push(agent(&tenant, &key).await.1);
    }
    let third = agent(&tenant, &key).await.1;
    for call in &calls {
        call.make(&relay).await.unwrap();
    }
    is_refused_as_any(third.make(&relay).await);
    calls[0].make(&relay).await.unwrap();
    let entries = relay.entries_after(&tenant.founder(), 0, 16).await.unwrap().entries;
    assert_eq!(entries.len(), 2);
}

#[tokio::test]
async fn only_an_owner_posts_a_grant_and_only_its_own() {
    let (_cluster, relay) = relay().await;
    let (tenant, foreign) = (Tenant::founded(&relay).await, Tenant::founded(&relay).await);
    let agent = tenant.active(Role::Agent).await;
    let second = tenant.active(Role::Owner).await;
    let key = SigningKey::from_bytes(&random());
    let grant = |by: &TestDevice, most| by.key_grant(tenant.id, &key, most, in_an_hour());
    let (founder, founders) = (tenant.founder(), grant(&tenant.owner, 2));
    let refused = [
        (tenant.actor(&agent), grant(&agent, 2)),
        (tenant.actor(&agent), founders.clone()),
        (tenant.actor(&second), founders.clone()),
        (foreign.founder(), founders.clone()),
        (foreign.founder(), foreign.owner.key_grant(tenant.id, &key, 2, in_an_hour())),
        (founder, grant(&second, 2)),
        (founder, foreign.owner.key_grant(tenant.id, &key, 2, in_an_hour())),
        (founder, founders[1..].to_vec()),
        (founder, tenant.owner.key_grant(tenant.id, &key, 2, u64::MAX)),
    ];
    for (index, (actor, grant)) in refused.iter().enumerate() {
        let code = refusal(relay.post_key_grant(actor, grant).await).code();
        assert_eq!(code, RefusalCode::NotAuthorized, "{index}");
        is_refused_as_any(relay.find_key(&tenant.id, &id_of(&key)).await);
    }
    relay.post_key_grant(&founder, &founders).await.unwrap();
    relay.post_key_grant(&founder, &founders).await.unwrap();
    let other = refusal(relay.post_key_grant(&founder, &grant(&tenant.owner, 3)).await);
    assert_eq!(other.code(), RefusalCode::NotAuthorized, "another word on the same key");
    is_refused_as_any(relay.find_key(&foreign.id, &id_of(&key)).await);
}

#[tokio::test]
async fn one_refusal_for_unknown_expired_closed_and_foreign_keys() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let founder = tenant.founder();

    // One that nobody granted at this relay, and one whose owner granted it something else.
    let (unknown, known) = (SigningKey::from_bytes(&random()), tenant.api_key(1).await);
    let chain = relay.find_key(&tenant.id, &id_of(&known)).await.unwrap();
    is_refused_as_any(relay.find_key(&tenant.id, &id_of(&unknown)).await);
    for key in [&unknown, &known] {
        let device = TestDevice::new(Role::Agent);
        let grant = tenant.owner.key_grant(tenant.id, key, 64, in_an_hour());
        let owner = Chain::new(&tenant.owner.chain);
        let mut buffer = [0; av_wire::chain::MAX_CHAIN_BYTES];
        let root = owner.claimed_root().unwrap();
        let not_posted = Chain::prepend(&root, &grant, Some(owner), &mut buffer).unwrap();
        is_refused_as_any(Call::of(&tenant, key, not_posted, &device).make(&relay).await);
    }

    let expired = SigningKey::from_bytes(&random());
    let grant = tenant.owner.key_grant(tenant.id, &expired, 2, in_an_hour() - 3_602);
    relay.post_key_grant(&founder, &grant).await.unwrap();
    is_refused_as_any(relay.find_key(&tenant.id, &id_of(&expired)).await);

    let closed = tenant.api_key(2).await;
    let (_, before) = agent(&tenant, &closed).await;
    let (_, after) = agent(&tenant, &closed).await;
    before.make(&relay).await.unwrap();
    tenant.state(Verdict::Revoked, id_of(&closed).as_issuer(), 1).await.unwrap();
    is_refused_as_any(relay.find_key(&tenant.id, &id_of(&closed)).await);
    is_refused_as_any(after.make(&relay).await);
    before.make(&relay).await.unwrap();

    // Not of another device than the chain's, and of no bundle but its own.
    let (device, call) = agent(&tenant, &known).await;
    let other = TestDevice::new(Role::Agent);
    let wrong = [
        Call { pop: other.key_possession(&call.bundle, &call.chain), ..agent(&tenant, &known).await.1 },
        Call { bundle: other.bundle(), chain: call.chain.clone(), pop: call.pop },
        Call {
            chain: chain.clone(),
            bundle: call.bundle.clone(),
            pop: device.key_possession(&call.bundle, &chain),
        },
    ];
    for call in wrong {
        is_refused_as_any(call.make(&relay).await);
    }
    let owner = TestDevice::new(Role::Owner);
    is_refused_as_any(Call::of(&tenant, &known, &chain, &owner).make(&relay).await);
    call.make(&relay).await.unwrap();
}

#[tokio::test]
async fn a_key_is_closed_by_who_stands_above_it_and_its_chain_then_says_so() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let second = tenant.active(Role::Owner).await;
    let key = tenant.api_key(2).await;
    let subject = id_of(&key).as_issuer();
    let (device, call) = agent(&tenant, &key).await;
    call.make(&relay).await.unwrap();
    let post = |signed: Vec<u8>| {
        let (relay, actor) = (relay.clone(), tenant.founder());
        async move { relay.post_statement(&actor, &signed).await }
    };
    let by_second = second.statement(tenant.id, Verdict::Revoked, subject, 1);
    assert_eq!(refusal(post(by_second).await).code(), RefusalCode::NotAuthorized, "it stands beside the key");
    let held = tenant.owner.statement(tenant.id, Verdict::Suspended, subject, 1);
    assert_eq!(refusal(post(held).await).code(), RefusalCode::NotFound, "a key is open or closed");
    let nobody = tenant.owner.statement(tenant.id, Verdict::Revoked, DeviceId(random()), 1);
    assert_eq!(refusal(post(nobody).await).code(), RefusalCode::NotFound);

    let closing = tenant.statement_of_root(Verdict::Revoked, subject, 1);
    post(closing.clone()).await.unwrap();
    let entries = relay.entries_after(&tenant.actor(&device), 0, 16).await.unwrap().entries;
    let Some(EntryContent::Statement(told)) = entries.first().map(|entry| &entry.content) else {
        panic!("the device hears of it: {entries:?}")
    };
    assert_eq!(told.signed, closing);
    assert!(Chain::new(&told.chain).verify_key(&tenant.id, |_| false).is_ok(), "with the key's chain");
    assert!(refusal(relay.find_key(&tenant.id, &id_of(&key)).await).code() == RefusalCode::InviteRefused);
}
