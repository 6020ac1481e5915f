//! Who has a say in a tenant: several owners, lost laptops, the root, and a relay that keeps quiet.

use av_wire::frame::ToDevice;
use av_wire::statement::Verdict;
use av_wire::{DeviceId, RefusalCode, Role};

use super::tenant::{Member, Tenant};
use super::{Event, NOW};
use crate::endpoint::{SendError, Standing};
use crate::limits::REVOKED;

/// An owner, its second device, and an agent of the first that both talk with.
fn two_owners() -> (Tenant, [usize; 3]) {
    let mut tenant = Tenant::founded();
    let agent = tenant.enrolled(0, Role::Agent);
    let second = tenant.enrolled(0, Role::Owner);
    tenant.meet(second, agent);
    assert!(tenant.talks(second, agent, "hello"));
    assert!(tenant.talks(agent, second, "hello"));
    (tenant, [0, second, agent])
}

#[test]
fn an_agent_writes_to_every_owner_device_and_an_owner_reads_what_its_other_device_sent() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let member = &mut tenant.members[agent];
    assert_eq!(member.endpoint.send_to_owners(&mut member.rng, b"21 degrees"), Ok(2));
    tenant.settle();
    for owner in [first, second] {
        let said = (tenant.id(agent), None, "21 degrees".to_string());
        assert!(tenant.members[owner].heard.contains(&said));
    }
    tenant.send(first, agent, "warmer, please").unwrap();
    let copy = (tenant.id(first), Some(tenant.id(agent)), "warmer, please".to_string());
    assert!(tenant.members[second].heard.contains(&copy));
    assert!(
        !tenant.members[second].heard.iter().any(|(_, to, text)| to.is_none() && text == "warmer, please")
    );
}

#[test]
fn one_owner_does_not_lift_anothers_suspension_and_the_root_lifts_all() {
    let (mut tenant, [first, second, agent]) = two_owners();
    tenant.state(first, agent, Verdict::Suspended);
    tenant.state(second, agent, Verdict::Suspended);
    tenant.state(first, agent, Verdict::Resumed);
    for owner in [first, second] {
        assert_eq!(tenant.standing(owner, agent), Some(Standing::Suspended), "the second still holds it");
        assert_eq!(tenant.send(owner, agent, "?"), Err(SendError::PeerNotActive));
    }
    tenant.restart(first);
    assert_eq!(tenant.standing(first, agent), Some(Standing::Suspended), "a restart forgets nothing");
    tenant.state(second, agent, Verdict::Resumed);
    assert!(tenant.talks(first, agent, "welcome back"));
    tenant.state(first, agent, Verdict::Suspended);
    tenant.state(second, agent, Verdict::Suspended);
    tenant.state_as_root(first, agent, Verdict::Resumed, &[]);
    assert!(tenant.talks(first, agent, "the root lifts all") && tenant.talks(second, agent, "also yours"));
}

#[test]
fn a_lost_laptop_is_revoked_by_the_root_and_the_agents_it_kept_go_on_with_the_new_one() {
    let mut tenant = Tenant::founded();
    let kept = tenant.enrolled(0, Role::Agent);
    let thiefs = tenant.enrolled(0, Role::Agent);
    let fresh = tenant.owner_by_root();
    tenant.meet(fresh, kept);
    tenant.meet(fresh, thiefs);
    assert!(tenant.talks(fresh, kept, "it is me") && tenant.talks(fresh, thiefs, "it is me"));
    tenant.meet(fresh, 0);
    tenant.state_as_root(fresh, 0, Verdict::Revoked, &[kept]);

    assert_eq!(tenant.standing(kept, 0), Some(Standing::Revoked));
    assert_eq!(tenant.send(kept, 0, "?"), Err(SendError::PeerNotActive));
    assert!(tenant.talks(fresh, kept, "on we go") && tenant.talks(kept, fresh, "on we go"));
    assert!(!tenant.has(kept, &Event::Uncertified));
    assert_eq!(tenant.standing(fresh, thiefs), Some(Standing::Uncertified), "what is not kept is out");
    assert_eq!(tenant.send(fresh, thiefs, "?"), Err(SendError::PeerNotActive));
    assert!(tenant.has(thiefs, &Event::Uncertified), "and knows it");
    let heard = tenant.members[fresh].heard.len();
    let _ = tenant.send(thiefs, fresh, "let me in");
    assert_eq!(tenant.members[fresh].heard.len(), heard);

    // What the thief signs from now on certifies nobody, and a device that is new is approved by the new laptop.
    let further = tenant.enrolled(fresh, Role::Agent);
    assert!(tenant.talks(fresh, further, "welcome") && tenant.talks(further, fresh, "thanks"));
    tenant.restart(kept);
    assert!(tenant.talks(kept, fresh, "still here"), "the revocation in the own chain is stored");
}

