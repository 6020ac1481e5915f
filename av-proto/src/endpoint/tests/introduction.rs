//! How an unknown sender becomes a peer, whom an agent takes sessions from, and what forged introductions get.

use av_wire::message::{MessageType, Prelude};
use av_wire::statement::Verdict;
use av_wire::{RejectCode, Role, Suite};

use super::tenant::{Chains, Tenant};
use super::{Event, NOW};
use crate::Now;
use crate::endpoint::{EndpointError, Standing};
use crate::limits::{ALLOWED_PEERS, INTRODUCTION_WAIT, PRELUDE_BURST};

/// An agent of one owner, and an owner below a revoked one, whose chain is too long for a first message: so it names
/// itself by id there.
fn owner_below_a_revoked_one() -> (Tenant, usize, usize) {
    let mut tenant = Tenant::founded();
    let second = tenant.owner_by_root();
    let agent = tenant.enrolled(second, Role::Agent);
    let third = tenant.enrolled(0, Role::Owner);
    tenant.meet(second, third);
    tenant.state_as_root(second, 0, Verdict::Revoked, &[third]);
    (tenant, agent, third)
}

/// A first message that `sender` never made, by which it names itself by id.
fn forged(tenant: &mut Tenant, sender: usize, to: usize, generation: u32) {
    let (sender, to) = (tenant.id(sender), tenant.id(to));
    let prelude = Prelude {
        generation,
        mode: 0,
        ephemeral: [9; 32],
        signed_prekey: 1,
        one_time_prekey: None,
        kem_key: None,
        kem_ciphertext: None,
        initiator: sender.as_bytes(),
    };
    let mut buffer = [0; 256];
    let prelude = av_wire::encode(&prelude, &mut buffer).expect("room");
    let mut header = vec![MessageType::WithPrelude as u8, Suite::XChaCha20Poly1305.byte()];
    header.extend(u16::try_from(prelude.len()).expect("short").to_be_bytes());
    header.extend(prelude);
    header.extend([7; 24 + 40 + 16]);
    tenant.deliver(&sender, &to, &header, &[8; 48]);
}

fn rejections(tenant: &Tenant, at: usize, of: usize, code: RejectCode) -> usize {
    let rejected = Event::MessageRejected { from: tenant.id(of), code };
    tenant.members[at].events.iter().filter(|event| **event == rejected).count()
}

#[test]
fn a_first_message_by_id_waits_for_its_senders_chain() {
    let (mut tenant, agent, owner) = owner_below_a_revoked_one();
    assert_eq!(tenant.standing(agent, owner), None, "they never met");
    let asked = tenant.chains_asked;
    tenant.meet(owner, agent);
    assert_eq!(tenant.chains_asked, asked + 1);
    assert_eq!(tenant.standing(agent, owner), Some(Standing::Active));
    assert!(tenant.talks(owner, agent, "hello") && tenant.talks(agent, owner, "hello"));
    assert_eq!(rejections(&tenant, agent, owner, RejectCode::UnknownSender), 0);
    assert_eq!(tenant.chains_asked, asked + 1, "who is known is not asked about");
}

#[test]
fn a_restart_while_a_chain_is_awaited_loses_nothing() {
    let (mut tenant, agent, owner) = owner_below_a_revoked_one();
    tenant.chains = Chains::Unanswered;
    tenant.meet(owner, agent);
    tenant.send(owner, agent, "are you there?").unwrap();
    assert!(tenant.members[agent].heard.is_empty());
    tenant.chains = Chains::Given;
    tenant.restart(agent);
    let heard = (tenant.id(owner), None, "are you there?".to_string());
    assert_eq!(tenant.members[agent].heard, [heard]);
    assert_eq!(rejections(&tenant, agent, owner, RejectCode::UnknownSender), 0);
}

