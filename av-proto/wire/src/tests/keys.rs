//! API keys: what lets a device in that enrolled with one, and each reason for which it is not let in.

use std::vec;
use std::vec::Vec;

use ed25519_dalek::SigningKey;

use super::samples::{Device, NOW, Root, Tenant, certify, chain_of, encoded, signed_object};
use crate::DeviceId;
use crate::cert::DeviceCert;
use crate::chain::{Chain, InvalidChain, MAX_CHAIN_BYTES, VerifiedDevice, VerifiedKey};
use crate::enroll::{EnrollTranscript, verify_key_possession};
use crate::key_grant::KeyGrant;
use crate::labels::SignaturePurpose;
use crate::limits::{MAX_CHAIN, MAX_KEY_DEVICES};
use crate::posted::Posted;
use crate::public::Role;
use crate::signature::{Signature, SignedKind, Unverified};
use crate::statement::{Statement, Verdict, keep_name};

const REFUSED: Option<InvalidChain> = Some(InvalidChain);

fn verify(tenant: &Tenant, items: &[Vec<u8>], revoked: &[DeviceId]) -> Result<VerifiedDevice, InvalidChain> {
    let chain = chain_of(tenant.root.public(), items);
    Chain::new(&chain).verify(&tenant.id(), |id| revoked.contains(id))
}

fn verify_key(tenant: &Tenant, items: &[Vec<u8>]) -> Result<VerifiedKey, InvalidChain> {
    Chain::new(&chain_of(tenant.root.public(), items)).verify_key(&tenant.id(), |_| false)
}

/// The agent's certificate by the key, dated so.
fn dated(tenant: &Tenant, issued_at: u64) -> Vec<u8> {
    let issuer = tenant.key_grant().key_id().as_issuer();
    let cert = DeviceCert { tenant_id: tenant.id(), device: tenant.agent.public, issued_at, issuer };
    signed_object(&tenant.key, SignedKind::Cert, &cert.to_bytes())
}

/// The chain of the agent's certificate by the key under the grant with these changes, signed by the first owner.
fn under(tenant: &Tenant, change: impl FnOnce(&mut KeyGrant)) -> Vec<Vec<u8>> {
    let mut grant = tenant.key_grant();
    change(&mut grant);
    let owner = &tenant.owners[0];
    let grant = signed_object(&owner.secret, SignedKind::KeyGrant, &grant.to_bytes());
    vec![tenant.cert_by_key(), grant, tenant.root.certify(owner)]
}

#[test]
fn a_device_that_enrolled_with_a_key_is_in_by_its_owner() {
    let tenant = Tenant::new();
    let (key, owner) = (tenant.key_grant().key_id().as_issuer(), tenant.owners[0].id());
    let bytes = tenant.keyed_chain();
    let device = Chain::new(&bytes).verify(&tenant.id(), |_| false).unwrap();
    assert_eq!(device.public(), &tenant.agent.public);
    assert_eq!(device.issuer(), None, "no owner certified it");
    assert_eq!(device.key_grant(), Some(&tenant.key_grant()));
    assert_eq!(device.provenance().lineage, [key, owner]);
    assert_eq!(Chain::new(&bytes).claimed_key(), Ok(Some(tenant.key_grant())));
    assert_eq!(Chain::new(&tenant.chain(2)).claimed_key(), Ok(None));
    let by_hand = verify(&tenant, &tenant.certs(2), &[]).unwrap();
    assert_eq!(by_hand.key_grant(), None);

    let bytes = tenant.key_chain();
    let chain = Chain::new(&bytes);
    let granted = chain.verify_key(&tenant.id(), |_| false).unwrap();
    assert_eq!((granted.grant(), granted.owner()), (&tenant.key_grant(), &tenant.owners[0].public));
    assert_eq!(granted.provenance().lineage, [owner]);
    assert!(chain.verify(&tenant.id(), |_| false).is_err(), "a key is no device");
    let device = tenant.chain(2);
    assert!(Chain::new(&device).verify_key(&tenant.id(), |_| false).is_err(), "a device is no key");

    let mut buffer = [0; MAX_CHAIN_BYTES];
    let built = Chain::prepend(&tenant.root.public(), &tenant.cert_by_key(), Some(chain), &mut buffer);
    assert_eq!(built.unwrap(), tenant.keyed_chain());
}

