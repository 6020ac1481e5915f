//! Delivering and acknowledging what waits in an inbox (`PROTOCOL.md` section 9).

use av_wire::RejectCode;
use av_wire::ids::InboxEpoch;
use futures_util::future::try_join;

use super::{Actor, Refusal, Relay};
use crate::store::{DeviceStatus, Page};
use crate::writer::{OutgoingAcknowledgement, Written};

/// An acknowledgement that is queued.
#[derive(Debug)]
pub(crate) struct Acknowledging {
    pub(crate) sequence: u64,
    /// None for one that says nothing.
    written: Option<Written<bool>>,
}

impl Relay {
    /// At most `limit` entries behind `cursor`, for a device that was in when they were read.
    pub(crate) async fn entries_after(
        &self,
        actor: &Actor,
        cursor: u64,
        limit: u16,
    ) -> Result<Page, Refusal> {
        let tx = self.store.tenant(actor.tenant).await?;
        // In one round trip, and the standing behind the entries.
        let (page, standing) =
            try_join(tx.entries_after(&actor.device, cursor, limit), tx.standing(&actor.device)).await?;
        match standing {
            Some((DeviceStatus::Active, _)) => Ok(page),
            _ => Err(Refusal::NotAuthorized),
        }
    }

    /// Queues an acknowledgement; waits while the queue is full.
    pub(crate) async fn acknowledge(
        &self,
        actor: &Actor,
        epoch: &InboxEpoch,
        sequence: u64,
        rejected: Vec<(u64, RejectCode)>,
    ) -> Result<Acknowledging, Refusal> {
        if i64::try_from(sequence).is_err() || rejected.iter().any(|(number, _)| *number > sequence) {
            return Ok(Acknowledging { sequence, written: None });
        }
        let (tenant, device, epoch) = (actor.tenant, actor.device, *epoch);
        let acknowledgement = OutgoingAcknowledgement { tenant, device, epoch, sequence, rejected };
        Ok(Acknowledging { sequence, written: Some(self.writers.acknowledge(acknowledgement).await?) })
    }
}

impl Acknowledging {
    /// When this returns true, the entries are gone for good. False, and nothing changed, for one of another epoch, of
    /// numbers that were never given, that was superseded, or of a device that is not in.
    pub(crate) async fn taken(self) -> Result<bool, Refusal> {
        match self.written {
            Some(written) => Ok(written.wait().await?),
            None => Ok(false),
        }
    }
}
