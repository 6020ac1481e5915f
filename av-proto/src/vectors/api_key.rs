//! An API key, its grant, an agent that enrolls with it, and the key's closing (`PROTOCOL.md` section 4.6).

use av_wire::bundle::Bundle;
use av_wire::cert::DeviceCert;
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::enroll::verify_key_possession;
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::hash::h256;
use av_wire::key_grant::KeyGrant;
use av_wire::labels::{self, SignaturePurpose};
use av_wire::limits::MAX_FRAME;
use av_wire::signature::{SignedKind, Unverified};
use av_wire::statement::{Statement, Verdict, keep_name};
use av_wire::{DeviceId, Role, Signature, TenantId};
use serde_json::{Value, json};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::{Draws, check, hex, refused, refused_bytes};
use crate::api_key::ApiKey;
use crate::crypto::{SigningSecret, XChaCha20Poly1305};
use crate::enroll::{KeyHeld, RecoveryKey, sign_statement};
use crate::keys::{Identity, Prekeys};
use crate::test_support::{WITHOUT_KEM, identity};

const NOW: u64 = 1_800_000_000;
const ISSUED_AT: u64 = NOW + 100;
const EXPIRES_AT: u64 = ISSUED_AT + 86_400;
const ENROLLED_AT: u64 = NOW + 200;
const CLOSED_AT: u64 = NOW + 300;

/// Who grants, who enrolls, and what they make.
struct Cast {
    root: RecoveryKey,
    owner: Identity,
    agent: Identity,
    key: ApiKey,
    grant: KeyGrant,
    signed_grant: Vec<u8>,
    owner_cert: Vec<u8>,
    cert: Vec<u8>,
    bundle: Vec<u8>,
}