#[test]
fn a_revoked_key_and_its_revoked_owner_void_what_they_let_in() {
    let tenant = Tenant::new();
    let [cert, grant, owner] = [tenant.cert_by_key(), tenant.signed_key_grant(), tenant.certs(2).remove(1)];
    let items = [cert.clone(), grant.clone(), owner.clone()];
    let key = tenant.key_grant().key_id().as_issuer();
    for out in [key, tenant.owners[0].id(), tenant.agent.id()] {
        assert!(verify(&tenant, &items, &[out]).is_err());
    }
    assert!(verify(&tenant, &items, &[tenant.owners[1].id()]).is_ok());
    let chain = chain_of(tenant.root.public(), &items[1..]);
    for out in [key, tenant.owners[0].id()] {
        assert!(Chain::new(&chain).verify_key(&tenant.id(), |id| *id == out).is_err());
    }
    // What closes the key keeps a device, what revokes its owner the key.
    let closing = close(&tenant, &tenant.owners[0].secret, tenant.owners[0].id(), &[&cert]);
    let kept = [cert.clone(), closing.clone(), grant.clone(), owner.clone()];
    assert_eq!(verify(&tenant, &kept, &[key]).unwrap().provenance().kept, Some(key));
    let later = [dated(&tenant, NOW + 1), closing, grant.clone(), owner.clone()];
    assert_eq!(verify(&tenant, &later, &[key]).err(), REFUSED, "whenever it claims to be from");
    let of_owner = tenant.revocation_of(&tenant.owners[0], &[&grant]);
    assert!(verify(&tenant, &[cert, grant, of_owner, owner], &[tenant.owners[0].id()]).is_ok());
}

/// A revocation of the key that keeps these certificates.
fn close(tenant: &Tenant, by: &SigningKey, issuer: DeviceId, kept: &[&[u8]]) -> Vec<u8> {
    let names: Vec<u8> = kept.iter().flat_map(|cert| keep_name(cert)).collect();
    let said = Statement {
        verdict: Verdict::Revoked,
        tenant_id: tenant.id(),
        subject: tenant.key_grant().key_id().as_issuer(),
        issuer,
        serial: 1,
        issued_at: NOW,
        keep: &names,
        link_keys: None,
    };
    signed_object(by, SignedKind::Revocation, &said.body().unwrap())
}

#[test]
fn a_key_is_closed_by_the_root_or_an_owner_on_its_chain() {
    let tenant = Tenant::new();
    let [first, second, _] = &tenant.owners;
    let (chain, cert) = (tenant.key_chain(), tenant.cert_by_key());
    let takes = |by: &SigningKey, issuer: DeviceId, chain: &[u8]| {
        let signed = close(&tenant, by, issuer, &[&cert]);
        let posted = Posted { signed: &signed, chain: Chain::new(chain) };
        let verified = posted.verify(&tenant.id(), &tenant.root.public());
        verified.map(|verified| verified.subject_certifies())
    };
    assert_eq!(takes(&first.secret, first.id(), &chain), Ok(true));
    assert_eq!(takes(&tenant.root.0, DeviceId::ROOT, &chain), Ok(true));
    assert!(takes(&second.secret, second.id(), &chain).is_err(), "an owner that is not on it");
    let key = tenant.key_grant().key_id().as_issuer();
    assert!(takes(&tenant.key, key, &chain).is_err(), "nor the key itself");
    for wrong in [tenant.keyed_chain(), tenant.chain(2), vec![]] {
        assert!(takes(&first.secret, first.id(), &wrong).is_err(), "with its own chain");
    }
    // Not even the key's say over a device that it let in.
    let said = Statement {
        verdict: Verdict::Revoked,
        tenant_id: tenant.id(),
        subject: tenant.agent.id(),
        issuer: key,
        serial: 1,
        issued_at: NOW,
        keep: &[],
        link_keys: None,
    };
    let keyed = tenant.keyed_chain();
    for signer in [&tenant.key, &tenant.root.0] {
        let signed = signed_object(signer, SignedKind::Revocation, &said.body().unwrap());
        let posted = Posted { signed: &signed, chain: Chain::new(&keyed) };
        assert!(posted.verify(&tenant.id(), &tenant.root.public()).is_err());
    }
}

