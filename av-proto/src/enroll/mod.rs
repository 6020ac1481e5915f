//! Enrollment and authority (`PROTOCOL.md` sections 3 and 4): one struct a state, transitions consume it.
//!
//! ```text
//! founding owner   RecoveryKey::found ──▶ Founding ──────── relay: Done ────────▶ active
//! enrolling device Requested::new ──▶ Requested ── grant verified ──▶ Granted ── relay: Done ──▶ active
//! device with key  KeyHeld ── grant of the key verified ──▶ CertifiedByKey ── relay: Done ──▶ active
//! inviting owner   Invite::create ──▶ Open ── request verified ──▶ Claimed ── approve ──▶ Approved
//!                                      │                             │
//!                                      └── tag fails ──▶ Burnt       └── other keys, valid tag ──▶ Leaked
//! ```
//!
//! A key that an owner granted is open until it closes it ([`GrantedKey`]); what it let in is counted meanwhile.
//!
//! A check that must not be skipped ends in a proof type that nothing else can make: [`VerifiedGrant`] before a
//! device believes a grant, [`VerifiedRequest`] before an owner can approve.

mod authority;
mod device;
mod granted_key;
mod keyed;
mod revoked;
mod root;
mod statement;

#[cfg(feature = "owner")]
pub(crate) use authority::certify_device;
pub use authority::{Claim, Invite, InviteState, VerifiedRequest, certify, write_grant};
pub use device::{GrantError, Granted, Requested, VerifiedGrant};
#[cfg(feature = "owner")]
pub(crate) use granted_key::sign_key_grant;
pub use granted_key::{GrantedKey, KeyUse};
pub use keyed::{CertifiedByKey, KeyHeld};
pub use revoked::{Certification, Revoked};
use root::sign_cert;
pub use root::{Founding, RecoveryKey, RecoveryKeyError};
pub use statement::{OwnerSerials, SerialError, sign_statement};

use av_wire::chain::{Chain, MAX_CERTS_BYTES, MAX_CHAIN_BYTES, VerifiedChain};
use av_wire::{DeviceId, DevicePublic, TenantId};
use heapless::Vec;

use crate::crypto::CryptoError;
use crate::record::codec::{CodecError, Writer};

/// Whether a chain is this device's. In a frame of its own, which is not there yet while the chain is verified.
#[inline(never)]
fn certifies(chain: &VerifiedChain<'_>, device: &DevicePublic) -> bool {
    chain.device().is_ok_and(|certified| certified.public() == device)
}

/// A device's place in its tenant: its chain, verified when it was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    tenant_id: TenantId,
    root: [u8; 32],
    chain: Vec<u8, MAX_CHAIN_BYTES>,
}

impl Membership {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = 2 + MAX_CHAIN_BYTES;

    /// Takes in a chain that was verified, or that this device made.
    fn of_chain(chain: &[u8]) -> Result<Self, CodecError> {
        let mut membership = Self::empty();
        membership.fill(chain)?;
        Ok(membership)
    }

    /// One whose chain is not there yet; [`Self::fill`] puts it where it stays.
    pub(crate) const fn empty() -> Self {
        Self { tenant_id: TenantId([0; TenantId::LEN]), root: [0; 32], chain: Vec::new() }
    }

    /// Takes in the chain where the membership stands: two kilobytes are too many to be moved about on a
    /// microcontroller's stack.
    pub(crate) fn fill(&mut self, chain: &[u8]) -> Result<(), CodecError> {
        self.root = Chain::new(chain).claimed_root()?;
        self.tenant_id = TenantId::of_root(&self.root);
        self.chain.clear();
        self.chain.extend_from_slice(chain).map_err(|_| CodecError)
    }

    /// The tenant.
    pub const fn tenant_id(&self) -> &TenantId {
        &self.tenant_id
    }

    /// The root's public key.
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// This device's chain.
    pub fn chain(&self) -> Chain<'_> {
        Chain::new(&self.chain)
    }

    /// The owner's device that issued this device's certificate, or granted the API key that did; `None` when the root
    /// did.
    pub fn approver(&self) -> Option<DeviceId> {
        let issuer = match self.chain().claimed_key().ok()? {
            Some(key) => key.issuer,
            None => self.chain().claimed().ok()?.issuer,
        };
        (issuer != DeviceId::ROOT).then_some(issuer)
    }

    /// The name by which a revocation keeps this device's certificate.
    #[cfg(feature = "owner")]
    pub(crate) fn name(&self) -> Option<[u8; 16]> {
        self.chain().provenance(0).ok().map(|provenance| provenance.name)
    }

    /// How this device names itself in first messages: by its chain, or by its id where the chain carries a revocation
    /// and is too long (`PROTOCOL.md` section 6).
    pub fn introduction<'m>(&'m self, own_id: &'m DeviceId) -> &'m [u8] {
        if self.chain.len() > MAX_CERTS_BYTES || self.chain().has_revocation() != Ok(false) {
            own_id.as_bytes()
        } else {
            &self.chain
        }
    }

    /// Whether other devices believe this device's chain. They do not when an owner on it is out and did not keep what
    /// it certified: then an owner has to certify the device anew.
    pub fn stands(&self, revoked: &Revoked) -> bool {
        self.chain().provenance(0).is_ok_and(|own| Certification::new(own).stands(revoked))
    }

    /// Whether this owner, or the root, stands above this device and so can revoke it.
    pub(crate) fn is_below(&self, owner: &DeviceId) -> bool {
        self.chain().provenance(0).is_ok_and(|own| Certification::new(own).is_below(owner))
    }

    /// Whether a device that this one, an owner, certified would be out.
    #[cfg(feature = "owner")]
    pub(crate) fn is_out_below(&self, own_id: &DeviceId, device: &DeviceId, revoked: &Revoked) -> bool {
        let Ok(own) = self.chain().provenance(0) else { return true };
        revoked.is_out(device, &own.lineage) || revoked.is_out(device, core::slice::from_ref(own_id))
    }

    /// Takes in a revocation of `owner` by `by` that keeps a certificate of this chain; whether the chain changed. By
    /// nobody but who stands above that owner here: with another's word in it the chain would be believed by none.
    #[inline(never)]
    pub(crate) fn keep(&mut self, revocation: &[u8], owner: &DeviceId, by: &DeviceId) -> bool {
        let Ok(own) = self.chain().provenance(0) else { return false };
        let mut above = own.lineage.iter().skip_while(|known| *known != owner).skip(1);
        if *by != DeviceId::ROOT && !above.any(|known| known == by) {
            return false;
        }
        let mut buffer = [0; MAX_CHAIN_BYTES];
        let Ok(Some(kept)) = Chain::new(&self.chain).keep(revocation, &mut buffer) else { return false };
        // The buffer is as long as the vector.
        self.chain.clear();
        self.chain.extend_from_slice(kept).is_ok()
    }

    /// Takes in a chain by which an owner certified this device anew, in place of one that no longer stands.
    ///
    /// # Errors
    /// [`CryptoError`] when this device's chain stands, or the new one does not, or it certifies another device.
    pub fn recertify(
        &mut self,
        chain: Chain<'_>,
        own: &DevicePublic,
        revoked: &Revoked,
    ) -> Result<(), CryptoError> {
        let verified = chain.verify_links(&self.tenant_id, &mut |id, above| revoked.is_out(id, above));
        if !certifies(&verified.map_err(|_| CryptoError)?, own) || self.stands(revoked) {
            return Err(CryptoError);
        }
        self.fill(chain.as_bytes()).map_err(|_| CryptoError)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.var(&self.chain)
    }
}
