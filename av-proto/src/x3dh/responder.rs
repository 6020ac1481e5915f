//! Who answers.

use av_wire::message::Prelude;

use super::{Agreements, KeyOffer, Parameters, Transcript, session_keys};
use crate::crypto::{Aead, AgreementSecret};
use crate::error::X3dhError;
use crate::ratchet::Session;

/// The session that a prelude asks for. `signed` and `one_time` are the secrets of the prekeys that it names.
///
/// The session has opened nothing yet: whether the prelude is genuine shows when its message decrypts, and only
/// then may generation, one-time key and psk be accounted for.
///
/// # Errors
/// [`X3dhError`]: a prelude that contradicts the parameters, itself or its peer's keys.
pub fn respond<A: Aead, const SKIP: usize>(
    parameters: &Parameters<'_>,
    prelude: &Prelude<'_>,
    signed: &AgreementSecret,
    one_time: Option<&AgreementSecret>,
) -> Result<Session<A, SKIP>, X3dhError> {
    parameters.check(A::SUITE)?;
    let has_kem = prelude.kem_key.is_some() || prelude.kem_ciphertext.is_some();
    if prelude.mode != parameters.mode()
        || prelude.generation != parameters.generation
        || prelude.one_time_prekey.is_some() != one_time.is_some()
        || has_kem
    {
        return Err(X3dhError::Prelude);
    }
    let identity = parameters.identity.agreement();
    let ephemeral = &prelude.ephemeral;
    let agreements = Agreements {
        identities: identity.agree(&parameters.peer.agreement_key)?,
        initiator_signed: signed.agree(&parameters.peer.agreement_key)?,
        ephemeral_identity: identity.agree(ephemeral)?,
        ephemeral_signed: signed.agree(ephemeral)?,
        ephemeral_one_time: one_time.map(|secret| secret.agree(ephemeral)).transpose()?,
    };
    let one_time = prelude.one_time_prekey.zip(one_time);
    let transcript = Transcript {
        suite: A::SUITE,
        mode: prelude.mode,
        generation: prelude.generation,
        tenant: parameters.tenant,
        initiator: &parameters.peer.fingerprint(),
        responder: parameters.identity.fingerprint(),
        ephemeral,
        signed: KeyOffer { id: prelude.signed_prekey, key: signed.public() },
        one_time: one_time.map(|(id, secret)| KeyOffer { id, key: secret.public() }),
    }
    .hash();
    let keys = session_keys(&transcript, &agreements, parameters.psk);
    Ok(Session::of_responder(transcript, prelude.generation, prelude.mode, &keys, signed))
}
