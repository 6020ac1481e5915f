//! A device that signs what devices sign. Its agreement key is random: the relay never uses it.

use av_wire::bundle::{Bundle, KEM_RECORD, KemPrekey, KemPrekeyKind, Prekey, PrekeyKind, SignedPrekey};
use av_wire::cert::DeviceCert;
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::enroll::{EnrollRequest, EnrollTranscript};
use av_wire::frame::{LinkKind, authentication_message};
use av_wire::grant::Grant;
use av_wire::ids::{DeviceId, KeyId, Origin, TenantId};
use av_wire::key_grant::KeyGrant;
use av_wire::labels::SignaturePurpose;
use av_wire::limits::{MIN_MAX_MESSAGE_WITH_KEM, SEALED_NAME};
use av_wire::public::{DevicePublic, Role, Suite};
use av_wire::signature::{Signature, SignedKind, Unverified, signed_parts};
use av_wire::statement::{AnnouncedKeys, Statement, Verdict};
use av_wire::{List, encode};
use ed25519_dalek::{Signer, SigningKey};

use crate::encoded::encoded;
use crate::service::Authentication;

/// Seconds since 1970 in what is signed; the relay goes by its own clock.
const NOW: u64 = 1_800_000_000;

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

pub(crate) fn sign(key: &SigningKey, purpose: SignaturePurpose, parts: &[&[u8]]) -> Signature {
    Signature(key.sign(&signed_parts(purpose, parts).unwrap().concat()).to_bytes())
}

/// A signed object of this kind.
pub(crate) fn signed_object(key: &SigningKey, kind: SignedKind, body: &[u8]) -> Vec<u8> {
    let signature = sign(key, kind.purpose(), &[body]);
    encoded(&Unverified { kind, body, signature })
}

/// A device, and the chain that certifies it once it has one.
#[derive(Clone)]
pub(crate) struct TestDevice {
    pub(crate) key: SigningKey,
    pub(crate) public: DevicePublic,
    pub(crate) chain: Vec<u8>,
}

impl TestDevice {
    pub(crate) fn new(role: Role) -> Self {
        Self::with_max_message(role, 16_384)
    }

    pub(crate) fn with_max_message(role: Role, max_message: u32) -> Self {
        let key = SigningKey::from_bytes(&random());
        let public = DevicePublic {
            role,
            suites: if max_message < MIN_MAX_MESSAGE_WITH_KEM {
                Suite::XChaCha20Poly1305.alone()
            } else {
                Suite::XChaCha20Poly1305.alone().and(Suite::XChaCha20Poly1305MlKem768)
            },
            max_message,
            identity_key: key.verifying_key().to_bytes(),
            agreement_key: random(),
        };
        Self { key, public, chain: Vec::new() }
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.public.device_id()
    }

    pub(crate) fn prekey(&self, kind: PrekeyKind, id: u32) -> SignedPrekey {
        let record = Prekey { kind, id, created_at: NOW, key: random() }.to_bytes();
        let signature = sign(&self.key, SignaturePurpose::Prekey, &[self.id().as_bytes(), &record]);
        SignedPrekey { record, signature }
    }

    /// A KEM prekey's record and signature.
    pub(crate) fn kem_prekey(&self, kind: KemPrekeyKind, id: u32) -> (Box<[u8; KEM_RECORD]>, Signature) {
        let record = KemPrekey::write(kind, id, NOW, &random());
        let signature = sign(&self.key, SignaturePurpose::Prekey, &[self.id().as_bytes(), &record]);
        (Box::new(record), signature)
    }

    /// A bundle with signed prekey 1 and one-time prekey 2.
    pub(crate) fn bundle(&self) -> Vec<u8> {
        let bundle = Bundle {
            signed: self.prekey(PrekeyKind::Signed, 1),
            one_time: Some(self.prekey(PrekeyKind::OneTime, 2)),
            kem: None,
        };
        encoded(&bundle)
    }

    /// Its request to be enrolled with an invite, as sent.
    pub(crate) fn request(&self, lookup: &[u8; 32]) -> Vec<u8> {
        let bundle = self.bundle();
        let sealed_name = random::<SEALED_NAME>();
        let device = self.public.to_bytes();
        let transcript = EnrollTranscript::new(lookup, &device, &bundle, &sealed_name).unwrap();
        let request = EnrollRequest {
            lookup: *lookup,
            device,
            bundle: &bundle,
            sealed_name: &sealed_name,
            pop: sign(&self.key, SignaturePurpose::Enroll, &[&transcript.0]),
            tag: random(),
        };
        encoded(&request)
    }

