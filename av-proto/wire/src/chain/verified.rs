//! What a chain proves once it was verified.

use super::link::Said;
use super::{Chain, InvalidChain, Lineage, provenance};
use crate::cert::DeviceCert;
use crate::ids::DeviceId;
use crate::key_grant::KeyGrant;
use crate::public::DevicePublic;

/// Proof that a chain was verified, without what it says, which is read when it is asked for; there is no other way to
/// make one.
///
/// ```compile_fail,E0451
/// use av_wire::chain::{Chain, VerifiedChain};
///
/// fn believe(chain: Chain<'_>) -> VerifiedChain<'_> {
///     VerifiedChain { chain }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedChain<'b> {
    chain: Chain<'b>,
}

/// Proof that a chain was verified; there is no other way to make one.
///
/// ```compile_fail,E0451
/// use av_wire::{cert::DeviceCert, chain::{Provenance, VerifiedDevice}};
///
/// fn believe(cert: DeviceCert, root: [u8; 32], provenance: Provenance) -> VerifiedDevice {
///     VerifiedDevice { cert, issuer: None, root, provenance }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    pub(super) cert: DeviceCert,
    pub(super) issuer: Option<Said>,
    pub(super) root: [u8; 32],
    pub(super) provenance: Provenance,
}

/// Proof that an owner grants an API key; there is no other way to make one.
///
/// ```compile_fail,E0451
/// use av_wire::{chain::{Provenance, VerifiedKey}, key_grant::KeyGrant, public::DevicePublic};
///
/// fn believe(grant: KeyGrant, owner: DevicePublic, provenance: Provenance) -> VerifiedKey {
///     VerifiedKey { grant, owner, provenance }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedKey {
    pub(super) grant: KeyGrant,
    pub(super) owner: DevicePublic,
    pub(super) provenance: Provenance,
}

/// On whose word a device or an API key is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The name by which its certificate or grant can be kept.
    pub name: [u8; 16],
    /// Who certified whom, its issuer first: owners, and before them the key if it was an API key.
    pub lineage: Lineage,
    /// The revoked issuer among them whose revocation keeps what it certified.
    pub kept: Option<DeviceId>,
}

impl Provenance {
    /// The root's own: it stands on nobody's word.
    pub(crate) const fn of_root() -> Self {
        Self { name: [0; 16], lineage: Lineage::new(), kept: None }
    }
}

impl<'b> VerifiedChain<'b> {
    /// Whoever makes one has verified every link of it.
    pub(super) const fn of(chain: Chain<'b>) -> Self {
        Self { chain }
    }

    /// The chain.
    pub const fn chain(&self) -> Chain<'b> {
        self.chain
    }

    /// The device that it certifies.
    ///
    /// # Errors
    /// [`InvalidChain`] for an API key's.
    pub fn device(&self) -> Result<VerifiedDevice, InvalidChain> {
        let (root, links) = self.chain.parts()?;
        let Said::Device(cert) = self.chain.claimed_first()? else { return Err(InvalidChain) };
        let issuer = match links.get(1) {
            Some(issuer) => Some(Said::of(issuer.signed)?),
            None => None,
        };
        Ok(VerifiedDevice { cert, issuer, root, provenance: provenance(&links)? })
    }

    /// The API key that it grants.
    ///
    /// # Errors
    /// [`InvalidChain`] for a device's, and when no certificate has room below it.
    pub fn key(&self) -> Result<VerifiedKey, InvalidChain> {
        let (_, links) = self.chain.parts()?;
        let owner = links.get(1).filter(|_| !links.is_full()).ok_or(InvalidChain)?;
        let (Said::Key(grant), Said::Device(owner)) = (self.chain.claimed_first()?, Said::of(owner.signed)?)
        else {
            return Err(InvalidChain);
        };
        Ok(VerifiedKey { grant, owner: owner.device, provenance: provenance(&links)? })
    }
}

impl VerifiedDevice {
    /// The device's certificate.
    pub const fn cert(&self) -> &DeviceCert {
        &self.cert
    }

    /// The device.
    pub const fn public(&self) -> &DevicePublic {
        &self.cert.device
    }

    /// The device's id.
    pub fn device_id(&self) -> DeviceId {
        self.cert.device_id()
    }

    /// The owner's device that issued the certificate; `None` when the root or an API key did.
    pub const fn issuer(&self) -> Option<&DevicePublic> {
        match &self.issuer {
            Some(Said::Device(cert)) => Some(&cert.device),
            _ => None,
        }
    }

    /// The grant of the API key by which the device was approved in advance.
    pub const fn key_grant(&self) -> Option<&KeyGrant> {
        match &self.issuer {
            Some(Said::Key(grant)) => Some(grant),
            _ => None,
        }
    }

    /// The root's public key, to which the tenant's id commits.
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// On whose word it is in.
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}

impl VerifiedKey {
    /// What the owner says of the key.
    pub const fn grant(&self) -> &KeyGrant {
        &self.grant
    }

    /// The owner's device that grants it.
    pub const fn owner(&self) -> &DevicePublic {
        &self.owner
    }

    /// On whose word it is.
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}
