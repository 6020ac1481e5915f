//! Inboxes: gapless sequences in commit order, entries that wait, and reading them
//! (`PROTOCOL.md` section 9).

use av_wire::ids::{DeviceId, InboxEpoch};
use av_wire::signature::Signature;
use tokio_postgres::Row;

use super::error::StoreError;
use super::row::{id, optional_id, signed, unsigned};
use super::statements::PostedStatement;
use super::tenant_tx::TenantTx;
use crate::limits::PAGE_BYTES;

const INSERT: &str = "INSERT INTO av.inboxes (tenant_id, device_id, epoch) VALUES ($1, $2, $3)";
const STATE: &str = "SELECT epoch, next_sequence, acknowledged FROM av.inboxes
     WHERE tenant_id = $1 AND device_id = $2";
/// Holds the row until the commit, so numbers are given in commit order and none is lost.
const NEXT_SEQUENCE: &str = "UPDATE av.inboxes SET next_sequence = next_sequence + 1
     WHERE tenant_id = $1 AND device_id = $2
     RETURNING next_sequence - 1";
const INSERT_ACTIVATED: &str =
    "INSERT INTO av.inbox_entries (tenant_id, device_id, sequence, activated) VALUES ($1, $2, $3, $4)";
const INSERT_RECERTIFIED: &str =
    "INSERT INTO av.inbox_entries (tenant_id, device_id, sequence, recertified) VALUES ($1, $2, $3, $4)";
const INSERT_KEY_USED: &str =
    "INSERT INTO av.inbox_entries (tenant_id, device_id, sequence, key_used) VALUES ($1, $2, $3, $4)";
/// All of the tenant, in order of device as everybody does.
const LOCK_ALL: &str = "SELECT FROM av.inboxes WHERE tenant_id = $1 ORDER BY device_id FOR NO KEY UPDATE";
/// To every device that is in or may come back, but not to who said it.
const INSERT_STATEMENT_FOR_ALL: &str = "WITH numbered AS (
         UPDATE av.inboxes i SET next_sequence = i.next_sequence + 1
         FROM av.devices d
         WHERE i.tenant_id = $1 AND d.tenant_id = $1 AND d.device_id = i.device_id
           AND d.status IN ('approved', 'active', 'suspended') AND d.device_id <> $2
         RETURNING i.device_id, i.next_sequence - 1 AS sequence)
     INSERT INTO av.inbox_entries (tenant_id, device_id, sequence, issuer, serial)
     SELECT $1, device_id, sequence, $2, $3 FROM numbered
     RETURNING device_id";
/// Messages as far as their bytes go, but one in any case; of the rest what stands before the next message.
const ENTRIES: &str = "WITH message AS (
         SELECT m.sequence, m.sender, m.header_blob, m.ciphertext, m.received_at
         FROM av.messages m
         WHERE m.tenant_id = $1 AND m.recipient = $2 AND m.sequence > $3
           AND m.bytes_before < $5 + (
               SELECT first.bytes_before FROM av.messages first
               WHERE first.tenant_id = $1 AND first.recipient = $2 AND first.sequence > $3
               ORDER BY first.sequence LIMIT 1)
         ORDER BY m.sequence LIMIT $4)
     SELECT sequence, sender, header_blob, ciphertext, extract(epoch FROM received_at)::bigint AS received_at,
            NULL::bytea AS signed, NULL::bytea AS activated, NULL::bytea AS activation,
            NULL::bytea AS chain, NULL::bytea AS recertified,
            NULL::bytea AS key_used
     FROM message
     UNION ALL
     SELECT e.sequence, NULL, NULL, NULL, NULL, s.signed, e.activated, d.activation, s.chain, e.recertified,
            e.key_used
     FROM av.inbox_entries e
     LEFT JOIN av.statements s
            ON s.tenant_id = e.tenant_id AND s.issuer = e.issuer AND s.serial = e.serial
     LEFT JOIN av.devices d
            ON d.tenant_id = e.tenant_id AND d.device_id = e.activated
     WHERE e.tenant_id = $1 AND e.device_id = $2 AND e.sequence > $3
       AND e.sequence < coalesce((
           SELECT next.sequence FROM av.messages next
           WHERE next.tenant_id = $1 AND next.recipient = $2
             AND next.sequence > (SELECT max(message.sequence) FROM message)
           ORDER BY next.sequence LIMIT 1), 9223372036854775807)
     ORDER BY sequence LIMIT $4";

/// Where a device's inbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboxState {
    pub(crate) epoch: InboxEpoch,
    pub(crate) next_sequence: u64,
    pub(crate) acknowledged: u64,
}

/// What waits in an inbox.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) content: EntryContent,
}

impl Entry {
    fn message_bytes(&self) -> i64 {
        match &self.content {
            EntryContent::Message { header_blob, ciphertext, .. } => {
                i64::try_from(header_blob.len() + ciphertext.len()).unwrap_or(i64::MAX)
            }
            _ => 0,
        }
    }
}

/// What one read brings.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// There may be more behind these.
    pub(crate) is_full: bool,
}

/// The kinds of inbox entries.
#[derive(Debug)]
pub(crate) enum EntryContent {
    Message {
        sender: DeviceId,
        header_blob: Vec<u8>,
        ciphertext: Vec<u8>,
        /// Seconds since 1970.
        received_at: u64,
    },
    Statement(PostedStatement),
    Activated {
        device: DeviceId,
        signature: Signature,
    },
    /// The device's new chain.
    Recertified(Vec<u8>),
    /// The chain of a device that enrolled with an API key of this owner.
    KeyUsed(Vec<u8>),
}

