//! Invites of an owner's device (`PROTOCOL.md` section 3).

use av_wire::ids::LookupHash;
use av_wire::limits::MAX_INVITE_SECONDS;
use av_wire::public::Role;

use super::{Actor, Refusal, Relay};
use crate::store::Invite;

/// Invites of one device that can be used at one time. An owner's device keeps the keys of each.
const MAX_OPEN_INVITES: u64 = 32;

impl Relay {
    /// Registers an invite of the calling owner's device. The identical call again succeeds again and leaves the
    /// first one's expiry.
    pub(crate) async fn create_invite(
        &self,
        actor: &Actor,
        hash: &LookupHash,
        role: Role,
        expires_in: u32,
    ) -> Result<(), Refusal> {
        if expires_in == 0 || expires_in > MAX_INVITE_SECONDS {
            return Err(Refusal::TooLarge);
        }
        let tx = self.as_authority(actor).await?;
        match tx.inviter(hash).await? {
            Some(inviter) if inviter == actor.device => return Ok(()),
            Some(_) => return Err(Refusal::NotAuthorized),
            None => {}
        }
        if tx.open_invites(&actor.device).await? >= MAX_OPEN_INVITES {
            return Err(Refusal::OverQuota);
        }
        if !tx.insert_invite(&actor.device, hash, role, expires_in).await? {
            return Err(Refusal::NotAuthorized);
        }
        tx.commit().await?;
        Ok(())
    }

    /// The calling device's invites that have not expired.
    pub(crate) async fn list_invites(&self, actor: &Actor) -> Result<Vec<Invite>, Refusal> {
        let tx = self.as_owner(actor).await?;
        Ok(tx.invites(&actor.device).await?)
    }

    /// Withdraws an invite of the calling device that nobody has used.
    pub(crate) async fn revoke_invite(&self, actor: &Actor, hash: &LookupHash) -> Result<(), Refusal> {
        let tx = self.as_owner(actor).await?;
        if !tx.revoke_invite(&actor.device, hash).await? {
            return Err(Refusal::NotFound);
        }
        tx.commit().await?;
        Ok(())
    }
}
