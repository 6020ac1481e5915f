//! Statements: their layout, and what a revocation may keep.

use std::vec;

use super::samples::{NOW, Tenant, pattern, signed_object};
use crate::limits::{MAX_KEEP, MAX_SIGNED_BODY};
use crate::signature::{InvalidSignature, SignedKind, Unverified, signed_message};
use crate::statement::{AnnouncedKeys, Statement, Verdict, keep_name};
use crate::{DecodeError, EncodeError};

const VERDICTS: [Verdict; 4] = [Verdict::Revoked, Verdict::Suspended, Verdict::Resumed, Verdict::LinkKeys];

const KEYS: AnnouncedKeys = AnnouncedKeys { current: [0x1c; 32], next: [0x2c; 32] };

fn statement(tenant: &Tenant, verdict: Verdict) -> Statement<'static> {
    Statement {
        verdict,
        tenant_id: tenant.id(),
        subject: tenant.agent.id(),
        issuer: tenant.owners[0].id(),
        serial: u64::MAX,
        issued_at: NOW,
        keep: &[],
        link_keys: (verdict == Verdict::LinkKeys).then_some(KEYS),
    }
}

#[test]
fn each_verdict_reads_back_under_its_kind_and_verifies() {
    let tenant = Tenant::new();
    let issuer = &tenant.owners[0];
    for verdict in VERDICTS {
        let statement = statement(&tenant, verdict);
        let signed = signed_object(&issuer.secret, statement.kind(), &statement.body().unwrap());
        let object = Unverified::decode(&signed).unwrap();
        assert_eq!(Statement::from_unverified(&object), Ok(statement));
        assert_eq!(object.verify(&issuer.public.identity_key), Ok(()));
        assert_eq!(object.verify(&tenant.owners[1].public.identity_key), Err(InvalidSignature));
    }
}

#[test]
fn a_revocation_keeps_up_to_its_limit() {
    let tenant = Tenant::new();
    let names = [7; 16 * (MAX_KEEP + 1)];
    let keeping = |keep| Statement { keep, ..statement(&tenant, Verdict::Revoked) };
    let full = keeping(&names[..16 * MAX_KEEP]).body().unwrap();
    assert!(full.len() <= MAX_SIGNED_BODY);
    let signed = signed_object(&tenant.root.0, SignedKind::Revocation, &full);
    assert!(signed.len() <= Statement::MAX_SIGNED_LEN);
    let read = Unverified::decode(&signed).unwrap();
    assert_eq!(Statement::from_unverified(&read).unwrap().keep.len(), 16 * MAX_KEEP);
    assert_eq!(keeping(&names).body(), Err(EncodeError));
    assert_eq!(keeping(&names[..15]).body(), Err(EncodeError));
    assert_eq!(keeping(&names[..17]).body(), Err(EncodeError));

    // One more than the limit, with a count that says so.
    let mut longer = full.to_vec();
    let count = longer.len() - 16 * MAX_KEEP - 2;
    longer[count..count + 2].copy_from_slice(&65_u16.to_be_bytes());
    longer.extend([7; 16]);
    let object = Unverified { body: (&longer[..]), ..read };
    assert_eq!(Statement::from_unverified(&object), Err(DecodeError));
}

#[test]
fn only_a_revocation_keeps() {
    let tenant = Tenant::new();
    let names = pattern::<16>(0);
    for verdict in [Verdict::Suspended, Verdict::Resumed, Verdict::LinkKeys] {
        let plain = statement(&tenant, verdict);
        assert_eq!(Statement { keep: &names, ..plain }.body(), Err(EncodeError));
        let mut body = plain.body().unwrap().to_vec();
        body.extend([0, 0]);
        let signed = signed_object(&tenant.root.0, plain.kind(), &body);
        assert_eq!(Statement::from_unverified(&Unverified::decode(&signed).unwrap()), Err(DecodeError));
    }
}

#[test]
fn link_keys_are_said_of_nothing_else_and_by_nothing_else() {
    let tenant = Tenant::new();
    for verdict in VERDICTS {
        let plain = statement(&tenant, verdict);
        let other = Statement { link_keys: plain.link_keys.xor(Some(KEYS)), ..plain };
        assert_eq!(other.body(), Err(EncodeError), "{verdict:?}");
    }
    let announced = statement(&tenant, Verdict::LinkKeys);
    assert_eq!(Statement { keep: &[1; 16], ..announced }.body(), Err(EncodeError));
    let body = announced.body().unwrap();
    for length in [65, 97, 128] {
        let signed = signed_object(&tenant.root.0, SignedKind::LinkKeys, &body[..length]);
        assert_eq!(Statement::from_unverified(&Unverified::decode(&signed).unwrap()), Err(DecodeError));
    }
}

#[test]
fn a_certificate_is_no_statement_and_a_statement_no_certificate() {
    let tenant = Tenant::new();
    let cert = tenant.certs(1).remove(0);
    assert_eq!(Statement::from_unverified(&Unverified::decode(&cert).unwrap()), Err(DecodeError));
    let body = statement(&tenant, Verdict::Suspended).body().unwrap();
    let signed = signed_object(&tenant.root.0, SignedKind::Cert, &body);
    let object = Unverified::decode(&signed).unwrap();
    assert_eq!(Statement::from_unverified(&object), Err(DecodeError));
    assert!(crate::cert::DeviceCert::from_unverified(&object).is_err());
}

#[test]
fn a_kept_name_follows_the_whole_signed_certificate() {
    let cert = Tenant::new().certs(1).remove(0);
    let name = keep_name(&cert);
    let mut other = cert.clone();
    *other.last_mut().unwrap() ^= 1;
    assert_ne!(keep_name(&other), name);
    assert_eq!(keep_name(&cert), name);
}

#[test]
fn what_is_signed_is_bounded() {
    let purpose = SignedKind::Revocation.purpose();
    let (largest, one) = (vec![0; MAX_SIGNED_BODY], [0]);
    assert!(signed_message(purpose, &[&largest]).is_ok());
    assert_eq!(signed_message(purpose, &[&largest, &one]), Err(InvalidSignature));
}