impl TenantTx {
    /// Makes a device's inbox, with an epoch of its own.
    pub(crate) async fn insert_inbox(&self, device: &DeviceId) -> Result<(), StoreError> {
        let mut epoch = [0; InboxEpoch::LEN];
        getrandom::fill(&mut epoch)?;
        self.execute(INSERT, &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &epoch.as_slice()])
            .await?;
        Ok(())
    }

    pub(crate) async fn inbox(&self, device: &DeviceId) -> Result<Option<InboxState>, StoreError> {
        let row = self.query_opt(STATE, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        row.map(|row| {
            Ok(InboxState {
                epoch: InboxEpoch(id(&row, 0)?),
                next_sequence: unsigned(&row, 1)?,
                acknowledged: unsigned(&row, 2)?,
            })
        })
        .transpose()
    }

    /// Takes the next sequence number of the inbox, which stays locked until the transaction ends.
    pub(crate) async fn next_sequence(&self, device: &DeviceId) -> Result<Option<u64>, StoreError> {
        let row =
            self.query_opt(NEXT_SEQUENCE, &[&self.tenant_bytes(), &device.as_bytes().as_slice()]).await?;
        row.map(|row| unsigned(&row, 0)).transpose()
    }

    /// Tells an owner's device that a device which it approved is active.
    pub(crate) async fn insert_activated(
        &self,
        owner: &DeviceId,
        activated: &DeviceId,
    ) -> Result<(), StoreError> {
        let Some(sequence) = self.next_sequence(owner).await? else { return Ok(()) };
        self.execute(
            INSERT_ACTIVATED,
            &[
                &self.tenant_bytes(),
                &owner.as_bytes().as_slice(),
                &signed(sequence)?,
                &activated.as_bytes().as_slice(),
            ],
        )
        .await?;
        Ok(())
    }

    /// Gives a device its new chain.
    pub(crate) async fn insert_recertified(&self, device: &DeviceId, chain: &[u8]) -> Result<(), StoreError> {
        let Some(sequence) = self.next_sequence(device).await? else { return Ok(()) };
        self.execute(
            INSERT_RECERTIFIED,
            &[&self.tenant_bytes(), &device.as_bytes().as_slice(), &signed(sequence)?, &chain],
        )
        .await?;
        Ok(())
    }

    /// Tells an owner that a device enrolled with its API key.
    pub(crate) async fn insert_key_used(&self, owner: &DeviceId, chain: &[u8]) -> Result<(), StoreError> {
        let Some(sequence) = self.next_sequence(owner).await? else { return Ok(()) };
        self.execute(
            INSERT_KEY_USED,
            &[&self.tenant_bytes(), &owner.as_bytes().as_slice(), &signed(sequence)?, &chain],
        )
        .await?;
        Ok(())
    }

    /// Puts a posted statement into every inbox it concerns, and returns whose they are.
    pub(crate) async fn insert_statement_entries(
        &self,
        issuer: &DeviceId,
        serial: u64,
    ) -> Result<Vec<DeviceId>, StoreError> {
        // Nothing is put into the issuer's own, but no message of whom the statement shuts out may come in behind
        // it there either.
        self.query(LOCK_ALL, &[&self.tenant_bytes()]).await?;
        let rows = self
            .query(
                INSERT_STATEMENT_FOR_ALL,
                &[&self.tenant_bytes(), &issuer.as_bytes().as_slice(), &signed(serial)?],
            )
            .await?;
        rows.iter().map(|row| id(row, 0).map(DeviceId)).collect()
    }

    /// At most `limit` entries behind `cursor`, in order.
    pub(crate) async fn entries_after(
        &self,
        device: &DeviceId,
        cursor: u64,
        limit: u16,
    ) -> Result<Page, StoreError> {
        let rows = self
            .query(
                ENTRIES,
                &[
                    &self.tenant_bytes(),
                    &device.as_bytes().as_slice(),
                    &signed(cursor)?,
                    &i64::from(limit),
                    &PAGE_BYTES,
                ],
            )
            .await?;
        let entries: Vec<Entry> = rows.iter().map(entry).collect::<Result<_, _>>()?;
        let bytes = entries.iter().map(Entry::message_bytes).fold(0, i64::saturating_add);
        let is_full = entries.len() >= usize::from(limit) || bytes >= PAGE_BYTES;
        Ok(Page { entries, is_full })
    }
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    let content = if let Some(sender) = optional_id(row, 1)? {
        EntryContent::Message {
            sender: DeviceId(sender),
            header_blob: row.try_get(2)?,
            ciphertext: row.try_get(3)?,
            received_at: unsigned(row, 4)?,
        }
    } else if let Some(device) = optional_id(row, 6)? {
        EntryContent::Activated { device: DeviceId(device), signature: Signature(id(row, 7)?) }
    } else if let Some(chain) = row.try_get(9)? {
        EntryContent::Recertified(chain)
    } else if let Some(chain) = row.try_get(10)? {
        EntryContent::KeyUsed(chain)
    } else {
        EntryContent::Statement(PostedStatement { signed: row.try_get(5)?, chain: row.try_get(8)? })
    };
    Ok(Entry { sequence: unsigned(row, 0)?, content })
}
