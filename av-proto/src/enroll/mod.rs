//! Enrollment and authority (`PROTOCOL.md` sections 3 and 4): one struct a state, transitions consume it.
//!
//! ```text
//! founding owner   RecoveryKey::found ──▶ Founding ──────── relay: Done ────────▶ Membership
//! enrolling device Requested::new ──▶ Requested ── grant verified ──▶ Granted ── relay: Done ──▶ Membership
//! inviting owner   Invite::create ──▶ Open ── request verified ──▶ Claimed ── approve ──▶ Approved
//!                                      │                             │
//!                                      └── tag fails ──▶ Burnt       └── other keys, valid tag ──▶ Leaked
//! ```
//!
//! A check that must not be skipped ends in a proof type that nothing else can make: [`VerifiedGrant`] before a
//! device believes a grant, [`VerifiedRequest`] before an owner can approve.

mod authority;
mod device;
mod root;
mod statement;

pub use authority::{Claim, Invite, InviteState, VerifiedRequest, certify, write_grant};
pub use device::{GrantError, Granted, Requested, VerifiedGrant};
pub use root::{Founding, RecoveryKey, RecoveryKeyError};
pub use statement::{OwnerSerials, sign_statement, verify_statement};

use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::layout::Reader;
use av_wire::{DeviceId, TenantId};
use heapless::Vec;

use crate::record::codec::{CodecError, ReadRecord, Writer};

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
    const fn empty() -> Self {
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

    /// The identity key of whoever may issue statements to this device: the root, or an owner on its chain.
    pub fn issuer_key(&self, issuer: &DeviceId) -> Option<[u8; 32]> {
        if *issuer == DeviceId::ROOT {
            return Some(self.root);
        }
        let cert = self.chain().find(issuer).ok().flatten()?;
        (cert.device.role == av_wire::Role::Owner).then_some(cert.device.identity_key)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.var(&self.chain)
    }

    /// A membership, and the chain to [`Self::fill`] it with.
    pub(crate) fn read<'b>(reader: &mut Reader<'b>) -> Result<(Self, &'b [u8]), CodecError> {
        Ok((Self::empty(), reader.var()?))
    }
}
