use av_wire::RefusalCode;
use av_wire::frame::LinkKind;
use av_wire::ids::{DeviceId, Origin};
use av_wire::public::Role;
use av_wire::statement::Verdict;

use super::refusal;
use crate::bus::{CloseReason, Presence};
use crate::service::Actor;
use crate::store::EntryContent;
use crate::testing::{ORIGIN, Tenant, TestDevice, certify_by_root, random, relay};

async fn is_let_in(tenant: &Tenant, device: &TestDevice) -> bool {
    let claim = device.authentication(tenant.id, random(), ORIGIN, LinkKind::Plain);
    match tenant.relay.authenticate(&claim).await {
        Ok(actor) => actor == tenant.actor(device),
        Err(refused) => {
            assert_eq!(refused.code(), RefusalCode::NotAuthorized);
            false
        }
    }
}

#[tokio::test]
async fn only_active_devices_are_let_in() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let (pending, _) = tenant.pending(Role::Agent).await;
    let (approved, _) = tenant.approved(Role::Agent).await;
    let (rejected, _) = tenant.pending(Role::Agent).await;
    relay.reject(&tenant.founder(), &rejected.id()).await.unwrap();
    let suspended = tenant.active(Role::Agent).await;
    tenant.state(Verdict::Suspended, suspended.id(), 1).await.unwrap();
    let revoked = tenant.active(Role::Agent).await;
    tenant.state(Verdict::Revoked, revoked.id(), 2).await.unwrap();
    let foreign = Tenant::founded(&relay).await;

    for device in [&pending, &approved, &rejected, &suspended, &revoked, &foreign.owner] {
        assert!(!is_let_in(&tenant, device).await);
        // Not by a call on a connection that was authenticated before, either.
        let call = tenant.relay.fetch_certs(&tenant.actor(device), &tenant.owner.id()).await;
        assert_eq!(refusal(call).code(), RefusalCode::NotAuthorized);
        let call = tenant.relay.list_pending(&tenant.actor(device)).await;
        assert_eq!(refusal(call).code(), RefusalCode::NotAuthorized);
        let call = tenant.send(device, &tenant.owner, b"x").await;
        assert_eq!(refusal(call).code(), RefusalCode::NotAuthorized);
    }
    assert!(is_let_in(&tenant, &tenant.owner).await);
}

#[tokio::test]
async fn a_signature_is_for_one_nonce_origin_link_and_device() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let good = agent.authentication(tenant.id, random(), ORIGIN, LinkKind::Plain);

    let mut other_nonce = good;
    other_nonce.channel[0] ^= 1;
    let other_origin = agent.authentication(tenant.id, good.channel, "ws://127.0.0.1:7461", LinkKind::Plain);
    let mut other_link = good;
    other_link.link = LinkKind::Tls;
    let mut other_device = good;
    other_device.device = tenant.owner.id();
    let mut other_tenant = good;
    other_tenant.tenant = Tenant::founded(&relay).await.id;
    for claim in [other_nonce, other_origin, other_link, other_device, other_tenant] {
        assert_eq!(refusal(relay.authenticate(&claim).await).code(), RefusalCode::NotAuthorized, "{claim:?}");
    }
    assert_eq!(relay.authenticate(&good).await.unwrap(), tenant.actor(&agent));
}

