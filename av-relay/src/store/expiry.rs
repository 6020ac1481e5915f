//! Removing what expired, of all tenants, as the role that sees nothing else.

use deadpool_postgres::Object;

use super::error::StoreError;

/// Rows in one statement: a few milliseconds of work, so that nobody waits long for a lock.
const MAX_ROWS: i64 = 1_000;

/// The oldest first, which in one inbox is the order of sequence: what waits stays its newest end. Whoever
/// acknowledges them at this moment removes them himself.
const MESSAGES: &str = "WITH expired AS (
         SELECT tenant_id, recipient, sequence FROM av.messages WHERE expires_at < now()
         ORDER BY expires_at, tenant_id, recipient, sequence LIMIT $1)
     DELETE FROM av.messages m USING expired e
     WHERE m.tenant_id = e.tenant_id AND m.recipient = e.recipient AND m.sequence = e.sequence
       AND m.expires_at < now()";
const RECEIPTS: &str = "WITH expired AS (
         SELECT tenant_id, sender, message_id FROM av.message_receipts WHERE expires_at < now()
         ORDER BY expires_at LIMIT $1)
     DELETE FROM av.message_receipts r USING expired e
     WHERE r.tenant_id = e.tenant_id AND r.sender = e.sender AND r.message_id = e.message_id
       AND r.expires_at < now()";
/// Nothing waits in an inbox whose newest message expired.
const INBOXES: &str = "WITH expired AS (
         SELECT tenant_id, device_id FROM av.inboxes WHERE expires_at < now() AND waiting_bytes > 0
         LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
     UPDATE av.inboxes i SET waiting_bytes = 0 FROM expired e
     WHERE i.tenant_id = e.tenant_id AND i.device_id = e.device_id";

/// A connection of the janitor's role.
pub(crate) struct Expiry {
    client: Object,
}

/// What one round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) messages: u64,
    pub(crate) receipts: u64,
    /// Inboxes that were found to hold nothing any more.
    pub(crate) emptied: u64,
}

impl Removed {
    /// Whether there may be more to remove.
    pub(crate) fn is_full(&self) -> bool {
        [self.messages, self.receipts, self.emptied].contains(&MAX_ROWS.unsigned_abs())
    }
}

impl Expiry {
    pub(super) const fn new(client: Object) -> Self {
        Self { client }
    }

    /// Removes a bounded number of what expired.
    pub(crate) async fn remove(&self) -> Result<Removed, StoreError> {
        Ok(Removed {
            messages: self.execute(MESSAGES).await?,
            receipts: self.execute(RECEIPTS).await?,
            emptied: self.execute(INBOXES).await?,
        })
    }

    async fn execute(&self, sql: &'static str) -> Result<u64, StoreError> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.execute(&statement, &[&MAX_ROWS]).await?)
    }
}

#[cfg(test)]
mod tests;
