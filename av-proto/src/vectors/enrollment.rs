//! A tenant's founding and one enrollment, byte by byte (`PROTOCOL.md` sections 4 and 5).

use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::enroll::EnrollRequest;
use av_wire::frame::ToRelay;
use av_wire::grant::{Grant, OwnerSerial};
use av_wire::limits::MAX_FRAME;
use av_wire::{LookupHash, Origin, Role};
use serde_json::{Value, json};
use std::vec;
use std::vec::Vec;

use super::{Draws, check, hex, refused_bytes};
use crate::crypto::XChaCha20Poly1305;
use crate::enroll::{Claim, Granted, Invite, RecoveryKey, Requested, certify, certify_device, write_grant};
use crate::keys::{Identity, Prekeys};
use crate::test_support::{WITHOUT_KEM, identity};

const ORIGIN: &str = "wss://relay.example.org:8443";
const LINK_KEY: [u8; 32] = [0x42; 32];
const NOW: u64 = 1_800_000_000;

#[test]
fn an_enrollment_has_its_vectors() {
    let origin = Origin::parse(ORIGIN).expect("an origin");
    let owner = identity::<XChaCha20Poly1305>(1, Role::Owner);
    let agent = identity::<XChaCha20Poly1305>(2, Role::Agent);

    let mut draws = Draws::new(20);
    let root = RecoveryKey::generate(&mut draws);
    let root_seed = draws.only();
    let (owner_membership, founding) = root.found(&owner, &origin, NOW).expect("founds");

    let (mut invite, text) = Invite::create(&mut draws, Role::Agent, NOW + 600);
    let token = draws.only();
    let prekeys: Prekeys<8> = Prekeys::generate(&mut draws, WITHOUT_KEM, NOW);
    let prekey_secrets: Vec<_> = draws.take().iter().map(|secret| hex(secret)).collect();
    let bundle = prekeys.bundle(&agent, &mut []).expect("signs");
    let requested = Requested::new(&mut draws, &text, &agent, &bundle, "greenhouse", "esp32", LINK_KEY, None)
        .expect("requests");
    let name_nonce = draws.only();
    let mut buffer = vec![0; MAX_FRAME];
    let frame = requested.frame(agent.public(), &mut buffer).expect("encodes").to_vec();
    let ToRelay::Enroll { request } = av_wire::decode(&frame).expect("its own frame") else {
        panic!("an Enroll frame")
    };
    let mut request_bytes = vec![0; MAX_FRAME];
    let request_bytes = av_wire::encode(&request, &mut request_bytes).expect("encodes").to_vec();
    let transcript = request.transcript().expect("within bounds");

    let Claim::Verified(verified) = invite.examine(&request, NOW + 60) else { panic!("the tag verifies") };
    let mut chain = [0; MAX_CHAIN_BYTES];
    let chain = certify(&owner, &owner_membership, &verified, NOW + 60, &mut chain).expect("certifies");
    let serials = [OwnerSerial { owner: *owner.device_id(), serial: 7 }];
    let mut grant = vec![0; MAX_FRAME];
    let grant = write_grant(&invite, &verified, chain, &origin, [&LINK_KEY, &[0; 32]], &serials, &mut grant)
        .expect("grants");
    let decoded: Grant<'_> = av_wire::decode(grant).expect("its own grant");
    let accepted = requested.verify(&agent, &origin, &decoded).expect("the grant is genuine");
    let rejected_grants = rejected_grants(&requested, &agent, &origin, grant);
    let granted = Granted::of(&accepted);
    let mut below_itself = [0; MAX_CHAIN_BYTES];
    let below_itself = certify_device(&owner, &owner_membership, owner.public(), NOW, &mut below_itself);
    let below_itself = below_itself.expect("certifies").as_bytes().to_vec();

    check(
        "enrollment",
        &json!({
            "about": "PROTOCOL.md sections 4 and 5; bytes are hex. The devices are those of identity.json",
            "origin": ORIGIN,
            "root_seed": root_seed,
            "tenant_id": hex(root.tenant_id().as_bytes()),
            "owner": hex(&owner.public().to_bytes()),
            "owner_identity_seed": hex(owner.signing().seed()),
            "issued_at": NOW,
            "owner_chain": hex(owner_membership.chain().as_bytes()),
            "found_signature": hex(&founding.signature().0),
            "token": token,
            "lookup_hash": hex(&LookupHash::of(&request.lookup).0),
            "agent": hex(&agent.public().to_bytes()),
            "agent_identity_seed": hex(agent.signing().seed()),
            "prekey_secrets": { "signed": prekey_secrets[0], "one_time": prekey_secrets[1], "ids": [1, 2] },
            "bundle": hex(request.bundle),
            "name": "greenhouse",
            "platform": "esp32",
            "name_nonce": name_nonce,
            "enroll_request": hex(&request_bytes),
            "transcript": hex(&transcript.0),
            "cert_issued_at": NOW + 60,
            "agent_chain": hex(chain.as_bytes()),
            "chain_hash": hex(&chain.hash()),
            "link_key": hex(&LINK_KEY),
            "serials": [{ "owner": hex(owner.device_id().as_bytes()), "serial": 7 }],
            "grant": hex(grant),
            "activation": hex(&granted.activation().0),
            "reject_request": rejected_requests(&request, &request_bytes),
            "reject_grant": rejected_grants,
            "reject_chain": rejected_chains(&root, chain.as_bytes(), &below_itself),
        }),
    );
}

