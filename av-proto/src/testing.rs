//! An in-memory relay for one owner and one agent, for tests and the firmware's self-test (feature `testing`).
//!
//! It verifies nothing: what has to be refused, the devices refuse by themselves. No allocator, so it runs beside two
//! endpoints on a microcontroller.

mod pipe;
mod prekeys;
mod secrets;

pub use pipe::NoisePipe;
pub use secrets::secrets_in_record;

use av_wire::bundle::{Bundle, SignedKemPrekey, SignedPrekey};
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::message::message_id;
use av_wire::{DeviceId, InboxEpoch, TenantId};
use heapless::{Deque, Vec};
use prekeys::KemPrekey;

/// Bytes of the largest frame that the post office handles.
pub const FRAME: usize = 4_224;
/// Inbox entries that it holds at a time.
const ENTRIES: usize = 16;
/// Prekeys of a device that it keeps.
const PREKEYS: usize = 16;
/// KEM prekeys of a device that it keeps: none in a build without.
const KEM_PREKEYS: usize = 2 * crate::limits::KEM_PREKEYS_PUBLISHED;
/// Answers that wait to be fetched.
const ANSWERS: usize = 8;

/// A frame in a buffer of its own.
pub type Frame = Vec<u8, FRAME>;

/// One of the two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The founding owner.
    Owner,
    /// The agent that the owner invited.
    Agent,
}

/// An inbox entry.
struct Entry {
    to: Side,
    sequence: u64,
    frame: Frame,
}

/// What the post office knows of a device.
struct Known {
    device_id: Option<DeviceId>,
    connected: bool,
    authenticated: bool,
    /// Number of its last inbox entry. All zeros at first, so that a post office in a `static` costs no flash.
    last_sequence: u64,
    acknowledged: u64,
    /// The last entry that went out on this connection.
    delivered: u64,
    /// Published and not handed out; the newest signed prekey stays.
    prekeys: Vec<SignedPrekey, PREKEYS>,
    /// The same of the KEM.
    kem_prekeys: Vec<KemPrekey, KEM_PREKEYS>,
}

impl Known {
    const NEW: Self = Self {
        device_id: None,
        connected: false,
        authenticated: false,
        last_sequence: 0,
        acknowledged: 0,
        delivered: 0,
        prekeys: Vec::new(),
        kem_prekeys: Vec::new(),
    };
}

/// The relay's stand-in.
pub struct PostOffice {
    tenant: Option<TenantId>,
    owner: Known,
    agent: Known,
    enroll: Option<Frame>,
    grant: Option<Frame>,
    entries: Deque<Entry, ENTRIES>,
    answers: Deque<(Side, Frame), ANSWERS>,
}

/// The post office cannot make sense of a frame, or has no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undeliverable;

impl core::fmt::Display for Undeliverable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the post office cannot make sense of the frame, or is full")
    }
}

impl core::error::Error for Undeliverable {}

