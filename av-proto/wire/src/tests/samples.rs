//! Keys, certificates and frames with fixed seeds; the vectors hold the same ones, made elsewhere.

mod frames;

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use ed25519_dalek::{Signer, SigningKey};

use super::cbor::Node;
use crate::bundle::{
    Bundle, KEM_RECORD, KemPrekey, KemPrekeyKind, Prekey, PrekeyKind, SignedKemPrekey, SignedPrekey,
};
use crate::cert::DeviceCert;
use crate::enroll::{EnrollRequest, EnrollTranscript};
use crate::grant::{Grant, OwnerSerial};
use crate::key_grant::KeyGrant;
use crate::labels::SignaturePurpose;
use crate::list::List;
use crate::message::Prelude;
use crate::public::{DevicePublic, Role, Suite};
use crate::signature::{Signature, SignedKind, Unverified, signed_parts};
use crate::statement::{AnnouncedKeys, Statement, Verdict};
use crate::{DeviceId, TenantId};

/// Seconds since 1970 that samples are dated with.
pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const ORIGIN: &str = "wss://relay.example.org:8443";

/// `N` bytes that count up from `first`.
pub(super) fn pattern<const N: usize>(first: u8) -> [u8; N] {
    core::array::from_fn(|index| first.wrapping_add(index as u8))
}

/// The bytes of `value`, encoded.
pub(super) fn encoded<T: crate::cbor::Encode>(value: &T) -> Vec<u8> {
    // Most values are small, and clearing a whole frame each time would be most of the work.
    let sizes = [1_536, 2 * crate::limits::MAX_FRAME];
    let fitting = |size| crate::encode(value, &mut vec![0; size]).ok().map(<[u8]>::to_vec);
    sizes.into_iter().find_map(fitting).unwrap()
}

fn leak(bytes: Vec<u8>) -> &'static [u8] {
    bytes.leak()
}

/// A device with the identity key of a seed.
pub(super) struct Device {
    pub(super) secret: SigningKey,
    pub(super) public: DevicePublic,
}

impl Device {
    pub(super) fn new(seed: u8, role: Role) -> Self {
        let secret = SigningKey::from_bytes(&[seed; 32]);
        let public = DevicePublic {
            role,
            suites: Suite::XChaCha20Poly1305.alone(),
            max_message: 8_192,
            identity_key: secret.verifying_key().to_bytes(),
            agreement_key: [seed ^ 0xff; 32],
        };
        Self { secret, public }
    }

    pub(super) fn id(&self) -> DeviceId {
        self.public.device_id()
    }

    pub(super) fn sign(&self, purpose: SignaturePurpose, parts: &[&[u8]]) -> Signature {
        sign(&self.secret, purpose, parts)
    }

    pub(super) fn prekey(&self, kind: PrekeyKind, id: u32) -> SignedPrekey {
        let record = Prekey { kind, id, created_at: NOW, key: [id as u8; 32] }.to_bytes();
        let signature = self.sign(SignaturePurpose::Prekey, &[self.id().as_bytes(), &record]);
        SignedPrekey { record, signature }
    }

    /// A KEM prekey's record and signature; its key is no point of ML-KEM's, which the wire does not look at.
    pub(super) fn kem_prekey(&self, kind: KemPrekeyKind, id: u32) -> SignedKemPrekey<'static> {
        let record: &[u8; KEM_RECORD] =
            Box::leak(Box::new(KemPrekey::write(kind, id, NOW, &pattern(id as u8))));
        let signature = self.sign(SignaturePurpose::Prekey, &[self.id().as_bytes(), record]);
        SignedKemPrekey { record, signature }
    }

    pub(super) fn bundle_with_kem(&self) -> Bundle<'static> {
        Bundle { kem: Some(self.kem_prekey(KemPrekeyKind::LastResort, 3)), ..self.bundle() }
    }

    pub(super) fn bundle(&self) -> Bundle<'static> {
        Bundle {
            signed: self.prekey(PrekeyKind::Signed, 1),
            one_time: Some(self.prekey(PrekeyKind::OneTime, 2)),
            kem: None,
        }
    }
}

