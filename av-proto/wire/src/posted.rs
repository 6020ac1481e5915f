//! A statement together with the chain that gives its issuer a say (`PROTOCOL.md` section 4.5).

use crate::chain::{Chain, InvalidChain, Provenance, Said, Walked};
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
        let object = Unverified::decode(self.signed)?;
        let statement = Statement::from_unverified(&object)?;
        if statement.tenant_id != *tenant || statement.subject == statement.issuer {
            return Err(InvalidChain);
        }
        let is_root = statement.issuer == DeviceId::ROOT;
        let (key, subject_certifies, provenance) = match statement.verdict {
            Verdict::Revoked => {
                let Walked { first: subject, provenance, .. } = self.chain.walk(tenant, &mut |_, _| false)?;
                if subject.id() != statement.subject {
                    return Err(InvalidChain);
                }
                let is_agent = matches!(subject, Said::Device(cert) if cert.device.role == Role::Agent);
                // All that stand above the subject are owners, or a key, which is no device and has no say.
                let owner = self.chain.find(&statement.issuer)?.map(|cert| cert.device.identity_key);
                let key = if is_root { Some(*root) } else { owner };
                (key.ok_or(InvalidChain)?, !is_agent, provenance)
            }
            Verdict::Suspended | Verdict::Resumed | Verdict::LinkKeys if is_root => {
                if !self.chain.as_bytes().is_empty() {
                    return Err(InvalidChain);
                }
                (*root, false, Provenance::of_root())
            }
            Verdict::Suspended | Verdict::Resumed | Verdict::LinkKeys => {
                let issuer = self.chain.verify(tenant, |_| false)?;
                if issuer.device_id() != statement.issuer || issuer.public().role != Role::Owner {
                    return Err(InvalidChain);
                }
                (issuer.public().identity_key, false, issuer.provenance().clone())
            }
        };
        object.verify(&key).map_err(|_| InvalidChain)?;
        if !statement.keep.is_empty() && !subject_certifies {
            return Err(InvalidChain);
        }
        Ok(VerifiedStatement { statement, subject_certifies, provenance })
    }
}
