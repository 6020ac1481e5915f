//! X3DH with both identity keys, with the invite's pre-shared key while an invite lives, and with a KEM in the suites
//! that have one (`PROTOCOL.md` section 6).
//!
//! ```text
//! initiator   bundle, its own keys ──▶ initiate ──▶ Session, which puts the prelude before its messages
//! responder   prelude, its own keys ─▶ respond ───▶ Session, which has opened nothing yet
//! ```
//!
//! Nothing is consumed here. A responder takes generation, one-time key and session slot into account when the
//! first message has opened, so a forged prelude leaves no trace.

mod initiator;
mod responder;
mod transcript;

#[cfg(test)]
#[cfg(feature = "pq")]
mod kem_tests;
#[cfg(test)]
mod tests;

use av_wire::{DevicePublic, Suite, TenantId};

use crate::crypto::{Secret, derive_keys};
use crate::error::X3dhError;
use crate::keys::Identity;
pub use initiator::initiate;
pub use responder::respond;
pub use transcript::{Encapsulation, KeyOffer, Transcript};

/// What both sides know before the handshake.
pub struct Parameters<'a> {
    /// The tenant of both devices.
    pub tenant: &'a TenantId,
    /// This device.
    pub identity: &'a Identity,
    /// The other device, from its verified certificate.
    pub peer: &'a DevicePublic,
    /// The session's generation, greater than any accepted before between the two.
    pub generation: u32,
    /// The invite's key while it lives; with it the mode is 1, without it 0.
    pub psk: Option<&'a Secret<32>>,
}

impl Parameters<'_> {
    /// 1 with the invite's key, else 0.
    pub const fn mode(&self) -> u8 {
        if self.psk.is_some() { 1 } else { 0 }
    }

    /// The suite that both sides choose, if its AEAD is the one of this build and the sides are two.
    fn choose(&self, aead: Suite) -> Result<Suite, X3dhError> {
        if *self.identity.public() == *self.peer {
            return Err(X3dhError::Oneself);
        }
        let chosen = self.identity.public().suites.choose(self.peer.suites);
        chosen.filter(|suite| suite.without_kem() == aead).ok_or(X3dhError::Suite)
    }
}

/// The keys that a handshake gives a session.
pub(crate) struct SessionKeys {
    /// `SK`: where the root chain starts.
    pub(crate) root: Secret<32>,
    /// `HK_A`: header key of the initiator's first chain.
    pub(crate) initiator_header: Secret<32>,
    /// `NHK_B`: header key of the responder's first chain.
    pub(crate) responder_header: Secret<32>,
}

/// How the session of a handshake is named on both sides.
#[derive(Clone, Copy)]
pub(crate) struct Agreed {
    /// `th`.
    pub(crate) id: [u8; 32],
    pub(crate) suite: Suite,
    pub(crate) generation: u32,
    pub(crate) mode: u8,
}

/// The four or five agreements, in the order of the specification, and the KEM's secret.
struct Agreements {
    identities: Secret<32>,
    initiator_signed: Secret<32>,
    ephemeral_identity: Secret<32>,
    ephemeral_signed: Secret<32>,
    ephemeral_one_time: Option<Secret<32>>,
    kem: Option<Secret<32>>,
}

/// KDF(th, 0xFF×32 ‖ agreements ‖ KEM secret or 0×32 ‖ psk or 0×32, "AV1 x3dh", 96).
fn session_keys(transcript: &[u8; 32], agreements: &Agreements, psk: Option<&Secret<32>>) -> SessionKeys {
    let or_zeros = |secret: Option<&Secret<32>>| secret.map_or(Secret::zero(), Secret::duplicate);
    let (one_time, kem) = (&agreements.ephemeral_one_time, &agreements.kem);
    let (one_time, kem, psk) = (or_zeros(one_time.as_ref()), or_zeros(kem.as_ref()), or_zeros(psk));
    let [root, initiator_header, responder_header] = derive_keys(
        transcript,
        &[
            &[0xff; 32],
            agreements.identities.expose(),
            agreements.initiator_signed.expose(),
            agreements.ephemeral_identity.expose(),
            agreements.ephemeral_signed.expose(),
            one_time.expose(),
            kem.expose(),
            psk.expose(),
        ],
        av_wire::labels::kdf::X3DH,
    );
    SessionKeys { root, initiator_header, responder_header }
}
