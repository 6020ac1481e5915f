//! Messages: stored once, whatever is retried.

use av_wire::ids::{DeviceId, MessageId};
use av_wire::public::DevicePublic;

use super::devices::DeviceStatus;
use super::error::StoreError;
use super::row::{signed, unsigned};
use super::tenant_tx::TenantTx;

const SENDER_AND_RECIPIENT: &str = "SELECT sender.status, recipient.status, recipient.device_public
     FROM av.devices sender
     JOIN av.devices recipient ON recipient.tenant_id = sender.tenant_id AND recipient.device_id = $3
     WHERE sender.tenant_id = $1 AND sender.device_id = $2";
/// One statement: the receipt decides whether the message is new, and all else hangs on it.
const INSERT: &str = "WITH receipt AS (
         INSERT INTO av.message_receipts (tenant_id, sender, message_id, recipient, state)
         VALUES ($1, $2, $3, $4, 'accepted') ON CONFLICT DO NOTHING
         RETURNING tenant_id),
     message AS (
         INSERT INTO av.messages (tenant_id, sender, message_id, recipient, header_blob, ciphertext)
         SELECT tenant_id, $2, $3, $4, $5, $6 FROM receipt),
     entry AS (
         INSERT INTO av.inbox_entries (tenant_id, device_id, sequence, sender, message_id)
         SELECT tenant_id, $4, $7, $2, $3 FROM receipt),
     conversation AS (
         INSERT INTO av.conversations AS c (tenant_id, low_device, high_device)
         SELECT tenant_id, least($2::bytea, $4::bytea), greatest($2::bytea, $4::bytea) FROM receipt
         ON CONFLICT (tenant_id, low_device, high_device)
         DO UPDATE SET messages = c.messages + 1, last_message_at = now())
     SELECT count(*) FROM receipt";

/// The two ends of a message, as far as sending depends on them.
#[derive(Debug)]
pub(crate) struct Recipient {
    pub(crate) sender_status: DeviceStatus,
    pub(crate) status: DeviceStatus,
    pub(crate) public: DevicePublic,
}

/// A message to store.
#[derive(Debug)]
pub(crate) struct NewMessage<'a> {
    pub(crate) id: MessageId,
    pub(crate) sender: DeviceId,
    pub(crate) recipient: DeviceId,
    pub(crate) header_blob: &'a [u8],
    pub(crate) ciphertext: &'a [u8],
}

impl TenantTx {
    /// Sender and recipient as they are now.
    pub(crate) async fn sender_and_recipient(
        &self,
        sender: &DeviceId,
        recipient: &DeviceId,
    ) -> Result<Option<Recipient>, StoreError> {
        let row = self
            .query_opt(
                SENDER_AND_RECIPIENT,
                &[&self.tenant_bytes(), &sender.as_bytes().as_slice(), &recipient.as_bytes().as_slice()],
            )
            .await?;
        row.map(|row| {
            Ok(Recipient {
                sender_status: DeviceStatus::from_column(&row, 0)?,
                status: DeviceStatus::from_column(&row, 1)?,
                public: DevicePublic::from_bytes(row.try_get(2)?)
                    .map_err(|_| StoreError::Unexpected("a device's public keys"))?,
            })
        })
        .transpose()
    }

    /// Stores a message as this entry of its recipient's inbox. False, and nothing stored, if the sender sent
    /// the very same before.
    pub(crate) async fn insert_message(
        &self,
        message: &NewMessage<'_>,
        sequence: u64,
    ) -> Result<bool, StoreError> {
        let row = self
            .query_one(
                INSERT,
                &[
                    &self.tenant_bytes(),
                    &message.sender.as_bytes().as_slice(),
                    &message.id.as_bytes().as_slice(),
                    &message.recipient.as_bytes().as_slice(),
                    &message.header_blob,
                    &message.ciphertext,
                    &signed(sequence)?,
                ],
            )
            .await?;
        Ok(unsigned(&row, 0)? == 1)
    }
}
