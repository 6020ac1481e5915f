//! Chains: what is valid, and each reason for which one is not.

use std::vec;
use std::vec::Vec;

use super::samples::{Device, Root, Tenant, certify, chain_of, signed_object};
use crate::cert::DeviceCert;
use crate::chain::{Chain, InvalidChain, MAX_CERTS_BYTES, MAX_CHAIN_BYTES, VerifiedDevice};
use crate::limits::MAX_CHAIN;
use crate::public::Role;
use crate::signature::{SignedKind, Unverified};
use crate::{DeviceId, EncodeError};

fn verify(tenant: &Tenant, bytes: &[u8]) -> Result<VerifiedDevice, InvalidChain> {
    Chain::new(bytes).verify(&tenant.id(), |_| false)
}

#[test]
fn one_to_four_certificates_are_valid() {
    let tenant = Tenant::new();
    for length in 1..=MAX_CHAIN {
        let bytes = tenant.chain(length);
        let device = verify(&tenant, &bytes).unwrap();
        assert_eq!(device.public(), &tenant.agent.public);
        assert_eq!(device.device_id(), tenant.agent.id());
        assert_eq!(device.root(), &tenant.root.public());
        let issuer = (length > 1).then(|| tenant.owners[length - 2].public);
        assert_eq!(device.issuer(), issuer.as_ref());
        assert_eq!(Chain::new(&bytes).claimed().unwrap(), *device.cert());
        assert_eq!(Chain::new(&bytes).claimed_root().unwrap(), tenant.root.public());
    }
    assert_eq!(tenant.chain(MAX_CHAIN).len(), MAX_CERTS_BYTES);
}

#[test]
fn find_names_the_devices_of_the_chain_and_no_other() {
    let tenant = Tenant::new();
    let bytes = tenant.chain(3);
    let chain = Chain::new(&bytes);
    for device in [&tenant.agent, &tenant.owners[0], &tenant.owners[1]] {
        assert_eq!(chain.find(&device.id()).unwrap().unwrap().device, device.public);
    }
    assert_eq!(chain.find(&tenant.owners[2].id()), Ok(None));
}

#[test]
fn five_certificates_and_none_are_refused() {
    let tenant = Tenant::new();
    let fourth = Device::new(6, Role::Owner);
    let mut certs = tenant.certs(MAX_CHAIN);
    certs[0] = tenant.certify(&fourth, &tenant.agent);
    certs.insert(1, tenant.certify(&tenant.owners[2], &fourth));
    assert!(verify(&tenant, &chain_of(tenant.root.public(), &certs[1..])).is_ok());
    assert!(verify(&tenant, &chain_of(tenant.root.public(), &certs)).is_err());
    assert!(verify(&tenant, &chain_of(tenant.root.public(), &[])).is_err());
    assert!(verify(&tenant, &[]).is_err());
}

/// Two owners that certify each other would each stand above the other; a thief with both keys could revoke whom it
/// likes, and keep what it likes of its own revocation.
#[test]
fn a_device_stands_in_a_chain_once() {
    let tenant = Tenant::new();
    let [first, second, _] = &tenant.owners;
    let by_root = tenant.root.certify(first);
    let below = tenant.certify(first, second);
    let round = tenant.certify(second, first);
    let agents = tenant.certify(first, &tenant.agent);
    let keeping = tenant.revocation_of(first, &[&agents]);
    let takes = |items: &[Vec<u8>]| verify(&tenant, &chain_of(tenant.root.public(), items)).is_ok();
    assert!(takes(&[below.clone(), by_root.clone()]));
    assert!(!takes(&[round.clone(), below.clone(), by_root.clone()]), "the subject above itself");
    assert!(
        !takes(&[agents.clone(), round.clone(), below.clone(), by_root.clone()]),
        "an owner above itself"
    );
    assert!(!takes(&[agents, keeping, round, below, by_root.clone()]), "which keeps what it certified");
    let itself = tenant.certify(first, first);
    assert!(!takes(&[itself.clone(), by_root.clone()]) && !takes(&[itself.clone(), itself, by_root]));
}