pub(super) fn sign(key: &SigningKey, purpose: SignaturePurpose, parts: &[&[u8]]) -> Signature {
    Signature(key.sign(&signed_parts(purpose, parts).unwrap().concat()).to_bytes())
}

/// A tenant's recovery key.
pub(super) struct Root(pub(super) SigningKey);

impl Root {
    pub(super) fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    pub(super) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(super) fn tenant(&self) -> TenantId {
        TenantId::of_root(&self.public())
    }

    pub(super) fn certify(&self, subject: &Device) -> Vec<u8> {
        certify(&self.0, DeviceId::ROOT, self.tenant(), subject)
    }
}

pub(super) fn certify(key: &SigningKey, issuer: DeviceId, tenant_id: TenantId, subject: &Device) -> Vec<u8> {
    let body = DeviceCert { tenant_id, device: subject.public, issued_at: NOW, issuer }.to_bytes();
    signed_object(key, SignedKind::Cert, &body)
}

pub(super) fn signed_object(key: &SigningKey, kind: SignedKind, body: &[u8]) -> Vec<u8> {
    let signature = sign(key, kind.purpose(), &[body]);
    encoded(&Unverified { kind, body, signature })
}

/// A chain of these parts, whether it is valid or not.
pub(super) fn chain_of(root: [u8; 32], certs: &[Vec<u8>]) -> Vec<u8> {
    let mut items = vec![Node::Bytes(root.to_vec())];
    items.extend(certs.iter().cloned().map(Node::Bytes));
    Node::Array(items).to_bytes()
}

/// A tenant with a root, three owners that certify one another, and an agent of the last.
pub(super) struct Tenant {
    pub(super) root: Root,
    /// Certified by the root, by the first, by the second.
    pub(super) owners: [Device; 3],
    pub(super) agent: Device,
    /// An API key.
    pub(super) key: SigningKey,
}

impl Tenant {
    pub(super) fn new() -> Self {
        let owner = |seed| Device::new(seed, Role::Owner);
        Self {
            root: Root::new(1),
            owners: [owner(2), owner(3), owner(4)],
            agent: Device::new(5, Role::Agent),
            key: SigningKey::from_bytes(&[6; 32]),
        }
    }

    pub(super) fn id(&self) -> TenantId {
        self.root.tenant()
    }

    pub(super) fn certify(&self, issuer: &Device, subject: &Device) -> Vec<u8> {
        certify(&issuer.secret, issuer.id(), self.id(), subject)
    }

    /// Certificates of a chain of `length`, the agent's first.
    pub(super) fn certs(&self, length: usize) -> Vec<Vec<u8>> {
        let mut devices = vec![&self.agent];
        devices.extend(self.owners[..length - 1].iter().rev());
        let mut certs: Vec<_> = devices.windows(2).map(|pair| self.certify(pair[1], pair[0])).collect();
        certs.push(self.root.certify(devices[length - 1]));
        certs
    }

    pub(super) fn chain(&self, length: usize) -> Vec<u8> {
        chain_of(self.root.public(), &self.certs(length))
    }

    pub(super) fn statement(&self, verdict: Verdict, keep: &[u8]) -> Vec<u8> {
        let issuer = &self.owners[0];
        let statement = Statement {
            verdict,
            tenant_id: self.id(),
            subject: self.agent.id(),
            issuer: issuer.id(),
            serial: 7,
            issued_at: NOW,
            keep,
            link_keys: (verdict == Verdict::LinkKeys)
                .then(|| AnnouncedKeys { current: pattern(0x1c), next: pattern(0x2c) }),
        };
        signed_object(&issuer.secret, statement.kind(), &statement.body().unwrap())
    }

