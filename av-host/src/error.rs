//! What the library's callers have to tell apart.

use av_proto::{ApproveError, EndpointError, SendError};

use crate::store::StoreError;
use crate::transport::TransportError;

/// Why something was not done. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The way to the relay.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A command that this device cannot carry out.
    #[error(transparent)]
    Command(#[from] EndpointError),
    /// A message that cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A request that cannot be approved.
    #[error(transparent)]
    Approve(#[from] ApproveError),
    /// Every peer in memory has work to do, and another one was needed.
    #[error("too many peers have work to do at once; try again")]
    Busy,
    /// The state is not one of an agent.
    #[error("this is an owner's device; an agent needs a state directory of its own")]
    NotAgent,
    /// The device stopped; [`Device::close`](crate::Device::close) says why.
    #[error("the device stopped")]
    Stopped,
    /// The operating system gave no randomness. What was to be done with it was not begun.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The operating system gave no thread for the device.
    #[error("cannot start the device's thread: {0}")]
    Thread(std::io::Error),
}
