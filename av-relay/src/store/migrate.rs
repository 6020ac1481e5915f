//! Migrations: SQL by hand, forward only, each in a transaction with the line that records it.

use std::cmp::Ordering;

use tokio_postgres::Client;

use super::error::OpenError;

/// Number, file name and text.
type Migration = (i32, &'static str, &'static str);

/// In order.
const MIGRATIONS: [Migration; 10] = [
    (1, "0001_tenancy.sql", include_str!("../../migrations/0001_tenancy.sql")),
    (2, "0002_enrollment.sql", include_str!("../../migrations/0002_enrollment.sql")),
    (3, "0003_messages.sql", include_str!("../../migrations/0003_messages.sql")),
    (4, "0004_authority.sql", include_str!("../../migrations/0004_authority.sql")),
    (5, "0005_link_keys.sql", include_str!("../../migrations/0005_link_keys.sql")),
    (6, "0006_kem_prekeys.sql", include_str!("../../migrations/0006_kem_prekeys.sql")),
    (7, "0007_api_keys.sql", include_str!("../../migrations/0007_api_keys.sql")),
    (8, "0008_message_partitions.sql", include_str!("../../migrations/0008_message_partitions.sql")),
    (9, "0009_janitor.sql", include_str!("../../migrations/0009_janitor.sql")),
    (10, "0010_message_keys.sql", include_str!("../../migrations/0010_message_keys.sql")),
];

/// "agentvault" as a number: relays that start at the same time on one database take turns.
const ADVISORY_LOCK: i64 = 0x6167_656e_7476_6c74;

const LOCK: &str = "SELECT pg_advisory_lock($1)";
const UNLOCK: &str = "SELECT pg_advisory_unlock($1)";

/// In a schema of its own, which the traffic role cannot enter.
const PREPARE: &str = "CREATE SCHEMA IF NOT EXISTS av_meta;
    CREATE TABLE IF NOT EXISTS av_meta.schema_migrations (
        version    integer PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now()
    )";
const NEWEST: &str = "SELECT coalesce(max(version), 0) FROM av_meta.schema_migrations";
const RECORD: &str = "INSERT INTO av_meta.schema_migrations (version) VALUES ($1)";
/// Where the traffic role, which cannot enter `av_meta`, reads the same: what a comment says needs no right.
const NEWEST_AS_SAID: &str = "SELECT obj_description(to_regnamespace('av'), 'pg_namespace')";

/// Brings the schema up to date. `client` is connected as the owner role.
pub(super) async fn migrate(client: &mut Client) -> Result<(), OpenError> {
    client.execute(LOCK, &[&ADVISORY_LOCK]).await?;
    let result = apply_missing(client, &MIGRATIONS).await;
    // Also released with the connection, so its failure loses nothing.
    let _ = client.execute(UNLOCK, &[&ADVISORY_LOCK]).await;
    result
}

async fn apply_missing(client: &mut Client, migrations: &[Migration]) -> Result<(), OpenError> {
    client.batch_execute(PREPARE).await?;
    let found: i32 = client.query_one(NEWEST, &[]).await?.try_get(0)?;
    let known = newest(migrations);
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    for (version, name, sql) in migrations.iter().filter(|(version, ..)| *version > found) {
        let failed = |source| OpenError::Migration { name, source };
        let transaction = client.transaction().await?;
        transaction.batch_execute(sql).await.map_err(failed)?;
        transaction.execute(RECORD, &[version]).await.map_err(failed)?;
        transaction.batch_execute(&saying(*version)).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        tracing::info!(name, "migration applied");
    }
    // A database whose last migration is from before it was said. Otherwise the schema is left alone: it may belong to
    // somebody else by now, and saying so is the audit's.
    if said(client).await? != Some(known) {
        client.batch_execute(&saying(known)).await?;
    }
    Ok(())
}

/// Whether the schema is the one that this relay works with. `client` is any of the roles.
///
/// # Errors
/// [`OpenError::OlderSchema`] and [`OpenError::NewerSchema`].
pub(super) async fn check(client: &Client) -> Result<(), OpenError> {
    let found = said(client).await?.unwrap_or(0);
    let known = newest(&MIGRATIONS);
    match found.cmp(&known) {
        Ordering::Less => Err(OpenError::OlderSchema { found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::NewerSchema { found, known }),
    }
}

/// What stands before the number.
const SAYS: &str = "AgentVault schema ";

async fn said(client: &Client) -> Result<Option<i32>, OpenError> {
    let said: Option<String> = client.query_one(NEWEST_AS_SAID, &[]).await?.try_get(0)?;
    Ok(said.and_then(|said| said.strip_prefix(SAYS)?.parse().ok()))
}

fn saying(version: i32) -> String {
    format!("COMMENT ON SCHEMA av IS '{SAYS}{version}'")
}

fn newest(migrations: &[Migration]) -> i32 {
    migrations.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
