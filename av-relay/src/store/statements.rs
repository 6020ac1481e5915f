//! Signed statements of owners (`PROTOCOL.md` section 4.5).

use av_wire::ids::DeviceId;
use av_wire::statement::Verdict;

use super::error::StoreError;
use super::row::{signed, unsigned};
use super::tenant_tx::TenantTx;

/// In the order in which the issuer said them.
const AFTER: &str = "SELECT signed, chain FROM av.statements
     WHERE tenant_id = $1 AND issuer = $2 AND serial > $3 ORDER BY serial LIMIT $4";
const REVOCATIONS_OF: &str = "SELECT signed FROM av.statements
     WHERE tenant_id = $1 AND kind = 2 AND subject = ANY ($2) ORDER BY place";
const POSTED: &str = "SELECT signed FROM av.statements WHERE tenant_id = $1 AND issuer = $2 AND serial = $3";
const LAST_SERIAL: &str =
    "SELECT coalesce(max(serial), 0) FROM av.statements WHERE tenant_id = $1 AND issuer = $2";
const INSERT: &str =
    "INSERT INTO av.statements (tenant_id, issuer, serial, subject, kind, place, signed, chain, api_key)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $9 THEN $4::bytea END)";
/// Each issuer's latest word counts; a resumption by the root (issuer $3) lifts all that came before it.
const IS_SUSPENDED: &str = "SELECT EXISTS (
         SELECT FROM (
             SELECT DISTINCT ON (issuer) kind, place FROM av.statements
             WHERE tenant_id = $1 AND subject = $2 AND kind IN (3, 4)
             ORDER BY issuer, serial DESC) latest
         WHERE latest.kind = 3 AND latest.place > coalesce((
             SELECT max(place) FROM av.statements
             WHERE tenant_id = $1 AND subject = $2 AND issuer = $3 AND kind = 4), 0))";

/// A statement whose signature was verified.
#[derive(Debug)]
pub(crate) struct NewStatement<'a> {
    pub(crate) issuer: &'a DeviceId,
    pub(crate) serial: u64,
    pub(crate) subject: &'a DeviceId,
    /// The subject is an API key, no device.
    pub(crate) is_key: bool,
    pub(crate) verdict: Verdict,
    pub(crate) signed: &'a [u8],
    /// Gives the issuer a say; passed on with the statement.
    pub(crate) chain: &'a [u8],
}

/// A statement as it is passed on.
#[derive(Debug)]
pub(crate) struct PostedStatement {
    pub(crate) signed: Vec<u8>,
    pub(crate) chain: Vec<u8>,
}

impl TenantTx {
    /// The statement that this issuer posted under this serial.
    pub(crate) async fn posted_statement(
        &self,
        issuer: &DeviceId,
        serial: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self
            .query_opt(POSTED, &[&self.tenant_bytes(), &issuer.as_bytes().as_slice(), &signed(serial)?])
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// At most `limit` statements of an issuer with serials greater than `after`, in their order.
    pub(crate) async fn statements_after(
        &self,
        issuer: &DeviceId,
        after: u64,
        limit: u16,
    ) -> Result<Vec<PostedStatement>, StoreError> {
        let rows = self
            .query(
                AFTER,
                &[&self.tenant_bytes(), &issuer.as_bytes().as_slice(), &signed(after)?, &i64::from(limit)],
            )
            .await?;
        rows.iter()
            .map(|row| Ok(PostedStatement { signed: row.try_get(0)?, chain: row.try_get(1)? }))
            .collect()
    }

    /// The revocations of these owners and API keys, in the order in which they came.
    pub(crate) async fn revocations_of(&self, issuers: &[DeviceId]) -> Result<Vec<Vec<u8>>, StoreError> {
        let issuers: Vec<&[u8]> = issuers.iter().map(|issuer| issuer.as_bytes().as_slice()).collect();
        let rows = self.query(REVOCATIONS_OF, &[&self.tenant_bytes(), &issuers]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The issuer's greatest serial; 0 before its first statement.
    pub(crate) async fn last_serial(&self, issuer: &DeviceId) -> Result<u64, StoreError> {
        let row = self.query_one(LAST_SERIAL, &[&self.tenant_bytes(), &issuer.as_bytes().as_slice()]).await?;
        unsigned(&row, 0)
    }

    pub(crate) async fn insert_statement(&self, statement: &NewStatement<'_>) -> Result<(), StoreError> {
        let place = self.next_statement_place().await?;
        let kind: i16 = match statement.verdict {
            Verdict::Revoked => 2,
            Verdict::Suspended => 3,
            Verdict::Resumed => 4,
            Verdict::LinkKeys => 5,
        };
        self.execute(
            INSERT,
            &[
                &self.tenant_bytes(),
                &statement.issuer.as_bytes().as_slice(),
                &signed(statement.serial)?,
                &statement.subject.as_bytes().as_slice(),
                &kind,
                &signed(place)?,
                &statement.signed,
                &statement.chain,
                &statement.is_key,
            ],
        )
        .await?;
        Ok(())
    }

    /// Whether the latest word of any owner on the device is a suspension.
    pub(crate) async fn is_suspended(&self, subject: &DeviceId) -> Result<bool, StoreError> {
        let row = self
            .query_one(
                IS_SUSPENDED,
                &[
                    &self.tenant_bytes(),
                    &subject.as_bytes().as_slice(),
                    &DeviceId::ROOT.as_bytes().as_slice(),
                ],
            )
            .await?;
        Ok(row.try_get(0)?)
    }
}
