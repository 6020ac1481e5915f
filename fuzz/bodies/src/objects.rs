//! What frames hold: chains, certificates, statements, bundles, grants, requests, preludes.

use av_proto::ratchet::HeaderBlob;
use av_proto::wire::bundle::Bundle;
use av_proto::wire::cert::DeviceCert;
use av_proto::wire::chain::Chain;
use av_proto::wire::enroll::EnrollRequest;
use av_proto::wire::grant::Grant;
use av_proto::wire::key_grant::KeyGrant;
use av_proto::wire::message::Prelude;
use av_proto::wire::statement::Statement;
use av_proto::wire::{DevicePublic, TenantId, Unverified};

use crate::round_trip;

/// The first byte chooses the object, the rest is it.
pub fn objects(input: &[u8]) {
    let Some((which, input)) = input.split_first() else { return };
    match which % 9 {
        0 => chain(input),
        1 => bundle(input),
        2 => signed(input),
        3 => grant(input),
        4 => header_blob(input),
        5 => public(input),
        6 => _ = round_trip::<EnrollRequest<'_>>(input).map(|read| request(&read)),
        7 => _ = round_trip::<Prelude<'_>>(input),
        _ => tenant_and_chain(input),
    }
}

/// Nobody can make a chain of a tenant whose root key is not theirs; the samples' own chains verify.
fn tenant_and_chain(input: &[u8]) {
    let chain = Chain::new(input);
    if let Ok(root) = chain.claimed_root() {
        let tenant = TenantId::of_root(&root);
        if let Ok(device) = chain.verify(&tenant, |_| false) {
            assert_eq!(Ok(*device.cert()), chain.claimed(), "the verified certificate is the first");
            assert!(chain.verify(&TenantId([0; 16]), |_| false).is_err(), "of another tenant");
            assert!(chain.verify(&tenant, |_| true).is_err(), "everybody in it is revoked");
        }
    }
}

pub(crate) fn chain(input: &[u8]) {
    let chain = Chain::new(input);
    if let Ok(cert) = chain.claimed() {
        assert_eq!(chain.find(&cert.device_id()), Ok(Some(cert)), "the first certificate is found");
    }
    assert!(chain.verify(&TenantId([0x7e; 16]), |_| false).is_err(), "whose root nobody knows");
}

pub(crate) fn bundle(input: &[u8]) {
    if let Ok(bundle) = Bundle::decode(input) {
        let mut buffer = vec![0; input.len()];
        assert_eq!(bundle.encode(&mut buffer), Ok(input), "a bundle has one encoding");
    }
}

pub(crate) fn signed(input: &[u8]) {
    let Ok(object) = Unverified::decode(input) else { return };
    let mut buffer = vec![0; input.len()];
    assert_eq!(object.encode(&mut buffer), Ok(input), "a signed object has one encoding");
    if let Ok(statement) = Statement::from_unverified(&object) {
        assert_eq!(statement.body().as_deref(), Ok(object.body), "a statement has one encoding");
    }
    if let Ok(grant) = KeyGrant::from_unverified(&object) {
        assert_eq!(grant.to_bytes(), object.body, "a key's grant has one encoding");
    }
    if let Ok(cert) = DeviceCert::from_unverified(&object) {
        assert_eq!(cert.to_bytes(), object.body, "a certificate has one encoding");
    }
    assert!(object.verify(&[0; 32]).is_err(), "a key of small order verifies nothing");
}

pub(crate) fn grant(input: &[u8]) {
    if let Some(grant) = round_trip::<Grant<'_>>(input) {
        chain(grant.chain().as_bytes());
    }
}

pub(crate) fn request(request: &EnrollRequest<'_>) {
    public(&request.device);
    bundle(request.bundle);
    if let Ok((device, transcript)) = request.verify_possession() {
        assert_eq!(request.transcript(), Ok(transcript));
        assert_eq!(device.to_bytes(), request.device);
    }
}

pub(crate) fn header_blob(input: &[u8]) {
    if let Ok(blob) = HeaderBlob::parse(input) {
        let length = 2 + if blob.prelude.is_some() { 2 + blob.prelude_bytes.len() } else { 0 };
        assert_eq!(length + blob.nonce.len() + blob.header_ct.len(), input.len(), "no byte is passed over");
        assert!(input.ends_with(blob.header_ct));
        if blob.prelude.is_some() {
            assert_eq!(round_trip::<Prelude<'_>>(blob.prelude_bytes), blob.prelude);
        }
    }
}

fn public(input: &[u8]) {
    if let Ok(public) = DevicePublic::from_bytes(input) {
        assert_eq!(public.to_bytes(), input, "a device has one encoding");
        assert_eq!(public.fingerprint().device_id(), public.device_id());
    }
}
