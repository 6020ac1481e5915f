//! Who has a say: the root, the owners on a device's own chain for a revocation, any owner for the rest.

use std::vec::Vec;

use super::samples::{Device, Root, Tenant, chain_of, signed_object};
use crate::DeviceId;
use crate::chain::{Chain, InvalidChain};
use crate::posted::Posted;
use crate::public::Role;
use crate::statement::{AnnouncedKeys, Statement, Verdict, keep_name};

const KEYS: AnnouncedKeys = AnnouncedKeys { current: [0x1c; 32], next: [0; 32] };

struct Case {
    tenant: Tenant,
    /// Of the agent: through all three owners.
    chain: Vec<u8>,
}

impl Case {
    fn new() -> Self {
        let tenant = Tenant::new();
        let chain = tenant.chain(4);
        Self { tenant, chain }
    }

    fn owner_chain(&self, index: usize) -> Vec<u8> {
        chain_of(self.tenant.root.public(), &self.tenant.certs(4)[3 - index..])
    }

    fn say(&self, verdict: Verdict, by: &Device, subject: DeviceId) -> Vec<u8> {
        let said = Statement {
            verdict,
            tenant_id: self.tenant.id(),
            subject,
            issuer: by.id(),
            serial: 1,
            issued_at: 1,
            keep: &[],
            link_keys: (verdict == Verdict::LinkKeys).then_some(KEYS),
        };
        signed_object(&by.secret, said.kind(), &said.body().unwrap())
    }

    fn takes(&self, signed: &[u8], chain: &[u8]) -> Result<bool, InvalidChain> {
        let posted = Posted { signed, chain: Chain::new(chain) };
        let root = self.tenant.root.public();
        let verified = posted.verify(&self.tenant.id(), &root)?;
        assert_eq!(verified.statement().serial % 1_000, verified.statement().issued_at % 1_000);
        Ok(verified.subject_certifies())
    }
}

#[test]
fn an_owner_on_the_chain_revokes_and_no_other() {
    let case = Case::new();
    let (agent, outsider) = (&case.tenant.agent, Device::new(6, Role::Owner));
    for owner in &case.tenant.owners {
        let signed = case.say(Verdict::Revoked, owner, agent.id());
        assert_eq!(case.takes(&signed, &case.chain), Ok(false));
        assert!(case.takes(&signed, &case.owner_chain(2)).is_err(), "the chain of another device");
    }
    let [first, _, third] = &case.tenant.owners;
    let upwards = case.say(Verdict::Revoked, third, first.id());
    assert!(case.takes(&upwards, &case.owner_chain(0)).is_err(), "nobody revokes above itself");
    let downwards = case.say(Verdict::Revoked, first, third.id());
    assert_eq!(case.takes(&downwards, &case.owner_chain(2)), Ok(true));
    for nobody in [agent, &outsider] {
        let signed = case.say(Verdict::Revoked, nobody, third.id());
        assert!(case.takes(&signed, &case.owner_chain(2)).is_err());
    }
    let itself = case.say(Verdict::Revoked, third, third.id());
    assert!(case.takes(&itself, &case.owner_chain(2)).is_err());
}

#[test]
fn any_owner_suspends_resumes_and_announces() {
    let case = Case::new();
    let (agent, second) = (&case.tenant.agent, &case.tenant.owners[1]);
    for verdict in [Verdict::Suspended, Verdict::Resumed, Verdict::LinkKeys] {
        let signed = case.say(verdict, second, agent.id());
        assert_eq!(case.takes(&signed, &case.owner_chain(1)), Ok(false));
        assert!(case.takes(&signed, &case.owner_chain(0)).is_err(), "another owner's chain");
        assert!(case.takes(&signed, &case.chain).is_err() && case.takes(&signed, &[]).is_err());
        let by_agent = case.say(verdict, agent, second.id());
        assert!(case.takes(&by_agent, &case.chain).is_err(), "an agent says nothing");
    }
}

#[test]
fn the_root_says_everything_and_a_foreign_root_nothing() {
    let case = Case::new();
    let (tenant, agent) = (&case.tenant, &case.tenant.agent);
    let name = keep_name(b"a certificate");
    for verdict in [Verdict::Revoked, Verdict::Suspended, Verdict::Resumed, Verdict::LinkKeys] {
        let chain: &[u8] = if verdict == Verdict::Revoked { &case.chain } else { &[] };
        let said = Statement {
            verdict,
            tenant_id: tenant.id(),
            subject: agent.id(),
            issuer: DeviceId::ROOT,
            serial: 5_000,
            issued_at: 5_000,
            keep: &[],
            link_keys: (verdict == Verdict::LinkKeys).then_some(KEYS),
        };
        let by =
            |root: &Root, said: Statement<'_>| signed_object(&root.0, said.kind(), &said.body().unwrap());
        assert!(case.takes(&by(&tenant.root, said), chain).is_ok());
        assert!(case.takes(&by(&Root::new(99), said), chain).is_err());
        let elsewhere = Statement { tenant_id: Root::new(99).tenant(), ..said };
        assert!(case.takes(&by(&tenant.root, elsewhere), chain).is_err());
        if verdict == Verdict::Revoked {
            let keeping = Statement { keep: &name, ..said };
            assert!(case.takes(&by(&tenant.root, keeping), chain).is_err(), "an agent certified nobody");
        } else {
            assert!(case.takes(&by(&tenant.root, said), &case.chain).is_err(), "one form only");
        }
    }
}
