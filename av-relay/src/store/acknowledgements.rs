//! Acknowledgements: cumulative, and content goes with them (`PROTOCOL.md` section 9).

use av_wire::RejectCode;
use av_wire::ids::{DeviceId, InboxEpoch};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::StoreError;
use super::group_tx::{TenantPart, Ticket};
use super::row::signed;

/// Only forward, only up to what was given, only in the epoch that the device means, and only from a device that is
/// in; of several for one inbox the farthest counts. Receipts then say what became of the messages, whose content goes.
pub(super) const ACKNOWLEDGE: &str = "WITH valid AS (
         SELECT a.ord, a.sequence, i.device_id, i.acknowledged
         FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) WITH ORDINALITY AS a (device, epoch, sequence, ord)
         JOIN av.inboxes i ON i.tenant_id = $1 AND i.device_id = a.device AND i.epoch = a.epoch
                          AND i.acknowledged < a.sequence AND i.next_sequence > a.sequence
         JOIN av.devices d ON d.tenant_id = $1 AND d.device_id = a.device AND d.status = 'active'),
     moved AS (
         SELECT device_id, acknowledged, max(sequence) AS sequence FROM valid GROUP BY device_id, acknowledged),
     gone AS (
         DELETE FROM av.messages m USING moved
         WHERE m.tenant_id = $1 AND m.recipient = moved.device_id
           AND m.sequence > moved.acknowledged AND m.sequence <= moved.sequence
         RETURNING m.recipient, m.sequence, m.sender, m.message_id),
     gone_too AS (
         DELETE FROM av.inbox_entries e USING moved
         WHERE e.tenant_id = $1 AND e.device_id = moved.device_id
           AND e.sequence > moved.acknowledged AND e.sequence <= moved.sequence),
     inbox AS (
         UPDATE av.inboxes i
         SET acknowledged = moved.sequence,
             waiting_bytes = i.received_bytes - coalesce((
                 SELECT m.bytes_before FROM av.messages m
                 WHERE m.tenant_id = $1 AND m.recipient = moved.device_id AND m.sequence > moved.sequence
                 ORDER BY m.sequence LIMIT 1), i.received_bytes)
         FROM moved WHERE i.tenant_id = $1 AND i.device_id = moved.device_id),
     rejected AS (
         SELECT DISTINCT ON (v.device_id, no.sequence) v.device_id, no.sequence, no.code
         FROM unnest($5::bigint[], $6::bigint[], $7::smallint[]) AS no (ord, sequence, code)
         JOIN valid v ON v.ord = no.ord),
     receipt AS (
         UPDATE av.message_receipts r
         SET state = CASE WHEN no.code IS NULL THEN 'delivered' ELSE 'rejected' END,
             reject_code = no.code, changed_at = now()
         FROM gone LEFT JOIN rejected no ON no.device_id = gone.recipient AND no.sequence = gone.sequence
         WHERE r.tenant_id = $1 AND r.sender = gone.sender AND r.message_id = gone.message_id)
     SELECT coalesce(array_agg(ord), '{}') FROM valid";

/// An acknowledgement of everything up to a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewAcknowledgement<'a> {
    pub(crate) device: DeviceId,
    pub(crate) epoch: InboxEpoch,
    /// At most `i64::MAX`.
    pub(crate) sequence: u64,
    /// Of those up to `sequence`, what the device did not take.
    pub(crate) rejected: &'a [(u64, RejectCode)],
}

impl<'c> TenantPart<'_, 'c> {
    /// Takes acknowledgements. Their inboxes are to be [locked](Self::lock_inboxes) before.
    ///
    /// # Errors
    /// [`StoreError::Unexpected`] for a number that the database cannot hold.
    pub(crate) fn acknowledge(
        &mut self,
        acknowledgements: Vec<NewAcknowledgement<'c>>,
    ) -> Result<Ticket, StoreError> {
        let (client, statement, tenant) =
            (self.client(), self.statements().acknowledge.clone(), *self.tenant());
        let sequences: Vec<i64> =
            acknowledgements.iter().map(|new| signed(new.sequence)).collect::<Result<_, _>>()?;
        let (mut of, mut numbers, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        for (ord, new) in (1_i64..).zip(&acknowledgements) {
            for (sequence, code) in new.rejected {
                of.push(ord);
                numbers.push(signed(*sequence)?);
                codes.push(reject_code(*code));
            }
        }
        Ok(self.submit(async move {
            let devices: Vec<&[u8]> =
                acknowledgements.iter().map(|new| new.device.as_bytes().as_slice()).collect();
            let epochs: Vec<&[u8]> =
                acknowledgements.iter().map(|new| new.epoch.as_bytes().as_slice()).collect();
            let parameters: [&(dyn ToSql + Sync); 7] =
                [&tenant.as_bytes().as_slice(), &devices, &epochs, &sequences, &of, &numbers, &codes];
            client.query(&statement, &parameters).await
        }))
    }
}

/// For each of so many acknowledgements of one [`TenantPart::acknowledge`], whether it was good.
pub(crate) fn acknowledged(rows: &[Row], count: usize) -> Result<Vec<bool>, StoreError> {
    let unexpected = || StoreError::Unexpected("the acknowledgements taken");
    let taken: Vec<i64> = rows.first().ok_or_else(unexpected)?.try_get(0)?;
    Ok((1_i64..).take(count).map(|ord| taken.contains(&ord)).collect())
}

/// As on the wire.
const fn reject_code(code: RejectCode) -> i16 {
    match code {
        RejectCode::Unopened => 1,
        RejectCode::Malformed => 2,
        RejectCode::TooLarge => 3,
        RejectCode::UnknownSender => 4,
    }
}
