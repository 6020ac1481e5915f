//! Two devices whose secrets are unknown to valgrind and whose public keys are known to it.

use av_proto::crypto::{Aead, AgreementSecret};
use av_proto::keys::{Identity, Prekeys};
use av_proto::ratchet::{HeaderBlob, Session};
use av_proto::wire::bundle::KEM_RECORD;
use av_proto::wire::{Role, Suites, TenantId};
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
        Self::with(&mut SecretRng::new(1), suites)
    }

    /// The same, of secrets from this generator.
    pub fn with(rng: &mut SecretRng, suites: Suites) -> Self {
        let initiator = identity(rng, Role::Owner, suites);
        let responder = identity(rng, Role::Agent, suites);
        let prekeys = Prekeys::generate(rng, suites, 0);
        for secret in [prekeys.signed_secret(1), prekeys.one_time_secret(2)] {
            declassify(secret.expect("made with the prekeys").public());
        }
        Self { initiator, responder, prekeys }
    }

    /// The initiator's session.
    pub fn initiate<A: Aead, const SKIP: usize>(&self, rng: &mut SecretRng) -> Session<A, SKIP> {
        let mut room = [[0; KEM_RECORD]];
        let bundle = published(self.prekeys.bundle(&self.responder, &mut room).expect("signs"));
        if let Some(kem) = &bundle.kem {
            declassify(kem.record);
        }
        let bundle = bundle.verify(self.responder.public()).expect("genuine");
        let (identity, peer) = (&self.initiator, self.responder.public());
        let parameters = Parameters { tenant: &TENANT, identity, peer, generation: 1, psk: None };
        initiate(&parameters, &bundle, rng).expect("initiates")
    }

    /// The responder's session, which the first message asks for.
    pub fn respond<A: Aead, const SKIP: usize>(&self, first: &Message) -> Session<A, SKIP> {
        let blob = HeaderBlob::parse(&first.header_blob).expect("parses");
        let prelude = blob.prelude.expect("a first message");
        let (identity, peer) = (&self.responder, self.initiator.public());
        let parameters = Parameters { tenant: &TENANT, identity, peer, generation: 1, psk: None };
        let signed = self.prekeys.signed_secret(prelude.signed_prekey).expect("the one of the bundle");
        let one_time = prelude.one_time_prekey.and_then(|id| self.prekeys.one_time_secret(id));
        let kem = prelude.kem_key.and_then(|id| self.prekeys.kem_secret(id));
        respond(&parameters, &prelude, signed, one_time, kem).expect("responds")
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
