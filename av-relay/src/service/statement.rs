//! Signed statements of owners: revocation, suspension, resumption, link keys (`PROTOCOL.md` section 4.5).

use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::ids::{DeviceId, KeyId};
use av_wire::public::Role;
use av_wire::signature::Unverified;
use av_wire::statement::{Statement, Verdict};

use super::{Actor, Refusal, Relay};
use crate::store::{Device, DeviceStatus, NewStatement, PostedStatement, StoreError, TenantTx};

/// What a statement is about.
enum Subject {
    /// This relay.
    Relay,
    Device(Device),
    /// An API key, with its chain.
    Key(Vec<u8>),
}

impl Relay {
    /// Posts a statement: checks it, gives it effect, and puts it into the inbox of every device it concerns, all
    /// at once. A device that it shuts out is disconnected. The identical call again succeeds again.
    pub(crate) async fn post_statement(&self, actor: &Actor, signed: &[u8]) -> Result<(), Refusal> {
        let object = Unverified::decode(signed).map_err(|_| Refusal::NotAuthorized)?;
        let statement = Statement::from_unverified(&object).map_err(|_| Refusal::NotAuthorized)?;
        if statement.tenant_id != actor.tenant || i64::try_from(statement.serial).is_err() {
            return Err(Refusal::NotAuthorized);
        }
        let tx = self.as_authority(actor).await?;
        let key = issuer_key(&tx, &statement.issuer).await?;
        object.verify(&key).map_err(|_| Refusal::NotAuthorized)?;
        if let Some(posted) = tx.posted_statement(&statement.issuer, statement.serial).await? {
            return if posted == signed { Ok(()) } else { Err(Refusal::NotAuthorized) };
        }
        check_serial(&tx, &statement).await?;
        let subject = self.subject(&tx, &statement).await?;
        let chain = chain_beside(&tx, &statement, &subject).await?;

        tx.insert_statement(&NewStatement {
            issuer: &statement.issuer,
            serial: statement.serial,
            subject: &statement.subject,
            is_key: matches!(subject, Subject::Key(_)),
            verdict: statement.verdict,
            signed,
            chain: &chain,
        })
        .await?;
        let status = match (&subject, statement.verdict) {
            (Subject::Relay | Subject::Key(_), _) => None,
            (Subject::Device(_), Verdict::Revoked) => Some(DeviceStatus::Revoked),
            _ if tx.is_suspended(&statement.subject).await? => Some(DeviceStatus::Suspended),
            _ => Some(DeviceStatus::Active),
        };
        if let Some(status) = status {
            tx.set_status(&statement.subject, status).await?;
        }
        let told = tx.insert_statement_entries(&statement.issuer, statement.serial).await?;
        tx.commit().await?;

        if status.is_some_and(|status| status != DeviceStatus::Active) {
            self.bus.close(&actor.tenant, &statement.subject);
        }
        for device in &told {
            self.bus.wake(&actor.tenant, device);
        }
        tracing::info!(
            tenant = %actor.tenant, subject = %statement.subject, verdict = ?statement.verdict,
            "statement posted"
        );
        Ok(())
    }

    /// What a statement is about, which the issuer has a say in.
    async fn subject(&self, tx: &TenantTx, statement: &Statement<'_>) -> Result<Subject, Refusal> {
        if statement.verdict == Verdict::LinkKeys {
            return if statement.subject == self.origin.subject() {
                Ok(Subject::Relay)
            } else {
                Err(Refusal::NotFound)
            };
        }
        if let Some(device) = tx.device(&statement.subject).await? {
            check_reach(statement, &device)?;
            return Ok(Subject::Device(device));
        }
        let key = tx.api_key(&KeyId(statement.subject.0)).await?.ok_or(Refusal::NotFound)?;
        if statement.verdict != Verdict::Revoked {
            return Err(Refusal::NotFound);
        }
        let chain = key.chain(tx).await?;
        check_say(statement, &chain)?;
        Ok(Subject::Key(chain))
    }

