//! A certificate chain from a device to its tenant's root (`PROTOCOL.md` sections 4.4 and 4.6).

mod link;
mod verified;

pub use verified::{Provenance, VerifiedChain, VerifiedDevice, VerifiedKey};

use crate::cbor::{DecodeError, EncodeError};
use crate::cert::DeviceCert;
use crate::hash::h256;
use crate::ids::{DeviceId, TenantId};
use crate::key_grant::KeyGrant;
use crate::labels;
use crate::limits::MAX_CHAIN;
use crate::signature::Unverified;
use crate::statement::{Statement, keep_name};
pub(crate) use link::Said;
use link::{Link, Links};

/// Bytes of the longest chain of certificates alone: array, root key, and [`MAX_CHAIN`] certificates with their
/// two-byte heads. A first message carries no other.
pub const MAX_CERTS_BYTES: usize = 1 + 34 + MAX_CHAIN * (DeviceCert::SIGNED_LEN + 2);

/// Bytes of the longest chain: certificates, and the [`Revocation`](crate::statement::Verdict::Revoked) that keeps one
/// of them behind its three-byte head.
pub const MAX_CHAIN_BYTES: usize = MAX_CERTS_BYTES + Statement::MAX_SIGNED_LEN + 3;

/// A chain does not certify what it should. One error for all reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidChain;

impl core::fmt::Display for InvalidChain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the certificate chain is not valid for this tenant")
    }
}

impl core::error::Error for InvalidChain {}

impl From<DecodeError> for InvalidChain {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

/// A chain as received: `[root public key, certificate, …]`, the device's own certificate first. Behind a certificate
/// whose issuer was revoked stands the revocation that keeps it, at most one in a chain. Where an API key certified the
/// device, the key's grant stands in the place of its issuer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain<'b> {
    bytes: &'b [u8],
}

/// Who certified whom in a chain, the first one's issuer first: at most one fewer than certificates.
pub type Lineage = heapless::Vec<DeviceId, { MAX_CHAIN - 1 }>;

impl<'b> Chain<'b> {
    /// A chain from its bytes, not looked at yet.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// Its bytes as received.
    pub const fn as_bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// 32 bytes: `H256("av1 certs", chain)`.
    pub fn hash(&self) -> [u8; 32] {
        h256(labels::hash::CERTS, &[self.bytes])
    }

    /// Verifies the chain of a device link by link up to the root that `tenant` commits to.
    ///
    /// `is_revoked` is asked of the device and of every issuer. A revoked issuer voids the chain, unless the chain
    /// carries a revocation of it that keeps the certificate below.
    ///
    /// # Errors
    /// [`InvalidChain`] for another root, more than [`MAX_CHAIN`] certificates, a foreign tenant, a device that stands
    /// in it twice, an issuer that is no owner, an API key that is none's issuer but an agent's in its time, a bad
    /// signature, a revoked device, a revoked issuer that does not keep the certificate below, a revocation that keeps
    /// nothing here or is of no issuer further up, or any other encoding.
    pub fn verify(
        &self,
        tenant: &TenantId,
        mut is_revoked: impl FnMut(&DeviceId) -> bool,
    ) -> Result<VerifiedDevice, InvalidChain> {
        self.verify_below(tenant, |device, _| is_revoked(device))
    }