    /// The chain by which this device, as an issuer, certifies another.
    pub(crate) fn certify(&self, tenant: TenantId, device: &DevicePublic) -> Vec<u8> {
        let cert = DeviceCert { tenant_id: tenant, device: *device, issued_at: NOW, issuer: self.id() };
        let signed = signed_object(&self.key, SignedKind::Cert, &cert.to_bytes());
        let own = Chain::new(&self.chain);
        let mut buffer = [0; MAX_CHAIN_BYTES];
        Chain::prepend(&own.claimed_root().unwrap(), &signed, Some(own), &mut buffer).unwrap().to_vec()
    }

    /// The signed grant of this API key by this owner, for so many agents and until then.
    pub(crate) fn key_grant(
        &self,
        tenant_id: TenantId,
        key: &SigningKey,
        most: u16,
        expires_at: u64,
    ) -> Vec<u8> {
        let public_key = key.verifying_key().to_bytes();
        let grant = KeyGrant { tenant_id, public_key, most, expires_at, issued_at: 1, issuer: self.id() };
        signed_object(&self.key, SignedKind::KeyGrant, &grant.to_bytes())
    }

    /// The chain by which an API key certifies this device, from the key's own.
    pub(crate) fn certified_by_key(
        &self,
        tenant_id: TenantId,
        key: &SigningKey,
        key_chain: &[u8],
    ) -> Vec<u8> {
        let issuer = KeyId::of(&key.verifying_key().to_bytes()).as_issuer();
        let cert = DeviceCert { tenant_id, device: self.public, issued_at: 2, issuer };
        let signed = signed_object(key, SignedKind::Cert, &cert.to_bytes());
        let above = Chain::new(key_chain);
        let mut buffer = [0; MAX_CHAIN_BYTES];
        Chain::prepend(&above.claimed_root().unwrap(), &signed, Some(above), &mut buffer).unwrap().to_vec()
    }

    /// Its proof that it holds the identity key which this chain certifies.
    pub(crate) fn key_possession(&self, bundle: &[u8], chain: &[u8]) -> Signature {
        let transcript =
            EnrollTranscript::with_key(&self.public.to_bytes(), bundle, Chain::new(chain)).unwrap();
        sign(&self.key, SignaturePurpose::Enroll, &[&transcript.0])
    }

    /// A grant with this chain. The tag is the enrolling device's business.
    pub(crate) fn grant(chain: &[u8]) -> Vec<u8> {
        let grant = Grant {
            chain,
            origin: super::ORIGIN,
            link_key: [0; 32],
            next_link_key: [0; 32],
            serials: List::new(&[]),
            tag: random(),
        };
        encoded(&grant)
    }

    /// Proof that it took up the grant with this chain for this request.
    pub(crate) fn activation(&self, request: &[u8], chain: &[u8]) -> Signature {
        let request: EnrollRequest<'_> = av_wire::decode(request).unwrap();
        let transcript = request.transcript().unwrap();
        sign(&self.key, SignaturePurpose::Activate, &[&transcript.0, &Chain::new(chain).hash()])
    }

    /// What it says to authenticate to `origin` over this link.
    pub(crate) fn authentication(
        &self,
        tenant: TenantId,
        nonce: [u8; 32],
        origin: &str,
        link: LinkKind,
    ) -> Authentication {
        let origin = Origin::parse(origin).unwrap();
        let message = authentication_message(link, &nonce, &tenant, &self.id(), &origin).unwrap();
        let signature = Signature(self.key.sign(&message).to_bytes());
        Authentication { tenant, device: self.id(), link, channel: nonce, signature }
    }

    /// A statement of this owner's device.
    pub(crate) fn statement(
        &self,
        tenant: TenantId,
        verdict: Verdict,
        subject: DeviceId,
        serial: u64,
    ) -> Vec<u8> {
        statement_by(&self.key, self.id(), tenant, verdict, subject, serial)
    }
}

pub(crate) fn statement_by(
    key: &SigningKey,
    issuer: DeviceId,
    tenant_id: TenantId,
    verdict: Verdict,
    subject: DeviceId,
    serial: u64,
) -> Vec<u8> {
    let statement = Statement {
        verdict,
        tenant_id,
        subject,
        issuer,
        serial,
        issued_at: NOW,
        keep: &[],
        link_keys: (verdict == Verdict::LinkKeys)
            .then_some(AnnouncedKeys { current: [0x1c; 32], next: [0; 32] }),
    };
    let body = statement.body().unwrap();
    let signature = sign(key, statement.kind().purpose(), &[&body]);
    let object = Unverified { kind: statement.kind(), body: &body, signature };
    let mut buffer = [0; Statement::MAX_SIGNED_LEN];
    encode(&object, &mut buffer).unwrap().to_vec()
}
