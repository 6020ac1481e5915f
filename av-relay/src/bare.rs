//! What the relay has PostgreSQL do, without the relay: the very statements of its writers and readers, through its own
//! code. `av-relay/bench` holds the relay against this.

use std::collections::BTreeSet;

use av_wire::ids::{DeviceId, InboxEpoch, MessageId, TenantId};

use crate::store::{
    Endpoint, GroupError, GroupTx, NewAcknowledgement, NewMessage, OpenError, Outcome, Store, StoreError,
    acknowledged,
};

/// Connections that write.
pub const WRITERS: usize = crate::limits::WRITERS;
/// Messages in one batch.
pub const MAX_BATCH: usize = crate::limits::MAX_BATCH;

/// A message to store.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its id.
    pub id: MessageId,
    /// From whom.
    pub sender: DeviceId,
    /// To whom.
    pub recipient: DeviceId,
    /// Everything up to and with the header ciphertext.
    pub header_blob: &'a [u8],
    /// The body.
    pub ciphertext: &'a [u8],
}

/// An acknowledgement of everything up to a number.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement {
    /// Whose inbox.
    pub device: DeviceId,
    /// The inbox's epoch.
    pub epoch: InboxEpoch,
    /// The number.
    pub sequence: u64,
}

/// A database, and nothing in front of it.
#[derive(Clone, Debug)]
pub struct Bare(Store);

impl Bare {
    /// Opens a relay's database beside the relay.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(endpoint: &Endpoint) -> Result<Self, OpenError> {
        Ok(Self(Store::open(endpoint).await?))
    }

    /// One batch of one tenant: one transaction in one round trip.
    ///
    /// # Errors
    /// [`StoreError`], also when a message was refused or an acknowledgement was not good.
    pub async fn write(
        &self,
        tenant: &TenantId,
        messages: &[Message<'_>],
        acknowledgements: &[Acknowledgement],
    ) -> Result<(), StoreError> {
        let client = self.0.writer().await?;
        let mut group = GroupTx::begin(&client).await?;
        let mut part = group.as_tenant(tenant);
        let recipients = messages.iter().map(|message| message.recipient);
        let inboxes: BTreeSet<_> = recipients.chain(acknowledgements.iter().map(|new| new.device)).collect();
        part.lock_inboxes(inboxes);
        let taken = match acknowledgements {
            [] => None,
            some => Some(part.acknowledge(some.iter().map(NewAcknowledgement::from).collect())?),
        };
        let sent = match messages {
            [] => None,
            some => Some(part.send(some.iter().map(NewMessage::from).collect())),
        };
        drop(part);
        let answers = group.commit().await.map_err(|error| match error {
            GroupError::Refused(error) | GroupError::Lost(error) => StoreError::from(error),
        })?;
        let outcomes = sent.map_or(Ok(Vec::new()), |sent| Outcome::from_rows(answers.rows(sent)))?;
        let taken = taken
            .map_or(Ok(Vec::new()), |taken| acknowledged(answers.rows(taken), acknowledgements.len()))?;
        if outcomes.iter().all(|outcome| *outcome == Outcome::Stored) && taken.iter().all(|good| *good) {
            Ok(())
        } else {
            Err(StoreError::Unexpected("all stored and taken"))
        }
    }

    /// Reads an inbox behind `cursor`, at most `limit` entries: the last number read, and whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        cursor: u64,
        limit: u16,
    ) -> Result<(Option<u64>, bool), StoreError> {
        let tx = self.0.tenant(*tenant).await?;
        let page = tx.entries_after(device, cursor, limit).await?;
        Ok((page.entries.last().map(|entry| entry.sequence), page.is_full))
    }
}

impl<'a> From<&Message<'a>> for NewMessage<'a> {
    fn from(message: &Message<'a>) -> Self {
        let Message { id, sender, recipient, header_blob, ciphertext } = *message;
        Self { id, sender, recipient, header_blob, ciphertext }
    }
}

impl From<&Acknowledgement> for NewAcknowledgement<'_> {
    fn from(new: &Acknowledgement) -> Self {
        let Acknowledgement { device, epoch, sequence } = *new;
        Self { device, epoch, sequence, rejected: &[] }
    }
}
