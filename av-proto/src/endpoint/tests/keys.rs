//! API keys between devices: who gets in with one and whom it lets talk, what is closed when, and what a relay or a
//! thief can make of it. The relay of these tests verifies nothing.

use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::frame::ToDevice;
use av_wire::key_grant::KeyGrant;
use av_wire::statement::Verdict;
use av_wire::{DeviceId, KeyId, RejectCode, Role};

use super::tenant::{Member, Tenant};
use super::{Event, NOW, Now, Phase, RecordKey, origin};
use crate::api_key::ApiKey;
use crate::endpoint::{EndpointError, Standing};
use crate::enroll::{RecoveryKey, sign_key_grant};
use crate::record::RecordKind;
use crate::test_support::{identity, rng};
use crate::{EndReason, SendError, XChaCha20Poly1305};

const DAY: u32 = 86_400;
const LATER: Now = Now { uptime: NOW.uptime + 1_000, wall: NOW.wall + DAY as u64 + 1 };

impl Tenant {
    /// A key for so many agents, a day long.
    pub(super) fn key(&mut self, owner: usize, most: u16) -> ApiKey {
        let Member { endpoint, rng, .. } = &mut self.members[owner];
        let key = endpoint.grant_key(NOW, rng, most, DAY).expect("an owner with room");
        self.settle();
        assert!(self.has(owner, &Event::KeyReady(key.key_id())));
        key
    }

    /// A device that begins to enroll with a copy of this key.
    fn begun(&mut self, key: &ApiKey) -> usize {
        let index = self.member();
        let copy = ApiKey::parse(&key.to_string()).expect("its own text");
        let Member { endpoint, rng, .. } = &mut self.members[index];
        endpoint.enroll_with_key(NOW, rng, copy, &origin(), None).expect("an empty endpoint");
        index
    }

    pub(super) fn agent(&mut self, key: &ApiKey) -> usize {
        let index = self.begun(key);
        self.settle();
        assert_eq!(self.members[index].endpoint.phase(), Phase::Active);
        index
    }

    fn later(&mut self, index: usize) {
        let Member { endpoint, rng, .. } = &mut self.members[index];
        endpoint.tick(LATER, rng);
        self.settle();
    }

    fn identity_record(&self, index: usize) -> Vec<u8> {
        self.records(index).remove(&RecordKey::new(RecordKind::Identity, 0).to_bytes()).expect("a device")
    }
}

fn used(tenant: &Tenant, key: &ApiKey, device: usize) -> Event {
    Event::KeyUsed { key: key.key_id(), device: tenant.id(device) }
}

fn refused_at(tenant: &Tenant, owner: usize) -> usize {
    let is_refusal = |event: &&Event| {
        matches!(event, Event::MessageRejected { from: DeviceId::ROOT, code: RejectCode::Unopened })
    };
    tenant.members[owner].events.iter().filter(is_refusal).count()
}

#[test]
fn an_agent_with_a_key_is_in_at_once_and_talks_with_its_owner() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 2);
    let agent = tenant.agent(&key);
    assert!(tenant.has(0, &used(&tenant, &key, agent)));
    assert!(tenant.has(agent, &Event::EnrollmentActive));
    assert!(tenant.talks(agent, 0, "21 degrees") && tenant.talks(0, agent, "warmer"));
    for index in [0, agent] {
        tenant.restart(index);
    }
    assert!(tenant.talks(0, agent, "still here?") && tenant.talks(agent, 0, "yes"));
    let second = tenant.agent(&key);
    assert!(tenant.talks(second, 0, "me too"));

    // Another owner believes its chain as well.
    let sibling = tenant.enrolled(0, Role::Owner);
    tenant.meet(sibling, agent);
    assert!(tenant.talks(sibling, agent, "I am the other") && tenant.talks(agent, sibling, "hello"));
}

#[test]
fn the_key_is_wiped_once_it_has_certified_the_device() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 1);
    let seed = key.signing().seed().to_vec();
    let agent = tenant.begun(&key);
    let holds = |tenant: &Tenant| tenant.identity_record(agent).windows(32).any(|bytes| bytes == seed);
    tenant.members[agent].endpoint.disconnected();
    tenant.drain(agent);
    assert!(holds(&tenant), "it is needed over a restart");
    tenant.loses_answer = true;
    tenant.settle();
    assert_eq!(tenant.members[agent].endpoint.phase(), Phase::Enrolling);
    assert!(!holds(&tenant), "and not while the relay has still to let the device in");
}