    /// [`Self::verify`] where `is_revoked` is asked with the owners that stand above the device in this very chain, its
    /// issuer first: none but they and the root can have revoked it.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_below(
        &self,
        tenant: &TenantId,
        mut is_revoked: impl FnMut(&DeviceId, &[DeviceId]) -> bool,
    ) -> Result<VerifiedDevice, InvalidChain> {
        self.verify_links(tenant, &mut is_revoked)?.device()
    }

    /// Verifies the chain of an API key the same way: its grant, and the chain of the owner that signed it.
    ///
    /// # Errors
    /// [`InvalidChain`] as [`Self::verify`], and when no certificate has room below it.
    pub fn verify_key(
        &self,
        tenant: &TenantId,
        mut is_revoked: impl FnMut(&DeviceId) -> bool,
    ) -> Result<VerifiedKey, InvalidChain> {
        self.verify_links(tenant, &mut |device, _| is_revoked(device))?.key()
    }

    /// [`Self::verify_below`] or [`Self::verify_key`], whichever it is, and what it says is read later: to verify a
    /// signature takes eight kilobytes of stack, which leaves a microcontroller no room for the answer.
    ///
    /// # Errors
    /// As [`Self::verify`].
    #[inline(never)]
    pub fn verify_links(
        &self,
        tenant: &TenantId,
        is_revoked: &mut dyn FnMut(&DeviceId, &[DeviceId]) -> bool,
    ) -> Result<VerifiedChain<'b>, InvalidChain> {
        let (root, links) = self.parts()?;
        if TenantId::of_root(&root) != *tenant {
            return Err(InvalidChain);
        }
        // What is wrong without the signatures costs none.
        walk_links(&links, tenant, is_revoked)?;
        verify_signatures(&links, &root, tenant)?;
        Ok(VerifiedChain::of(*self))
    }

    /// The first certificate, unverified: whom the chain claims to certify.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn claimed(&self) -> Result<DeviceCert, DecodeError> {
        match self.claimed_first()? {
            Said::Device(cert) => Ok(cert),
            Said::Key(_) => Err(DecodeError),
        }
    }

    /// What stands first in it, unverified.
    pub(crate) fn claimed_first(&self) -> Result<Said, DecodeError> {
        Said::of(self.parts()?.1.first().ok_or(DecodeError)?.signed)
    }

    /// The API key that the chain says certified the first device, unverified.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn claimed_key(&self) -> Result<Option<KeyGrant>, DecodeError> {
        let (_, links) = self.parts()?;
        match links.get(1).map(|link| Said::of(link.signed)).transpose()? {
            Some(Said::Key(grant)) => Ok(Some(grant)),
            _ => Ok(None),
        }
    }

    /// On whose word the device is in whose certificate stands at `place`, 0 the first: as good as the chain, so only of
    /// one that was verified.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed or shorter.
    pub fn provenance(&self, place: usize) -> Result<Provenance, DecodeError> {
        provenance(self.parts()?.1.get(place..).ok_or(DecodeError)?)
    }

    /// The certificate of this device in the chain: as good as the chain, so only of one that was verified.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn find(&self, device: &DeviceId) -> Result<Option<DeviceCert>, DecodeError> {
        for link in self.parts()?.1 {
            match Said::of(link.signed)? {
                Said::Device(cert) if cert.device_id() == *device => return Ok(Some(cert)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The root's public key that the chain names, to which its tenant's id must commit.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn claimed_root(&self) -> Result<[u8; 32], DecodeError> {
        Ok(self.parts()?.0)
    }

    /// Writes a chain of `first`, a certificate or an API key's grant, and the certificates of `rest` (an issuer's own
    /// chain) into `buffer`. With no `rest`, `root` issued `first`.
    ///
    /// # Errors
    /// [`EncodeError`] when the buffer is too small, `rest` is malformed or ends at another root, or the chain
    /// would be too long.
    pub fn prepend<'o>(
        root: &[u8; 32],
        first: &[u8],
        rest: Option<Chain<'_>>,
        buffer: &'o mut [u8],
    ) -> Result<&'o [u8], EncodeError> {
        let (issuers_root, mut links) = match rest {
            Some(chain) => chain.parts().map_err(|_| EncodeError)?,
            None => (*root, Links::new()),
        };
        let first = Link { signed: first, revocation: None };
        if issuers_root != *root || links.insert(0, first).is_err() {
            return Err(EncodeError);
        }
        link::write(root, &links, buffer)
    }

    /// Writes the chain as it stands once `revocation` was said, into `buffer`: with it behind the certificate that it
    /// keeps. `None` when it keeps none of this chain, or is there already.
    ///
    /// Nothing is verified: a chain is, whenever it is used.
    ///
    /// # Errors
    /// [`EncodeError`] when the chain or the revocation is malformed, the buffer is too small, or the chain carries
    /// another revocation already: then the device has to be certified anew.
    pub fn keep<'o>(&self, revocation: &[u8], buffer: &'o mut [u8]) -> Result<Option<&'o [u8]>, EncodeError> {
        let (root, mut links) = self.parts().map_err(|_| EncodeError)?;
        let object = Unverified::decode(revocation).map_err(|_| EncodeError)?;
        let statement = Statement::from_unverified(&object).map_err(|_| EncodeError)?;
        let is_kept = |link: &Link<'_>| {
            let said = Said::of(link.signed);
            said.is_ok_and(|said| *said.issuer() == statement.subject) && statement.keeps(link.signed)
        };
        let Some(place) = links.iter().position(is_kept) else { return Ok(None) };
        if links.iter().any(|link| link.revocation == Some(revocation)) {
            return Ok(None);
        }
        if links.iter().any(|link| link.revocation.is_some()) {
            return Err(EncodeError);
        }
        links.get_mut(place).ok_or(EncodeError)?.revocation = Some(revocation);
        link::write(&root, &links, buffer).map(Some)
    }

    /// Whether the chain carries a revocation. Such a chain is too long for a first message.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn has_revocation(&self) -> Result<bool, DecodeError> {
        Ok(self.parts()?.1.iter().any(|link| link.revocation.is_some()))
    }

    fn parts(&self) -> Result<([u8; 32], Links<'b>), DecodeError> {
        link::read(self.bytes)
    }
}

