//! One encoding a value, one value an encoding: whatever one changes in an encoding gives an error or another
//! value, never the same value and never a panic.

use std::boxed::Box;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::cbor::{Node, Spelling};
use super::samples::{Tenant, encoded, pattern};
use crate::bundle::{Bundle, Prekey, PrekeyKind};
use crate::cert::DeviceCert;
use crate::chain::Chain;
use crate::enroll::EnrollRequest;
use crate::frame::{ToDevice, ToRelay};
use crate::grant::Grant;
use crate::hash::h256;
use crate::key_grant::KeyGrant;
use crate::message::Prelude;
use crate::public::DevicePublic;
use crate::signature::Unverified;
use crate::statement::{Statement, Verdict};

/// What a decoder makes of bytes: whether the value equals the genuine one, and its encoding.
type Decoded = Option<(bool, Vec<u8>)>;

type Decoder = dyn Fn(&[u8]) -> Decoded;

/// A decoder with the encoding of a genuine value.
struct Subject {
    name: String,
    genuine: Vec<u8>,
    decode: Box<Decoder>,
}

macro_rules! cbor {
    ($name:expr, $type:ident, $genuine:expr) => {{
        let genuine: &'static [u8] = $genuine.leak();
        let original = crate::decode::<$type<'_>>(genuine).unwrap();
        let decode = move |bytes: &[u8]| {
            let value = crate::decode::<$type<'_>>(bytes).ok()?;
            Some((value == original, encoded(&value)))
        };
        Subject { name: String::from($name), genuine: genuine.to_vec(), decode: Box::new(decode) }
    }};
}

fn cbor_subjects() -> Vec<Subject> {
    let tenant = Tenant::new();
    let relay = tenant.to_relay().into_iter().map(|(name, frame)| cbor!(name, ToRelay, encoded(&frame)));
    let device = tenant.to_device().into_iter().map(|(name, frame)| cbor!(name, ToDevice, encoded(&frame)));
    let mut subjects: Vec<_> = relay.chain(device).collect();
    let statement = |verdict, keep: &[u8]| tenant.statement(verdict, keep);
    subjects.extend([
        cbor!("EnrollRequest", EnrollRequest, encoded(&tenant.enroll())),
        cbor!("Grant", Grant, encoded(&tenant.grant())),
        cbor!("Prelude", Prelude, encoded(&tenant.prelude(tenant.chain(1), Some(2)))),
        cbor!("Prelude/again", Prelude, encoded(&tenant.prelude(vec![9; 16], None))),
        cbor!("Cert", Unverified, tenant.certs(1).remove(0)),
        cbor!("Revocation", Unverified, statement(Verdict::Revoked, &pattern::<32>(0))),
        cbor!("Suspension", Unverified, statement(Verdict::Suspended, &[])),
        cbor!("Resumption", Unverified, statement(Verdict::Resumed, &[])),
        cbor!("LinkKeys", Unverified, statement(Verdict::LinkKeys, &[])),
        cbor!("KeyGrant", Unverified, tenant.signed_key_grant()),
    ]);
    let without = tenant.agent.bundle();
    let last = Bundle { one_time: None, ..without };
    for (name, bundle) in
        [("Bundle", without), ("Bundle/last", last), ("Bundle/kem", tenant.agent.bundle_with_kem())]
    {
        let decode = move |bytes: &[u8]| {
            let value = Bundle::decode(bytes).ok()?;
            Some((value == bundle, encoded(&value)))
        };
        subjects.push(Subject {
            name: String::from(name),
            genuine: encoded(&bundle),
            decode: Box::new(decode),
        });
    }
    subjects
}

fn layout_subjects() -> Vec<Subject> {
    let tenant = Tenant::new();
    let device = tenant.agent.public;
    let prekey = Prekey { kind: PrekeyKind::OneTime, id: 7, created_at: 8, key: [9; 32] };
    let signed = tenant.certs(2).remove(0);
    let cert = DeviceCert::from_unverified(&Unverified::decode(&signed).unwrap()).unwrap();
    let mut subjects = vec![
        Subject {
            name: String::from("DevicePublic"),
            genuine: device.to_bytes().to_vec(),
            decode: Box::new(move |bytes| {
                let value = DevicePublic::from_bytes(bytes).ok()?;
                Some((value == device, value.to_bytes().to_vec()))
            }),
        },
        Subject {
            name: String::from("Prekey"),
            genuine: prekey.to_bytes().to_vec(),
            decode: Box::new(move |bytes| {
                let value = Prekey::from_bytes(bytes).ok()?;
                Some((value == prekey, value.to_bytes().to_vec()))
            }),
        },
        Subject {
            name: String::from("DeviceCert"),
            genuine: cert.to_bytes().to_vec(),
            decode: Box::new(move |bytes| {
                let object = Unverified { body: bytes, ..Unverified::decode(&signed).unwrap() };
                let value = DeviceCert::from_unverified(&object).ok()?;
                Some((value == cert, value.to_bytes().to_vec()))
            }),
        },
    ];
    let (signed, grant) = (tenant.signed_key_grant(), tenant.key_grant());
    subjects.push(Subject {
        name: String::from("KeyGrant"),
        genuine: grant.to_bytes().to_vec(),
        decode: Box::new(move |bytes| {
            let object = Unverified { body: bytes, ..Unverified::decode(&signed).unwrap() };
            let value = KeyGrant::from_unverified(&object).ok()?;
            Some((value == grant, value.to_bytes().to_vec()))
        }),
    });
    for (verdict, keep) in [
        (Verdict::Revoked, &[3; 32][..]),
        (Verdict::Suspended, &[]),
        (Verdict::Resumed, &[]),
        (Verdict::LinkKeys, &[]),
    ] {
        let signed = tenant.statement(verdict, keep);
        let genuine = Unverified::decode(&signed).unwrap().body.to_vec();
        let decode = move |bytes: &[u8]| {
            let genuine = Unverified::decode(&signed).unwrap();
            let object = Unverified { body: bytes, ..genuine };
            let mutant = Statement::from_unverified(&object).ok()?;
            Some((mutant == Statement::from_unverified(&genuine).unwrap(), mutant.body().unwrap().to_vec()))
        };
        subjects.push(Subject {
            name: std::format!("Statement {verdict:?}"),
            genuine,
            decode: Box::new(decode),
        });
    }
    subjects
}