#[test]
fn a_foreign_root_is_refused() {
    let tenant = Tenant::new();
    let foreign = Root::new(99);
    let own = tenant.certs(2);
    // Named as root, with its own signature, and with the genuine root named above it.
    assert!(verify(&tenant, &chain_of(foreign.public(), &own)).is_err());
    let last = certify(&foreign.0, DeviceId::ROOT, tenant.id(), &tenant.owners[0]);
    assert!(verify(&tenant, &chain_of(foreign.public(), &[own[0].clone(), last.clone()])).is_err());
    assert!(verify(&tenant, &chain_of(tenant.root.public(), &[own[0].clone(), last])).is_err());
}

#[test]
fn a_foreign_tenant_is_refused() {
    let tenant = Tenant::new();
    let foreign = Root::new(99);
    let chain = chain_of(foreign.public(), &[foreign.certify(&tenant.agent)]);
    assert!(Chain::new(&chain).verify(&foreign.tenant(), |_| false).is_ok());
    assert!(verify(&tenant, &chain).is_err());
    // The root's own signature under another tenant's id, first and last in the chain.
    let wrong = certify(&tenant.root.0, DeviceId::ROOT, foreign.tenant(), &tenant.agent);
    assert!(verify(&tenant, &chain_of(tenant.root.public(), &[wrong])).is_err());
    let wrong = certify(&tenant.root.0, DeviceId::ROOT, foreign.tenant(), &tenant.owners[0]);
    let own = tenant.certify(&tenant.owners[0], &tenant.agent);
    assert!(verify(&tenant, &chain_of(tenant.root.public(), &[own, wrong])).is_err());
}

#[test]
fn an_agent_certifies_nobody() {
    let tenant = Tenant::new();
    let other = Device::new(6, Role::Agent);
    let certs = [tenant.certify(&tenant.agent, &other), tenant.root.certify(&tenant.agent)];
    assert!(verify(&tenant, &chain_of(tenant.root.public(), &certs)).is_err());
}

#[test]
fn a_revoked_device_and_every_revoked_issuer_are_refused() {
    let tenant = Tenant::new();
    let bytes = tenant.chain(MAX_CHAIN);
    let chain = Chain::new(&bytes);
    for revoked in [&tenant.agent, &tenant.owners[0], &tenant.owners[1], &tenant.owners[2]] {
        assert_eq!(chain.verify(&tenant.id(), |id| *id == revoked.id()), Err(InvalidChain));
    }
    let stranger = Device::new(6, Role::Owner).id();
    assert!(chain.verify(&tenant.id(), |id| *id == stranger).is_ok());
}

#[test]
fn another_order_a_gap_and_a_repetition_are_refused() {
    let tenant = Tenant::new();
    let certs = tenant.certs(3);
    let root = tenant.root.public();
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let swapped = order.map(|index: usize| certs[index].clone());
        assert!(verify(&tenant, &chain_of(root, &swapped)).is_err(), "{order:?}");
    }
    for order in [&[0, 2][..], &[0, 1], &[0, 1, 1, 2], &[0, 0, 1, 2]] {
        let chosen: Vec<_> = order.iter().map(|index| certs[*index].clone()).collect();
        assert!(verify(&tenant, &chain_of(root, &chosen)).is_err(), "{order:?}");
    }
    // A tail of a chain is the chain of an owner.
    assert_eq!(verify(&tenant, &chain_of(root, &certs[1..])).unwrap().public().role, Role::Owner);
}

#[test]
fn a_signature_by_another_key_of_the_chain_is_refused() {
    let tenant = Tenant::new();
    let owner = &tenant.owners[0];
    let last = tenant.root.certify(owner);
    let by = |key| certify(key, owner.id(), tenant.id(), &tenant.agent);
    let chain = |first| chain_of(tenant.root.public(), &[first, last.clone()]);
    assert!(verify(&tenant, &chain(by(&owner.secret))).is_ok());
    for wrong in [&tenant.root.0, &tenant.agent.secret, &tenant.owners[1].secret] {
        assert!(verify(&tenant, &chain(by(wrong))).is_err());
    }
    // Right key, but the certificate claims another issuer.
    let issuer = tenant.owners[1].id();
    assert!(verify(&tenant, &chain(certify(&owner.secret, issuer, tenant.id(), &tenant.agent))).is_err());
    assert!(
        verify(&tenant, &chain(certify(&owner.secret, DeviceId::ROOT, tenant.id(), &tenant.agent))).is_err()
    );
}