/// Follows what the links say up to the root: as good as their signatures, which are still to be verified. In a frame of
/// its own, which is gone by then.
#[inline(never)]
fn walk_links(
    links: &[Link<'_>],
    tenant: &TenantId,
    is_revoked: &mut dyn FnMut(&DeviceId, &[DeviceId]) -> bool,
) -> Result<(), InvalidChain> {
    let provenance = provenance(links)?;
    let mut owners = provenance.lineage.as_slice();
    let mut above = links;
    let mut is_first = true;
    while let Some((link, rest)) = above.split_first() {
        above = rest;
        let said = Said::of(link.signed)?;
        let issuer = match rest.first() {
            Some(next) => Some(Said::of(next.signed)?),
            None => None,
        };
        let issuer_id = issuer.as_ref().map_or(DeviceId::ROOT, Said::id);
        if said.tenant_id() != tenant
            || *said.issuer() != issuer_id
            || issuer.as_ref().is_some_and(|issuer| !issuer.may_certify(&said))
            // Or an owner could have itself certified by one below it, and so come to stand above itself.
            || owners.contains(&said.id())
            || (is_first && is_revoked(&said.id(), owners))
        {
            return Err(InvalidChain);
        }
        owners = owners.get(1..).unwrap_or_default();
        let is_kept = link.revocation.is_some();
        if !is_kept && issuer.is_some() && is_revoked(&issuer_id, owners) {
            return Err(InvalidChain);
        }
        is_first = false;
    }
    Ok(())
}

/// Verifies each link under the key that the one above names, and the revocations that keep them.
#[inline(never)]
fn verify_signatures(links: &[Link<'_>], root: &[u8; 32], tenant: &TenantId) -> Result<(), InvalidChain> {
    let mut above = links;
    while let Some((link, rest)) = above.split_first() {
        above = rest;
        verify_signed(link.signed, &link::issuer_key(rest, root)?)?;
        if let Some(revocation) = link.revocation {
            verify_signed(revocation, &link::keeping_key(revocation, tenant, link.signed, root, rest)?)?;
        }
    }
    Ok(())
}

pub(crate) fn verify_signed(signed: &[u8], key: &[u8; 32]) -> Result<(), InvalidChain> {
    Unverified::decode(signed)?.verify(key).map_err(|_| InvalidChain)
}

fn provenance(links: &[Link<'_>]) -> Result<Provenance, DecodeError> {
    let name = keep_name(links.first().ok_or(DecodeError)?.signed);
    let (mut lineage, mut kept) = (Lineage::new(), None);
    for link in links {
        let issuer = *Said::of(link.signed)?.issuer();
        if issuer != DeviceId::ROOT {
            lineage.push(issuer).map_err(|_| DecodeError)?;
        }
        if link.revocation.is_some() {
            kept = Some(issuer);
        }
    }
    Ok(Provenance { name, lineage, kept })
}