#[test]
fn with_two_owners_the_other_one_goes_on_and_certifies_anew_who_was_not_kept() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let below = tenant.enrolled(second, Role::Agent);
    tenant.state_as_root(second, first, Verdict::Revoked, &[second]);
    assert!(
        tenant.talks(second, below, "you stand on my word")
            && tenant.talks(below, second, "and you on the root's")
    );
    assert_eq!(tenant.standing(agent, second), Some(Standing::Active), "its new chain was fetched");
    assert_eq!(tenant.standing(second, agent), Some(Standing::Uncertified));
    let agent_id = tenant.id(agent);
    tenant.members[second].endpoint.recertify(NOW, &agent_id).expect("a peer that lost its certificate");
    tenant.settle();
    assert!(tenant.has(second, &Event::PeerRecertified(agent_id)) && tenant.has(agent, &Event::Recertified));
    assert!(tenant.talks(second, agent, "the session goes on") && tenant.talks(agent, second, "it does"));
    assert!(tenant.members[second].endpoint.recertify(NOW, &agent_id).is_err(), "once is enough");
    tenant.restart(agent);
    assert!(tenant.talks(agent, second, "also after a restart"));
}

#[test]
fn an_owner_revokes_one_that_it_certified_and_keeps_whom_it_names() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let (kept, dropped) = (tenant.enrolled(second, Role::Agent), tenant.enrolled(second, Role::Agent));
    for below in [kept, dropped] {
        tenant.meet(first, below);
        assert!(tenant.talks(first, below, "hello"));
    }
    let (second_id, kept_id) = (tenant.id(second), tenant.id(kept));
    let revoked = tenant.members[first].endpoint.revoke_owner(NOW, &second_id, &[kept_id]);
    revoked.expect("a peer below this owner");
    tenant.settle();
    assert!(tenant.has(second, &Event::OwnStanding(Verdict::Revoked)));
    for device in [first, agent, kept] {
        assert_eq!(tenant.standing(device, second), Some(Standing::Revoked));
    }
    assert!(tenant.talks(first, kept, "on we go") && tenant.talks(kept, first, "on we go"));
    assert_eq!(tenant.standing(first, dropped), Some(Standing::Uncertified));
    assert!(tenant.has(dropped, &Event::Uncertified) && !tenant.has(kept, &Event::Uncertified));
}

#[test]
fn of_two_owners_that_revoke_each_other_the_one_above_is_believed() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let (first_id, second_id) = (tenant.id(first), tenant.id(second));
    // At the same time: neither has heard of the other's word, and the lower one's comes first.
    tenant.members[second].endpoint.revoke_owner(NOW, &first_id, &[]).expect("a peer");
    tenant.members[first].endpoint.revoke_owner(NOW, &second_id, &[]).expect("a peer");
    tenant.settle();
    assert_eq!(
        tenant.standing(agent, first),
        Some(Standing::Active),
        "nobody has a say over who certified it"
    );
    assert_eq!(tenant.standing(agent, second), Some(Standing::Revoked));
    assert!(tenant.has(second, &Event::OwnStanding(Verdict::Revoked)));
    assert!(!tenant.has(first, &Event::OwnStanding(Verdict::Revoked)));
    assert!(tenant.talks(first, agent, "still here") && tenant.talks(agent, first, "so am I"));
}

