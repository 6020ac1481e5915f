//! Two devices whose secrets are unknown to valgrind and whose public keys are known to it.

use av_proto::crypto::{Aead, AgreementSecret, KemSecret};
use av_proto::keys::{Identity, Prekeys};
use av_proto::ratchet::{HeaderBlob, Session};
use av_proto::wire::bundle::{KEM_RECORD, KemPrekey, KemPrekeyKind, SignedKemPrekey};
use av_proto::wire::labels::SignaturePurpose;
use av_proto::wire::{Role, Signature, Suite, Suites, TenantId};
use av_proto::x3dh::{Parameters, initiate, respond};

use crate::memcheck::{declassify, published};
use crate::randomness::SecretRng;

/// The tenant of both.
pub const TENANT: TenantId = TenantId([0x7e; 16]);

/// Initiator and responder, with the responder's prekeys.
pub struct Devices {
    /// Who begins.
    pub initiator: Identity,
    /// Who answers.
    pub responder: Identity,
    prekeys: Prekeys<1>,
    kem: Option<Kem>,
}

/// The responder's KEM prekey, as it is kept and as it is published.
struct Kem {
    secret: KemSecret,
    record: [u8; KEM_RECORD],
    signature: Signature,
}

/// A message as it crosses the relay.
pub struct Message {
    header_blob: Vec<u8>,
    ciphertext: Vec<u8>,
}

/// An identity, of which the public keys, and the ids computed from them, are public.
pub fn identity(rng: &mut SecretRng, role: Role, suites: Suites) -> Identity {
    let identity = Identity::generate(rng, role, suites, 8_192);
    declassify(identity.public());
    declassify(identity.fingerprint());
    declassify(identity.device_id());
    declassify(identity.signing().public());
    declassify(identity.agreement().public());
    identity
}

/// A key pair of which the public half is public.
pub fn key_pair(rng: &mut SecretRng) -> AgreementSecret {
    let pair = AgreementSecret::generate(rng);
    declassify(pair.public());
    pair
}

impl Devices {
    /// Two devices that speak these suites.
    pub fn new(suites: Suites) -> Self {
        let mut rng = SecretRng::new(1);
        let initiator = identity(&mut rng, Role::Owner, suites);
        let responder = identity(&mut rng, Role::Agent, suites);
        let prekeys = Prekeys::generate(&mut rng, 0);
        for secret in [prekeys.signed_secret(1), prekeys.one_time_secret(2)] {
            declassify(secret.expect("made with the prekeys").public());
        }
        let has_kem = suites.choose(suites).is_some_and(Suite::has_kem);
        let kem = has_kem.then(|| Kem::new(&mut rng, &responder));
        Self { initiator, responder, prekeys, kem }
    }

    /// The initiator's session.
    pub fn initiate<A: Aead, const SKIP: usize>(&self, rng: &mut SecretRng) -> Session<A, SKIP> {
        let bundle = published(self.prekeys.bundle(&self.responder).expect("signs"));
        let bundle = bundle.verify(self.responder.public()).expect("genuine");
        let offer = self.kem.as_ref().map(|kem| {
            let offer = SignedKemPrekey { record: &kem.record, signature: kem.signature };
            offer.verify(self.responder.public()).expect("genuine")
        });
        let (identity, peer) = (&self.initiator, self.responder.public());
        let parameters = Parameters { tenant: &TENANT, identity, peer, generation: 1, psk: None };
        initiate(&parameters, &bundle, offer.as_ref(), rng).expect("initiates")
    }

    /// The responder's session, which the first message asks for.
    pub fn respond<A: Aead, const SKIP: usize>(&self, first: &Message) -> Session<A, SKIP> {
        let blob = HeaderBlob::parse(&first.header_blob).expect("parses");
        let prelude = blob.prelude.expect("a first message");
        let (identity, peer) = (&self.responder, self.initiator.public());
        let parameters = Parameters { tenant: &TENANT, identity, peer, generation: 1, psk: None };
        let signed = self.prekeys.signed_secret(prelude.signed_prekey).expect("the one of the bundle");
        let one_time = prelude.one_time_prekey.and_then(|id| self.prekeys.one_time_secret(id));
        let kem = self.kem.as_ref().map(|kem| &kem.secret);
        respond(&parameters, &prelude, signed, one_time, kem).expect("responds")
    }
}

impl Kem {
    fn new(rng: &mut SecretRng, device: &Identity) -> Self {
        let secret = KemSecret::generate(rng);
        let record = KemPrekey::write(KemPrekeyKind::LastResort, 7, 0, &published(secret.public()));
        let parts: [&[u8]; 2] = [device.device_id().as_bytes(), &record];
        let signature = device.signing().sign(SignaturePurpose::Prekey, &parts).expect("signs");
        Self { secret, record, signature: published(signature) }
    }
}

impl Message {
    /// Encrypts `body` and publishes the ciphertext.
    pub fn seal<A: Aead, const SKIP: usize>(
        session: &mut Session<A, SKIP>,
        rng: &mut SecretRng,
        body: &[u8],
    ) -> Self {
        let mut out = [0; 4_096];
        let sealed = session.encrypt(rng, &[1; 16], 1, body, 32, &mut out).expect("encrypts");
        declassify(&out);
        let (header_blob, ciphertext) = out[..sealed.len].split_at(sealed.header_len);
        Self { header_blob: header_blob.to_vec(), ciphertext: ciphertext.to_vec() }
    }

    /// Decrypts; whether it opened. What it says stays secret.
    pub fn open<A: Aead, const SKIP: usize>(&self, session: &mut Session<A, SKIP>) -> bool {
        let mut out = [0; 1_024];
        published(session.decrypt(&self.header_blob, &self.ciphertext, &mut out).is_ok())
    }

    /// The message with one bit of its body changed on the way.
    pub fn corrupted(mut self) -> Self {
        self.ciphertext[0] ^= 1;
        self
    }
}