    /// The root's revocation of an owner that keeps these certificates.
    pub(super) fn revocation_of(&self, owner: &Device, kept: &[&[u8]]) -> Vec<u8> {
        let statement = |keep| Statement {
            verdict: Verdict::Revoked,
            tenant_id: self.id(),
            subject: owner.id(),
            issuer: DeviceId::ROOT,
            serial: 1_000 * NOW,
            issued_at: NOW,
            keep,
            link_keys: None,
        };
        let names: Vec<u8> = kept.iter().flat_map(|cert| crate::statement::keep_name(cert)).collect();
        signed_object(&self.root.0, SignedKind::Revocation, &statement(&names).body().unwrap())
    }

    /// The agent's chain through the first owner, whom the root revoked and whose certificate for the agent it keeps.
    pub(super) fn kept_chain(&self) -> Vec<u8> {
        let certs = self.certs(2);
        let revocation = self.revocation_of(&self.owners[0], &[&certs[0]]);
        chain_of(self.root.public(), &[certs[0].clone(), revocation, certs[1].clone()])
    }

    /// What the first owner grants the API key.
    pub(super) fn key_grant(&self) -> KeyGrant {
        KeyGrant {
            tenant_id: self.id(),
            public_key: self.key.verifying_key().to_bytes(),
            most: 12,
            expires_at: NOW + 86_400,
            issued_at: NOW,
            issuer: self.owners[0].id(),
        }
    }

    pub(super) fn signed_key_grant(&self) -> Vec<u8> {
        signed_object(&self.owners[0].secret, SignedKind::KeyGrant, &self.key_grant().to_bytes())
    }

    /// The key's grant and the chain of its owner.
    pub(super) fn key_chain(&self) -> Vec<u8> {
        chain_of(self.root.public(), &[self.signed_key_grant(), self.root.certify(&self.owners[0])])
    }

    /// The agent's certificate by the key.
    pub(super) fn cert_by_key(&self) -> Vec<u8> {
        certify(&self.key, self.key_grant().key_id().as_issuer(), self.id(), &self.agent)
    }

    /// The agent's chain, who enrolled with the key.
    pub(super) fn keyed_chain(&self) -> Vec<u8> {
        let owner = self.root.certify(&self.owners[0]);
        chain_of(self.root.public(), &[self.cert_by_key(), self.signed_key_grant(), owner])
    }

    pub(super) fn enroll(&self) -> EnrollRequest<'static> {
        let (lookup, device) = (pattern(0x30), self.agent.public.to_bytes());
        let (bundle, sealed_name) =
            (leak(encoded(&self.agent.bundle())), leak(pattern::<104>(0x50).to_vec()));
        let transcript = EnrollTranscript::new(&lookup, &device, bundle, sealed_name).unwrap();
        let pop = self.agent.sign(SignaturePurpose::Enroll, &[&transcript.0]);
        EnrollRequest { lookup, device, bundle, sealed_name, pop, tag: pattern(0x60) }
    }

    pub(super) fn grant(&self) -> Grant<'static> {
        let serials = vec![
            OwnerSerial { owner: self.owners[0].id(), serial: 7 },
            OwnerSerial { owner: self.owners[1].id(), serial: 0 },
        ];
        Grant {
            chain: leak(self.chain(2)),
            origin: ORIGIN,
            link_key: [0; 32],
            next_link_key: [0; 32],
            serials: List::new(Box::leak(serials.into_boxed_slice())),
            tag: pattern(0x70),
        }
    }

    pub(super) fn prelude(&self, initiator: Vec<u8>, one_time_prekey: Option<u32>) -> Prelude<'static> {
        Prelude {
            generation: 1,
            mode: 1,
            ephemeral: pattern(0x90),
            signed_prekey: 1,
            one_time_prekey,
            kem_key: None,
            kem_ciphertext: None,
            initiator: leak(initiator),
        }
    }
}