#[test]
fn a_lost_answer_and_restarts_on_the_way_end_in_one_device() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 1);
    let agent = tenant.begun(&key);
    tenant.drain(agent);
    tenant.restart(agent);
    assert_eq!(tenant.members[agent].endpoint.phase(), Phase::Active, "it looked the key up again");

    let key = tenant.key(0, 1);
    tenant.loses_answer = true;
    let agent = tenant.begun(&key);
    tenant.settle();
    let (asked, before) = (tenant.asked_with_key, tenant.identity_record(agent));
    tenant.reopen(agent);
    assert_eq!(tenant.identity_record(agent), before);
    tenant.settle();
    assert_eq!(tenant.asked_with_key, asked + 1);
    assert_eq!(tenant.members[agent].endpoint.phase(), Phase::Active);
    assert!(tenant.has(0, &used(&tenant, &key, agent)));
    assert!(tenant.talks(agent, 0, "here I am"));
}

#[test]
fn a_new_device_knows_what_was_stated_before_it_came() {
    let mut tenant = Tenant::founded();
    let second = tenant.enrolled(0, Role::Owner);
    let third = tenant.enrolled(0, Role::Owner);
    tenant.state(0, second, Verdict::Revoked);
    tenant.meet(0, third);
    tenant.state_as_root(0, third, Verdict::Revoked, &[]);
    let key = tenant.key(0, 1);
    let agent = tenant.agent(&key);
    for owner in [second, third] {
        let chain = tenant.chain(&tenant.id(owner));
        let believed = tenant.members[agent].endpoint.certified(&tenant.id(owner), Chain::new(&chain));
        assert!(believed.is_none(), "a revoked owner gets no word in");
    }
}

#[test]
fn a_grant_of_another_tenant_of_another_key_or_out_of_time_is_refused() {
    let mut tenant = Tenant::founded();
    let (key, other) = (tenant.key(0, 1), tenant.key(0, 1));
    let owner = tenant.chain(&tenant.id(0));
    let own = identity::<XChaCha20Poly1305>(7, Role::Owner);
    let thief = RecoveryKey::generate(&mut rng(9));
    let (membership, _) = thief.found(&own, &origin(), NOW.wall).expect("founds");
    let grant = |expires_at| KeyGrant {
        tenant_id: thief.tenant_id(),
        public_key: key.public(),
        most: 1,
        expires_at,
        issued_at: NOW.wall,
        issuer: *own.device_id(),
    };
    let mut foreign = [0; KeyGrant::SIGNED_LEN];
    let foreign = sign_key_grant(own.signing(), &grant(NOW.wall + 9), &mut foreign).expect("signs");
    let mut chain = [0; MAX_CHAIN_BYTES];
    let foreign = Chain::prepend(thief.public(), foreign, Some(membership.chain()), &mut chain);
    let foreign = foreign.expect("room").to_vec();
    assert!(Chain::new(&foreign).verify_key(&thief.tenant_id(), |_| false).is_ok(), "as good as it gets");

    let another = tenant.chain(&other.key_id().as_issuer());
    let genuine = tenant.chain(&key.key_id().as_issuer());
    for (why, chain, now) in [
        ("of a tenant that the relay founded", &foreign, NOW),
        ("of another key", &another, NOW),
        ("of no key", &owner, NOW),
        ("out of time", &genuine, LATER),
    ] {
        let agent = tenant.begun(&key);
        let before = tenant.members[agent].endpoint.public().copied();
        tenant.members[agent].endpoint.key_found(now, Chain::new(chain));
        tenant.drain(agent);
        let ended = Event::EnrollmentEnded(EndReason::GrantInvalid);
        assert!(tenant.has(agent, &ended), "{why}");
        assert_eq!(tenant.members[agent].endpoint.public().copied(), before);
        tenant.settle();
        assert_eq!(tenant.members[agent].endpoint.phase(), Phase::Active, "the genuine one is taken then");
    }
}

#[test]
fn a_clock_that_is_behind_or_missing_dates_as_the_grant() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 1);
    let agent = tenant.begun(&key);
    let chain = tenant.chain(&key.key_id().as_issuer());
    let without_clock = Now { uptime: NOW.uptime, wall: 0 };
    tenant.members[agent].endpoint.key_found(without_clock, Chain::new(&chain));
    tenant.settle();
    let chain = tenant.chain(&tenant.id(agent));
    assert_eq!(Chain::new(&chain).claimed().expect("a certificate").issued_at, NOW.wall);
    assert!(tenant.talks(agent, 0, "no clock"));
}

