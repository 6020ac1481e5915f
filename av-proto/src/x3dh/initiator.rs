//! Who begins a session (`PROTOCOL.md` section 6).

use av_wire::bundle::VerifiedBundle;
use rand_core::CryptoRng;

use super::{Agreed, Agreements, Encapsulation, KeyOffer, Parameters, Transcript, session_keys};
use crate::crypto::{Aead, AgreementSecret, encapsulate};
use crate::error::X3dhError;
use crate::ratchet::{PendingKem, PendingPrelude, Session};

/// A session with the device whose verified bundle this is. Suites without a KEM do not look at its KEM prekey.
///
/// Its messages carry the prelude until one of the responder's opens.
///
/// # Errors
/// [`X3dhError`]: the peer is this device, shares no suite with it, lacks the KEM key of the suite that both share, or
/// offers a key of small order.
pub fn initiate<A: Aead, const SKIP: usize>(
    parameters: &Parameters<'_>,
    bundle: &VerifiedBundle<'_>,
    rng: &mut dyn CryptoRng,
) -> Result<Session<A, SKIP>, X3dhError> {
    let suite = parameters.choose(A::SUITE)?;
    let kem = match (suite.has_kem(), bundle.kem()) {
        (true, None) => return Err(X3dhError::Bundle),
        (true, Some(prekey)) => Some((prekey, encapsulate(prekey.key(), rng)?)),
        (false, _) => None,
    };
    let (encapsulated, kem_secret) = match kem {
        Some((prekey, (ciphertext, secret))) => (Some((prekey, ciphertext)), Some(secret)),
        None => (None, None),
    };
    let identity = parameters.identity.agreement();
    let ephemeral = AgreementSecret::generate(rng);
    let signed = bundle.signed();
    let one_time = bundle.one_time();
    let agreements = Agreements {
        identities: identity.agree(&parameters.peer.agreement_key)?,
        initiator_signed: identity.agree(&signed.key)?,
        ephemeral_identity: ephemeral.agree(&parameters.peer.agreement_key)?,
        ephemeral_signed: ephemeral.agree(&signed.key)?,
        ephemeral_one_time: one_time.map(|prekey| ephemeral.agree(&prekey.key)).transpose()?,
        kem: kem_secret,
    };
    let transcript = Transcript {
        suite,
        mode: parameters.mode(),
        generation: parameters.generation,
        tenant: parameters.tenant,
        initiator: parameters.identity.fingerprint(),
        responder: &parameters.peer.fingerprint(),
        ephemeral: ephemeral.public(),
        signed: KeyOffer { id: signed.id, key: &signed.key },
        one_time: one_time.map(|prekey| KeyOffer { id: prekey.id, key: &prekey.key }),
        kem: encapsulated.as_ref().map(|(prekey, ciphertext)| Encapsulation {
            id: prekey.id(),
            key: prekey.key(),
            ciphertext: ciphertext.as_bytes(),
        }),
    }
    .hash();
    let keys = session_keys(&transcript, &agreements, parameters.psk);
    let prelude = PendingPrelude {
        ephemeral: *ephemeral.public(),
        signed_prekey: signed.id,
        one_time_prekey: one_time.map(|prekey| prekey.id),
        kem: encapsulated.map(|(prekey, ciphertext)| PendingKem { id: prekey.id(), ciphertext }),
    };
    let (generation, mode) = (parameters.generation, parameters.mode());
    let agreed = Agreed { id: transcript, suite, generation, mode };
    Ok(Session::of_initiator(agreed, &keys, prelude, &signed.key, rng)?)
}
