//! A device's calls: each parsed, handed to the service, answered.

use av_wire::List;
use av_wire::bundle::{SignedKemPrekey, SignedPrekey};
use av_wire::enroll::EnrollRequest;
use av_wire::frame::{Rejected, ToDevice, ToRelay};
use av_wire::ids::{DeviceId, InboxEpoch};
use av_wire::limits::{MAX_KEM_PREKEYS_PER_CALL, MAX_PREKEYS_PER_CALL, MAX_REJECTED};

use super::end::End;
use super::handshake::log;
use super::session::{Session, Settled};
use crate::service::Refusal;
use crate::store::StoreError;

impl Session<'_> {
    /// Serves one frame.
    pub(super) async fn call(&mut self, bytes: &[u8]) -> Result<(), End> {
        let (relay, actor) = (self.relay, self.actor);
        match av_wire::decode(bytes).map_err(|_| End::Malformed)? {
            ToRelay::Send { recipient, header_blob, ciphertext } => {
                self.send(&recipient, header_blob, ciphertext).await
            }
            ToRelay::Ack { inbox_epoch, sequence, rejected } => {
                self.acknowledge(&inbox_epoch, sequence, &rejected).await
            }
            ToRelay::Ping => self.socket.send(&ToDevice::Pong).await,
            ToRelay::Pong => Ok(()),
            ToRelay::CreateInvite { request, lookup_hash, role, expires_in } => {
                let result = relay.create_invite(&actor, &lookup_hash, role, expires_in).await;
                self.done(request, result).await
            }
            ToRelay::ListInvites { request } => self.list_invites(request).await,
            ToRelay::RevokeInvite { request, lookup_hash } => {
                let result = relay.revoke_invite(&actor, &lookup_hash).await;
                self.done(request, result).await
            }
            ToRelay::ListPending { request } => self.list_pending(request).await,
            ToRelay::Approve { request, device_id, grant } => {
                let result = relay.approve(&actor, &device_id, grant).await;
                self.done(request, result).await
            }
            ToRelay::Reject { request, device_id } => {
                let result = relay.reject(&actor, &device_id).await;
                self.done(request, result).await
            }
            ToRelay::PostStatement { request, statement } => {
                let result = relay.post_statement(&actor, statement).await;
                self.done(request, result).await
            }
            ToRelay::FetchStatements { request, issuer, after } => {
                self.fetch_statements(request, &issuer, after).await
            }
            ToRelay::Recertify { request, chain } => {
                let result = relay.recertify(&actor, chain).await;
                self.done(request, result).await
            }
            ToRelay::PostKeyGrant { request, key_grant } => {
                let result = relay.post_key_grant(&actor, key_grant).await;
                self.done(request, result).await
            }
            ToRelay::FetchCerts { request, device_id } => match relay.fetch_certs(&actor, &device_id).await {
                Ok(chain) => self.socket.send(&ToDevice::Certs { request, chain: &chain }).await,
                Err(refusal) => self.refuse(request, &refusal).await,
            },
            ToRelay::PublishPrekeys { request, prekeys, kem_prekeys } => {
                self.publish(request, &prekeys, &kem_prekeys).await
            }
            ToRelay::FetchBundle { request, device_id, one_time } => {
                match relay.fetch_bundle(&actor, &device_id, one_time).await {
                    Ok(found) => {
                        let chain = found.chain.as_slice();
                        self.socket.send(&ToDevice::Bundle { request, chain, bundle: found.bundle() }).await
                    }
                    Err(refusal) => self.refuse(request, &refusal).await,
                }
            }
            // Who a connection belongs to is settled once.
            ToRelay::Authenticate { .. }
            | ToRelay::Enroll { .. }
            | ToRelay::Activate { .. }
            | ToRelay::Found { .. }
            | ToRelay::FindKey { .. }
            | ToRelay::EnrollWithKey { .. } => Err(End::Malformed),
        }
    }

    /// The answer comes with the commit; meanwhile further calls are taken.
    async fn send(&mut self, recipient: &DeviceId, header_blob: &[u8], ciphertext: &[u8]) -> Result<(), End> {
        let sending = self.relay.send(&self.actor, recipient, header_blob, ciphertext).await;
        let sending = sending.map_err(|refusal| {
            log(&refusal);
            End::from(&refusal)
        })?;
        self.unanswered.push(Box::pin(async move { Settled::Sent(sending.id, sending.stored().await) }));
        Ok(())
    }

    async fn acknowledge(
        &mut self,
        epoch: &InboxEpoch,
        sequence: u64,
        rejected: &List<'_, Rejected>,
    ) -> Result<(), End> {
        if rejected.len() > MAX_REJECTED {
            return Err(End::Malformed);
        }
        let rejected = rejected.iter().map(|entry| (entry.sequence, entry.code)).collect();
        let acknowledging = self.relay.acknowledge(&self.actor, epoch, sequence, rejected).await;
        let acknowledging = acknowledging.map_err(|refusal| {
            log(&refusal);
            End::from(&refusal)
        })?;
        self.unanswered.push(Box::pin(async move {
            Settled::Acknowledged(acknowledging.sequence, acknowledging.taken().await)
        }));
        Ok(())
    }

    /// A message or an acknowledgement was committed, or was not.
    pub(super) async fn settled(&mut self, settled: Settled) -> Result<(), End> {
        match settled {
            Settled::Sent(message_id, Ok(())) => self.socket.send(&ToDevice::Accepted { message_id }).await,
            Settled::Sent(message_id, Err(refusal)) => {
                log(&refusal);
                self.socket.send(&ToDevice::Refused { message_id, code: refusal.code() }).await
            }
            Settled::Acknowledged(sequence, Ok(true)) => {
                self.deliveries.acknowledged(sequence);
                Ok(())
            }
            // Of another epoch, or repeated: it says nothing new.
            Settled::Acknowledged(sequence, Ok(false)) => {
                tracing::debug!(sequence, "acknowledgement without effect");
                Ok(())
            }
            // An Ack has no answer; the entries come again on the next connection, and so does the Ack.
            Settled::Acknowledged(_, Err(refusal)) => {
                log(&refusal);
                Err(End::from(&refusal))
            }
        }
    }

    async fn publish(
        &mut self,
        request: u32,
        prekeys: &List<'_, SignedPrekey>,
        kem_prekeys: &List<'_, SignedKemPrekey<'_>>,
    ) -> Result<(), End> {
        if prekeys.len() > MAX_PREKEYS_PER_CALL || kem_prekeys.len() > MAX_KEM_PREKEYS_PER_CALL {
            return self.refuse(request, &Refusal::TooLarge).await;
        }
        let prekeys: Vec<SignedPrekey> = prekeys.iter().collect();
        let kem_prekeys: Vec<SignedKemPrekey<'_>> = kem_prekeys.iter().collect();
        let result = self.relay.publish_prekeys(&self.actor, &prekeys, &kem_prekeys).await;
        self.done(request, result).await
    }

    async fn list_invites(&mut self, request: u32) -> Result<(), End> {
        let invites = match self.relay.list_invites(&self.actor).await {
            Ok(invites) => invites,
            Err(refusal) => return self.refuse(request, &refusal).await,
        };
        for invite in invites {
            let frame = ToDevice::Invite {
                request,
                lookup_hash: invite.lookup_hash,
                role: invite.role,
                expires_at: invite.expires_at,
                consumed: invite.consumed,
            };
            self.socket.send(&frame).await?;
        }
        self.done(request, Ok(())).await
    }

    async fn fetch_statements(&mut self, request: u32, issuer: &DeviceId, after: u64) -> Result<(), End> {
        let posted = match self.relay.fetch_statements(&self.actor, issuer, after).await {
            Ok(posted) => posted,
            Err(refusal) => return self.refuse(request, &refusal).await,
        };
        for posted in &posted {
            let (statement, chain) = (posted.signed.as_slice(), posted.chain.as_slice());
            self.socket.send(&ToDevice::Posted { request, statement, chain }).await?;
        }
        self.done(request, Ok(())).await
    }

    async fn list_pending(&mut self, request: u32) -> Result<(), End> {
        let pending = match self.relay.list_pending(&self.actor).await {
            Ok(pending) => pending,
            Err(refusal) => return self.refuse(request, &refusal).await,
        };
        for waiting in &pending {
            let Ok(enroll) = av_wire::decode::<EnrollRequest<'_>>(&waiting.request) else {
                let unexpected = Refusal::Store(StoreError::Unexpected("an enrollment request"));
                return self.refuse(request, &unexpected).await;
            };
            let (inviter, late) = (waiting.inviter, waiting.late);
            self.socket.send(&ToDevice::PendingDevice { request, inviter, enroll, late }).await?;
        }
        self.done(request, Ok(())).await
    }

    async fn done(&mut self, request: u32, result: Result<(), Refusal>) -> Result<(), End> {
        match result {
            Ok(()) => self.socket.send(&ToDevice::Done { request }).await,
            Err(refusal) => self.refuse(request, &refusal).await,
        }
    }

    async fn refuse(&mut self, request: u32, refusal: &Refusal) -> Result<(), End> {
        log(refusal);
        let (code, retry_after) = (refusal.code(), refusal.retry_after());
        self.socket.send(&ToDevice::Error { request, code, retry_after }).await
    }
}