#[test]
fn one_too_many_is_kept_out_and_the_key_closed_keeping_who_was_in() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 2);
    let (first, second) = (tenant.agent(&key), tenant.agent(&key));
    let third = tenant.agent(&key);
    let overused = Event::KeyOverused { key: key.key_id(), device: tenant.id(third) };
    assert!(tenant.has(0, &overused) && tenant.has(0, &Event::KeyClosed(key.key_id())));
    assert!(!tenant.has(0, &used(&tenant, &key, third)));
    assert_eq!(tenant.standing(0, third), None);
    let _ = tenant.send(third, 0, "let me in");
    assert!(!tenant.members[0].heard.iter().any(|(from, ..)| *from == tenant.id(third)));
    for kept in [first, second] {
        assert!(tenant.talks(kept, 0, "I may") && tenant.talks(0, kept, "you may"));
    }
    assert!(tenant.has(third, &Event::Uncertified) && !tenant.has(first, &Event::Uncertified));
    tenant.restart(0);
    assert_eq!(tenant.standing(0, third), None);
    assert!(tenant.talks(first, 0, "still"));
}

#[test]
fn a_relay_that_hides_a_use_lets_in_no_more_for_it() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 1);
    let first = tenant.agent(&key);
    assert!(tenant.talks(first, 0, "told of"));
    tenant.hides_use = true;
    let second = tenant.agent(&key);
    let _ = tenant.send(second, 0, "hidden");
    assert_eq!(tenant.standing(0, second), None);
    assert!(!tenant.members[0].heard.iter().any(|(from, ..)| *from == tenant.id(second)));
}

#[test]
fn an_expired_key_is_closed_and_what_it_signs_later_is_void_whatever_its_date() {
    let mut tenant = Tenant::founded();
    let sibling = tenant.enrolled(0, Role::Owner);
    let key = tenant.key(0, 8);
    let agent = tenant.agent(&key);
    tenant.meet(sibling, agent);
    assert!(tenant.talks(sibling, agent, "before"));
    tenant.later(0);
    assert!(tenant.has(0, &Event::KeyClosed(key.key_id())));
    let posted = Event::StatementPosted(key.key_id().as_issuer(), Verdict::Revoked);
    assert!(tenant.has(0, &posted));
    for owner in [0, sibling] {
        assert_eq!(tenant.standing(owner, agent), Some(Standing::Active));
        assert!(tenant.talks(owner, agent, "you stay") && tenant.talks(agent, owner, "I stay"));
    }
    assert!(!tenant.has(agent, &Event::Uncertified));
    tenant.restart(agent);
    assert!(tenant.talks(agent, 0, "the revocation in its own chain is stored"));

    // Who has the seed dates back, and the relay is on his side.
    let refused = refused_at(&tenant, 0);
    let thief = tenant.agent(&key);
    assert_eq!(refused_at(&tenant, 0), refused + 1, "the use of a closed key");
    for owner in [0, sibling] {
        tenant.meet(thief, owner);
        let _ = tenant.send(thief, owner, "back-dated");
        assert_eq!(tenant.standing(owner, thief), None);
        let id = tenant.id(thief);
        let chain = tenant.chain(&id);
        assert!(tenant.members[owner].endpoint.certified(&id, Chain::new(&chain)).is_none());
    }
    assert!(!tenant.members[0].heard.iter().any(|(from, ..)| *from == tenant.id(thief)));
}

#[test]
fn uses_that_wait_are_counted_before_an_expired_key_is_closed() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 8);
    tenant.members[0].endpoint.disconnected();
    let agent = tenant.agent(&key);
    assert!(!tenant.has(0, &used(&tenant, &key, agent)), "the owner is away");
    let Member { endpoint, rng, .. } = &mut tenant.members[0];
    endpoint.tick(LATER, rng);
    tenant.connect(0);
    while tenant.pass_at(0, LATER) | tenant.drain(0) {}
    tenant.settle();
    assert!(tenant.has(0, &used(&tenant, &key, agent)) && tenant.has(0, &Event::KeyClosed(key.key_id())));
    assert!(tenant.talks(agent, 0, "in time"));
}

#[test]
fn a_leaked_key_keeps_nobody() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 8);
    let agent = tenant.agent(&key);
    assert!(tenant.talks(agent, 0, "before"));
    tenant.members[0].endpoint.revoke_key(NOW, &key.key_id()).expect("its own key");
    tenant.settle();
    assert_eq!(tenant.standing(0, agent), Some(Standing::Uncertified));
    assert_eq!(tenant.send(0, agent, "?"), Err(SendError::PeerNotActive));
    assert!(tenant.has(agent, &Event::Uncertified));
    let heard = tenant.members[0].heard.len();
    let _ = tenant.send(agent, 0, "after");
    assert_eq!(tenant.members[0].heard.len(), heard);
    // A person can take it back in, by hand.
    let agent_id = tenant.id(agent);
    tenant.members[0].endpoint.recertify(NOW, &agent_id).expect("uncertified");
    tenant.settle();
    assert!(tenant.talks(agent, 0, "certified anew"));
}