#[test]
fn a_grant_holds_for_agents_of_its_tenant_in_its_time() {
    let tenant = Tenant::new();
    let grant = tenant.key_grant();
    assert!(verify(&tenant, &under(&tenant, |_| {}), &[]).is_ok());
    assert!(verify(&tenant, &under(&tenant, |grant| grant.tenant_id = Root::new(99).tenant()), &[]).is_err());
    assert!(verify(&tenant, &under(&tenant, |grant| grant.public_key = [7; 32]), &[]).is_err());
    assert!(
        verify(&tenant, &under(&tenant, |grant| grant.issuer = tenant.owners[1].id()), &[]).is_err(),
        "signed by another than it names"
    );
    assert!(verify(&tenant, &under(&tenant, |grant| grant.expires_at = NOW - 1), &[]).is_err());
    assert!(verify(&tenant, &under(&tenant, |grant| grant.issued_at = NOW + 1), &[]).is_err());

    let items = |cert| [cert, tenant.signed_key_grant(), tenant.root.certify(&tenant.owners[0])];
    for (issued_at, stands) in [
        (grant.issued_at - 1, false),
        (grant.issued_at, true),
        (grant.expires_at, true),
        (grant.expires_at + 1, false),
    ] {
        assert_eq!(verify(&tenant, &items(dated(&tenant, issued_at)), &[]).is_ok(), stands, "{issued_at}");
    }
    let (issuer, id) = (grant.key_id().as_issuer(), tenant.id());
    let owner = Device::new(7, Role::Owner);
    assert!(verify(&tenant, &items(certify(&tenant.key, issuer, id, &owner)), &[]).is_err(), "no owner");
    let foreign = certify(&tenant.key, issuer, Root::new(99).tenant(), &tenant.agent);
    assert!(verify(&tenant, &items(foreign), &[]).is_err(), "of another tenant");
    let other = SigningKey::from_bytes(&[8; 32]);
    for (signer, named) in [
        (&other, issuer),
        (&tenant.owners[0].secret, issuer),
        (&tenant.key, tenant.owners[0].id()),
        (&tenant.key, DeviceId::ROOT),
    ] {
        assert!(verify(&tenant, &items(certify(signer, named, id, &tenant.agent)), &[]).is_err());
    }
}

#[test]
fn a_grant_of_another_tenant_lets_nobody_in() {
    // A relay that knows the public key has a tenant of its own grant it.
    let (tenant, root) = (Tenant::new(), Root::new(99));
    let thief = Device::new(7, Role::Owner);
    let grant = KeyGrant { tenant_id: root.tenant(), issuer: thief.id(), ..tenant.key_grant() };
    let grant = signed_object(&thief.secret, SignedKind::KeyGrant, &grant.to_bytes());
    let chain = chain_of(root.public(), &[grant, root.certify(&thief)]);
    assert!(Chain::new(&chain).verify_key(&root.tenant(), |_| false).is_ok());
    assert!(Chain::new(&chain).verify_key(&tenant.id(), |_| false).is_err());
}

#[test]
fn a_grant_stands_second_and_a_chain_with_it_has_four_links_at_most() {
    let tenant = Tenant::new();
    let owners = tenant.certs(4).split_off(1);
    let grant = |by: &Device| {
        let body = KeyGrant { issuer: by.id(), ..tenant.key_grant() }.to_bytes();
        signed_object(&by.secret, SignedKind::KeyGrant, &body)
    };
    let [first, second, third] = &tenant.owners;
    let chain = |items: &[&[Vec<u8>]]| items.concat();
    let cert = [tenant.cert_by_key()];
    let four = chain(&[&cert, &[grant(second)], &owners[1..]]);
    assert_eq!(four.len(), MAX_CHAIN);
    assert!(verify(&tenant, &four, &[]).is_ok());
    assert!(verify_key(&tenant, &four[1..]).is_ok());
    let five = chain(&[&cert, &[grant(third)], &owners]);
    assert_eq!(verify(&tenant, &five, &[]).err(), REFUSED);
    assert_eq!(verify_key(&tenant, &five[1..]).err(), REFUSED, "no device has room below it");

    let owner = [tenant.root.certify(first)];
    let key = tenant.key_grant().key_id().as_issuer();
    let by_key = |key: &SigningKey, device: &Device| {
        certify(key, tenant.key_grant().key_id().as_issuer(), tenant.id(), device)
    };
    let second_key = SigningKey::from_bytes(&[8; 32]);
    let of_key =
        KeyGrant { issuer: key, public_key: second_key.verifying_key().to_bytes(), ..tenant.key_grant() };
    let by_second = certify(&second_key, of_key.key_id().as_issuer(), tenant.id(), &tenant.agent);
    let of_key = signed_object(&tenant.key, SignedKind::KeyGrant, &of_key.to_bytes());
    let by_root = KeyGrant { issuer: DeviceId::ROOT, ..tenant.key_grant() };
    let by_root = signed_object(&tenant.root.0, SignedKind::KeyGrant, &by_root.to_bytes());
    let by_agent = KeyGrant { issuer: tenant.agent.id(), ..tenant.key_grant() };
    let by_agent = signed_object(&tenant.agent.secret, SignedKind::KeyGrant, &by_agent.to_bytes());
    let plain = [grant(first)];
    let refused = [
        (
            "an owner in between",
            chain(&[&[tenant.certify(third, &tenant.agent)], &[by_key(&tenant.key, third)], &plain, &owner]),
        ),
        ("two grants", chain(&[&[by_second], &[of_key], &plain, &owner])),
        ("of the root", chain(&[&cert, &[by_root]])),
        ("of an agent", chain(&[&cert, &[by_agent], &[tenant.certify(first, &tenant.agent)], &owner])),
        ("without its owner", chain(&[&cert, &plain])),
        ("twice", chain(&[&cert, &plain, &plain, &owner])),
        ("before the certificate", chain(&[&plain, &cert, &owner])),
    ];
    for (why, items) in refused {
        assert_eq!(verify(&tenant, &items, &[]).err(), REFUSED, "{why}");
    }
}

