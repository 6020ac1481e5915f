//! Sending a message (`PROTOCOL.md` sections 7 and 9).

use av_wire::ids::{DeviceId, MessageId};
use av_wire::message::message_id;

use super::{Actor, Refusal, Relay};
use crate::store::Outcome;
use crate::writer::{OutgoingMessage, Written};

/// A message that is queued.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) id: MessageId,
    written: Written<Outcome>,
}

impl Relay {
    /// Queues a message of the actor for its recipient's inbox, behind what the actor sent there before; waits while
    /// the queue is full. Only [`Sending::stored`] says what becomes of it.
    pub(crate) async fn send(
        &self,
        actor: &Actor,
        recipient: &DeviceId,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) -> Result<Sending, Refusal> {
        let id = message_id(&actor.tenant, &actor.device, recipient, header_blob, ciphertext);
        let message = OutgoingMessage {
            tenant: actor.tenant,
            id,
            sender: actor.device,
            recipient: *recipient,
            header_blob: header_blob.into(),
            ciphertext: ciphertext.into(),
        };
        Ok(Sending { id, written: self.writers.send(message).await? })
    }
}

impl Sending {
    /// When this returns, the message is on disk. The same message again is stored once and accepted twice.
    pub(crate) async fn stored(self) -> Result<(), Refusal> {
        match self.written.wait().await? {
            Outcome::Stored | Outcome::StoredBefore => Ok(()),
            Outcome::SenderOut => Err(Refusal::NotAuthorized),
            Outcome::RecipientUnavailable => Err(Refusal::RecipientUnavailable),
            Outcome::TooLarge => Err(Refusal::TooLarge),
            Outcome::OverQuota => Err(Refusal::OverQuota),
        }
    }
}
