//! The root chain: one step a change of ratchet key.

use av_wire::labels;

use crate::crypto::{AgreementSecret, CryptoError, Secret, derive_keys};

/// What a step of the root chain gives.
pub(super) struct RootStep {
    /// The next root key.
    pub(super) root: Secret<32>,
    /// Where the new message chain starts.
    pub(super) chain: Secret<32>,
    /// The header key of the chain after the new one in the same direction.
    pub(super) next_header: Secret<32>,
}

/// KDF(root, DH(own, peer), "AV1 root", 96).
pub(super) fn step(
    root: &Secret<32>,
    own: &AgreementSecret,
    peer: &[u8; 32],
) -> Result<RootStep, CryptoError> {
    let agreed = own.agree(peer)?;
    let [root, chain, next_header] = derive_keys(root.expose(), &[agreed.expose()], labels::kdf::ROOT);
    Ok(RootStep { root, chain, next_header })
}
