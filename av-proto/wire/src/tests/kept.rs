//! Chains through a revoked owner: what its revocation keeps, and what it voids.

use std::vec;
use std::vec::Vec;

use super::samples::{Device, Root, Tenant, chain_of, signed_object};
use crate::DeviceId;
use crate::chain::{Chain, InvalidChain, MAX_CHAIN_BYTES, VerifiedDevice};
use crate::public::Role;
use crate::statement::{Statement, Verdict, keep_name};

fn verify(tenant: &Tenant, items: &[Vec<u8>], revoked: &[DeviceId]) -> Result<VerifiedDevice, InvalidChain> {
    let chain = chain_of(tenant.root.public(), items);
    Chain::new(&chain).verify(&tenant.id(), |id| revoked.contains(id))
}

#[test]
fn a_kept_certificate_outlives_its_issuer_and_no_other_does() {
    let tenant = Tenant::new();
    let owner = &tenant.owners[0];
    let [cert, above] = <[_; 2]>::try_from(tenant.certs(2)).unwrap();
    let keeping = |certs: &[&[u8]]| tenant.revocation_of(owner, certs);
    let chain = |revocation| vec![cert.clone(), revocation, above.clone()];

    let verified = verify(&tenant, &chain(keeping(&[&cert])), &[owner.id()]).unwrap();
    let provenance = verified.provenance();
    assert_eq!(provenance.kept, Some(owner.id()));
    assert_eq!(provenance.lineage, [owner.id()]);
    assert_eq!(provenance.name, keep_name(&cert));
    assert!(verify(&tenant, &chain(keeping(&[&above, &cert])), &[owner.id()]).is_ok(), "among others");
    assert!(
        verify(&tenant, &chain(keeping(&[&cert])), &[]).is_ok(),
        "whoever has not heard of it hears it now"
    );
    assert!(
        verify(&tenant, &[cert.clone(), above.clone()], &[owner.id()]).is_err(),
        "without the revocation"
    );
    assert!(verify(&tenant, &chain(keeping(&[])), &[owner.id()]).is_err(), "which keeps nothing");
    assert!(verify(&tenant, &chain(keeping(&[])), &[]).is_err(), "and says so to everybody");
    let back_dated = tenant.certify(owner, &Device::new(9, Role::Agent));
    let thiefs = vec![back_dated, keeping(&[&cert]), above.clone()];
    assert!(
        verify(&tenant, &thiefs, &[owner.id()]).is_err(),
        "what a thief signs, whenever it claims to be from"
    );
    assert!(
        verify(&tenant, &chain(keeping(&[&cert])), &[tenant.agent.id()]).is_err(),
        "a device is not kept"
    );
}

#[test]
fn a_revocation_that_keeps_is_of_the_issuer_by_the_root_or_by_an_owner_above() {
    let tenant = Tenant::new();
    let [_, middle, below] = [&tenant.owners[0], &tenant.owners[1], &tenant.owners[2]];
    let certs = tenant.certs(4);
    let name = keep_name(&certs[1]);
    let by = |key, issuer: DeviceId, subject: DeviceId, tenant_id, verdict| {
        let keep = if verdict == Verdict::Revoked { &name[..] } else { &[] };
        let said =
            Statement { verdict, tenant_id, subject, issuer, serial: 1, issued_at: 1, keep, link_keys: None };
        signed_object(key, said.kind(), &said.body().unwrap())
    };
    let chain =
        |revocation| vec![certs[0].clone(), certs[1].clone(), revocation, certs[2].clone(), certs[3].clone()];
    let (top, id) = (&tenant.owners[0], tenant.id());
    let takes = |revocation| verify(&tenant, &chain(revocation), &[middle.id()]).is_ok();
    assert!(takes(by(&tenant.root.0, DeviceId::ROOT, middle.id(), id, Verdict::Revoked)));
    assert!(takes(by(&top.secret, top.id(), middle.id(), id, Verdict::Revoked)), "the owner above it");
    assert!(!takes(by(&middle.secret, middle.id(), middle.id(), id, Verdict::Revoked)), "not itself");
    assert!(
        !takes(by(&below.secret, below.id(), middle.id(), id, Verdict::Revoked)),
        "not the owner below it"
    );
    assert!(
        !takes(by(&top.secret, DeviceId::ROOT, middle.id(), id, Verdict::Revoked)),
        "not in the root's name"
    );
    assert!(!takes(by(&top.secret, top.id(), below.id(), id, Verdict::Revoked)), "not of another");
    let foreign = Root::new(99).tenant();
    assert!(
        !takes(by(&tenant.root.0, DeviceId::ROOT, middle.id(), foreign, Verdict::Revoked)),
        "another tenant"
    );
    assert!(!takes(by(&tenant.root.0, DeviceId::ROOT, middle.id(), id, Verdict::Suspended)), "no revocation");
    // The owner above is revoked itself: one revocation does not carry two.
    let revocation = by(&top.secret, top.id(), middle.id(), id, Verdict::Revoked);
    assert!(verify(&tenant, &chain(revocation), &[middle.id(), top.id()]).is_err());
}