#[tokio::test]
async fn a_revocation_shuts_out_at_once_and_reaches_everybody_else() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let other = tenant.active(Role::Agent).await;
    let (approved, _) = tenant.approved(Role::Agent).await;
    let mut line = relay.bus().register(tenant.id, agent.id(), Presence::Authenticated);
    let mut neighbour = relay.bus().register(tenant.id, other.id(), Presence::Authenticated);

    let signed = tenant.owner.statement(tenant.id, Verdict::Revoked, agent.id(), 1);
    for _ in 0..2 {
        relay.post_statement(&tenant.founder(), &signed).await.unwrap();
    }
    assert_eq!(line.see().close, Some(CloseReason::NotAuthorized));
    assert_eq!((neighbour.see().close, neighbour.see().wakes), (None, 1));
    assert!(!is_let_in(&tenant, &agent).await);

    let entries = relay.entries_after(&tenant.actor(&other), 0, 10).await.unwrap().entries;
    assert!(
        matches!(&entries[..], [entry] if matches!(&entry.content, EntryContent::Statement(got) if got.signed == signed)),
        "{entries:?}"
    );
    let inbox = relay.store.tenant(tenant.id).await.unwrap().inbox(&approved.id()).await.unwrap().unwrap();
    assert_eq!(inbox.next_sequence, 2, "an approved device learns it when it comes");

    // Final: nobody brings it back, not even the root.
    tenant.state(Verdict::Resumed, agent.id(), 2).await.unwrap();
    let by_root = tenant.statement_of_root(Verdict::Resumed, agent.id(), 1_800_000_000_000);
    relay.post_statement(&tenant.founder(), &by_root).await.unwrap();
    assert!(!is_let_in(&tenant, &agent).await);
    assert_eq!(
        refusal(tenant.send(&tenant.owner, &agent, b"x").await).code(),
        RefusalCode::RecipientUnavailable
    );
    let certs = relay.fetch_certs(&tenant.founder(), &agent.id()).await;
    assert_eq!(refusal(certs).code(), RefusalCode::NotFound);
}

#[tokio::test]
async fn serials_have_no_gap_and_are_used_once() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    for serial in [0, 2, u64::MAX] {
        let result = tenant.state(Verdict::Suspended, agent.id(), serial).await;
        assert_eq!(refusal(result).code(), RefusalCode::NotAuthorized, "{serial}");
    }
    assert!(is_let_in(&tenant, &agent).await);
    tenant.state(Verdict::Suspended, agent.id(), 1).await.unwrap();
    let reused = tenant.state(Verdict::Resumed, agent.id(), 1).await;
    assert_eq!(refusal(reused).code(), RefusalCode::NotAuthorized);
    assert!(!is_let_in(&tenant, &agent).await);
    tenant.state(Verdict::Resumed, agent.id(), 2).await.unwrap();
    assert!(is_let_in(&tenant, &agent).await);

    // The root's serial is a time: it only goes forward.
    let post = async |verdict, serial| {
        relay.post_statement(&tenant.founder(), &tenant.statement_of_root(verdict, agent.id(), serial)).await
    };
    post(Verdict::Suspended, 5_000).await.unwrap();
    assert_eq!(refusal(post(Verdict::Resumed, 4_000).await).code(), RefusalCode::NotAuthorized);
    post(Verdict::Resumed, 9_000).await.unwrap();
    assert!(is_let_in(&tenant, &agent).await);
}