#[test]
fn api_keys_have_their_vectors() {
    let mut draws = Draws::new(20);
    let root = RecoveryKey::generate(&mut draws);
    let mut draws = Draws::new(21);
    let key = ApiKey::generate(&mut draws, &root.tenant_id());
    let seed = draws.only();
    let (owner, agent) =
        (identity::<XChaCha20Poly1305>(1, Role::Owner), identity::<XChaCha20Poly1305>(2, Role::Agent));
    let prekeys: Prekeys<8> = Prekeys::generate(&mut draws, WITHOUT_KEM, NOW);
    let prekey_secrets: Vec<_> = draws.take().iter().map(|secret| hex(secret)).collect();
    let mut buffer = vec![0; MAX_FRAME];
    let bundle = prekeys.bundle(&agent, &mut []).expect("signs");
    let bundle = bundle.encode(&mut buffer).expect("room").to_vec();
    let grant = KeyGrant {
        tenant_id: root.tenant_id(),
        public_key: key.public(),
        most: 3,
        expires_at: EXPIRES_AT,
        issued_at: ISSUED_AT,
        issuer: *owner.device_id(),
    };
    let signed_grant = signed(owner.signing(), SignedKind::KeyGrant, &grant.to_bytes());
    let owner_cert = certified(root.signing(), &root, &owner, NOW, DeviceId::ROOT);
    let key_chain = chain(&root, &[&signed_grant, &owner_cert]);
    let held = KeyHeld::new(ApiKey::parse(&key.to_string()).expect("its own text"));
    let granted = held.verify(Chain::new(&key_chain)).expect("its own grant");
    let mut room = [0; MAX_CHAIN_BYTES];
    let (agent_chain, certified_by_key) = held
        .certify(&agent, &granted, Chain::new(&key_chain), &bundle, ENROLLED_AT, &mut room)
        .expect("in the key's time");
    let cert = certified(&key.signing(), &root, &agent, ENROLLED_AT, key.key_id().as_issuer());
    let cast = Cast { root, owner, agent, key, grant, signed_grant, owner_cert, cert, bundle };
    assert_eq!(agent_chain.as_bytes(), cast.under_grant(&cast.cert, &cast.signed_grant));
    let (agent_chain, pop) = (agent_chain.as_bytes(), certified_by_key.pop());
    assert!(cast.enrolls(agent_chain, &cast.bundle, pop));

    let closing = cast.closing(&[keep_name(&cast.cert)]);
    let closed = chain(&cast.root, &[&cast.cert, &closing, &cast.signed_grant, &cast.owner_cert]);
    let is_key = |id: &DeviceId| *id == cast.key.key_id().as_issuer();
    assert!(Chain::new(&closed).verify(cast.tenant(), is_key).is_ok());
    assert!(Chain::new(agent_chain).verify(cast.tenant(), is_key).is_err());

    let frames = json!({
        "post_key_grant": frame(&ToRelay::PostKeyGrant { request: 5, key_grant: &cast.signed_grant }),
        "find_key": frame(&ToRelay::FindKey { tenant_id: *cast.tenant(), key_id: cast.key.key_id() }),
        "enroll_with_key": frame(&ToRelay::EnrollWithKey { chain: agent_chain, bundle: &cast.bundle, pop: *pop }),
        "key": frame(&ToDevice::Key { chain: &key_chain }),
        "key_used": frame(&ToDevice::KeyUsed { sequence: 9, previous: 8, chain: agent_chain }),
    });
    check(
        "api-key",
        &json!({
            "about": "PROTOCOL.md section 4.6; bytes are hex. Root and devices are those of enrollment.json",
            "tenant_id": hex(cast.tenant().as_bytes()),
            "seed": seed,
            "public": hex(&cast.key.public()),
            "key_id": hex(cast.key.key_id().as_bytes()),
            "text": cast.key.to_string(),
            "accept_text": accepted_texts(&cast.key),
            "reject_text": rejected_texts(&cast.key),
            "owner_issued_at": NOW,
            "most": cast.grant.most,
            "issued_at": ISSUED_AT,
            "expires_at": EXPIRES_AT,
            "key_grant": hex(&cast.signed_grant),
            "key_chain": hex(&key_chain),
            "enrolled_at": ENROLLED_AT,
            "agent_chain": hex(agent_chain),
            "prekey_secrets": { "signed": prekey_secrets[0], "one_time": prekey_secrets[1], "ids": [1, 2] },
            "prekeys_created_at": NOW,
            "bundle": hex(&cast.bundle),
            "transcript": hex(&transcript(&[0; 32], &cast.agent, &cast.bundle, agent_chain)),
            "pop": hex(&pop.0),
            "frames": frames,
            "frame_numbers": { "request": 5, "sequence": 9, "previous": 8 },
            "closing": { "serial": 1, "issued_at": CLOSED_AT, "statement": hex(&closing) },
            "closed_chain": hex(&closed),
            "reject_key_chain": cast.rejected_key_chains(),
            "reject_chain": cast.rejected_chains(agent_chain),
            "reject_closed_chain": cast.rejected_closed_chains(),
            "reject_enroll": cast.rejected_enrollments(agent_chain, pop),
        }),
    );
}

impl Cast {
    const fn tenant(&self) -> &TenantId {
        &self.grant.tenant_id
    }

    fn grant_with(&self, change: impl FnOnce(&mut KeyGrant)) -> Vec<u8> {
        let mut grant = self.grant;
        change(&mut grant);
        signed(self.owner.signing(), SignedKind::KeyGrant, &grant.to_bytes())
    }

    /// The grant with these bytes at this place of its body, signed as it then is.
    fn grant_bent(&self, at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut body = self.grant.to_bytes();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        signed(self.owner.signing(), SignedKind::KeyGrant, &body)
    }

    fn under_grant(&self, cert: &[u8], grant: &[u8]) -> Vec<u8> {
        chain(&self.root, &[cert, grant, &self.owner_cert])
    }

    /// The agent's certificate by the key, dated so.
    fn dated(&self, issued_at: u64) -> Vec<u8> {
        certified(&self.key.signing(), &self.root, &self.agent, issued_at, self.key.key_id().as_issuer())
    }

    /// The owner's revocation of the key, which keeps these.
    fn closing(&self, names: &[[u8; 16]]) -> Vec<u8> {
        let statement = Statement {
            verdict: Verdict::Revoked,
            tenant_id: *self.tenant(),
            subject: self.key.key_id().as_issuer(),
            issuer: *self.owner.device_id(),
            serial: 1,
            issued_at: CLOSED_AT,
            keep: names.as_flattened(),
            link_keys: None,
        };
        let mut out = vec![0; MAX_FRAME];
        sign_statement(self.owner.signing(), &statement, &mut out).expect("room").to_vec()
    }