impl Subject {
    fn refuses(&self, bytes: &[u8], why: &str) {
        assert!((self.decode)(bytes).is_none(), "{}: {why} is taken: {bytes:02x?}", self.name);
    }

    /// An error, or another value with this very encoding.
    fn differs(&self, mutant: &[u8]) -> bool {
        let Some((same, encoding)) = (self.decode)(mutant) else {
            return false;
        };
        assert!(!same, "{}: {mutant:02x?} is the same value", self.name);
        assert_eq!(encoding, mutant, "{}: taken, but encoded otherwise", self.name);
        true
    }

    /// `interior` marks bytes of which nothing but the value depends: there each bit is flipped, elsewhere every
    /// other byte is tried.
    fn endure(&self, interior: &[bool]) {
        let genuine = &self.genuine;
        assert_eq!((self.decode)(genuine), Some((true, genuine.clone())), "{}", self.name);
        for len in 0..genuine.len() {
            self.refuses(&genuine[..len], "a truncation");
        }
        for trailing in 0..=u8::MAX {
            self.refuses(&[genuine, &[trailing][..]].concat(), "a trailing byte");
        }
        let mut mutant = genuine.clone();
        assert_eq!(interior.len(), genuine.len());
        for (position, is_interior) in interior.iter().enumerate() {
            for change in (1..=u8::MAX).filter(|change| !is_interior || change.is_power_of_two()) {
                mutant[position] ^= change;
                self.differs(&mutant);
                mutant[position] = genuine[position];
            }
        }
    }
}

#[test]
fn every_truncation_and_byte_change_of_a_frame_is_refused_or_another_value() {
    cbor_subjects().iter().for_each(|subject| subject.endure(&Node::parse(&subject.genuine).interior()));
}

#[test]
fn every_truncation_and_byte_change_of_a_fixed_layout_is_refused_or_another_value() {
    layout_subjects().iter().for_each(|subject| subject.endure(&vec![false; subject.genuine.len()]));
}

#[test]
fn other_spellings_of_the_same_value_are_refused() {
    let subjects = cbor_subjects();
    let mut tried = [0; Spelling::REFUSED.len()];
    for subject in &subjects {
        let tree = Node::parse(&subject.genuine);
        assert_eq!(tree.to_bytes(), subject.genuine, "{}: not deterministic", subject.name);
        for target in 0..tree.count() {
            for (spelling, tried) in Spelling::REFUSED.into_iter().zip(&mut tried) {
                let Some(bytes) = tree.spelled(target, spelling) else {
                    continue;
                };
                *tried += 1;
                if spelling == Spelling::MissingItem {
                    // A list with one item less is another list.
                    subject.differs(&bytes);
                } else {
                    subject.refuses(&bytes, &std::format!("{spelling:?} of item {target}"));
                }
            }
        }
    }
    assert!(tried.iter().all(|count| *count > 10), "each spelling was tried: {tried:?}");
}

#[test]
fn every_change_of_a_chain_is_refused_or_other_bytes_with_another_hash() {
    let tenant = Tenant::new();
    let genuine = tenant.chain(1);
    let mut mutant = genuine.clone();
    for position in 0..genuine.len() {
        for change in 1..=u8::MAX {
            mutant[position] ^= change;
            let (chain, original) = (Chain::new(&mutant), Chain::new(&genuine));
            assert!(
                chain.verify(&tenant.id(), |_| false).is_err(),
                "byte {position} changed by {change:02x} is taken"
            );
            assert_ne!(chain.hash(), original.hash());
            mutant[position] = genuine[position];
        }
    }
}

/// Deterministic noise, so that a failure can be repeated.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let blocks = (0_u32..).map(|block| h256(b"av1 noise", &[&seed.to_be_bytes(), &block.to_be_bytes()]));
    blocks.flatten().take(len).collect()
}

#[test]
fn noise_and_zeros_never_panic_and_never_decode_otherwise_than_they_are() {
    let subjects: Vec<_> = cbor_subjects().into_iter().chain(layout_subjects()).collect();
    for subject in &subjects {
        for len in [0, 1, 2, 16, 45, 74, 131, 600] {
            subject.refuses(&vec![0; len], "zeros");
        }
    }
    let mut taken = 0;
    for seed in 0..2_000_u32 {
        let bytes = noise(seed, seed as usize % 97);
        // Pure noise stops at the first byte; behind a genuine start it gets further.
        for subject in &subjects {
            let kept = seed as usize % subject.genuine.len();
            let spliced = [&subject.genuine[..kept], &bytes[..]].concat();
            if spliced != subject.genuine {
                taken += usize::from(subject.differs(&spliced));
            }
        }
        assert!(Chain::new(&bytes).claimed().is_err());
    }
    assert!(taken > 0, "no noise was taken, so nothing was compared");
}
