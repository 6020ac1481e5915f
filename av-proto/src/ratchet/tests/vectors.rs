//! A handshake and its first messages have the bytes that an independent implementation computed
//! (`vectors/session.txt`, written by `vectors/session.py`).

use core::convert::Infallible;
use std::vec::Vec;

use av_wire::bundle::{Bundle, Prekey, PrekeyKind, SignedPrekey};
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use av_wire::message::Prelude;
use av_wire::{DevicePublic, TenantId};
use rand_core::{TryCryptoRng, TryRng};

use super::{HeaderBlob, INITIATOR};
use crate::crypto::{AgreementSecret, Secret, XChaCha20Poly1305};
use crate::keys::Identity;
use crate::ratchet::Session;
use crate::x3dh::{Parameters, initiate, respond};

type Small = Session<XChaCha20Poly1305, 16>;

fn vector(name: &str) -> Vec<u8> {
    let mut lines = include_str!("../../../vectors/session.txt").lines();
    let value =
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = ")).expect("the vector exists");
    (0..value.len()).step_by(2).map(|at| u8::from_str_radix(&value[at..at + 2], 16).expect("hex")).collect()
}

fn key(name: &str) -> [u8; 32] {
    vector(name).try_into().expect("32 bytes")
}

/// Gives bytes that count up.
struct Counted(u8);

impl TryRng for Counted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

impl TryCryptoRng for Counted {}

fn device(name: &str) -> Identity {
    let parts = [
        vector(&std::format!("{name}_seed")),
        vector(&std::format!("{name}_device")),
        vector(&std::format!("{name}_agreement")),
    ];
    Identity::read(&mut Reader::new(&parts.concat())).expect("an identity")
}

fn sign(identity: &Identity, kind: PrekeyKind, id: u32, secret: &AgreementSecret) -> SignedPrekey {
    let record = Prekey { kind, id, created_at: 0, key: *secret.public() }.to_bytes();
    let parts: [&[u8]; 2] = [identity.device_id().as_bytes(), &record];
    SignedPrekey {
        record,
        signature: identity.signing().sign(SignaturePurpose::Prekey, &parts).expect("signs"),
    }
}

#[test]
fn a_session_has_the_bytes_of_an_independent_implementation() {
    let (a, b) = (device("a"), device("b"));
    let agreement = |name| AgreementSecret::from_bytes(&Secret::new(key(name)));
    let (signed, one_time) = (agreement("signed"), agreement("one_time"));
    assert_eq!(
        *AgreementSecret::from_bytes(&Secret::new(key("a_agreement"))).public(),
        a.public().agreement_key
    );
    let bundle = Bundle {
        signed: sign(&b, PrekeyKind::Signed, 300, &signed),
        one_time: Some(sign(&b, PrekeyKind::OneTime, 70_000, &one_time)),
        kem: None,
    };
    let bundle = bundle.verify(b.public()).expect("verifies");
    let tenant = TenantId(vector("tenant").try_into().expect("16 bytes"));
    let psk = Secret::new(key("psk"));

    let (mut a_random, mut b_random) = (Counted(0x00), Counted(0x80));
    let mut a_session: Small =
        initiate(&parameters(&tenant, &a, b.public(), &psk), &bundle, &mut a_random).expect("initiates");
    assert_eq!(*a_session.id(), key("th"));

    let mut out = [0; 512];
    let mut send = |session: &mut Small, random: &mut Counted, index: usize, kind, body: &[u8], block| {
        let sealed = session.encrypt(random, INITIATOR, kind, body, block, &mut out).expect("encrypts");
        let (header_blob, ciphertext) = out[..sealed.len].split_at(sealed.header_len);
        assert_eq!(header_blob, vector(&std::format!("message {index} header_blob")));
        assert_eq!(ciphertext, vector(&std::format!("message {index} ciphertext")));
        (header_blob.to_vec(), ciphertext.to_vec())
    };
    let messages = [
        send(&mut a_session, &mut a_random, 0, 1, b"first", 32),
        send(&mut a_session, &mut a_random, 1, 2, b"", 1),
    ];

    let prelude: Prelude<'_> =
        HeaderBlob::parse(&messages[0].0).expect("parses").prelude.expect("a first message");
    let parameters = parameters(&tenant, &b, a.public(), &psk);
    let mut b_session: Small =
        respond(&parameters, &prelude, &signed, Some(&one_time), None).expect("responds");
    assert_eq!(*b_session.id(), key("th"));
    let receive = |session: &mut Small, message: &(Vec<u8>, Vec<u8>)| {
        let mut out = [0; 512];
        let opened = session.decrypt(&message.0, &message.1, &mut out).expect("opens");
        (opened.kind, out[..opened.len].to_vec())
    };
    // The second first: its chain step and the skipped key are the vector's too.
    assert_eq!(receive(&mut b_session, &messages[1]), (2, b"".to_vec()));
    assert_eq!(receive(&mut b_session, &messages[0]), (1, b"first".to_vec()));
    let reply = send(&mut b_session, &mut b_random, 2, 1, b"reply", 64);
    assert_eq!(receive(&mut a_session, &reply), (1, b"reply".to_vec()));
    let step = send(&mut a_session, &mut a_random, 3, 1, b"a step with PN 2", 32);
    assert_eq!(receive(&mut b_session, &step), (1, b"a step with PN 2".to_vec()));
}

fn parameters<'p>(
    tenant: &'p TenantId,
    identity: &'p Identity,
    peer: &'p DevicePublic,
    psk: &'p Secret<32>,
) -> Parameters<'p> {
    Parameters { tenant, identity, peer, generation: 3, psk: Some(psk) }
}
