//! Messages: stored once, whatever is retried, and refused one by one (`PROTOCOL.md` sections 7 and 9).

use av_wire::ids::{DeviceId, MessageId};
use av_wire::limits::DELIVER_OVERHEAD;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::StoreError;
use super::group_tx::{TenantPart, Ticket};
use crate::limits::{CONTENT_DAYS, MAX_TENANT_BYTES, MAX_WAITING, MAX_WAITING_BYTES, RECEIPT_DAYS};

/// As PostgreSQL counts.
const OVERHEAD: i64 = DELIVER_OVERHEAD as i64;

/// All that is known of a message is decided here, after the inboxes were locked: whoever shuts a device out takes
/// these locks too, so what is read here holds until the messages are in.
///
/// Senders and receipts are looked up one by one, by LIMIT: plans are made once, perhaps of empty tables, and a join
/// that was cheap then reads all of a tenant's receipts for each message later.
///
/// A refused message uses up the quota for those behind it, so what is stored for one inbox is always a beginning of
/// what was sent to it, and its numbers have no gap.
pub(super) const SEND: &str = "WITH sent AS (
         SELECT ord, sender, message_id, recipient, header_blob, ciphertext,
                (octet_length(header_blob) + octet_length(ciphertext))::bigint AS size
         FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
              WITH ORDINALITY AS t (sender, message_id, recipient, header_blob, ciphertext, ord)),
     inbox AS (
         SELECT i.device_id, i.next_sequence, i.received_bytes, d.status, d.max_message,
                greatest(i.expires_at, statement_timestamp() + make_interval(days => $11)) AS expires_at,
                i.next_sequence - coalesce(oldest.sequence, i.next_sequence) AS waiting,
                i.received_bytes - coalesce(oldest.bytes_before, i.received_bytes) AS waiting_bytes
         FROM (SELECT DISTINCT recipient FROM sent) r
         JOIN av.inboxes i ON i.tenant_id = $1 AND i.device_id = r.recipient
         JOIN av.devices d ON d.tenant_id = $1 AND d.device_id = r.recipient
         LEFT JOIN LATERAL (
             SELECT m.sequence, m.bytes_before FROM av.messages m
             WHERE m.tenant_id = $1 AND m.recipient = i.device_id AND m.sequence > i.acknowledged
             ORDER BY m.sequence LIMIT 1) oldest ON true),
     judged AS (
         SELECT sent.*, i.next_sequence, i.received_bytes, i.expires_at, i.waiting, i.waiting_bytes,
                CASE WHEN r.message_id IS NOT NULL THEN 1
                     WHEN s.status IS DISTINCT FROM 'active' THEN 2
                     WHEN i.device_id IS NULL OR i.status NOT IN ('approved', 'active')
                          OR sent.sender = sent.recipient THEN 3
                     WHEN sent.size + $7 > i.max_message THEN 4
                     ELSE 0 END AS outcome
         FROM sent
         LEFT JOIN inbox i ON i.device_id = sent.recipient
         LEFT JOIN LATERAL (
             SELECT status FROM av.devices WHERE tenant_id = $1 AND device_id = sent.sender LIMIT 1) s ON true
         LEFT JOIN LATERAL (
             SELECT message_id FROM av.message_receipts
             WHERE tenant_id = $1 AND sender = sent.sender AND message_id = sent.message_id LIMIT 1) r ON true),
     placed AS (
         SELECT ord, sender, message_id, recipient, header_blob, ciphertext, size, expires_at,
                next_sequence + row_number() OVER inbox - 1 AS sequence,
                received_bytes + (sum(size) OVER inbox)::bigint - size AS bytes_before,
                waiting_bytes,
                waiting + row_number() OVER inbox > $8::bigint
                OR waiting_bytes + sum(size) OVER inbox > $9::bigint
                OR (SELECT sum(all_of_it.waiting_bytes) FROM av.inboxes all_of_it WHERE all_of_it.tenant_id = $1)
                   + sum(size) OVER (ORDER BY ord) > $10::bigint AS is_over
         FROM judged WHERE outcome = 0
         WINDOW inbox AS (PARTITION BY recipient ORDER BY ord)),
     receipt AS (
         INSERT INTO av.message_receipts (tenant_id, sender, message_id, recipient, state, expires_at)
         SELECT $1, sender, message_id, recipient, 'stored', statement_timestamp() + make_interval(days => $12)
         FROM placed WHERE NOT is_over),
     message AS (
         INSERT INTO av.messages (tenant_id, recipient, sequence, sender, message_id, header_blob, ciphertext,
                                  bytes_before, received_at, expires_at)
         SELECT $1, recipient, sequence, sender, message_id, header_blob, ciphertext,
                bytes_before, statement_timestamp(), expires_at
         FROM placed WHERE NOT is_over),
     conversation AS (
         INSERT INTO av.conversations AS c (tenant_id, low_device, high_device, messages)
         SELECT $1, least(sender, recipient), greatest(sender, recipient), count(*)
         FROM placed WHERE NOT is_over GROUP BY 2, 3 ORDER BY 2, 3
         ON CONFLICT (tenant_id, low_device, high_device)
         DO UPDATE SET messages = c.messages + excluded.messages, last_message_at = excluded.last_message_at),
     counted AS (
         UPDATE av.inboxes i
         SET next_sequence = i.next_sequence + new.messages,
             received_bytes = i.received_bytes + new.bytes,
             waiting_bytes = new.waiting_bytes + new.bytes,
             expires_at = new.expires_at
         FROM (SELECT recipient, count(*) AS messages, sum(size)::bigint AS bytes, waiting_bytes, expires_at
               FROM placed WHERE NOT is_over GROUP BY recipient, waiting_bytes, expires_at) new
         WHERE i.tenant_id = $1 AND i.device_id = new.recipient)
     SELECT array_agg((CASE WHEN p.is_over THEN 5 ELSE j.outcome END)::smallint ORDER BY j.ord)
     FROM judged j LEFT JOIN placed p ON p.ord = j.ord";