#[test]
fn with_no_room_for_another_revoked_device_nobody_new_is_believed() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let out = tenant.enrolled(first, Role::Agent);
    tenant.meet(second, out);
    let meta = tenant.members[second].endpoint.meta.edit().expect("a member");
    for number in 0..REVOKED {
        assert!(meta.revoked.add(&DeviceId([u8::try_from(number + 1).expect("few"); 16]), &DeviceId::ROOT));
    }
    assert!(!tenant.has(second, &Event::RevocationsFull));
    tenant.state(first, out, Verdict::Revoked);
    assert!(tenant.has(second, &Event::RevocationsFull));
    assert_eq!(tenant.standing(second, out), Some(Standing::Revoked), "a peer is out all the same");
    let fresh = tenant.enrolled(first, Role::Agent);
    for again in [false, true] {
        if again {
            tenant.restart(second);
        }
        tenant.meet(second, fresh);
        assert_eq!(tenant.standing(second, fresh), None, "it could be one of those that had no room");
        assert!(tenant.talks(second, agent, "we knew each other before"));
    }
}

#[test]
fn a_statement_that_is_missing_is_fetched_and_what_follows_waits_its_turn() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let other = tenant.enrolled(first, Role::Agent);
    tenant.meet(second, other);
    tenant.withholds = true;
    tenant.state(first, other, Verdict::Suspended);
    assert_eq!(tenant.standing(second, other), Some(Standing::Active), "it has not heard of it");
    tenant.withholds = false;
    tenant.state(first, agent, Verdict::Suspended);
    for held in [other, agent] {
        assert_eq!(tenant.standing(second, held), Some(Standing::Suspended), "what is missing was fetched");
        tenant.state(first, held, Verdict::Resumed);
    }
    assert!(!tenant.has(second, &Event::StatementsMissing(tenant.id(first))));
    // A revocation waits for nothing.
    tenant.withholds = true;
    tenant.state(first, other, Verdict::Suspended);
    tenant.withholds = false;
    tenant.state(first, other, Verdict::Revoked);
    assert_eq!(tenant.standing(second, other), Some(Standing::Revoked));
    assert!(tenant.talks(second, agent, "nothing is missing any more"));
}

#[test]
fn a_relay_that_withholds_a_statement_is_noticed_with_the_owners_next_message() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let victim = tenant.enrolled(first, Role::Agent);
    tenant.withholds = true;
    tenant.state(first, victim, Verdict::Revoked);
    assert!(!tenant.has(agent, &Event::StatementsMissing(tenant.id(first))));
    tenant.send(first, agent, "any news?").unwrap();
    assert!(tenant.has(agent, &Event::StatementsMissing(tenant.id(first))));
    assert_eq!(tenant.send(agent, second, "?"), Err(SendError::StatementsMissing), "who else is out?");
    assert!(
        tenant.talks(agent, first, "no, but something is kept from me"),
        "but to the owner that approved it"
    );
    tenant.withholds = false;
    tenant.connect(agent);
    tenant.settle();
    assert!(tenant.talks(agent, second, "here I am again"));
}

#[test]
fn a_new_device_has_what_was_said_before_it_came() {
    let (mut tenant, [first, second, agent]) = two_owners();
    tenant.state(second, agent, Verdict::Suspended);
    tenant.state(first, agent, Verdict::Revoked);
    let fresh = tenant.enrolled(first, Role::Agent);
    tenant.meet(second, fresh);
    assert!(tenant.talks(fresh, second, "I know of all of it"), "nothing is missing");
    // The agent is gone: who met it before has it revoked, who comes now does not come to know it.
    tenant.meet(fresh, agent);
    assert_eq!(tenant.standing(fresh, agent), None);
}

