//! Who answers a prelude (`PROTOCOL.md` section 6).

use av_wire::message::Prelude;

use super::{Agreed, Agreements, Encapsulation, KeyOffer, Parameters, Transcript, session_keys};
use crate::crypto::{Aead, AgreementSecret, KemCiphertext, KemSecret};
use crate::error::X3dhError;
use crate::ratchet::Session;

/// The session that a prelude asks for. `signed`, `one_time` and `kem` are the secrets of the prekeys that it names.
///
/// The session has opened nothing yet: whether the prelude is genuine shows when its message decrypts, and only
/// then may generation, one-time key and psk be accounted for.
///
/// # Errors
/// [`X3dhError`]: a prelude that contradicts the parameters, itself or its peer's keys. It may have cost up to five
/// agreements and a decapsulation by then, so gen and ration are looked at before.
pub fn respond<A: Aead, const SKIP: usize>(
    parameters: &Parameters<'_>,
    prelude: &Prelude<'_>,
    signed: &AgreementSecret,
    one_time: Option<&AgreementSecret>,
    kem: Option<&KemSecret>,
) -> Result<Session<A, SKIP>, X3dhError> {
    let suite = parameters.choose(A::SUITE)?;
    let encapsulated = match (suite.has_kem(), kem, prelude.kem_key, prelude.kem_ciphertext) {
        (true, Some(secret), Some(id), Some(ciphertext)) => {
            Some((secret, id, KemCiphertext::from_slice(ciphertext).ok_or(X3dhError::Prelude)?))
        }
        (false, None, None, None) => None,
        _ => return Err(X3dhError::Prelude),
    };
    if prelude.mode != parameters.mode()
        || prelude.generation != parameters.generation
        || prelude.one_time_prekey.is_some() != one_time.is_some()
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
        kem: encapsulated.as_ref().map(|(secret, _, ciphertext)| secret.decapsulate(ciphertext)),
    };
    let kem_key = encapsulated.as_ref().map(|(secret, _, _)| secret.public());
    let one_time = prelude.one_time_prekey.zip(one_time);
    let transcript =
        Transcript {
            suite,
            mode: prelude.mode,
            generation: prelude.generation,
            tenant: parameters.tenant,
            initiator: &parameters.peer.fingerprint(),
            responder: parameters.identity.fingerprint(),
            ephemeral,
            signed: KeyOffer { id: prelude.signed_prekey, key: signed.public() },
            one_time: one_time.map(|(id, secret)| KeyOffer { id, key: secret.public() }),
            kem: encapsulated.as_ref().zip(kem_key.as_ref()).map(|((_, id, ciphertext), key)| {
                Encapsulation { id: *id, key, ciphertext: ciphertext.as_bytes() }
            }),
        }
        .hash();
    let keys = session_keys(&transcript, &agreements, parameters.psk);
    let (generation, mode) = (prelude.generation, prelude.mode);
    Ok(Session::of_responder(Agreed { id: transcript, suite, generation, mode }, &keys, signed))
}