/// Requests that the owner's device takes for an attack, or that are no requests at all.
fn rejected_requests(request: &EnrollRequest<'_>, bytes: &[u8]) -> Vec<Value> {
    let mut rejected =
        vec![("a byte short", bytes[..bytes.len() - 1].to_vec()), ("a byte more", [bytes, &[0]].concat())];
    let changed = |change: &dyn Fn(&mut EnrollRequest<'_>)| {
        let mut request = *request;
        change(&mut request);
        let mut out = vec![0; MAX_FRAME];
        av_wire::encode(&request, &mut out).expect("encodes").to_vec()
    };
    rejected.push(("pop of other bytes", changed(&|request| request.pop.0[40] ^= 1)));
    rejected.push(("another lookup: pop does not verify", changed(&|request| request.lookup[0] ^= 1)));
    rejected
        .push(("another agreement key: pop does not verify", changed(&|request| request.device[73] ^= 1)));
    for (reason, bytes) in &rejected {
        let refused = av_wire::decode::<EnrollRequest<'_>>(bytes)
            .is_ok_and(|request| request.verify_possession().is_ok());
        assert!(!refused, "{reason}");
    }
    rejected.iter().map(|(reason, bytes)| refused_bytes(reason, bytes)).collect()
}

/// Grants that the agent refuses.
fn rejected_grants(requested: &Requested, agent: &Identity, origin: &Origin, grant: &[u8]) -> Vec<Value> {
    let encoded = |change: &dyn Fn(&mut Grant<'_>)| {
        let mut grant: Grant<'_> = av_wire::decode(grant).expect("the genuine one");
        change(&mut grant);
        let mut out = vec![0; MAX_FRAME];
        av_wire::encode(&grant, &mut out).expect("encodes").to_vec()
    };
    let rejected = [
        ("tag of other bytes", encoded(&|grant| grant.tag[0] ^= 1)),
        ("another origin", encoded(&|grant| grant.origin = "wss://relay.example.com")),
        ("another link key", encoded(&|grant| grant.link_key[0] ^= 1)),
        ("a next link key that the tag does not cover", encoded(&|grant| grant.next_link_key[0] ^= 1)),
        ("no serials", encoded(&|grant| grant.serials = av_wire::List::new(&[]))),
    ];
    for (reason, bytes) in &rejected {
        let refused = av_wire::decode::<Grant<'_>>(bytes)
            .map_or(true, |grant| requested.verify(agent, origin, &grant).is_err());
        assert!(refused, "{reason}");
    }
    rejected.iter().map(|(reason, bytes)| refused_bytes(reason, bytes)).collect()
}

/// Chains that do not end at the tenant's root, or pass a device twice.
fn rejected_chains(root: &RecoveryKey, chain: &[u8], below_itself: &[u8]) -> Vec<Value> {
    let flipped = |at: usize| {
        let mut changed = chain.to_vec();
        changed[at] ^= 1;
        changed
    };
    let rejected = [
        ("another root", flipped(3)),
        ("a bit of the device's certificate", flipped(chain.len() / 3)),
        ("a bit of the owner's certificate", flipped(chain.len() - 100)),
        ("a byte short", chain[..chain.len() - 1].to_vec()),
        ("a byte more", [chain, &[0]].concat()),
        ("an owner that certifies itself: twice in the chain", below_itself.to_vec()),
    ];
    rejected
        .iter()
        .map(|(reason, bytes)| {
            assert!(Chain::new(bytes).verify(&root.tenant_id(), |_| false).is_err(), "{reason}");
            refused_bytes(reason, bytes)
        })
        .collect()
}