#[tokio::test]
async fn link_keys_of_this_relay_reach_every_device_and_those_of_another_nobody() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let here = Origin::parse(ORIGIN).unwrap().subject();
    let elsewhere = Origin::parse("wss://elsewhere.example").unwrap().subject();
    for subject in [elsewhere, agent.id()] {
        let result = tenant.state(Verdict::LinkKeys, subject, 1).await;
        assert_eq!(refusal(result).code(), RefusalCode::NotFound);
    }
    let by_agent = agent.statement(tenant.id, Verdict::LinkKeys, here, 1);
    let result = relay.post_statement(&tenant.actor(&agent), &by_agent).await;
    assert_eq!(refusal(result).code(), RefusalCode::NotAuthorized);

    let signed = tenant.owner.statement(tenant.id, Verdict::LinkKeys, here, 1);
    relay.post_statement(&tenant.founder(), &signed).await.unwrap();
    let by_root = tenant.statement_of_root(Verdict::LinkKeys, here, 5_000);
    relay.post_statement(&tenant.founder(), &by_root).await.unwrap();
    let entries = relay.entries_after(&tenant.actor(&agent), 0, 10).await.unwrap().entries;
    let posted: Vec<_> = entries
        .iter()
        .map(|entry| match &entry.content {
            EntryContent::Statement(posted) => (&posted.signed, posted.chain.is_empty()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(posted, [(&signed, false), (&by_root, true)], "with the issuer's chain; the root needs none");
    assert!(is_let_in(&tenant, &agent).await && is_let_in(&tenant, &tenant.owner).await);
}

#[tokio::test]
async fn a_device_is_suspended_while_the_latest_word_of_any_owner_says_so() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let second = tenant.active(Role::Owner).await;
    let agent = tenant.active(Role::Agent).await;
    let by_second = async |verdict, serial| {
        let signed = second.statement(tenant.id, verdict, agent.id(), serial);
        relay.post_statement(&tenant.actor(&second), &signed).await.unwrap();
    };
    tenant.state(Verdict::Suspended, agent.id(), 1).await.unwrap();
    by_second(Verdict::Suspended, 1).await;
    tenant.state(Verdict::Resumed, agent.id(), 2).await.unwrap();
    assert!(!is_let_in(&tenant, &agent).await, "the second owner still holds it");
    by_second(Verdict::Resumed, 2).await;
    assert!(is_let_in(&tenant, &agent).await);

    tenant.state(Verdict::Suspended, agent.id(), 3).await.unwrap();
    by_second(Verdict::Suspended, 3).await;
    let lifted = tenant.statement_of_root(Verdict::Resumed, agent.id(), 1);
    relay.post_statement(&tenant.founder(), &lifted).await.unwrap();
    assert!(is_let_in(&tenant, &agent).await, "the root lifts all");
    by_second(Verdict::Suspended, 4).await;
    assert!(!is_let_in(&tenant, &agent).await, "but not what comes after");
}

#[tokio::test]
async fn statements_come_from_active_owners_with_a_say_over_the_device() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let foreign = Tenant::founded(&relay).await;
    let second = tenant.active(Role::Owner).await;
    let third = tenant.active(Role::Owner).await;
    let agent = tenant.active(Role::Agent).await;
    let victim = tenant.active(Role::Agent).await;
    let refused =
        async |actor: &Actor, signed: &[u8]| refusal(relay.post_statement(actor, signed).await).code();

    // An agent has no say, whoever posts it.
    let by_agent = agent.statement(tenant.id, Verdict::Revoked, victim.id(), 1);
    assert_eq!(refused(&tenant.actor(&agent), &by_agent).await, RefusalCode::NotAuthorized);
    assert_eq!(refused(&tenant.founder(), &by_agent).await, RefusalCode::NotAuthorized);
    // An owner that is not on the device's chain cannot revoke it.
    let by_second = second.statement(tenant.id, Verdict::Revoked, victim.id(), 1);
    assert_eq!(refused(&tenant.actor(&second), &by_second).await, RefusalCode::NotAuthorized);
    // Another tenant's owner cannot, in its own name or in this tenant's.
    for id in [tenant.id, foreign.id] {
        let signed = foreign.owner.statement(id, Verdict::Revoked, victim.id(), 1);
        assert_eq!(refused(&tenant.founder(), &signed).await, RefusalCode::NotAuthorized);
    }
    let elsewhere = foreign.owner.statement(foreign.id, Verdict::Revoked, victim.id(), 1);
    assert_eq!(refused(&foreign.founder(), &elsewhere).await, RefusalCode::NotFound);
    // A signature by anybody else does not carry it.
    let mut bent = tenant.owner.statement(tenant.id, Verdict::Revoked, victim.id(), 1);
    let last = bent.len() - 1;
    bent[last] ^= 1;
    assert_eq!(refused(&tenant.founder(), &bent).await, RefusalCode::NotAuthorized);
    // A revoked owner has none any more.
    tenant.state(Verdict::Revoked, third.id(), 1).await.unwrap();
    let by_third = third.statement(tenant.id, Verdict::Suspended, victim.id(), 1);
    assert_eq!(refused(&tenant.actor(&third), &by_third).await, RefusalCode::NotAuthorized);
    assert_eq!(refused(&tenant.founder(), &by_third).await, RefusalCode::NotAuthorized);
    // Unknown and pending devices have no standing to change.
    let (pending, _) = tenant.pending(Role::Agent).await;
    for subject in [DeviceId(random()), pending.id()] {
        let result = tenant.state(Verdict::Revoked, subject, 2).await;
        assert_eq!(refusal(result).code(), RefusalCode::NotFound);
    }
    assert!(is_let_in(&tenant, &victim).await);
    // None of the refused ones used up a serial.
    tenant.state(Verdict::Revoked, victim.id(), 2).await.unwrap();
    assert!(!is_let_in(&tenant, &victim).await);
}

