//! Before a device is authenticated: it may found, enroll with an invite or an API key, activate, and prove who it is. Nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use av_wire::RefusalCode;
use av_wire::frame::{ToDevice, ToRelay};
use tokio::time::{Instant, sleep_until};

use super::end::End;
use super::heartbeat::Heartbeat;
use super::socket::Socket;
use crate::bus::{CloseReason, Line, Presence};
use crate::drain::Drain;
use crate::encoded::encoded;
use crate::service::{Actor, Authentication, Enrollment, Refusal, Relay};

/// To say who one is, or to ask for an approval. A handshake is one round trip; this is for slow radios.
const DEADLINE: Duration = Duration::from_secs(30);
/// Calls before authentication that the database works for: each of the six, and retries.
const MAX_CALLS: u8 = 16;
/// Seconds after which a peer that made more of them may connect again.
const RETRY_AFTER_CALLS: u32 = 60;

/// A device that proved who it is, and what it wishes.
#[derive(Debug)]
pub(super) struct Authenticated {
    pub(super) actor: Actor,
    pub(super) receive_window: u16,
    pub(super) ping_period: u16,
}

/// Challenges the peer and serves it until it is authenticated.
pub(super) async fn run(relay: &Relay, socket: &mut Socket, drain: &mut Drain) -> Result<Authenticated, End> {
    let unavailable = |_| End::Refused(RefusalCode::Unavailable, 0);
    let (nonce, signed) = socket.channel().challenge().map_err(unavailable)?;
    socket.send(&ToDevice::Challenge { nonce, server_time: seconds_since_1970() }).await?;
    let mut handshake = Handshake {
        relay,
        socket,
        signed,
        deadline: Instant::now() + DEADLINE,
        heartbeat: Heartbeat::new(0),
        waiting: None,
        calls_left: MAX_CALLS,
    };
    loop {
        if let Some(authenticated) = handshake.step(drain).await? {
            return Ok(authenticated);
        }
    }
}

struct Handshake<'a> {
    relay: &'a Relay,
    socket: &'a mut Socket,
    /// What an authentication on this connection signs.
    signed: [u8; 32],
    deadline: Instant,
    heartbeat: Heartbeat,
    waiting: Option<Waiting>,
    calls_left: u8,
}

/// A device that asked for an approval and waits for it.
struct Waiting {
    line: Line,
    enrollment: Enrollment,
}

impl Handshake<'_> {
    /// One thing that happens.
    async fn step(&mut self, drain: &mut Drain) -> Result<Option<Authenticated>, End> {
        tokio::select! {
            frame = self.socket.receive() => {
                self.heartbeat.heard();
                self.call(&frame?).await
            }
            () = changed(&mut self.waiting) => self.look().await.map(|()| None),
            () = sleep_until(self.deadline), if self.waiting.is_none() => Err(End::TimedOut),
            () = self.heartbeat.due(), if self.waiting.is_some() => {
                self.heartbeat.next()?;
                self.socket.send(&ToDevice::Ping).await.map(|()| None)
            }
            () = drain.started() => Err(End::Moved),
        }
    }

    async fn call(&mut self, bytes: &[u8]) -> Result<Option<Authenticated>, End> {
        let frame = av_wire::decode(bytes).map_err(|_| End::Malformed)?;
        if !matches!(frame, ToRelay::Ping | ToRelay::Pong) {
            let too_many = End::Refused(RefusalCode::RateLimited, RETRY_AFTER_CALLS);
            self.calls_left = self.calls_left.checked_sub(1).ok_or(too_many)?;
        }
        match frame {
            ToRelay::Authenticate { tenant_id, device_id, receive_window, ping_period, link, signature } => {
                if link != self.socket.channel().kind() {
                    return Err(refused(Refusal::NotAuthorized));
                }
                let claim = Authentication {
                    tenant: tenant_id,
                    device: device_id,
                    link,
                    channel: self.signed,
                    signature,
                };
                let actor = self.relay.authenticate(&claim).await.map_err(refused)?;
                return Ok(Some(Authenticated { actor, receive_window, ping_period }));
            }
            ToRelay::Enroll { request } => {
                let encoded = encoded(&request);
                let enrollment = self.relay.enroll(&request, &encoded).await.map_err(refused)?;
                self.answer_enrollment(enrollment).await?;
            }
            ToRelay::Activate { tenant_id, device_id, signature } => {
                self.relay.activate(&tenant_id, &device_id, &signature).await.map_err(refused)?;
                self.socket.send(&ToDevice::Done { request: 0 }).await?;
            }
            ToRelay::Found { code, chain, bundle, signature } => {
                self.relay.found(code, chain, bundle, &signature).await.map_err(refused)?;
                self.socket.send(&ToDevice::Done { request: 0 }).await?;
            }
            ToRelay::FindKey { tenant_id, key_id } => {
                let chain = self.relay.find_key(&tenant_id, &key_id).await.map_err(refused)?;
                self.socket.send(&ToDevice::Key { chain: &chain }).await?;
            }
            ToRelay::EnrollWithKey { chain, bundle, pop } => {
                self.relay.enroll_with_key(chain, bundle, &pop).await.map_err(refused)?;
                self.socket.send(&ToDevice::Done { request: 0 }).await?;
            }
            ToRelay::Ping => self.socket.send(&ToDevice::Pong).await?,
            ToRelay::Pong => {}
            _ => return Err(End::Refused(RefusalCode::NotAuthorized, 0)),
        }
        Ok(None)
    }

    /// Says how the request stands, and puts a device that has to wait on the bus.
    async fn answer_enrollment(&mut self, enrollment: Enrollment) -> Result<(), End> {
        if let Some(grant) = &enrollment.grant {
            return self.socket.send(&ToDevice::Granted { grant }).await;
        }
        self.socket.send(&ToDevice::Pending { tenant_id: enrollment.tenant }).await?;
        let bus = self.relay.bus();
        let line = bus.register(enrollment.tenant, enrollment.device, Presence::Enrolling);
        self.waiting = Some(Waiting { line, enrollment });
        // The decision may have come before the place on the bus.
        self.look().await
    }

    /// Looks whether the owner has decided.
    async fn look(&mut self) -> Result<(), End> {
        let Some(waiting) = &mut self.waiting else { return Ok(()) };
        match waiting.line.see().close {
            Some(CloseReason::Superseded) => return Err(End::Refused(RefusalCode::Superseded, 0)),
            Some(CloseReason::NotAuthorized) => return Err(End::Refused(RefusalCode::NotAuthorized, 0)),
            None => {}
        }
        let Enrollment { tenant, device, .. } = waiting.enrollment;
        let now = self.relay.enrollment(&tenant, &device).await.map_err(refused)?;
        if now.grant != waiting.enrollment.grant {
            waiting.enrollment = now;
            if let Some(grant) = &waiting.enrollment.grant {
                self.socket.send(&ToDevice::Granted { grant }).await?;
            }
        }
        Ok(())
    }
}

/// Waits for news of a device that waits. Cancel safe.
async fn changed(waiting: &mut Option<Waiting>) {
    match waiting {
        Some(waiting) => waiting.line.changed().await,
        None => std::future::pending().await,
    }
}

/// Before authentication every refusal ends the connection: there is nothing else for such a peer to do.
#[allow(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn refused(refusal: Refusal) -> End {
    log(&refusal);
    End::from(&refusal)
}

/// A failing store is the operator's business, a refusal is the peer's.
pub(super) fn log(refusal: &Refusal) {
    match refusal {
        Refusal::Store(error) => tracing::error!(%error, "the store failed"),
        refusal => tracing::debug!(%refusal, "refused"),
    }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
