//! What an owner's device does in a test: invite, approve, state.

use av_proto::{ApiKey, Event, InviteUrl, RequestView};
use av_wire::statement::Verdict;
use av_wire::{DeviceId, Role};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use super::Client;
use crate::Outcome;

impl Client {
    /// Makes an invite for an agent that is good for ten minutes, and waits until the relay has it.
    ///
    /// # Errors
    /// When the endpoint or the relay refuses.
    pub fn invite(&mut self) -> Outcome<String> {
        let now = self.now()?;
        let token = self.endpoint.create_invite(now, &mut UnwrapErr(SysRng), Role::Agent, 600);
        let token = token.map_err(|error| format!("{error:?}"))?;
        self.drain()?;
        self.await_event("the invite is registered", |event| {
            matches!(event, Event::InviteReady(_)).then_some(())
        })?;
        let origin = self.endpoint.origin().ok_or("an owner has an origin")?.clone();
        Ok(InviteUrl { token, origin, link_key: None, owner: Some(self.id()?) }.to_string())
    }

    /// Grants an API key for so many agents that is good for an hour, and waits until the relay has it.
    ///
    /// # Errors
    /// When the endpoint or the relay refuses.
    pub fn grant_key(&mut self, most: u16) -> Outcome<ApiKey> {
        let now = self.now()?;
        let key = self.endpoint.grant_key(now, &mut UnwrapErr(SysRng), most, 3_600);
        let key = key.map_err(|error| format!("{error:?}"))?;
        self.drain()?;
        let taken: Outcome = self.await_event("the key is registered", |event| match event {
            Event::KeyReady(ready) if *ready == key.key_id() => Some(Ok(())),
            Event::KeyFailed(_, code) => Some(Err(format!("{code:?}").into())),
            _ => None,
        })?;
        taken.map(|()| key)
    }

    /// The enrollment requests that the relay holds, and what this owner's device makes of each.
    ///
    /// # Errors
    /// When the endpoint or the relay refuses.
    pub fn requests(&mut self) -> Outcome<Vec<RequestView>> {
        self.endpoint.list_pending().map_err(|error| format!("{error:?}"))?;
        self.drain()?;
        let mut requests = Vec::new();
        self.await_event("the requests are listed", |event| match event {
            Event::EnrollmentRequest(request) => {
                requests.push(request.clone());
                None
            }
            Event::PendingListed => Some(()),
            _ => None,
        })?;
        Ok(requests)
    }

    /// Approves a device that asked.
    ///
    /// # Errors
    /// When the endpoint or the relay refuses.
    pub fn approve(&mut self, device: &DeviceId) -> Outcome {
        let now = self.now()?;
        self.endpoint.approve(now, &mut UnwrapErr(SysRng), device).map_err(|error| format!("{error:?}"))?;
        self.drain()?;
        self.await_event("the approval is taken", |event| match event {
            Event::Approved(approved) if approved == device => Some(Ok(())),
            Event::ApprovalFailed(failed, code) if failed == device => Some(Err(format!("{code:?}").into())),
            _ => None,
        })?
    }

    /// An agent of this owner: invited, enrolled, approved, active, its session confirmed on both sides.
    ///
    /// # Errors
    /// When any step of that fails.
    pub fn new_agent(&mut self, name: &str) -> Outcome<Self> {
        let mut agent = Self::enroll(&self.invite()?, name)?;
        let id = agent.id()?;
        self.requests()?;
        self.approve(&id)?;
        let owner = self.id()?;
        agent.await_event("the agent's session is confirmed", |event| {
            matches!(event, Event::PeerConfirmed(peer) if *peer == owner).then_some(())
        })?;
        self.await_event("the owner's session is confirmed", |event| {
            matches!(event, Event::PeerConfirmed(peer) if *peer == id).then_some(())
        })?;
        Ok(agent)
    }

    /// States a verdict on a peer.
    ///
    /// # Errors
    /// When the endpoint does not take it.
    pub fn state(&mut self, peer: &DeviceId, verdict: Verdict) -> Outcome {
        let now = self.now()?;
        self.endpoint.state(now, peer, verdict).map_err(|error| format!("{error:?}"))?;
        self.drain()
    }
}