#[tokio::test]
async fn who_stands_on_a_revoked_owner_is_certified_anew_by_another_and_nobody_else_is() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let mut second = tenant.active(Role::Owner).await;
    let agent = tenant.active(Role::Agent).await;
    second.chain = certify_by_root(&tenant.root, tenant.id, &second);
    let chain = second.certify(tenant.id, &agent.public);
    let early = relay.recertify(&tenant.actor(&second), &chain).await;
    assert_eq!(refusal(early).code(), RefusalCode::NotFound, "its certificate stands");

    let revocation = tenant.statement_of_root(Verdict::Revoked, tenant.owner.id(), 5_000);
    relay.post_statement(&tenant.actor(&second), &revocation).await.unwrap();
    let through_revoked = tenant.owner.certify(tenant.id, &agent.public);
    let of_nobody = second.certify(tenant.id, &TestDevice::new(Role::Agent).public);
    for (actor, chain, code) in [
        (&second, &through_revoked, RefusalCode::NotAuthorized),
        (&second, &of_nobody, RefusalCode::NotFound),
        (&agent, &chain, RefusalCode::NotAuthorized),
        (&tenant.owner, &chain, RefusalCode::NotAuthorized),
    ] {
        assert_eq!(refusal(relay.recertify(&tenant.actor(actor), chain).await).code(), code);
    }
    for _ in 0..2 {
        relay.recertify(&tenant.actor(&second), &chain).await.unwrap();
    }
    assert_eq!(relay.fetch_certs(&tenant.actor(&second), &agent.id()).await.unwrap(), chain);
    let entries = relay.entries_after(&tenant.actor(&agent), 0, 10).await.unwrap().entries;
    let is_new_chain =
        |content: &EntryContent| matches!(content, EntryContent::Recertified(got) if *got == chain);
    assert_eq!(entries.iter().filter(|entry| is_new_chain(&entry.content)).count(), 1);
}

#[tokio::test]
async fn statements_are_fetched_in_order_by_their_issuer_and_serial() {
    let (_cluster, relay) = relay().await;
    let tenant = Tenant::founded(&relay).await;
    let agent = tenant.active(Role::Agent).await;
    let held = tenant.active(Role::Agent).await;
    let mut said = Vec::new();
    for (serial, verdict) in [Verdict::Suspended, Verdict::Resumed, Verdict::Revoked].into_iter().enumerate()
    {
        said.push(tenant.owner.statement(tenant.id, verdict, held.id(), serial as u64 + 1));
        relay.post_statement(&tenant.founder(), &said[serial]).await.unwrap();
    }
    for after in [0, 1, 2, 3, u64::MAX] {
        let fetched = relay.fetch_statements(&tenant.actor(&agent), &tenant.owner.id(), after).await.unwrap();
        let fetched: Vec<_> = fetched.into_iter().map(|posted| posted.signed).collect();
        let behind = usize::try_from(after.min(3)).unwrap();
        assert_eq!(fetched, said[behind..], "{after}");
    }
    let of_another = relay.fetch_statements(&tenant.actor(&agent), &agent.id(), 0).await.unwrap();
    assert!(of_another.is_empty());
    let by_revoked = relay.fetch_statements(&tenant.actor(&held), &tenant.owner.id(), 0).await;
    assert_eq!(refusal(by_revoked).code(), RefusalCode::NotAuthorized);
    let foreign = Tenant::founded(&relay).await;
    let elsewhere = relay.fetch_statements(&foreign.founder(), &tenant.owner.id(), 0).await.unwrap();
    assert!(elsewhere.is_empty());
}
