//! An owner's key in the wrong hands, with a relay that helps: it certifies and states what it likes, and has no say over
//! anybody but those below it.

use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::layout::Reader;
use av_wire::statement::{Statement, Verdict};
use av_wire::{DeviceId, DevicePublic, Role};

use super::tenant::Tenant;
use super::{Event, NOW};
use crate::endpoint::{SendError, Standing};
use crate::enroll::{Membership, certify_device, sign_statement};
use crate::keys::Identity;
use crate::limits::REVOKED;
use crate::test_support::{WITHOUT_KEM, rng, written};

/// What a thief of an owner's device has: its keys and its chain.
struct Thief {
    identity: Identity,
    membership: Membership,
    serial: u64,
}

impl Thief {
    /// The keys of a member.
    fn of(tenant: &Tenant, member: usize) -> Self {
        let device = tenant.members[member].endpoint.device.get().expect("a device");
        let membership = device.membership().expect("an active one").clone();
        let record = written(Identity::LEN, |writer| device.identity.write(writer));
        let identity = Identity::read(&mut Reader::new(&record)).expect("its own record");
        Self { identity, membership, serial: 0 }
    }

    /// A chain that ends at this owner's own.
    fn certify(&self, device: &DevicePublic) -> Vec<u8> {
        let mut buffer = [0; MAX_CHAIN_BYTES];
        let chain = certify_device(&self.identity, &self.membership, device, 1, &mut buffer);
        chain.expect("room").as_bytes().to_vec()
    }

    /// An owner that exists for the thief only.
    fn owner_below(&self, seed: u64) -> Self {
        let identity = Identity::generate(&mut rng(seed), Role::Owner, WITHOUT_KEM, 4_096);
        let mut membership = Membership::empty();
        membership.fill(&self.certify(identity.public())).expect("a chain");
        Self { identity, membership, serial: 0 }
    }

    /// States something, and has the relay pass it on with this chain to everybody.
    fn state(&mut self, tenant: &mut Tenant, subject: &DeviceId, verdict: Verdict, chain: &[u8]) {
        self.serial += 1;
        let statement = Statement {
            verdict,
            tenant_id: *self.membership.tenant_id(),
            subject: *subject,
            issuer: *self.identity.device_id(),
            serial: self.serial,
            issued_at: 1,
            keep: &[],
            link_keys: None,
        };
        let mut buffer = [0; 512];
        let signed = sign_statement(self.identity.signing(), &statement, &mut buffer).expect("room");
        tenant.pass_on(self.identity.device_id(), signed, chain);
        tenant.settle();
    }

    fn own_chain(&self) -> Vec<u8> {
        self.membership.chain().as_bytes().to_vec()
    }

    /// Revokes a device by a chain that the thief makes for it.
    fn revoke(&mut self, tenant: &mut Tenant, device: &DevicePublic) {
        let chain = self.certify(device);
        self.state(tenant, &device.device_id(), Verdict::Revoked, &chain);
    }
}

fn public(tenant: &Tenant, member: usize) -> DevicePublic {
    *tenant.members[member].endpoint.public().expect("a device")
}

/// The founder, its agent, an owner that the founder certified, and an owner that the root certified; all but the last
/// know each other.
fn tenant() -> (Tenant, [usize; 4]) {
    let mut tenant = Tenant::founded();
    let agent = tenant.enrolled(0, Role::Agent);
    let second = tenant.enrolled(0, Role::Owner);
    let third = tenant.owner_by_root();
    tenant.meet(second, agent);
    tenant.meet(third, 0);
    (tenant, [0, agent, second, third])
}

#[test]
fn an_owner_revokes_nobody_by_a_chain_that_it_made_for_it() {
    let (mut tenant, [first, agent, second, third]) = tenant();
    let mut thief = Thief::of(&tenant, second);
    for victim in [third, agent, first] {
        let victim = public(&tenant, victim);
        thief.revoke(&mut tenant, &victim);
    }
    assert_eq!(tenant.standing(agent, first), Some(Standing::Active), "who stands above it");
    assert_eq!(tenant.standing(first, third), Some(Standing::Active), "who stands beside it");
    assert_eq!(tenant.standing(first, agent), Some(Standing::Active), "whom another certified");
    assert!(!tenant.has(agent, &Event::OwnStanding(Verdict::Revoked)));
    assert!(tenant.talks(first, agent, "who was that?") && tenant.talks(agent, first, "nobody"));
    // Nor does it shut out who comes later.
    tenant.meet(third, agent);
    assert!(tenant.talks(third, agent, "hello") && tenant.talks(agent, third, "hello"));
    for member in [first, agent, third] {
        assert!(
            !tenant.members[member].endpoint.membership().expect("active").chain().has_revocation().unwrap()
        );
    }
}

