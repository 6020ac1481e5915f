//! Calls to the relay that are not worth storing: a restart forgets them with what they asked for.

use av_wire::DeviceId;
#[cfg(feature = "owner")]
use av_wire::LookupHash;
use av_wire::frame::ToRelay;
use heapless::Vec;

use super::Endpoint;
use super::error::EndpointError;
use super::event::Event;
use super::send::encode_into;
use crate::crypto::Aead;

/// Calls under way at a time.
pub(super) const CALLS: usize = 4;
/// Numbers of such calls; durable calls count from 1, and answers match within one connection.
pub(super) const FIRST_CALL: u32 = 0x8000_0000;
/// Bytes of the largest such call.
const CALL_FRAME: usize = 64;

/// A call that is not stored.
#[cfg_attr(test, derive(Clone))]
pub(super) struct Call {
    request: u32,
    about: CallAbout,
    pub(super) frame: Vec<u8, CALL_FRAME>,
    pub(super) transmitted: bool,
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "owner"), expect(clippy::enum_variant_names, reason = "an agent only fetches"))]
pub(super) enum CallAbout {
    #[cfg(feature = "owner")]
    CreateInvite(LookupHash),
    #[cfg(feature = "owner")]
    ListPending,
    /// The prekeys of a peer, to begin a session with it.
    FetchBundle(DeviceId),
    /// The chain of an unknown sender, or of a peer whose certification no longer stands.
    FetchCerts(DeviceId),
    /// Statements of an owner behind this serial.
    FetchStatements(DeviceId, u64),
}

impl<A, const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Endpoint<A, PEERS, SKIP, OUTBOX, INBOX, BODY>
where
    A: Aead,
{
    /// Makes a call, unless the same is under way.
    pub(super) fn call<'f>(
        &mut self,
        about: CallAbout,
        frame: impl FnOnce(u32) -> ToRelay<'f>,
    ) -> Result<(), EndpointError> {
        if self.is_under_way(about) {
            return Ok(());
        }
        let request = FIRST_CALL | self.calls_made;
        let mut call = Call { request, about, frame: Vec::new(), transmitted: false };
        encode_into(&mut call.frame, &frame(request)).map_err(|_| EndpointError::Bug)?;
        self.calls.push(call).map_err(|_| EndpointError::Full)?;
        self.calls_made = (self.calls_made + 1) % FIRST_CALL;
        Ok(())
    }

    /// What the call with this number asked for, while it is under way.
    pub(super) fn call_about(&self, request: u32) -> Option<CallAbout> {
        self.calls.iter().find(|call| call.request == request).map(|call| call.about)
    }

    pub(super) fn is_under_way(&self, about: CallAbout) -> bool {
        self.calls.iter().any(|call| call.about == about)
    }

    /// A call is given up.
    pub(super) fn end_call_about(&mut self, about: CallAbout) {
        self.calls.retain(|call| call.about != about);
    }

    /// The call with this number is over.
    pub(super) fn end_call(&mut self, request: u32) {
        self.calls.retain(|call| call.request != request);
    }

    /// The relay did what a call asked; those that only an owner makes are not among them.
    pub(super) fn call_done(&mut self, request: u32) {
        let about = self.call_about(request);
        self.end_call(request);
        match about {
            // It should have been answered by a bundle.
            Some(CallAbout::FetchBundle(peer)) => self.notify(Event::SessionFailed(peer)),
            Some(CallAbout::FetchStatements(owner, after)) => self.statements_fetched(&owner, after),
            Some(CallAbout::FetchCerts(peer)) => self.fetched_in_vain(&peer),
            _ => {}
        }
    }

    /// The relay refused what a call asked; those that only an owner makes are not among them.
    pub(super) fn call_failed(&mut self, request: u32) {
        let about = self.call_about(request);
        self.end_call(request);
        match about {
            Some(CallAbout::FetchBundle(peer)) => self.notify(Event::SessionFailed(peer)),
            Some(CallAbout::FetchStatements(device, _) | CallAbout::FetchCerts(device)) => {
                self.fetched_in_vain(&device);
            }
            _ => {}
        }
    }
}
