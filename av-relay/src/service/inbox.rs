//! Delivering and acknowledging what waits in an inbox (`PROTOCOL.md` section 9).

use av_wire::RejectCode;
use av_wire::ids::InboxEpoch;

use super::{Actor, Refusal, Relay};
use crate::store::Entry;

impl Relay {
    /// At most `limit` entries behind `cursor`.
    pub(crate) async fn entries_after(
        &self,
        actor: &Actor,
        cursor: u64,
        limit: u16,
    ) -> Result<Vec<Entry>, Refusal> {
        let tx = self.as_active(actor).await?;
        Ok(tx.entries_after(&actor.device, cursor, limit).await?)
    }

    /// Takes an acknowledgement. False, and nothing changed, for one of another epoch, of numbers that were never
    /// given, or that was superseded.
    pub(crate) async fn acknowledge(
        &self,
        actor: &Actor,
        epoch: &InboxEpoch,
        sequence: u64,
        rejected: &[(u64, RejectCode)],
    ) -> Result<bool, Refusal> {
        if i64::try_from(sequence).is_err() || rejected.iter().any(|(number, _)| *number > sequence) {
            return Ok(false);
        }
        let tx = self.as_active(actor).await?;
        if !tx.acknowledge(&actor.device, epoch, sequence, rejected).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}