    /// Statements of one issuer behind a serial, in their order: the next 64 at most.
    pub(crate) async fn fetch_statements(
        &self,
        actor: &Actor,
        issuer: &DeviceId,
        after: u64,
    ) -> Result<Vec<PostedStatement>, Refusal> {
        let tx = self.as_active(actor).await?;
        // No serial is greater than what a bigint holds.
        let after = after.min(i64::MAX.unsigned_abs());
        Ok(tx.statements_after(issuer, after, STATEMENTS_PER_CALL).await?)
    }
}

/// Statements in one answer; whoever wants more asks again.
const STATEMENTS_PER_CALL: u16 = 64;

/// What a device needs to see that the issuer has a say: the subject's chain for a revocation, else the issuer's.
async fn chain_beside(
    tx: &TenantTx,
    statement: &Statement<'_>,
    subject: &Subject,
) -> Result<Vec<u8>, Refusal> {
    let chain = if let Subject::Key(chain) = subject {
        Some(chain.clone())
    } else if let (Subject::Device(device), Verdict::Revoked) = (subject, statement.verdict) {
        device.chain.clone()
    } else if statement.issuer == DeviceId::ROOT {
        return Ok(Vec::new());
    } else {
        tx.device(&statement.issuer).await?.and_then(|issuer| issuer.chain)
    };
    with_revocations(tx, chain.ok_or(Refusal::NotFound)?).await
}

/// A chain as it stands now: where an owner or an API key on it was revoked and the certificate below kept, with that
/// revocation.
pub(super) async fn with_revocations(tx: &TenantTx, mut chain: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    let provenance = Chain::new(&chain).provenance(0).map_err(|_| StoreError::Unexpected("a chain"))?;
    for revocation in tx.revocations_of(&provenance.lineage).await? {
        let mut buffer = [0; MAX_CHAIN_BYTES];
        // A chain below two revoked owners has no room for both: it stands as it is, and counts for nothing.
        if let Ok(Some(kept)) = Chain::new(&chain).keep(&revocation, &mut buffer) {
            chain = kept.to_vec();
        }
    }
    Ok(chain)
}

/// The root's key, or that of an active owner.
async fn issuer_key(tx: &TenantTx, issuer: &DeviceId) -> Result<[u8; 32], Refusal> {
    if *issuer == DeviceId::ROOT {
        return tx.root_key().await?.ok_or(Refusal::NotAuthorized);
    }
    let device = tx.device(issuer).await?.ok_or(Refusal::NotAuthorized)?;
    match (device.status, device.public.role) {
        (DeviceStatus::Active, Role::Owner) => Ok(device.public.identity_key),
        _ => Err(Refusal::NotAuthorized),
    }
}

/// A device counts its statements without a gap; the root, which has no counter, only goes forward.
async fn check_serial(tx: &TenantTx, statement: &Statement<'_>) -> Result<(), Refusal> {
    let last = tx.last_serial(&statement.issuer).await?;
    let follows = if statement.issuer == DeviceId::ROOT {
        statement.serial > last
    } else {
        last.checked_add(1) == Some(statement.serial)
    };
    if follows { Ok(()) } else { Err(Refusal::NotAuthorized) }
}

/// A revocation is valid from the root or from an owner on the device's own chain. Suspensions are for devices
/// that are in, or were: revoked wins over everything, and a statement about such a device changes nothing more.
fn check_reach(statement: &Statement<'_>, subject: &Device) -> Result<(), Refusal> {
    match subject.status {
        DeviceStatus::Pending | DeviceStatus::Rejected => return Err(Refusal::NotFound),
        DeviceStatus::Approved if statement.verdict != Verdict::Revoked => return Err(Refusal::NotFound),
        _ => {}
    }
    if statement.verdict != Verdict::Revoked {
        return Ok(());
    }
    check_say(statement, subject.chain.as_deref().ok_or(Refusal::NotFound)?)
}

/// The root has a say over everything, an owner over what stands below it.
fn check_say(statement: &Statement<'_>, chain: &[u8]) -> Result<(), Refusal> {
    let is_above = matches!(Chain::new(chain).find(&statement.issuer), Ok(Some(_)));
    if is_above || statement.issuer == DeviceId::ROOT { Ok(()) } else { Err(Refusal::NotAuthorized) }
}
