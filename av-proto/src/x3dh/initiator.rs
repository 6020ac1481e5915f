//! Who begins.

use av_wire::bundle::VerifiedBundle;
use rand_core::CryptoRng;

use super::{Agreements, KeyOffer, Parameters, Transcript, session_keys};
use crate::crypto::{Aead, AgreementSecret};
use crate::error::X3dhError;
use crate::ratchet::{PendingPrelude, Session};

/// A session with the device whose verified bundle this is.
///
/// Its messages carry the prelude until one of the responder's opens.
///
/// # Errors
/// [`X3dhError`]: the peer is this device, shares no suite with it, or offers a key of small order.
pub fn initiate<A: Aead, const SKIP: usize>(
    parameters: &Parameters<'_>,
    bundle: &VerifiedBundle,
    rng: &mut dyn CryptoRng,
) -> Result<Session<A, SKIP>, X3dhError> {
    parameters.check(A::SUITE)?;
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
    };
    let transcript = Transcript {
        suite: A::SUITE,
        mode: parameters.mode(),
        generation: parameters.generation,
        tenant: parameters.tenant,
        initiator: parameters.identity.fingerprint(),
        responder: &parameters.peer.fingerprint(),
        ephemeral: ephemeral.public(),
        signed: KeyOffer { id: signed.id, key: &signed.key },
        one_time: one_time.map(|prekey| KeyOffer { id: prekey.id, key: &prekey.key }),
    }
    .hash();
    let keys = session_keys(&transcript, &agreements, parameters.psk);
    let prelude = PendingPrelude {
        ephemeral: *ephemeral.public(),
        signed_prekey: signed.id,
        one_time_prekey: one_time.map(|prekey| prekey.id),
    };
    let (generation, mode) = (parameters.generation, parameters.mode());
    Ok(Session::of_initiator(transcript, generation, mode, &keys, prelude, &signed.key, rng)?)
}