    /// Whether a relay takes it: the chain, the prekeys and the proof.
    fn enrolls(&self, chain: &[u8], bundle: &[u8], pop: &Signature) -> bool {
        let chain = Chain::new(chain);
        let Ok(device) = chain.verify(self.tenant(), |_| false) else { return false };
        let has_prekeys = Bundle::decode(bundle).is_ok_and(|bundle| bundle.verify(device.public()).is_ok());
        let proves = verify_key_possession(device.public(), bundle, chain, pop).is_ok();
        device.key_grant().is_some() && has_prekeys && proves
    }

    /// Chains that grant no key.
    fn rejected_key_chains(&self) -> Vec<Value> {
        let under_owner = |grant: &[u8]| chain(&self.root, &[grant, &self.owner_cert]);
        let by_root = signed(self.root.signing(), SignedKind::KeyGrant, &{
            let mut grant = self.grant;
            grant.issuer = DeviceId::ROOT;
            grant.to_bytes()
        });
        let as_cert = self.owner.signing().sign(SignaturePurpose::Cert, &[&self.grant.to_bytes()]);
        let as_cert = object(SignedKind::KeyGrant, &self.grant.to_bytes(), as_cert.expect("fits"));
        let by_agent = signed(self.agent.signing(), SignedKind::KeyGrant, &self.grant.to_bytes());
        let longer = [&self.grant.to_bytes()[..], &[0]].concat();
        let rejected = [
            ("version 2", under_owner(&self.grant_bent(0, &[2]))),
            ("of another tenant", under_owner(&self.grant_with(|grant| grant.tenant_id = TenantId([7; 16])))),
            ("the id of another key", under_owner(&self.grant_bent(17, &[7; 16]))),
            ("no scope", under_owner(&self.grant_bent(65, &[0, 0, 0, 0]))),
            ("another scope", under_owner(&self.grant_bent(65, &[0, 0, 0, 2]))),
            ("a scope more", under_owner(&self.grant_bent(65, &[0, 0, 0, 3]))),
            ("for no device", under_owner(&self.grant_with(|grant| grant.most = 0))),
            ("for 65 devices", under_owner(&self.grant_with(|grant| grant.most = 65))),
            (
                "by another issuer",
                under_owner(&self.grant_with(|grant| grant.issuer = *self.agent.device_id())),
            ),
            ("by the root", chain(&self.root, &[&by_root])),
            ("signed by the agent", under_owner(&by_agent)),
            ("signed as a certificate", under_owner(&as_cert)),
            ("a byte more", under_owner(&signed(self.owner.signing(), SignedKind::KeyGrant, &longer))),
            ("a device's chain", self.under_grant(&self.cert, &self.signed_grant)),
            ("an owner's chain", chain(&self.root, &[&self.owner_cert])),
        ];
        rejected_as(&rejected, |bytes| Chain::new(bytes).verify_key(self.tenant(), |_| false).is_ok())
    }

    /// Chains under a key that let nobody in.
    fn rejected_chains(&self, genuine: &[u8]) -> Vec<Value> {
        let id = self.key.key_id().as_issuer();
        let an_owner = identity::<XChaCha20Poly1305>(3, Role::Owner);
        let an_owner = certified(&self.key.signing(), &self.root, &an_owner, ENROLLED_AT, id);
        let by_owner = certified(self.owner.signing(), &self.root, &self.agent, ENROLLED_AT, id);
        let other = ApiKey::generate(&mut Draws::new(22), self.tenant());
        let other_grant = self.grant_with(|grant| grant.public_key = other.public());
        let by_other =
            certified(&other.signing(), &self.root, &self.agent, ENROLLED_AT, other.key_id().as_issuer());
        let mut by_key = self.grant;
        (by_key.public_key, by_key.issuer) = (other.public(), id);
        let by_key = signed(&self.key.signing(), SignedKind::KeyGrant, &by_key.to_bytes());
        let below = identity::<XChaCha20Poly1305>(4, Role::Agent);
        let below = certified(self.agent.signing(), &self.root, &below, ENROLLED_AT, *self.agent.device_id());
        let mut flipped = self.signed_grant.clone();
        *flipped.last_mut().expect("a signature") ^= 1;
        let grant = &self.signed_grant;
        let rejected = [
            ("dated before the grant", self.under_grant(&self.dated(ISSUED_AT - 1), grant)),
            ("dated after the key's time", self.under_grant(&self.dated(EXPIRES_AT + 1), grant)),
            ("an owner", self.under_grant(&an_owner, grant)),
            ("signed by the owner, not by the key", self.under_grant(&by_owner, grant)),
            ("by another key than the one granted", self.under_grant(&by_other, grant)),
            ("under the grant of another key", self.under_grant(&self.cert, &other_grant)),
            (
                "under a key that a key grants",
                chain(&self.root, &[&by_other, &by_key, grant, &self.owner_cert]),
            ),
            ("below the device", chain(&self.root, &[&below, &self.cert, grant, &self.owner_cert])),
            ("a bit of the grant's signature", self.under_grant(&self.cert, &flipped)),
            ("without the grant", chain(&self.root, &[&self.cert, &self.owner_cert])),
            ("the key's own", chain(&self.root, &[grant, &self.owner_cert])),
            ("a byte more", [genuine, &[0]].concat()),
        ];
        rejected_as(&rejected, |bytes| Chain::new(bytes).verify(self.tenant(), |_| false).is_ok())
    }