#[test]
fn a_relay_that_gives_no_chain_holds_up_nobody_else() {
    for chains in [Chains::NotFound, Chains::Unanswered] {
        let (mut tenant, agent, owner) = owner_below_a_revoked_one();
        let friend = 1;
        let records = tenant.records(agent);
        tenant.chains = chains;
        forged(&mut tenant, owner, agent, 1);
        tenant.settle();
        if chains == Chains::Unanswered {
            assert_eq!(rejections(&tenant, agent, owner, RejectCode::UnknownSender), 0, "it waits");
            assert!(!tenant.talks(friend, agent, "one after the other"));
            let member = &mut tenant.members[agent];
            let later = Now { uptime: NOW.uptime + INTRODUCTION_WAIT, ..NOW };
            member.endpoint.tick(later, &mut member.rng);
            tenant.settle();
            assert!(
                tenant.has(agent, &Event::ConnectionSilent),
                "what was passed over comes on another connection"
            );
            tenant.reconnect(agent);
            tenant.settle();
            let heard = (tenant.id(friend), None, "one after the other".to_string());
            assert!(tenant.members[agent].heard.contains(&heard));
        } else {
            assert!(tenant.records(agent) == records, "nothing but the cursor changed");
        }
        assert_eq!(rejections(&tenant, agent, owner, RejectCode::UnknownSender), 1);
        assert!(tenant.talks(friend, agent, "still here"));
        assert_eq!(tenant.standing(agent, owner), None);
    }
}

#[test]
fn a_forged_introduction_stores_nothing_and_is_rationed() {
    let (mut tenant, agent, owner) = owner_below_a_revoked_one();
    let (records, asked) = (tenant.records(agent), tenant.chains_asked);
    for generation in 1..=20 {
        forged(&mut tenant, owner, agent, generation);
        tenant.settle();
    }
    assert!(tenant.records(agent) == records, "nothing but the cursor changed");
    assert_eq!(tenant.standing(agent, owner), None);
    assert_eq!(tenant.chains_asked - asked, usize::from(PRELUDE_BURST), "of all unknown senders together");
    assert_eq!(rejections(&tenant, agent, owner, RejectCode::Unopened), usize::from(PRELUDE_BURST));
    assert!(tenant.talks(1, agent, "still here"));
}

#[test]
fn agents_talk_when_both_applications_allow_it() {
    let mut tenant = Tenant::founded();
    let (one, other) = (tenant.enrolled(0, Role::Agent), tenant.enrolled(0, Role::Agent));
    let ids = [tenant.id(one), tenant.id(other)];

    tenant.meet(one, other);
    assert!(tenant.has(one, &Event::SessionFailed(ids[1])), "an agent knows its owners alone");

    tenant.members[one].endpoint.allow(&ids[1]).unwrap();
    tenant.meet(one, other);
    assert_eq!(tenant.standing(one, other), Some(Standing::Active));
    assert_eq!(tenant.standing(other, one), None, "the other one was not asked");
    assert_eq!(rejections(&tenant, other, one, RejectCode::UnknownSender), 1);

    tenant.members[other].endpoint.allow(&ids[0]).unwrap();
    tenant.settle();
    tenant.restart(other);
    tenant.meet(one, other);
    assert!(tenant.talks(one, other, "hello") && tenant.talks(other, one, "hello"));

    tenant.members[other].endpoint.disallow(&ids[0]);
    tenant.settle();
    tenant.restart(other);
    assert!(tenant.talks(one, other, "what stands goes on"));
    let rejected = rejections(&tenant, other, one, RejectCode::Unopened);
    tenant.meet(one, other);
    assert_eq!(rejections(&tenant, other, one, RejectCode::Unopened), rejected + 1, "and nothing new begins");
}

#[test]
fn what_an_agent_is_allowed_is_bounded() {
    let mut tenant = Tenant::founded();
    let agent = tenant.enrolled(0, Role::Agent);
    let endpoint = &mut tenant.members[agent].endpoint;
    for byte in 0..ALLOWED_PEERS {
        let id = av_wire::DeviceId([u8::try_from(byte).unwrap(); 16]);
        assert_eq!((endpoint.allow(&id), endpoint.allow(&id)), (Ok(()), Ok(())), "twice is once");
    }
    assert_eq!(endpoint.allow(&av_wire::DeviceId([0xff; 16])), Err(EndpointError::Full));
    endpoint.disallow(&av_wire::DeviceId([0; 16]));
    assert_eq!(endpoint.allow(&av_wire::DeviceId([0xff; 16])), Ok(()));
}
