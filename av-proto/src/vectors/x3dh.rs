//! Key agreement in each suite and mode, with a first message (`PROTOCOL.md` section 6).

use av_wire::bundle::{
    Bundle, KEM_RECORD, KemPrekey, KemPrekeyKind, Prekey, PrekeyKind, SignedKemPrekey, SignedPrekey,
};
use av_wire::labels::{self, SignaturePurpose};
use av_wire::message::Prelude;
use av_wire::{Role, Signature};
use serde_json::{Value, json};
use std::vec;
use std::vec::Vec;

use super::{Draws, check, hex};
use crate::crypto::{
    Aead, Aes256Gcm, AgreementSecret, KemCiphertext, KemSecret, Secret, XChaCha20Poly1305, derive_keys,
};
use crate::keys::Identity;
use crate::ratchet::{HeaderBlob, Session};
use crate::test_support::{TENANT, identity, rng};
use crate::x3dh::{Parameters, initiate, respond};

const GENERATION: u32 = 3;
const SIGNED_ID: u32 = 300;
const ONE_TIME_ID: u32 = 70_000;
const PSK: [u8; 32] = [0xd5; 32];
const KEM_ID: u32 = 70_001;
const KEM_SEED: [u8; 64] = [0xc3; 64];

/// What a handshake is made with beside the suite.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub(super) psk: bool,
    pub(super) one_time: bool,
    pub(super) kem: bool,
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
        cases.push(handshake::<XChaCha20Poly1305>(Variant { psk, one_time, kem: false }).value);
        cases.push(handshake::<Aes256Gcm>(Variant { psk, one_time, kem: false }).value);
    }
    check("x3dh", &json!({ "about": "PROTOCOL.md sections 6 and 7; bytes are hex", "cases": cases }));
}

/// Beside those without, for implementations that have no ML-KEM.
#[test]
#[cfg(feature = "pq")]
fn key_agreement_with_a_kem_has_its_vectors() {
    let mut cases: Vec<Value> = vec![];
    for (psk, one_time) in [(false, false), (true, true)] {
        cases.push(handshake::<XChaCha20Poly1305>(Variant { psk, one_time, kem: true }).value);
        cases.push(handshake::<Aes256Gcm>(Variant { psk, one_time, kem: true }).value);
    }
    let about = "PROTOCOL.md sections 5, 6 and 7, suites 0x11 and 0x12; bytes are hex. kem.seed is FIPS 203's d and z, \
                 kem.randomness its m";
    check("x3dh-kem", &json!({ "about": about, "cases": cases }));
}

/// What a KEM adds to a handshake.
struct Kem {
    secret: KemSecret,
    record: [u8; KEM_RECORD],
    signature: Signature,
}

impl Kem {
    fn of(identity: &Identity) -> Self {
        let secret = KemSecret::from_seed(Secret::new(KEM_SEED)).expect("this build has a KEM");
        let record = KemPrekey::write(KemPrekeyKind::OneTime, KEM_ID, 0, &secret.public());
        let parts: [&[u8]; 2] = [identity.device_id().as_bytes(), &record];
        let signature = identity.signing().sign(SignaturePurpose::Prekey, &parts).expect("signs");
        Self { secret, record, signature }
    }

    fn shared(&self, prelude: &Prelude<'_>) -> Secret<32> {
        let ciphertext = prelude.kem_ciphertext.and_then(KemCiphertext::from_slice);
        self.secret.decapsulate(&ciphertext.expect("1,088 bytes"))
    }
}