    /// Chains that count no longer once the key is closed, whatever their date.
    fn rejected_closed_chains(&self) -> Vec<Value> {
        let (closing, grant) = (self.closing(&[keep_name(&self.cert)]), &self.signed_grant);
        let with = |cert: &[u8], closing: &[u8]| chain(&self.root, &[cert, closing, grant, &self.owner_cert]);
        let rejected = [
            ("no closing beside it", self.under_grant(&self.cert, grant)),
            ("not kept", with(&self.cert, &self.closing(&[]))),
            ("another certificate than the kept one", with(&self.dated(ENROLLED_AT + 1), &closing)),
            (
                "the closing behind the grant",
                chain(&self.root, &[&self.cert, grant, &closing, &self.owner_cert]),
            ),
        ];
        let is_key = |id: &DeviceId| *id == self.key.key_id().as_issuer();
        rejected_as(&rejected, |bytes| Chain::new(bytes).verify(self.tenant(), is_key).is_ok())
    }

    /// `EnrollWithKey` frames that a relay refuses.
    fn rejected_enrollments(&self, chain: &[u8], pop: &Signature) -> Vec<Value> {
        let frame_of = |chain: &[u8], bundle: &[u8], pop: Signature| {
            encoded(&ToRelay::EnrollWithKey { chain, bundle, pop })
        };
        let sign = |signer: &SigningSecret, lookup: &[u8; 32], bundle: &[u8]| {
            let t = transcript(lookup, &self.agent, bundle, chain);
            signer.sign(SignaturePurpose::Enroll, &[&t]).expect("fits")
        };
        let mut flipped = *pop;
        flipped.0[40] ^= 1;
        let foreign: Prekeys<8> = Prekeys::generate(&mut Draws::new(23), WITHOUT_KEM, NOW);
        let mut room = vec![0; MAX_FRAME];
        let foreign = foreign.bundle(&self.owner, &mut []).expect("signs");
        let foreign = foreign.encode(&mut room).expect("room").to_vec();
        let earlier = self.under_grant(&self.dated(ENROLLED_AT - 1), &self.signed_grant);
        let agent = self.agent.signing();
        let genuine = frame_of(chain, &self.bundle, *pop);
        let rejected = [
            ("pop of other bytes", frame_of(chain, &self.bundle, flipped)),
            (
                "pop by the key",
                frame_of(chain, &self.bundle, sign(&self.key.signing(), &[0; 32], &self.bundle)),
            ),
            (
                "pop with an invite's lookup",
                frame_of(chain, &self.bundle, sign(agent, &[1; 32], &self.bundle)),
            ),
            ("pop of another chain", frame_of(&earlier, &self.bundle, *pop)),
            ("prekeys of another device", frame_of(chain, &foreign, sign(agent, &[0; 32], &foreign))),
            ("a byte short", genuine[..genuine.len() - 1].to_vec()),
            ("a byte more", [&genuine[..], &[0]].concat()),
        ];
        rejected_as(&rejected, |bytes| {
            let Ok(ToRelay::EnrollWithKey { chain, bundle, pop }) = av_wire::decode(bytes) else {
                return false;
            };
            self.enrolls(chain, bundle, &pop)
        })
    }
}

