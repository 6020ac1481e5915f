//! An endpoint, whatever its capacities: the simulated network holds them side by side.

use av_proto::wire::statement::Verdict;
use av_proto::wire::{DeviceId, Origin, Role};
use av_proto::{
    ApproveError, Channel, ConnectionError, Endpoint, EndpointError, EnrollOptions, InviteText, Now,
    OutboxId, Output, Phase, RecordKey, RestoreError, Seal, SendError, Ticket,
};
use rand_core::CryptoRng;

use crate::watch::Watched;

/// How large a simulated device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// A microcontroller's: 2 peers, 16 skipped keys, 4 frames out, 2 messages in.
    Small,
    /// A host's: 16 peers, 32 skipped keys, 16 frames out, 8 messages in.
    Host,
    /// 4 peers, 1,000 skipped keys, 32 frames out, 16 messages in.
    Large,
}

type Small = Endpoint<Watched, 2, 16, 4, 2, 4_256>;
type Host = Endpoint<Watched, 16, 32, 16, 8, 8_192>;
type Large = Endpoint<Watched, 4, 1_000, 32, 16, 98_304>;

impl Capacity {
    /// An empty endpoint of this size.
    pub fn machine(self) -> Box<dyn Machine> {
        match self {
            Self::Small => Box::<Small>::default(),
            Self::Host => Box::<Host>::default(),
            Self::Large => Box::<Large>::default(),
        }
    }

    /// Skipped keys a session.
    pub const fn skip(self) -> usize {
        match self {
            Self::Small => 16,
            Self::Host => 32,
            Self::Large => 1_000,
        }
    }
}

/// The public door of an [`Endpoint`]; each method is the endpoint's of the same name, and fails as it does.
#[expect(missing_docs, clippy::missing_errors_doc, reason = "each is documented at the endpoint")]
pub trait Machine: Send {
    fn receive(&mut self, now: Now, rng: &mut dyn CryptoRng, frame: &[u8]) -> Result<(), ConnectionError>;
    fn poll(&mut self, now: Now) -> Option<Output<'_>>;
    fn tick(&mut self, now: Now, rng: &mut dyn CryptoRng);
    fn connected(&mut self, channel: Channel<'_>) -> Result<(), ConnectionError>;
    fn disconnected(&mut self);

    fn found(&mut self, now: Now, rng: &mut dyn CryptoRng, origin: &Origin) -> Result<(), EndpointError>;
    fn enroll(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        options: &EnrollOptions<'_>,
    ) -> Result<(), EndpointError>;
    fn create_invite(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        role: Role,
        lifetime: u32,
    ) -> Result<InviteText, EndpointError>;
    fn list_pending(&mut self) -> Result<(), EndpointError>;
    fn approve(&mut self, now: Now, rng: &mut dyn CryptoRng, device: &DeviceId) -> Result<(), ApproveError>;
    fn state(&mut self, now: Now, subject: &DeviceId, verdict: Verdict) -> Result<(), EndpointError>;

    fn send(
        &mut self,
        rng: &mut dyn CryptoRng,
        peer: &DeviceId,
        payload: &[u8],
    ) -> Result<OutboxId, SendError>;
    fn confirm(&mut self, ticket: &Ticket) -> Result<(), EndpointError>;
    fn answer(
        &mut self,
        rng: &mut dyn CryptoRng,
        ticket: &Ticket,
        payload: &[u8],
    ) -> Result<OutboxId, SendError>;

    fn phase(&self) -> Phase;
    fn device_id(&self) -> Option<DeviceId>;
    fn peer_ids(&self) -> Vec<DeviceId>;
    fn outbox_len(&self) -> usize;

    /// The process dies: nothing is left in memory.
    fn forget(&mut self);
    fn restore(&mut self, now: Now, seal: &Seal, key: RecordKey, sealed: &[u8]) -> Result<(), RestoreError>;
    fn resume(&self) -> Result<(), RestoreError>;
    /// Every record as it would be stored now, opened; changes nothing.
    fn records(&mut self) -> Vec<(RecordKey, Vec<u8>)>;
}

impl<const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Machine for Endpoint<Watched, PEERS, SKIP, OUTBOX, INBOX, BODY>
{
    fn receive(&mut self, now: Now, rng: &mut dyn CryptoRng, frame: &[u8]) -> Result<(), ConnectionError> {
        Self::receive(self, now, rng, frame)
    }

    fn poll(&mut self, now: Now) -> Option<Output<'_>> {
        Self::poll(self, now)
    }

    fn tick(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        Self::tick(self, now, rng);
    }

    fn connected(&mut self, channel: Channel<'_>) -> Result<(), ConnectionError> {
        Self::connected(self, channel)
    }

    fn disconnected(&mut self) {
        Self::disconnected(self);
    }

    fn found(&mut self, now: Now, rng: &mut dyn CryptoRng, origin: &Origin) -> Result<(), EndpointError> {
        Self::found(self, now, rng, origin, None, "founder").map(drop)
    }

    fn enroll(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        invite: &InviteText,
        options: &EnrollOptions<'_>,
    ) -> Result<(), EndpointError> {
        Self::enroll(self, now, rng, invite, options)
    }

    fn create_invite(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        role: Role,
        lifetime: u32,
    ) -> Result<InviteText, EndpointError> {
        Self::create_invite(self, now, rng, role, lifetime)
    }

    fn list_pending(&mut self) -> Result<(), EndpointError> {
        Self::list_pending(self)
    }

    fn approve(&mut self, now: Now, rng: &mut dyn CryptoRng, device: &DeviceId) -> Result<(), ApproveError> {
        Self::approve(self, now, rng, device)
    }

    fn state(&mut self, now: Now, subject: &DeviceId, verdict: Verdict) -> Result<(), EndpointError> {
        Self::state(self, now, subject, verdict)
    }

    fn send(
        &mut self,
        rng: &mut dyn CryptoRng,
        peer: &DeviceId,
        payload: &[u8],
    ) -> Result<OutboxId, SendError> {
        Self::send(self, rng, peer, payload)
    }

    fn confirm(&mut self, ticket: &Ticket) -> Result<(), EndpointError> {
        Self::confirm(self, ticket)
    }

    fn answer(
        &mut self,
        rng: &mut dyn CryptoRng,
        ticket: &Ticket,
        payload: &[u8],
    ) -> Result<OutboxId, SendError> {
        Self::answer(self, rng, ticket, payload)
    }

    fn phase(&self) -> Phase {
        Self::phase(self)
    }

    fn device_id(&self) -> Option<DeviceId> {
        Self::device_id(self)
    }

    fn peer_ids(&self) -> Vec<DeviceId> {
        self.peers().map(|peer| peer.device_id).collect()
    }

    fn outbox_len(&self) -> usize {
        Self::outbox_len(self)
    }

    fn forget(&mut self) {
        *self = Self::new();
    }

    fn restore(&mut self, now: Now, seal: &Seal, key: RecordKey, sealed: &[u8]) -> Result<(), RestoreError> {
        Self::restore(self, now, seal, key, sealed).map(|_| ())
    }

    fn resume(&self) -> Result<(), RestoreError> {
        Self::resume(self)
    }

    fn records(&mut self) -> Vec<(RecordKey, Vec<u8>)> {
        let mut records = Vec::new();
        self.each_record(|key, record| records.push((key, record.to_vec())));
        records
    }
}