#[test]
fn other_scopes_and_numbers_of_devices_are_refused() {
    let tenant = Tenant::new();
    let read = |body: &[u8]| {
        let signed = signed_object(&tenant.owners[0].secret, SignedKind::KeyGrant, body);
        KeyGrant::from_unverified(&Unverified::decode(&signed).unwrap()).is_ok()
    };
    let with = |at: usize, bytes: &[u8]| {
        let mut body = tenant.key_grant().to_bytes();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        read(&body)
    };
    assert!(with(65, &[0, 0, 0, 1]));
    for bit in (0..32).filter(|bit| *bit != 0) {
        assert!(!with(65, &(1_u32 | 1 << bit).to_be_bytes()) && !with(65, &(1_u32 << bit).to_be_bytes()));
    }
    assert!(!with(65, &[0; 4]), "a key without a scope");
    for (most, stands) in
        [(0, false), (1, true), (MAX_KEY_DEVICES as u16, true), (MAX_KEY_DEVICES as u16 + 1, false)]
    {
        assert_eq!(with(69, &most.to_be_bytes()), stands, "{most}");
    }
    assert!(!with(0, &[2]), "another version");
    assert!(!with(17, &[0]), "the id is not the key's");
    assert!(!read(&tenant.key_grant().to_bytes()[..102]));
    assert_eq!(tenant.signed_key_grant().len(), KeyGrant::SIGNED_LEN);
}

#[test]
fn possession_is_of_the_device_its_bundle_and_its_chain() {
    let tenant = Tenant::new();
    let (agent, bytes, bundle) = (&tenant.agent, tenant.keyed_chain(), encoded(&tenant.agent.bundle()));
    let chain = Chain::new(&bytes);
    let transcript = EnrollTranscript::with_key(&agent.public.to_bytes(), &bundle, chain).unwrap();
    let pop = agent.sign(SignaturePurpose::Enroll, &[&transcript.0]);
    let holds = |device: &Device, bundle: &[u8], chain: &[u8], pop: &Signature| {
        verify_key_possession(&device.public, bundle, Chain::new(chain), pop).is_ok()
    };
    assert!(holds(agent, &bundle, &bytes, &pop));
    assert!(!holds(&tenant.owners[0], &bundle, &bytes, &pop));
    assert!(!holds(agent, &bundle[1..], &bytes, &pop));
    assert!(!holds(agent, &bundle, &tenant.chain(2), &pop));
    assert!(!holds(agent, &bundle, &bytes, &Signature([0; 64])));
    assert!(!holds(agent, &bundle, &[0; MAX_CHAIN_BYTES + 1], &pop), "longer than any chain");
}

#[test]
fn every_truncation_and_bit_flip_of_a_keys_chains_is_refused() {
    let tenant = Tenant::new();
    let takes = |bytes: &[u8]| Chain::new(bytes).verify(&tenant.id(), |_| false).is_ok();
    let takes_key = |bytes: &[u8]| Chain::new(bytes).verify_key(&tenant.id(), |_| false).is_ok();
    type Takes<'t> = &'t dyn Fn(&[u8]) -> bool;
    let subjects: [(Vec<u8>, Takes<'_>); 2] =
        [(tenant.keyed_chain(), &takes), (tenant.key_chain(), &takes_key)];
    for (mut bytes, takes) in subjects {
        assert!((0..bytes.len()).all(|len| !takes(&bytes[..len])));
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!takes(&bytes), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(takes(&bytes));
    }
}
