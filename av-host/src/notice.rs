//! What a running device tells its application.

use std::sync::Arc;

use av_proto::wire::{DeviceId, MessageId};
use av_proto::{Event, Ticket};

use crate::transport::TransportError;

/// Something happened.
pub enum Notice {
    /// A message from a peer; it comes again after a restart until it is confirmed or answered.
    Message(Message),
    /// What the endpoint reports.
    Event(Event),
    /// There is no connection to the relay; the device tries again by itself.
    Disconnected(TransportError),
}

/// A message from a peer, opened.
pub struct Message {
    /// Whose it is: the session that it opened under is this peer's alone.
    pub from: DeviceId,
    /// The same if the message is offered again, so that an application can tell.
    pub id: MessageId,
    /// What the peer sent.
    pub payload: Vec<u8>,
    /// To confirm or answer it with; see [`Device::confirm`](crate::Device::confirm).
    pub(crate) ticket: Arc<Ticket>,
}