/// A device that lists suites with a KEM too, if asked for.
fn listing<A: Aead>(seed: u64, role: Role, kem: bool) -> Identity {
    if !kem {
        return identity::<A>(seed, role);
    }
    Identity::generate(&mut rng(seed), role, A::SUITE.alone().and(A::SUITE.with_kem()), 8_192)
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
    let (a, b) = (listing::<A>(1, Role::Owner, variant.kem), listing::<A>(2, Role::Agent, variant.kem));
    let kem = variant.kem.then(|| Kem::of(&b));
    let signed_secret = AgreementSecret::from_bytes(&Secret::new([0xc1; 32]));
    let one_time_secret = variant.one_time.then(|| AgreementSecret::from_bytes(&Secret::new([0xc4; 32])));
    let bundle = Bundle {
        signed: signed(&b, PrekeyKind::Signed, SIGNED_ID, &signed_secret),
        one_time: one_time_secret.as_ref().map(|secret| signed(&b, PrekeyKind::OneTime, ONE_TIME_ID, secret)),
        kem: kem.as_ref().map(|kem| SignedKemPrekey { record: &kem.record, signature: kem.signature }),
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
    // The KEM's randomness is drawn before the ephemeral key.
    let drawn_keys = &drawn[usize::from(variant.kem)..];
    let ephemeral =
        AgreementSecret::from_bytes(&Secret::new(drawn_keys[0].clone().try_into().expect("32 bytes")));
    let initiator_id = a.device_id().as_bytes().to_vec();
    let mut out = vec![0; 4_096];
    let sealed =
        initiator.encrypt(&mut initiator_draws, &initiator_id, 1, b"first", 32, &mut out).expect("encrypts");
    let (header_blob, ciphertext) = out[..sealed.len].split_at(sealed.header_len);
    let prelude: Prelude<'_> =
        HeaderBlob::parse(header_blob).expect("parses").prelude.expect("a first message");
    let mut responder: Session<A, 16> = respond(
        &parameters(&b, a.public()),
        &prelude,
        &signed_secret,
        one_time_secret.as_ref(),
        kem.as_ref().map(|kem| &kem.secret),
    )
    .expect("responds");
    assert_eq!(initiator.id(), responder.id());
    let mut opened = [0; 256];
    let len = responder.decrypt(header_blob, ciphertext, &mut opened).expect("opens").len;
    assert_eq!(&opened[..len], b"first");

    let th = *initiator.id();
    let shared = kem.as_ref().map(|kem| kem.shared(&prelude));
    let secrets = [shared.as_ref(), psk.as_ref()];
    let ikm = ikm(&a, &b, &ephemeral, &signed_secret, one_time_secret.as_ref(), secrets);
    let [root, initiator_header, responder_header] = derive_keys(&th, &[&ikm], labels::kdf::X3DH);
    let mut value = json!({
        "suite": initiator.suite().byte(),
        "mode": u8::from(variant.psk),
        "gen": GENERATION,
        "tenant_id": hex(TENANT.as_bytes()),
        "initiator": device(&a),
        "responder": device(&b),
        "signed_prekey": { "id": SIGNED_ID, "secret": hex(signed_secret.expose()) },
        "one_time_prekey": one_time_secret.as_ref().map(|secret| json!({ "id": ONE_TIME_ID, "secret": hex(secret.expose()) })),
        "psk": psk.as_ref().map(|psk| hex(psk.expose())),
        "bundle": bundle_bytes,
        "ephemeral_secret": hex(&drawn_keys[0]),
        "th": hex(&th),
        "ikm": hex(&ikm),
        "SK": hex(root.expose()),
        "HK_A": hex(initiator_header.expose()),
        "NHK_B": hex(responder_header.expose()),
        "first_ratchet_secret": hex(&drawn_keys[1]),
        "first_message": {
            "kind": 1, "body": hex(b"first"), "block": 32, "nonce": initiator_draws.only(),
            "header_blob": hex(header_blob), "ciphertext": hex(ciphertext),
        },
    });
    if let (Some(kem), Some(shared)) = (&kem, &shared) {
        value["kem"] = json!({
            "kind": 3, "id": KEM_ID, "seed": hex(&KEM_SEED), "key": hex(&kem.secret.public()),
            "randomness": hex(&drawn[0]), "ciphertext": prelude.kem_ciphertext.map(hex), "secret": hex(shared.expose()),
        });
    }
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
    [kem, psk]: [Option<&Secret<32>>; 2],
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
        kem.map_or(zeros, |kem| *kem.expose()),
        psk.map_or(zeros, |psk| *psk.expose()),
    ]
    .concat()
}