#[test]
fn replayed_forged_and_foreign_statements_change_nothing() {
    let (mut tenant, [first, second, agent]) = two_owners();
    tenant.state(first, agent, Verdict::Suspended);
    let suspended = tenant.posted(0);
    tenant.state(first, agent, Verdict::Resumed);
    let mut elsewhere = Tenant::founded_from(100);
    let victim = elsewhere.enrolled(0, Role::Agent);
    elsewhere.state(0, victim, Verdict::Revoked);
    let foreign = elsewhere.posted(0);
    let before = tenant.records(second);
    for (signed, chain) in [&suspended, &foreign] {
        tenant.pass_on(&av_wire::DeviceId::ROOT, signed, chain);
    }
    let (signed, chain) = &suspended;
    for bit in (0..8 * signed.len()).step_by(97) {
        let mut bent = signed.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        tenant.pass_on(&av_wire::DeviceId::ROOT, &bent, chain);
    }
    tenant.settle();
    assert!(tenant.records(second) == before, "beside the inbox cursor nothing changed");
    assert_eq!(tenant.standing(second, agent), Some(Standing::Active));
    assert!(tenant.talks(second, agent, "still here"));
}

#[test]
fn what_waits_for_a_suspended_peer_waits_until_it_is_resumed() {
    let (mut tenant, [first, second, agent]) = two_owners();
    let agent_id = tenant.id(agent);
    let Member { endpoint, rng, .. } = &mut tenant.members[first];
    endpoint.send(rng, &agent_id, b"the plan").expect("a peer");
    tenant.state(first, agent, Verdict::Suspended);
    let plan = (tenant.id(first), None, "the plan".to_string());
    for restarts in [false, true] {
        if restarts {
            tenant.restart(first);
        }
        assert!(!tenant.members[agent].heard.contains(&plan), "it was sealed while the peer was in");
    }
    tenant.state(first, agent, Verdict::Resumed);
    assert!(tenant.members[agent].heard.contains(&plan));
    // The same while a statement is missing: who else is out?
    let Member { endpoint, rng, .. } = &mut tenant.members[second];
    endpoint.send(rng, &agent_id, b"mine").expect("a peer");
    let mine = (tenant.id(second), None, "mine".to_string());
    let first_id = tenant.id(first);
    let meta = tenant.members[second].endpoint.meta.edit().expect("active");
    let known = meta.serials.last(&first_id);
    meta.serials.hear(&first_id, known + 1, &meta.revoked);
    tenant.settle();
    assert!(!tenant.members[agent].heard.contains(&mine));
    tenant.state(first, agent, Verdict::Resumed);
    assert!(tenant.members[agent].heard.contains(&mine));
}

#[test]
fn a_relay_that_refuses_an_approval_late_makes_the_owner_forget_nobody() {
    let mut tenant = Tenant::founded();
    tenant.keeps_approvals_open = true;
    let agent = tenant.enrolled(0, Role::Agent);
    assert!(tenant.talks(agent, 0, "here I am"));
    let request = tenant.open_approvals.remove(0);
    let refusal = ToDevice::Error { request, code: RefusalCode::NotFound, retry_after: 0 };
    let mut buffer = [0; 64];
    let frame = av_wire::encode(&refusal, &mut buffer).expect("room");
    let Member { endpoint, rng, .. } = &mut tenant.members[0];
    assert_eq!(endpoint.receive(NOW, rng, frame), Ok(()));
    tenant.settle();
    assert_eq!(tenant.standing(0, agent), Some(Standing::Active));
    assert!(tenant.talks(0, agent, "still here?") && tenant.talks(agent, 0, "yes"));
}