/// A message to store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewMessage<'a> {
    pub(crate) id: MessageId,
    pub(crate) sender: DeviceId,
    pub(crate) recipient: DeviceId,
    pub(crate) header_blob: &'a [u8],
    pub(crate) ciphertext: &'a [u8],
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in its recipient's inbox.
    Stored,
    /// The sender sent the very same before.
    StoredBefore,
    /// The sender is not, or no longer, in.
    SenderOut,
    /// The recipient cannot be written to.
    RecipientUnavailable,
    /// The recipient does not take messages of this size.
    TooLarge,
    /// As much waits for the recipient, or the tenant, as may.
    OverQuota,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Stored,
        Self::StoredBefore,
        Self::SenderOut,
        Self::RecipientUnavailable,
        Self::TooLarge,
        Self::OverQuota,
    ];

    /// The outcomes of all messages of one [`TenantPart::send`], in their order.
    pub(crate) fn from_rows(rows: &[Row]) -> Result<Vec<Self>, StoreError> {
        let unexpected = || StoreError::Unexpected("a message's outcome");
        let outcomes: Vec<i16> = rows.first().ok_or_else(unexpected)?.try_get(0)?;
        let outcome = |number: i16| Self::ALL.get(usize::try_from(number).ok()?).copied();
        outcomes.into_iter().map(|number| outcome(number).ok_or_else(unexpected)).collect()
    }
}

impl<'c> TenantPart<'_, 'c> {
    /// Stores messages; those that are refused are not stored. Their inboxes are to be
    /// [locked](Self::lock_inboxes) before, and no message may be among them twice.
    pub(crate) fn send(&mut self, messages: Vec<NewMessage<'c>>) -> Ticket {
        let (client, statement, tenant) = (self.client(), self.statements().send.clone(), *self.tenant());
        self.submit(async move {
            let senders: Vec<&[u8]> = messages.iter().map(|new| new.sender.as_bytes().as_slice()).collect();
            let ids: Vec<&[u8]> = messages.iter().map(|new| new.id.as_bytes().as_slice()).collect();
            let recipients: Vec<&[u8]> =
                messages.iter().map(|new| new.recipient.as_bytes().as_slice()).collect();
            let headers: Vec<&[u8]> = messages.iter().map(|new| new.header_blob).collect();
            let ciphertexts: Vec<&[u8]> = messages.iter().map(|new| new.ciphertext).collect();
            let parameters: [&(dyn ToSql + Sync); 12] = [
                &tenant.as_bytes().as_slice(),
                &senders,
                &ids,
                &recipients,
                &headers,
                &ciphertexts,
                &OVERHEAD,
                &MAX_WAITING,
                &MAX_WAITING_BYTES,
                &MAX_TENANT_BYTES,
                &CONTENT_DAYS,
                &RECEIPT_DAYS,
            ];
            client.query(&statement, &parameters).await
        })
    }
}
