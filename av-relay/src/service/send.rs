//! Sending a message (`PROTOCOL.md` sections 7 and 9).

use av_wire::ids::{DeviceId, MessageId};
use av_wire::limits::{DELIVER_OVERHEAD, MAX_FRAME};
use av_wire::message::message_id;

use super::{Actor, Refusal, Relay};
use crate::store::{DeviceStatus, NewMessage};

/// Entries that may wait in one inbox. At 4 KiB a message that is 40 MB for a device that never comes.
const MAX_WAITING: u64 = 10_000;

impl Relay {
    /// The id of a message of the actor, which both sides compute.
    pub(crate) fn message_id(
        actor: &Actor,
        recipient: &DeviceId,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) -> MessageId {
        message_id(&actor.tenant, &actor.device, recipient, header_blob, ciphertext)
    }

    /// Stores a message in its recipient's inbox; when this returns, it is on disk. The same message again is
    /// stored once and accepted twice.
    pub(crate) async fn send(
        &self,
        actor: &Actor,
        id: MessageId,
        recipient: &DeviceId,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) -> Result<(), Refusal> {
        if *recipient == actor.device {
            return Err(Refusal::RecipientUnavailable);
        }
        let tx = self.store.tenant(actor.tenant).await?;
        // The inbox's lock comes first: a statement that shuts the sender out takes it too, so what is read below
        // holds until this message is in.
        let place = tx.next_sequence(recipient).await?;
        let Some(ends) = tx.sender_and_recipient(&actor.device, recipient).await? else {
            return Err(match tx.standing(&actor.device).await? {
                Some((DeviceStatus::Active, _)) => Refusal::RecipientUnavailable,
                _ => Refusal::NotAuthorized,
            });
        };
        if ends.sender_status != DeviceStatus::Active {
            return Err(Refusal::NotAuthorized);
        }
        let (DeviceStatus::Approved | DeviceStatus::Active, Some((sequence, acknowledged))) =
            (ends.status, place)
        else {
            return Err(Refusal::RecipientUnavailable);
        };
        let limit = usize::try_from(ends.public.max_message).unwrap_or(MAX_FRAME).min(MAX_FRAME);
        if header_blob.len().saturating_add(ciphertext.len()).saturating_add(DELIVER_OVERHEAD) > limit {
            return Err(Refusal::TooLarge);
        }
        let message = NewMessage { id, sender: actor.device, recipient: *recipient, header_blob, ciphertext };
        if !tx.insert_message(&message, sequence).await? {
            // Accepted before; the number taken above goes back with the transaction.
            return Ok(());
        }
        if sequence.saturating_sub(acknowledged) > MAX_WAITING {
            return Err(Refusal::OverQuota);
        }
        tx.commit().await?;
        self.bus.wake(&actor.tenant, recipient);
        Ok(())
    }
}