#[test]
fn a_certificate_under_another_kind_or_for_another_id_is_refused() {
    let tenant = Tenant::new();
    let genuine = tenant.certs(1).remove(0);
    let body = Unverified::decode(&genuine).unwrap().body.to_vec();
    let chain = |signed| chain_of(tenant.root.public(), &[signed]);
    assert!(verify(&tenant, &chain(signed_object(&tenant.root.0, SignedKind::Cert, &body))).is_ok());
    for kind in [
        SignedKind::Revocation,
        SignedKind::Suspension,
        SignedKind::Resumption,
        SignedKind::LinkKeys,
        SignedKind::KeyGrant,
    ] {
        assert!(verify(&tenant, &chain(signed_object(&tenant.root.0, kind, &body))).is_err());
    }
    // Signed by the root itself, but the id is not the one that the keys hash to.
    let mut other_id = body.clone();
    other_id[17] ^= 1;
    assert!(verify(&tenant, &chain(signed_object(&tenant.root.0, SignedKind::Cert, &other_id))).is_err());
    let mut other_version = body;
    other_version[0] = 2;
    assert!(
        verify(&tenant, &chain(signed_object(&tenant.root.0, SignedKind::Cert, &other_version))).is_err()
    );
}

#[test]
fn every_truncation_and_bit_flip_of_a_long_chain_is_refused() {
    let tenant = Tenant::new();
    let bytes = tenant.chain(MAX_CHAIN);
    for len in 0..bytes.len() {
        assert!(verify(&tenant, &bytes[..len]).is_err());
    }
    let mut flipped = bytes.clone();
    for bit in 0..8 * bytes.len() {
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&tenant, &flipped).is_err(), "bit {bit}");
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(verify(&tenant, &flipped).is_ok());
    assert!(verify(&tenant, &[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn overlong_lengths_in_a_chain_are_refused() {
    let tenant = Tenant::new();
    let tree = super::cbor::Node::parse(&tenant.chain(2));
    let mut refused = 0;
    for spelling in super::cbor::Spelling::REFUSED {
        for item in 0..tree.count() {
            if let Some(bytes) = tree.spelled(item, spelling) {
                assert!(verify(&tenant, &bytes).is_err(), "{spelling:?} of item {item}");
                refused += 1;
            }
        }
    }
    assert!(refused > 10);
}

#[test]
fn prepend_builds_the_chain_of_a_new_device() {
    let tenant = Tenant::new();
    let root = tenant.root.public();
    let mut buffer = vec![0; MAX_CHAIN_BYTES];
    let (certs, owner) = (tenant.certs(2), chain_of(root, &tenant.certs(2)[1..]));
    assert_eq!(Chain::prepend(&root, &certs[1], None, &mut buffer).unwrap(), owner);
    let longer = Chain::prepend(&root, &certs[0], Some(Chain::new(&owner)), &mut buffer).unwrap();
    assert_eq!(longer, tenant.chain(2));

    let full = tenant.chain(MAX_CHAIN);
    let mut large = vec![0; 2 * MAX_CHAIN_BYTES];
    assert_eq!(Chain::prepend(&root, &certs[0], Some(Chain::new(&full)), &mut large), Err(EncodeError));
    let foreign = Root::new(99).public();
    assert_eq!(Chain::prepend(&foreign, &certs[0], Some(Chain::new(&owner)), &mut large), Err(EncodeError));
    assert_eq!(Chain::prepend(&root, &certs[0], Some(Chain::new(&owner[1..])), &mut large), Err(EncodeError));
    let mut small = vec![0; tenant.chain(2).len() - 1];
    assert_eq!(Chain::prepend(&root, &certs[0], Some(Chain::new(&owner)), &mut small), Err(EncodeError));
}

#[test]
fn a_certificate_is_as_long_as_it_says() {
    let tenant = Tenant::new();
    let cert = tenant.certs(1).remove(0);
    assert_eq!(cert.len(), DeviceCert::SIGNED_LEN);
    assert_eq!(Unverified::decode(&cert).unwrap().body.len(), DeviceCert::LEN);
}
