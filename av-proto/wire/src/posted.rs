//! A statement together with the chain that gives its issuer a say (`PROTOCOL.md` section 4.5).

use crate::chain::{Chain, InvalidChain, Provenance, verify_signed};
use crate::ids::{DeviceId, TenantId};
use crate::public::Role;
use crate::signature::Unverified;
use crate::statement::{Statement, Verdict};

/// A statement as it is posted and passed on. Its chain is the subject's for a revocation, which only the root and
/// the owners on that very chain may say, where the subject may be an API key; else it is the issuer's, and empty for the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted<'b> {
    /// The signed object.
    pub signed: &'b [u8],
    /// Whose, depends on what is said.
    pub chain: Chain<'b>,
}

/// Proof that a statement was said by somebody who has a say, without what it says, which is read when it is asked for;
/// there is no other way to make one.
///
/// ```compile_fail,E0451
/// use av_wire::posted::{Posted, VerifiedPosted};
///
/// fn believe(posted: Posted<'_>) -> VerifiedPosted<'_> {
///     VerifiedPosted { posted }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedPosted<'b> {
    posted: Posted<'b>,
}

/// Proof that a statement was said by somebody who has a say; there is no other way to make one.
///
/// ```compile_fail,E0451
/// use av_wire::{chain::Provenance, posted::VerifiedStatement, statement::Statement};
///
/// fn believe(statement: Statement<'_>, provenance: Provenance) -> VerifiedStatement<'_> {
///     VerifiedStatement { statement, subject_certifies: false, provenance }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedStatement<'b> {
    statement: Statement<'b>,
    subject_certifies: bool,
    provenance: Provenance,
}

impl<'b> VerifiedStatement<'b> {
    /// What is said.
    pub const fn statement(&self) -> &Statement<'b> {
        &self.statement
    }

    /// Whether it revokes on whose word others are in: an owner, or an API key.
    pub const fn subject_certifies(&self) -> bool {
        self.subject_certifies
    }

    /// On whose word the device is in whose chain came with it: the subject of a revocation, else the issuer; nobody's
    /// of the root.
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}

impl<'b> Posted<'b> {
    /// Verifies that the statement is of this tenant, by the root or by an owner, and for a revocation, by an owner on
    /// the subject's own chain.
    ///
    /// It says nothing of who was revoked meanwhile: a revocation stands even if its issuer was revoked as well, so that
    /// its effect does not depend on which of the two came first; and what else a revoked owner said has its serial all
    /// the same, but no effect. [`VerifiedStatement::provenance`] tells on whose word it was an owner.
    ///
    /// # Errors
    /// [`InvalidChain`], whatever does not hold.
    pub fn verify(&self, tenant: &TenantId, root: &[u8; 32]) -> Result<VerifiedStatement<'b>, InvalidChain> {
        self.verify_signatures(tenant, root)?.statement()
    }

    /// [`Self::verify`], and what the statement says is read later: to verify a signature takes eight kilobytes of
    /// stack, which leaves a microcontroller no room for the answer.
    ///
    /// # Errors
    /// As [`Self::verify`].
    #[inline(never)]
    pub fn verify_signatures(
        &self,
        tenant: &TenantId,
        root: &[u8; 32],
    ) -> Result<VerifiedPosted<'b>, InvalidChain> {
        let key = self.issuer_key(tenant, root)?;
        if !self.chain.as_bytes().is_empty() {
            self.chain.verify_links(tenant, &mut |_, _| false)?;
        }
        verify_signed(self.signed, &key)?;
        Ok(VerifiedPosted { posted: *self })
    }

    /// Under which the statement verifies if its chain does: what is wrong without a signature costs none. In a frame of
    /// its own, which is gone by then.
    #[inline(never)]
    fn issuer_key(&self, tenant: &TenantId, root: &[u8; 32]) -> Result<[u8; 32], InvalidChain> {
        let object = Unverified::decode(self.signed)?;
        let statement = Statement::from_unverified(&object)?;
        if statement.tenant_id != *tenant || statement.subject == statement.issuer {
            return Err(InvalidChain);
        }
        let is_root = statement.issuer == DeviceId::ROOT;
        match statement.verdict {
            Verdict::Revoked => {
                let subject = self.chain.claimed_first()?;
                if subject.id() != statement.subject || (!statement.keep.is_empty() && !subject.certifies()) {
                    return Err(InvalidChain);
                }
                // All that stand above the subject are owners, or a key, which is no device and has no say.
                let owner = self.chain.find(&statement.issuer)?.map(|cert| cert.device.identity_key);
                if is_root { Some(*root) } else { owner }.ok_or(InvalidChain)
            }
            _ if !statement.keep.is_empty() => Err(InvalidChain),
            Verdict::Suspended | Verdict::Resumed | Verdict::LinkKeys if is_root => {
                if self.chain.as_bytes().is_empty() { Ok(*root) } else { Err(InvalidChain) }
            }
            Verdict::Suspended | Verdict::Resumed | Verdict::LinkKeys => {
                let issuer = self.chain.claimed()?;
                if issuer.device_id() != statement.issuer || issuer.device.role != Role::Owner {
                    return Err(InvalidChain);
                }
                Ok(issuer.device.identity_key)
            }
        }
    }
}

impl<'b> VerifiedPosted<'b> {
    /// The statement.
    ///
    /// # Errors
    /// [`InvalidChain`], by the reader's type: it was read when it was verified.
    pub fn statement(&self) -> Result<VerifiedStatement<'b>, InvalidChain> {
        let Posted { signed, chain } = self.posted;
        let statement = Statement::from_unverified(&Unverified::decode(signed)?)?;
        let subject_certifies = statement.verdict == Verdict::Revoked && chain.claimed_first()?.certifies();
        let has_chain = !chain.as_bytes().is_empty();
        let provenance = if has_chain { chain.provenance(0)? } else { Provenance::of_root() };
        Ok(VerifiedStatement { statement, subject_certifies, provenance })
    }
}
