//! A certificate chain from a device to its tenant's root (`PROTOCOL.md` section 4.4).

use crate::cbor::{Decode, DecodeError, Decoder, EncodeError, Encoder};
use crate::cert::DeviceCert;
use crate::hash::h256;
use crate::ids::{DeviceId, TenantId};
use crate::labels;
use crate::limits::{MAX_CHAIN, MAX_CHAIN_REVOCATIONS};
use crate::public::{DevicePublic, Role};
use crate::signature::{SignedKind, Unverified};
use crate::statement::{Statement, Verdict, keep_name};

/// Bytes of the longest chain of certificates alone: array, root key, and [`MAX_CHAIN`] certificates with their
/// two-byte heads. A first message carries no other.
pub const MAX_CERTS_BYTES: usize = 1 + 34 + MAX_CHAIN * (DeviceCert::SIGNED_LEN + 2);

/// Bytes of the longest chain: certificates, and the [`Revocation`](Verdict::Revoked) that keeps one of them behind its
/// three-byte head.
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
/// whose issuer was revoked stands the revocation that keeps it, at most one in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain<'b> {
    bytes: &'b [u8],
}

/// The owners that a chain passes through, the device's issuer first: at most one fewer than certificates.
pub type Lineage = heapless::Vec<DeviceId, { MAX_CHAIN - 1 }>;

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
    cert: DeviceCert,
    issuer: Option<DevicePublic>,
    root: [u8; 32],
    provenance: Provenance,
}

/// On whose word a device is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The name by which its certificate can be kept.
    pub name: [u8; 16],
    /// The owners that its chain passes through, its issuer first.
    pub lineage: Lineage,
    /// The revoked owner among them whose revocation keeps the certificate below it.
    pub kept: Option<DeviceId>,
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

    /// The owner's device that issued the certificate; `None` when the root did.
    pub const fn issuer(&self) -> Option<&DevicePublic> {
        self.issuer.as_ref()
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

/// A certificate in a chain, and the revocation of its issuer that keeps it.
#[derive(Clone, Copy)]
struct Link<'b> {
    cert: &'b [u8],
    revocation: Option<&'b [u8]>,
}

type Links<'b> = heapless::Vec<Link<'b>, MAX_CHAIN>;

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

    /// Verifies the chain link by link up to the root that `tenant` commits to.
    ///
    /// `is_revoked` is asked of the device and of every issuer. A revoked issuer voids the chain, unless the chain
    /// carries a revocation of it that keeps the certificate below.
    ///
    /// # Errors
    /// [`InvalidChain`] for another root, more than [`MAX_CHAIN`] certificates, a foreign tenant, an issuer that
    /// is no owner, a bad signature, a revoked device, a revoked issuer that does not keep the certificate below, a
    /// revocation that keeps nothing here or is of no issuer further up, or any other encoding.
    pub fn verify(
        &self,
        tenant: &TenantId,
        mut is_revoked: impl FnMut(&DeviceId) -> bool,
    ) -> Result<VerifiedDevice, InvalidChain> {
        let (root, links) = self.parts()?;
        if TenantId::of_root(&root) != *tenant {
            return Err(InvalidChain);
        }
        let mut subject: Option<(DeviceCert, Option<DevicePublic>)> = None;
        let mut above = links.as_slice();
        while let Some((link, rest)) = above.split_first() {
            above = rest;
            let object = Unverified::decode(link.cert)?;
            let cert = DeviceCert::from_unverified(&object)?;
            let issuer = match rest.first() {
                Some(next) => Some(device_of(next.cert)?),
                None => None,
            };
            let issuer_id = issuer.as_ref().map_or(DeviceId::ROOT, DevicePublic::device_id);
            let key = issuer.as_ref().map_or(&root, |device| &device.identity_key);
            let is_issuer = subject.is_some();
            if cert.tenant_id != *tenant
                || cert.issuer != issuer_id
                || (is_issuer && cert.device.role != Role::Owner)
                || (!is_issuer && is_revoked(&cert.device_id()))
            {
                return Err(InvalidChain);
            }
            object.verify(key).map_err(|_| InvalidChain)?;
            match link.revocation {
                Some(revocation) => {
                    let by = rest.get(1..).ok_or(InvalidChain)?;
                    verify_keeping(revocation, tenant, &issuer_id, link.cert, &root, by)?;
                }
                None if issuer.is_some() && is_revoked(&issuer_id) => return Err(InvalidChain),
                None => {}
            }
            if !is_issuer {
                subject = Some((cert, issuer));
            }
        }
        let (cert, issuer) = subject.ok_or(InvalidChain)?;
        Ok(VerifiedDevice { cert, issuer, root, provenance: provenance(&links)? })
    }

    /// The first certificate, unverified: whom the chain claims to certify.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn claimed(&self) -> Result<DeviceCert, DecodeError> {
        let (_, links) = self.parts()?;
        DeviceCert::from_unverified(&Unverified::decode(links.first().ok_or(DecodeError)?.cert)?)
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
            let cert = DeviceCert::from_unverified(&Unverified::decode(link.cert)?)?;
            if cert.device_id() == *device {
                return Ok(Some(cert));
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

    /// Writes a chain of `first` and the certificates of `rest` (an issuer's own chain) into `buffer`. With no
    /// `rest`, `root` issued `first`.
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
        let first = Link { cert: first, revocation: None };
        if issuers_root != *root || links.insert(0, first).is_err() {
            return Err(EncodeError);
        }
        write(root, &links, buffer)
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
            let cert = Unverified::decode(link.cert).ok().and_then(|o| DeviceCert::from_unverified(&o).ok());
            cert.is_some_and(|cert| cert.issuer == statement.subject) && statement.keeps(link.cert)
        };
        let Some(place) = links.iter().position(is_kept) else { return Ok(None) };
        if links.iter().any(|link| link.revocation == Some(revocation)) {
            return Ok(None);
        }
        if links.iter().any(|link| link.revocation.is_some()) {
            return Err(EncodeError);
        }
        links.get_mut(place).ok_or(EncodeError)?.revocation = Some(revocation);
        write(&root, &links, buffer).map(Some)
    }

    /// Whether the chain carries a revocation. Such a chain is too long for a first message.
    ///
    /// # Errors
    /// [`DecodeError`] when the chain is malformed.
    pub fn has_revocation(&self) -> Result<bool, DecodeError> {
        Ok(self.parts()?.1.iter().any(|link| link.revocation.is_some()))
    }

    fn parts(&self) -> Result<([u8; 32], Links<'b>), DecodeError> {
        let mut decoder = Decoder::new(self.bytes);
        let count = decoder.array()?;
        let root = Decode::decode(&mut decoder)?;
        let mut links = Links::new();
        let mut revocations = 0;
        for _ in 1..count {
            let item = decoder.bytes()?;
            if Unverified::decode(item)?.kind == SignedKind::Cert {
                links.push(Link { cert: item, revocation: None }).map_err(|_| DecodeError)?;
            } else {
                let link = links.last_mut().ok_or(DecodeError)?;
                if link.revocation.replace(item).is_some() {
                    return Err(DecodeError);
                }
                revocations += 1;
            }
        }
        if links.is_empty() || revocations > MAX_CHAIN_REVOCATIONS || !decoder.is_at_end() {
            return Err(DecodeError);
        }
        Ok((root, links))
    }
}

