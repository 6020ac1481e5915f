//! Enrolling with an invite (`PROTOCOL.md` section 4.1).

use av_wire::bundle::Bundle;
use av_wire::enroll::EnrollRequest;
use av_wire::ids::{DeviceId, TenantId};

use super::{Refusal, Relay};
use crate::store::{DeviceStatus, Enrolled, TenantTx};

/// How an enrollment request stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enrollment {
    pub(crate) tenant: TenantId,
    pub(crate) device: DeviceId,
    /// The owner's grant, once there is one.
    pub(crate) grant: Option<Vec<u8>>,
}

impl Relay {
    /// Consumes the invite that the request names and stores the device as pending. The identical request again
    /// gets the answer of how it stands now. A request with other keys gets the refusal that any unusable invite
    /// gets; the first one is kept for the owner, for whoever sent it knew the invite.
    ///
    /// `encoded` is the request as received, for the inviting device to check.
    pub(crate) async fn enroll(
        &self,
        request: &EnrollRequest<'_>,
        encoded: &[u8],
    ) -> Result<Enrollment, Refusal> {
        // What proves nothing is refused for any invite alike, so this tells nothing about this one.
        let (public, transcript) = request.verify_possession().map_err(|_| Refusal::InviteRefused)?;
        Bundle::decode(request.bundle)
            .ok()
            .and_then(|bundle| bundle.verify(&public).ok())
            .ok_or(Refusal::InviteRefused)?;
        let (hash, device) = (request.lookup_hash(), public.device_id());

        let tx = self.store.tenant_of_invite(&hash).await?;
        let invite = tx.use_invite(&hash).await?.ok_or(Refusal::InviteRefused)?;
        let tenant = *tx.tenant();
        match invite.consumed {
            None if invite.is_open => {
                let enrolled =
                    Enrolled { public: &public, transcript: &transcript, inviter: &invite.inviter };
                // A device that is known already, perhaps as rejected, does not begin anew.
                if !tx.insert_pending(&enrolled).await? || !tx.consume_invite(&hash, &device, encoded).await?
                {
                    return Err(Refusal::InviteRefused);
                }
                tx.commit().await?;
                self.bus.announce_enrollment(&tenant, &invite.inviter);
                tracing::info!(%tenant, %device, "device pending");
                Ok(Enrollment { tenant, device, grant: None })
            }
            None => Err(Refusal::InviteRefused),
            Some((by, ref stored)) if by == device && stored == encoded => how_it_stands(&tx, device).await,
            Some((by, _)) => {
                if by != device && !invite.has_late {
                    tx.keep_late_request(&hash, &device, encoded).await?;
                    tx.commit().await?;
                    self.bus.announce_enrollment(&tenant, &invite.inviter);
                    tracing::warn!(%tenant, "a second request came for a used invite");
                }
                Err(Refusal::InviteRefused)
            }
        }
    }

    /// How the request of a device stands that was told to wait.
    pub(crate) async fn enrollment(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
    ) -> Result<Enrollment, Refusal> {
        let tx = self.store.tenant(*tenant).await?;
        how_it_stands(&tx, *device).await
    }
}

async fn how_it_stands(tx: &TenantTx, device: DeviceId) -> Result<Enrollment, Refusal> {
    let stored = tx.device(&device).await?.ok_or(Refusal::InviteRefused)?;
    match stored.status {
        DeviceStatus::Pending | DeviceStatus::Approved | DeviceStatus::Active => {
            Ok(Enrollment { tenant: *tx.tenant(), device, grant: stored.grant })
        }
        DeviceStatus::Suspended | DeviceStatus::Rejected | DeviceStatus::Revoked => {
            Err(Refusal::InviteRefused)
        }
    }
}