#[test]
fn a_chain_carries_one_revocation_behind_a_certificate_that_has_an_issuer() {
    let tenant = Tenant::new();
    let [cert, above] = <[_; 2]>::try_from(tenant.certs(2)).unwrap();
    let kept = tenant.revocation_of(&tenant.owners[0], &[&cert, &above]);
    let refused = [
        vec![kept.clone(), cert.clone(), above.clone()],
        vec![cert.clone(), above.clone(), kept.clone()],
        vec![cert.clone(), kept.clone(), kept.clone(), above.clone()],
        vec![cert.clone(), kept.clone(), above.clone(), kept.clone()],
        vec![cert.clone(), kept.clone()],
    ];
    for (index, items) in refused.iter().enumerate() {
        assert!(verify(&tenant, items, &[]).is_err(), "{index}");
    }
    assert!(verify(&tenant, &[cert, kept, above], &[]).is_ok());
}

#[test]
fn keep_puts_a_revocation_where_it_belongs() {
    let tenant = Tenant::new();
    let (plain, wanted) = (tenant.chain(2), tenant.kept_chain());
    let certs = tenant.certs(2);
    let mut buffer = [0; MAX_CHAIN_BYTES];
    let mut keep = |chain: &[u8], revocation: &[u8]| {
        Chain::new(chain).keep(revocation, &mut buffer).map(|chain| chain.map(<[u8]>::to_vec))
    };
    let kept = tenant.revocation_of(&tenant.owners[0], &[&certs[0]]);
    assert_eq!(keep(&plain, &kept), Ok(Some(wanted.clone())));
    assert_eq!(keep(&wanted, &kept), Ok(None), "once is enough");
    assert_eq!(keep(&plain, &tenant.revocation_of(&tenant.owners[0], &[&certs[1]])), Ok(None), "not kept");
    assert_eq!(keep(&plain, &tenant.revocation_of(&tenant.agent, &[&certs[0]])), Ok(None), "no issuer");
    let another = tenant.revocation_of(&tenant.owners[0], &[&certs[0], &certs[1]]);
    assert!(keep(&wanted, &another).is_err(), "a second one has no room");
    assert!(keep(&plain, &certs[0]).is_err() && keep(&plain[1..], &kept).is_err());
    assert!(!Chain::new(&plain).has_revocation().unwrap() && Chain::new(&wanted).has_revocation().unwrap());

    let most = [&[7; 16][..]; 63];
    let mut names: Vec<&[u8]> = most.to_vec();
    names.push(&certs[0]);
    let fullest = tenant.revocation_of(&tenant.owners[0], &names);
    assert_eq!(fullest.len(), Statement::MAX_SIGNED_LEN);
    let longest = keep(&tenant.chain(4), &tenant.revocation_of(&tenant.owners[2], &[&tenant.certs(4)[0]]));
    assert!(longest.unwrap().unwrap().len() < MAX_CHAIN_BYTES);
    assert_eq!(tenant.chain(4).len() + fullest.len() + 3, MAX_CHAIN_BYTES);
}

#[test]
fn every_truncation_and_bit_flip_of_a_kept_chain_is_refused() {
    let tenant = Tenant::new();
    let mut bytes = tenant.kept_chain();
    let takes = |bytes: &[u8]| Chain::new(bytes).verify(&tenant.id(), |_| false).is_ok();
    assert!((0..bytes.len()).all(|len| !takes(&bytes[..len])));
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!takes(&bytes), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(takes(&bytes));
}