/// A revocation of `issuer` that keeps `cert`, said by the root or by an owner further up the chain.
fn verify_keeping(
    revocation: &[u8],
    tenant: &TenantId,
    issuer: &DeviceId,
    cert: &[u8],
    root: &[u8; 32],
    further_up: &[Link<'_>],
) -> Result<(), InvalidChain> {
    let object = Unverified::decode(revocation)?;
    let statement = Statement::from_unverified(&object)?;
    if statement.verdict != Verdict::Revoked
        || statement.tenant_id != *tenant
        || statement.subject != *issuer
        || !statement.keeps(cert)
    {
        return Err(InvalidChain);
    }
    let mut key = (statement.issuer == DeviceId::ROOT).then_some(*root);
    for link in further_up {
        let owner = device_of(link.cert)?;
        if owner.device_id() == statement.issuer {
            key = Some(owner.identity_key);
        }
    }
    object.verify(&key.ok_or(InvalidChain)?).map_err(|_| InvalidChain)
}

fn provenance(links: &[Link<'_>]) -> Result<Provenance, DecodeError> {
    let name = keep_name(links.first().ok_or(DecodeError)?.cert);
    let (mut lineage, mut kept) = (Lineage::new(), None);
    for link in links {
        let issuer = DeviceCert::from_unverified(&Unverified::decode(link.cert)?)?.issuer;
        if issuer != DeviceId::ROOT {
            lineage.push(issuer).map_err(|_| DecodeError)?;
        }
        if link.revocation.is_some() {
            kept = Some(issuer);
        }
    }
    Ok(Provenance { name, lineage, kept })
}

/// The device that a certificate names, unverified.
fn device_of(cert: &[u8]) -> Result<DevicePublic, DecodeError> {
    Ok(DeviceCert::from_unverified(&Unverified::decode(cert)?)?.device)
}

fn write<'o>(root: &[u8; 32], links: &[Link<'_>], buffer: &'o mut [u8]) -> Result<&'o [u8], EncodeError> {
    let items = || links.iter().flat_map(|link| [Some(link.cert), link.revocation]).flatten();
    let count = items().count() as u64;
    let mut encoder = Encoder::new(buffer);
    encoder.array(1 + count);
    encoder.bytes(root);
    items().for_each(|item| encoder.bytes(item));
    encoder.finish()
}