#[test]
fn the_root_closes_a_key_of_a_lost_owner() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 8);
    let (kept, other) = (tenant.agent(&key), tenant.agent(&key));
    let fresh = tenant.owner_by_root();
    tenant.meet(fresh, kept);
    tenant.meet(fresh, other);
    let (root, keep) = (tenant.root.take().expect("the root"), [tenant.id(kept)]);
    let subject = key.key_id().as_issuer();
    let endpoint = &mut tenant.members[fresh].endpoint;
    endpoint.state_as_root(NOW, &root, &subject, Verdict::Revoked, &keep).expect("a peer is kept");
    tenant.settle();
    assert!(tenant.talks(fresh, kept, "stays") && tenant.talks(kept, fresh, "stays"));
    assert_eq!(tenant.standing(fresh, other), Some(Standing::Uncertified));
    assert!(tenant.has(other, &Event::Uncertified));
    let again = tenant.members[0].endpoint.close_key(NOW, &key.key_id());
    assert_eq!(again, Err(EndpointError::Unknown), "its owner does not take anybody back in");
}

#[test]
fn only_an_owner_with_room_below_it_grants_keys() {
    let mut tenant = Tenant::founded();
    let agent = tenant.enrolled(0, Role::Agent);
    let second = tenant.enrolled(0, Role::Owner);
    let third = tenant.enrolled(second, Role::Owner);
    let mut grant = |by: usize| {
        let Member { endpoint, rng, .. } = &mut tenant.members[by];
        endpoint.grant_key(NOW, rng, 1, DAY).map(|key| key.key_id())
    };
    assert_eq!(grant(agent), Err(EndpointError::NotOwner));
    assert_eq!(grant(third), Err(EndpointError::Full), "its devices would be the fifth of their chains");
    let keys: Vec<KeyId> = (0..crate::limits::KEYS).map(|_| grant(second).expect("room")).collect();
    assert_eq!(grant(second), Err(EndpointError::Full));
    tenant.settle();
    let owner = &mut tenant.members[second].endpoint;
    assert_eq!(owner.close_key(NOW, &KeyId([1; 16])), Err(EndpointError::Unknown));
    owner.close_key(NOW, &keys[0]).expect("its own");
    assert_eq!(owner.close_key(NOW, &keys[0]), Err(EndpointError::Unknown), "once");
    let Member { endpoint, rng, .. } = &mut tenant.members[second];
    let key = endpoint.grant_key(NOW, rng, 1, DAY).expect("a place is free again");
    tenant.settle();
    let below = tenant.agent(&key);
    assert!(tenant.talks(below, second, "four in a chain"));
}

#[test]
fn uses_that_are_none_change_nothing() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 2);
    let agent = tenant.agent(&key);
    let sibling = tenant.enrolled(0, Role::Owner);
    let siblings = tenant.key(sibling, 2);
    let elsewhere = tenant.agent(&siblings);
    let (own, owner) = (tenant.chain(&tenant.id(agent)), tenant.id(0));
    let mut flipped = own.clone();
    flipped[100] ^= 1;
    let wrong = [
        ("of another owner's key", tenant.chain(&tenant.id(elsewhere))),
        ("of a device that was approved by hand", tenant.chain(&tenant.id(sibling))),
        ("of the key itself", tenant.chain(&key.key_id().as_issuer())),
        ("that does not verify", flipped),
        ("that is none", vec![]),
    ];
    for (why, chain) in wrong {
        let (before, refused) = (tenant.records(0), refused_at(&tenant, 0));
        tenant.use_key(&owner, &chain);
        tenant.settle();
        assert_eq!(refused_at(&tenant, 0), refused + 1, "{why}");
        assert_eq!(tenant.records(0), before, "{why}");
    }
    // Told twice is told once.
    let (before, events) = (tenant.records(0), tenant.members[0].events.len());
    tenant.use_key(&owner, &own);
    tenant.settle();
    assert_eq!((tenant.records(0), tenant.members[0].events.len()), (before, events));
}

/// A frame that nobody asked for ends nothing and begins nothing.
#[test]
fn a_grant_that_was_not_asked_for_is_passed_over() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 1);
    let chain = tenant.chain(&key.key_id().as_issuer());
    let before = tenant.records(0);
    tenant.answer(0, &ToDevice::Key { chain: &chain });
    tenant.settle();
    assert_eq!(tenant.records(0), before);
}