fn accepted_texts(key: &ApiKey) -> Vec<String> {
    let text = key.to_string();
    let symbols = text.strip_prefix("avk1-").expect("its prefix");
    let accepted = vec![
        text.to_lowercase(),
        symbols.replace('-', ""),
        symbols.replace('-', " "),
        symbols.replace('0', "O").replace('1', "l"),
        std::format!(" {text}\n"),
    ];
    for text in &accepted {
        let read = ApiKey::parse(text).expect("forgiven");
        assert!(read.public() == key.public() && read.tenant_id() == key.tenant_id(), "{text}");
    }
    accepted
}

fn rejected_texts(key: &ApiKey) -> Vec<Value> {
    let text = key.to_string();
    let mut mistyped = text.clone();
    let last = mistyped.pop().expect("a symbol");
    mistyped.push(if last == '0' { '1' } else { '0' });
    let mut of_another_tenant = text.clone();
    // Symbol 60 is of the tenant: 12 groups of 4 and their dashes behind the prefix are the seed's.
    let at = "avk1-".len() + 5 * 15;
    let symbol = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    of_another_tenant.replace_range(at..=at, symbol);
    let rejected = [
        ("the last symbol differs", mistyped),
        ("a symbol of the tenant differs", of_another_tenant),
        ("a symbol is missing", text[..text.len() - 1].into()),
        ("a symbol too many", text.clone() + "0"),
        ("U is no symbol", text[..text.len() - 1].to_string() + "U"),
        ("an invite's prefix", text.replace("avk1-", "av1-")),
    ];
    let refused = |(reason, text): &(&str, String)| {
        assert!(ApiKey::parse(text).is_err(), "{reason}");
        refused(reason, text)
    };
    rejected.iter().map(refused).collect()
}

/// All of these are refused.
fn rejected_as(rejected: &[(&str, Vec<u8>)], is_taken: impl Fn(&[u8]) -> bool) -> Vec<Value> {
    let refused = |(reason, bytes): &(&str, Vec<u8>)| {
        assert!(!is_taken(bytes), "{reason}");
        refused_bytes(reason, bytes)
    };
    rejected.iter().map(refused).collect()
}

fn transcript(lookup: &[u8; 32], device: &Identity, bundle: &[u8], chain: &[u8]) -> [u8; 32] {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    let parts: [&[u8]; 6] =
        [lookup, &device.public().to_bytes(), &length(bundle), bundle, &length(chain), chain];
    h256(labels::hash::ENROLL, &parts)
}

/// A certificate with any issuer's id under any signer's key.
fn certified(
    signer: &SigningSecret,
    root: &RecoveryKey,
    device: &Identity,
    issued_at: u64,
    issuer: DeviceId,
) -> Vec<u8> {
    let cert = DeviceCert { tenant_id: root.tenant_id(), device: *device.public(), issued_at, issuer };
    signed(signer, SignedKind::Cert, &cert.to_bytes())
}

fn signed(signer: &SigningSecret, kind: SignedKind, body: &[u8]) -> Vec<u8> {
    object(kind, body, signer.sign(kind.purpose(), &[body]).expect("fits"))
}

fn object(kind: SignedKind, body: &[u8], signature: Signature) -> Vec<u8> {
    encoded(&Unverified { kind, body, signature })
}

/// The array of root and links, whatever they are.
fn chain(root: &RecoveryKey, links: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x81 + u8::try_from(links.len()).expect("few")];
    bytes.extend([&[0x58, 32][..], root.public()].concat());
    for link in links {
        match u8::try_from(link.len()) {
            Ok(length) => bytes.extend([0x58, length]),
            Err(_) => {
                let [high, low] = u16::try_from(link.len()).expect("short").to_be_bytes();
                bytes.extend([0x59, high, low]);
            }
        }
        bytes.extend_from_slice(link);
    }
    bytes
}

fn frame(frame: &impl av_wire::cbor::Encode) -> String {
    hex(&encoded(frame))
}

fn encoded(value: &impl av_wire::cbor::Encode) -> Vec<u8> {
    let mut out = vec![0; MAX_FRAME];
    av_wire::encode(value, &mut out).expect("room").to_vec()
}