impl PostOffice {
    /// An empty post office.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tenant: None,
            owner: Known::NEW,
            agent: Known::NEW,
            enroll: None,
            grant: None,
            entries: Deque::new(),
            answers: Deque::new(),
        }
    }

    fn known(&mut self, side: Side) -> &mut Known {
        match side {
            Side::Owner => &mut self.owner,
            Side::Agent => &mut self.agent,
        }
    }

    /// Another agent takes the place of the one before, which is forgotten with all that waits for it.
    pub fn replace_agent(&mut self) {
        self.disconnect(Side::Agent);
        self.agent = Known::NEW;
        (self.enroll, self.grant) = (None, None);
        for _ in 0..self.entries.len() {
            if let Some(entry) = self.entries.pop_front().filter(|entry| entry.to != Side::Agent) {
                // It was just taken out, so there is room.
                let _ = self.entries.push_back(entry);
            }
        }
    }

    /// A device connects; the challenge waits for it.
    ///
    /// # Errors
    /// [`Undeliverable`] when too many answers wait.
    pub fn connect(&mut self, side: Side, nonce: [u8; 32]) -> Result<(), Undeliverable> {
        self.disconnect(side);
        self.known(side).connected = true;
        self.answer(side, &ToDevice::Challenge { nonce, server_time: 0 })
    }

    /// A device's connection is gone, with every answer that it did not fetch.
    pub fn disconnect(&mut self, side: Side) {
        let known = self.known(side);
        (known.connected, known.authenticated) = (false, false);
        known.delivered = known.acknowledged;
        for _ in 0..self.answers.len() {
            if let Some(answer) = self.answers.pop_front().filter(|(to, _)| *to != side) {
                // It was just taken out, so there is room.
                let _ = self.answers.push_back(answer);
            }
        }
    }

    /// The next frame for this device.
    pub fn fetch(&mut self, side: Side) -> Option<Frame> {
        let mut first = None;
        for _ in 0..self.answers.len() {
            match self.answers.pop_front() {
                Some((to, frame)) if to == side && first.is_none() => first = Some(frame),
                // It was just taken out, so there is room.
                Some(answer) => _ = self.answers.push_back(answer),
                None => {}
            }
        }
        if first.is_some() {
            return first;
        }
        let known = self.known(side);
        if !known.authenticated {
            return None;
        }
        let delivered = known.delivered;
        let entry = self.entries.iter().find(|entry| entry.to == side && entry.sequence > delivered)?;
        let (sequence, frame) = (entry.sequence, entry.frame.clone());
        self.known(side).delivered = sequence;
        Some(frame)
    }

    /// Entries that this device has not acknowledged.
    pub fn waiting(&self, side: Side) -> usize {
        self.entries.iter().filter(|entry| entry.to == side).count()
    }

    /// Takes a frame from a device.
    ///
    /// # Errors
    /// [`Undeliverable`].
    pub fn accept(&mut self, side: Side, frame: &[u8]) -> Result<(), Undeliverable> {
        match av_wire::decode(frame).map_err(|_| Undeliverable)? {
            ToRelay::Found { chain, bundle, .. } => {
                self.publish_bundle(Side::Owner, bundle)?;
                let cert = av_wire::chain::Chain::new(chain).claimed().map_err(|_| Undeliverable)?;
                self.tenant = Some(cert.tenant_id);
                self.owner.device_id = Some(cert.device_id());
                self.answer(side, &ToDevice::Done { request: 0 })
            }
            ToRelay::Enroll { request } => {
                let device = av_wire::DevicePublic::from_bytes(&request.device).map_err(|_| Undeliverable)?;
                self.agent.device_id = Some(device.device_id());
                self.publish_bundle(Side::Agent, request.bundle)?;
                self.enroll = Some(Frame::from_slice(frame).map_err(|_| Undeliverable)?);
                match self.grant.clone() {
                    Some(grant) => self.answer(side, &ToDevice::Granted { grant: grant[..].into() }),
                    None => {
                        let tenant_id = self.tenant.ok_or(Undeliverable)?;
                        self.answer(side, &ToDevice::Pending { tenant_id })
                    }
                }
            }
            ToRelay::Activate { device_id, signature, .. } => {
                self.deliver(Side::Owner, |sequence| ToDevice::Activated {
                    sequence,
                    previous: sequence - 1,
                    device_id,
                    signature,
                })?;
                self.answer(side, &ToDevice::Done { request: 0 })
            }
            ToRelay::Authenticate { .. } => {
                let known = self.known(side);
                known.authenticated = true;
                let next_sequence = known.last_sequence + 1;
                let inbox_epoch = InboxEpoch([1; 16]);
                self.answer(side, &ToDevice::Welcome { inbox_epoch, next_sequence, one_time_prekeys: 0 })
            }
            ToRelay::CreateInvite { request, .. }
            | ToRelay::Reject { request, .. }
            | ToRelay::PostStatement { request, .. } => self.answer(side, &ToDevice::Done { request }),
            ToRelay::ListPending { request } => {
                if let Some(enroll) = self.enroll.clone() {
                    let ToRelay::Enroll { request: enroll } =
                        av_wire::decode(&enroll).map_err(|_| Undeliverable)?
                    else {
                        return Err(Undeliverable);
                    };
                    let inviter = self.owner.device_id.ok_or(Undeliverable)?;
                    self.answer(side, &ToDevice::PendingDevice { request, inviter, enroll, late: false })?;
                }
                self.answer(side, &ToDevice::Done { request })
            }
            ToRelay::Approve { request, grant, .. } => {
                self.grant = Some(Frame::from_slice(grant).map_err(|_| Undeliverable)?);
                if self.agent.connected {
                    self.answer(Side::Agent, &ToDevice::Granted { grant })?;
                }
                self.answer(side, &ToDevice::Done { request })
            }
            ToRelay::Send { recipient, header_blob, ciphertext } => {
                let sender = self.known(side).device_id.ok_or(Undeliverable)?;
                let to = if side == Side::Owner { Side::Agent } else { Side::Owner };
                self.deliver(to, |sequence| ToDevice::Deliver {
                    sequence,
                    previous: sequence - 1,
                    sender,
                    header_blob,
                    ciphertext,
                    received_at: 0,
                })?;
                let tenant = self.tenant.ok_or(Undeliverable)?;
                let message_id = message_id(&tenant, &sender, &recipient, header_blob, ciphertext);
                self.answer(side, &ToDevice::Accepted { message_id })
            }
            ToRelay::Ack { sequence, .. } => {
                self.known(side).acknowledged = sequence;
                for _ in 0..self.entries.len() {
                    let is_kept = |entry: &Entry| entry.to != side || entry.sequence > sequence;
                    if let Some(entry) = self.entries.pop_front().filter(is_kept) {
                        // It was just taken out, so there is room.
                        let _ = self.entries.push_back(entry);
                    }
                }
                Ok(())
            }
            ToRelay::PublishPrekeys { request, prekeys, kem_prekeys } => {
                prekeys.iter().try_for_each(|prekey| self.publish(side, &prekey))?;
                kem_prekeys.iter().try_for_each(|prekey| self.publish_kem(side, &prekey))?;
                self.answer(side, &ToDevice::Done { request })
            }
            ToRelay::FetchBundle { request, device_id, one_time } => {
                let of = if self.owner.device_id == Some(device_id) { Side::Owner } else { Side::Agent };
                let kem = self.hand_out_kem(of, one_time);
                let kem = kem
                    .as_ref()
                    .map(|KemPrekey { record, signature }| SignedKemPrekey { record, signature: *signature });
                let bundle = Bundle { kem, ..self.hand_out(of, one_time).ok_or(Undeliverable)? };
                self.answer(side, &ToDevice::Bundle { request, chain: &[], bundle })
            }
            ToRelay::Ping => self.answer(side, &ToDevice::Pong),
            _ => Ok(()),
        }
    }

    fn deliver<'f>(
        &mut self,
        to: Side,
        frame: impl FnOnce(u64) -> ToDevice<'f>,
    ) -> Result<(), Undeliverable> {
        let sequence = self.known(to).last_sequence + 1;
        let frame = encode(&frame(sequence))?;
        self.entries.push_back(Entry { to, sequence, frame }).map_err(|_| Undeliverable)?;
        self.known(to).last_sequence = sequence;
        Ok(())
    }

    fn answer(&mut self, side: Side, frame: &ToDevice<'_>) -> Result<(), Undeliverable> {
        self.answers.push_back((side, encode(frame)?)).map_err(|_| Undeliverable)
    }
}

impl Default for PostOffice {
    fn default() -> Self {
        Self::new()
    }
}

fn encode(frame: &ToDevice<'_>) -> Result<Frame, Undeliverable> {
    let mut buffer = [0; FRAME];
    let bytes = av_wire::encode(frame, &mut buffer).map_err(|_| Undeliverable)?;
    Frame::from_slice(bytes).map_err(|_| Undeliverable)
}
