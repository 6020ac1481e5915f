//! What stands in a chain behind the root's key: certificates and an API key's grant, and what keeps them.

use crate::cbor::{Decode, DecodeError, Decoder, EncodeError, Encoder};
use crate::cert::DeviceCert;
use crate::chain::InvalidChain;
use crate::ids::{DeviceId, TenantId};
use crate::key_grant::KeyGrant;
use crate::limits::{MAX_CHAIN, MAX_CHAIN_REVOCATIONS};
use crate::public::Role;
use crate::signature::{SignedKind, Unverified};
use crate::statement::{Statement, Verdict};

/// A certificate or a key's grant, and the revocation of its issuer that keeps it.
#[derive(Clone, Copy)]
pub(super) struct Link<'b> {
    pub(super) signed: &'b [u8],
    pub(super) revocation: Option<&'b [u8]>,
}

pub(super) type Links<'b> = heapless::Vec<Link<'b>, MAX_CHAIN>;

/// What a link says, unverified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Of a device, which certifies others if it is an owner's.
    Device(DeviceCert),
    /// Of an API key, which certifies agents.
    Key(KeyGrant),
}

impl Said {
    pub(super) fn of(signed: &[u8]) -> Result<Self, DecodeError> {
        Self::from_unverified(&Unverified::decode(signed)?)
    }

    pub(super) fn from_unverified(object: &Unverified<'_>) -> Result<Self, DecodeError> {
        if object.kind == SignedKind::KeyGrant {
            KeyGrant::from_unverified(object).map(Self::Key)
        } else {
            DeviceCert::from_unverified(object).map(Self::Device)
        }
    }

    /// The device or the key.
    pub(crate) fn id(&self) -> DeviceId {
        match self {
            Self::Device(cert) => cert.device_id(),
            Self::Key(grant) => grant.key_id().as_issuer(),
        }
    }

    /// Whether others are in on its word: an owner's, or a key's.
    pub(crate) fn certifies(&self) -> bool {
        !matches!(self, Self::Device(cert) if cert.device.role == Role::Agent)
    }

    /// Under which what it certifies verifies.
    pub(super) const fn verifying_key(&self) -> &[u8; 32] {
        match self {
            Self::Device(cert) => &cert.device.identity_key,
            Self::Key(grant) => &grant.public_key,
        }
    }

    pub(super) const fn tenant_id(&self) -> &TenantId {
        match self {
            Self::Device(cert) => &cert.tenant_id,
            Self::Key(grant) => &grant.tenant_id,
        }
    }

    pub(super) const fn issuer(&self) -> &DeviceId {
        match self {
            Self::Device(cert) => &cert.issuer,
            Self::Key(grant) => &grant.issuer,
        }
    }

    /// Whether it may stand behind `below`, as what certifies it: an owner may, and an API key for an agent in its time.
    pub(super) fn may_certify(&self, below: &Self) -> bool {
        match (self, below) {
            (Self::Device(cert), _) => cert.device.role == Role::Owner,
            (Self::Key(grant), Self::Device(cert)) => {
                cert.device.role == Role::Agent && grant.covers(cert.issued_at)
            }
            (Self::Key(_), Self::Key(_)) => false,
        }
    }
}

/// A chain's root key and what stands behind it.
pub(super) fn read(bytes: &[u8]) -> Result<([u8; 32], Links<'_>), DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.array()?;
    let root = Decode::decode(&mut decoder)?;
    let mut links = Links::new();
    let mut revocations = 0;
    for _ in 1..count {
        let item = decoder.bytes()?;
        if matches!(Unverified::decode(item)?.kind, SignedKind::Cert | SignedKind::KeyGrant) {
            links.push(Link { signed: item, revocation: None }).map_err(|_| DecodeError)?;
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

pub(super) fn write<'o>(
    root: &[u8; 32],
    links: &[Link<'_>],
    buffer: &'o mut [u8],
) -> Result<&'o [u8], EncodeError> {
    let items = || links.iter().flat_map(|link| [Some(link.signed), link.revocation]).flatten();
    let count = items().count() as u64;
    let mut encoder = Encoder::new(buffer);
    encoder.array(1 + count);
    encoder.bytes(root);
    items().for_each(|item| encoder.bytes(item));
    encoder.finish()
}

/// Under which a link verifies that has these above it.
#[inline(never)]
pub(super) fn issuer_key(above: &[Link<'_>], root: &[u8; 32]) -> Result<[u8; 32], InvalidChain> {
    match above.first() {
        Some(issuer) => Ok(*Said::of(issuer.signed)?.verifying_key()),
        None => Ok(*root),
    }
}

/// Under which a revocation verifies that keeps `signed`: of the issuer that stands first `above` it, said by the root or
/// by an owner further up.
#[inline(never)]
pub(super) fn keeping_key(
    revocation: &[u8],
    tenant: &TenantId,
    signed: &[u8],
    root: &[u8; 32],
    above: &[Link<'_>],
) -> Result<[u8; 32], InvalidChain> {
    let object = Unverified::decode(revocation)?;
    let statement = Statement::from_unverified(&object)?;
    let (issuer, further_up) = above.split_first().ok_or(InvalidChain)?;
    if statement.verdict != Verdict::Revoked
        || statement.tenant_id != *tenant
        || statement.subject != Said::of(issuer.signed)?.id()
        || !statement.keeps(signed)
    {
        return Err(InvalidChain);
    }
    let mut key = (statement.issuer == DeviceId::ROOT).then_some(*root);
    for link in further_up {
        let owner = Said::of(link.signed)?;
        if owner.id() == statement.issuer {
            key = Some(*owner.verifying_key());
        }
    }
    key.ok_or(InvalidChain)
}
