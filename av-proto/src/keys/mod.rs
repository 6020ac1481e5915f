//! The keys of a device: its identity, and the prekeys that let others begin sessions with it
//! (`PROTOCOL.md` sections 2 and 5).

mod identity;
mod kem_prekey;
mod prekey;

#[cfg(test)]
mod tests;

pub use crate::crypto::Secret;
pub use identity::Identity;
pub use prekey::Prekeys;

/// What a device's prekeys take more of memory in a build with a KEM.
#[cfg(test)]
pub(crate) const KEM_SECRETS: usize = size_of::<kem_prekey::KemPrekeys>();