#[test]
fn a_device_that_was_certified_anew_is_out_of_a_thiefs_reach() {
    let (mut tenant, [first, agent, second, third]) = tenant();
    tenant.meet(third, agent);
    tenant.meet(third, second);
    tenant.state_as_root(third, first, Verdict::Revoked, &[second]);
    let agent_id = tenant.id(agent);
    tenant.members[third].endpoint.recertify(NOW, &agent_id).expect("a peer that lost its certificate");
    tenant.settle();
    assert!(tenant.talks(third, agent, "mine now"));
    let mut thief = Thief::of(&tenant, first);
    let (victim, chain) = (public(&tenant, agent), thief.certify(&public(&tenant, agent)));
    thief.state(&mut tenant, &victim.device_id(), Verdict::Revoked, &chain);
    assert!(tenant.talks(third, agent, "still mine") && tenant.talks(agent, third, "still yours"));
}

#[test]
fn owners_made_up_by_the_dozen_keep_no_word_of_the_root_out() {
    let (mut tenant, [first, agent, second, _]) = tenant();
    let mut thief = Thief::of(&tenant, second);
    let helped = tenant.enrolled(second, Role::Agent);
    tenant.meet(first, helped);
    assert!(tenant.talks(first, helped, "hello"));
    // Places for serials.
    for seed in 0..12 {
        let mut owner = thief.owner_below(100 + seed);
        let chain = owner.own_chain();
        owner.state(
            &mut tenant,
            &DeviceId([u8::try_from(seed).expect("few") + 1; 16]),
            Verdict::Suspended,
            &chain,
        );
    }
    // Places for revocations.
    for seed in 0..=REVOKED as u64 {
        let victim = thief.owner_below(150 + seed);
        thief.revoke(&mut tenant, victim.identity.public());
    }
    assert!(tenant.has(first, &Event::RevocationsFull));
    tenant.state_as_root(first, second, Verdict::Revoked, &[]);
    for member in [first, agent] {
        assert_eq!(tenant.standing(member, second), Some(Standing::Revoked));
    }
    assert_eq!(tenant.standing(first, helped), Some(Standing::Uncertified), "with all that it certified");
    tenant.restart(first);
    assert_eq!(tenant.standing(first, helped), Some(Standing::Uncertified));
    assert_eq!(tenant.send(first, helped, "?"), Err(SendError::PeerNotActive));
}

#[test]
fn a_relay_that_holds_back_one_word_of_the_root_until_the_next_gains_nothing() {
    let (mut tenant, [first, agent, second, third]) = tenant();
    tenant.withholds = true;
    tenant.state_as_root(first, second, Verdict::Revoked, &[]);
    let (held_back, chain) = tenant.posted(0);
    tenant.withholds = false;
    tenant.state_as_root(first, third, Verdict::Suspended, &[]);
    assert_eq!(tenant.standing(agent, second), Some(Standing::Active), "it has not heard of it");
    tenant.pass_on(&DeviceId::ROOT, &held_back, &chain);
    tenant.settle();
    assert_eq!(tenant.standing(agent, second), Some(Standing::Revoked));
}

#[test]
fn what_a_revoked_owner_said_keeps_nobody_waiting() {
    let (mut tenant, [first, agent, second, third]) = tenant();
    tenant.meet(third, agent);
    tenant.state(second, agent, Verdict::Suspended);
    tenant.state(second, agent, Verdict::Resumed);
    // And with its key a thief claims to have said more than anybody ever will.
    tenant.members[second].endpoint.meta.edit().expect("active").statement_serial = u64::MAX;
    tenant.send(second, agent, "hello").expect("a peer");
    assert_eq!(tenant.send(agent, third, "?"), Err(SendError::StatementsMissing));
    tenant.state_as_root(first, second, Verdict::Revoked, &[]);
    assert!(tenant.talks(agent, third, "what it said does not matter any more"));
    let fresh = tenant.enrolled(first, Role::Agent);
    tenant.meet(third, fresh);
    assert!(tenant.talks(fresh, third, "nor did I miss anything"));
    let another = tenant.enrolled(third, Role::Agent);
    assert!(tenant.talks(third, another, "and owners go on approving"));
    // Whom it certifies now has no say either.
    let mut below = Thief::of(&tenant, second).owner_below(1);
    let (agent_id, chain) = (tenant.id(agent), below.own_chain());
    below.state(&mut tenant, &agent_id, Verdict::Suspended, &chain);
    assert_eq!(tenant.standing(first, agent), Some(Standing::Active));
}

#[test]
fn a_revoked_agent_that_an_owner_has_never_met_does_not_introduce_itself() {
    let (mut tenant, [first, agent, _, third]) = tenant();
    tenant.state(first, agent, Verdict::Revoked);
    assert_eq!(tenant.standing(third, agent), None);
    // The relay helps it all the same.
    let chain = Thief::of(&tenant, first).certify(&public(&tenant, agent));
    assert!(tenant.members[third].endpoint.believed(&tenant.id(agent), Chain::new(&chain)).is_none());
}
