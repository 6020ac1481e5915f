//! Key agreement in each suite and mode, with a first message (`PROTOCOL.md` section 6).

use av_wire::Role;
use av_wire::bundle::{Bundle, Prekey, PrekeyKind, SignedPrekey};
use av_wire::labels::{self, SignaturePurpose};
use av_wire::message::Prelude;
use serde_json::{Value, json};
use std::vec;
use std::vec::Vec;

use super::{Draws, check, hex};
use crate::crypto::{Aead, Aes256Gcm, AgreementSecret, Secret, XChaCha20Poly1305, derive_keys};
use crate::keys::Identity;
use crate::ratchet::{HeaderBlob, Session};
use crate::test_support::{TENANT, identity};
use crate::x3dh::{Parameters, initiate, respond};

const GENERATION: u32 = 3;
const SIGNED_ID: u32 = 300;
const ONE_TIME_ID: u32 = 70_000;
const PSK: [u8; 32] = [0xd5; 32];

/// What a handshake is made with beside the suite.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub(super) psk: bool,
    pub(super) one_time: bool,
}

/// Both ends after the first message, and what was computed on the way.
pub(super) struct Handshake<A: Aead> {
    pub(super) initiator: Session<A, 16>,
    pub(super) responder: Session<A, 16>,
    pub(super) initiator_draws: Draws,
    pub(super) responder_draws: Draws,
    pub(super) initiator_id: Vec<u8>,
    pub(super) value: Value,
}

#[test]
fn key_agreement_has_its_vectors() {
    let variants = [(false, false), (false, true), (true, false), (true, true)];
    let mut cases: Vec<Value> = vec![];
    for (psk, one_time) in variants {
        cases.push(handshake::<XChaCha20Poly1305>(Variant { psk, one_time }).value);
        cases.push(handshake::<Aes256Gcm>(Variant { psk, one_time }).value);
    }
    check("x3dh", &json!({ "about": "PROTOCOL.md sections 6 and 7; bytes are hex", "cases": cases }));
}

fn signed(identity: &Identity, kind: PrekeyKind, id: u32, secret: &AgreementSecret) -> SignedPrekey {
    let record = Prekey { kind, id, created_at: 0, key: *secret.public() }.to_bytes();
    let parts: [&[u8]; 2] = [identity.device_id().as_bytes(), &record];
    SignedPrekey {
        record,
        signature: identity.signing().sign(SignaturePurpose::Prekey, &parts).expect("signs"),
    }
}

pub(super) fn handshake<A: Aead>(variant: Variant) -> Handshake<A> {
    let (a, b) = (identity::<A>(1, Role::Owner), identity::<A>(2, Role::Agent));
    let signed_secret = AgreementSecret::from_bytes(&Secret::new([0xc1; 32]));
    let one_time_secret = variant.one_time.then(|| AgreementSecret::from_bytes(&Secret::new([0xc4; 32])));
    let bundle = Bundle {
        signed: signed(&b, PrekeyKind::Signed, SIGNED_ID, &signed_secret),
        one_time: one_time_secret.as_ref().map(|secret| signed(&b, PrekeyKind::OneTime, ONE_TIME_ID, secret)),
        kem: None,
    };
    let mut bundle_bytes = vec![0; Bundle::MAX_LEN];
    let bundle_bytes = hex(bundle.encode(&mut bundle_bytes).expect("encodes"));
    let bundle = bundle.verify(b.public()).expect("its own signatures");

    let (mut initiator_draws, mut responder_draws) = (Draws::new(30), Draws::new(31));
    let psk = variant.psk.then(|| Secret::new(PSK));
    let parameters = |identity, peer| Parameters {
        tenant: &TENANT,
        identity,
        peer,
        generation: GENERATION,
        psk: psk.as_ref(),
    };
    let mut initiator: Session<A, 16> =
        initiate(&parameters(&a, b.public()), &bundle, &mut initiator_draws).expect("initiates");
    let drawn = initiator_draws.take();
    let ephemeral = AgreementSecret::from_bytes(&Secret::new(drawn[0].clone().try_into().expect("32 bytes")));
    let initiator_id = a.device_id().as_bytes().to_vec();
    let mut out = vec![0; 1_024];
    let sealed =
        initiator.encrypt(&mut initiator_draws, &initiator_id, 1, b"first", 32, &mut out).expect("encrypts");
    let (header_blob, ciphertext) = out[..sealed.len].split_at(sealed.header_len);
    let prelude: Prelude<'_> =
        HeaderBlob::parse(header_blob).expect("parses").prelude.expect("a first message");
    let mut responder: Session<A, 16> =
        respond(&parameters(&b, a.public()), &prelude, &signed_secret, one_time_secret.as_ref(), None)
            .expect("responds");
    assert_eq!(initiator.id(), responder.id());
    let mut opened = [0; 256];
    let len = responder.decrypt(header_blob, ciphertext, &mut opened).expect("opens").len;
    assert_eq!(&opened[..len], b"first");

    let th = *initiator.id();
    let ikm = ikm(&a, &b, &ephemeral, &signed_secret, one_time_secret.as_ref(), psk.as_ref());
    let [root, initiator_header, responder_header] = derive_keys(&th, &[&ikm], labels::kdf::X3DH);
    let value = json!({
        "suite": A::SUITE.byte(),
        "mode": u8::from(variant.psk),
        "gen": GENERATION,
        "tenant_id": hex(TENANT.as_bytes()),
        "initiator": device(&a),
        "responder": device(&b),
        "signed_prekey": { "id": SIGNED_ID, "secret": hex(signed_secret.expose()) },
        "one_time_prekey": one_time_secret.as_ref().map(|secret| json!({ "id": ONE_TIME_ID, "secret": hex(secret.expose()) })),
        "psk": psk.as_ref().map(|psk| hex(psk.expose())),
        "bundle": bundle_bytes,
        "ephemeral_secret": hex(&drawn[0]),
        "th": hex(&th),
        "ikm": hex(&ikm),
        "SK": hex(root.expose()),
        "HK_A": hex(initiator_header.expose()),
        "NHK_B": hex(responder_header.expose()),
        "first_ratchet_secret": hex(&drawn[1]),
        "first_message": {
            "kind": 1, "body": hex(b"first"), "block": 32, "nonce": initiator_draws.only(),
            "header_blob": hex(header_blob), "ciphertext": hex(ciphertext),
        },
    });
    responder_draws.take();
    Handshake { initiator, responder, initiator_draws, responder_draws, initiator_id, value }
}

fn device(identity: &Identity) -> Value {
    json!({
        "device_public": hex(&identity.public().to_bytes()),
        "identity_seed": hex(identity.signing().seed()),
        "agreement_secret": hex(identity.agreement().expose()),
    })
}

/// The key material in the order of section 6, put together anew from the agreements.
fn ikm(
    a: &Identity,
    b: &Identity,
    ephemeral: &AgreementSecret,
    signed: &AgreementSecret,
    one_time: Option<&AgreementSecret>,
    psk: Option<&Secret<32>>,
) -> Vec<u8> {
    let agree =
        |secret: &AgreementSecret, public: &[u8; 32]| *secret.agree(public).expect("contributory").expose();
    let zeros = [0; 32];
    [
        [0xff; 32],
        agree(a.agreement(), &b.public().agreement_key),
        agree(a.agreement(), signed.public()),
        agree(ephemeral, &b.public().agreement_key),
        agree(ephemeral, signed.public()),
        one_time.map_or(zeros, |one_time| agree(ephemeral, one_time.public())),
        zeros,
        psk.map_or(zeros, |psk| *psk.expose()),
    ]
    .concat()
}
