//! What the endpoint asks for. Persist and Deliver are questions: what depends on the answer waits for it
//! (`PROTOCOL.md` section 8).

use core::fmt;

use av_wire::{DeviceId, MessageId};
use rand_core::CryptoRng;

use super::event::Event;
use crate::crypto::scrubbed;
use crate::record::{RecordChange, Seal};

/// The next thing to do. Drain until there is none.
pub enum Output<'e> {
    /// Store these records atomically and durably, then say so.
    Persist(Persist<'e>),
    /// Send this as one binary WebSocket message.
    Transmit(&'e [u8]),
    /// A message for the application. Offered once a run, and again after a restart until it is confirmed.
    Deliver(Delivery<'e>),
    /// Something happened.
    Event(Event),
    /// Call `tick` at this uptime, ms; the latest one counts.
    Timer(u64),
}

/// A batch of changed records. Nothing that depends on it leaves the endpoint before [`Persist::stored`].
///
/// Dropped unanswered, it is asked again.
#[must_use = "a batch that is not answered is asked again"]
pub struct Persist<'e> {
    pub(super) records: &'e mut dyn Records,
    pub(super) is_written: bool,
}

/// What [`Persist`] needs of an endpoint, whatever its capacities.
pub(super) trait Records {
    fn write(
        &mut self,
        seal: &Seal,
        rng: &mut dyn CryptoRng,
        put: &mut dyn FnMut(RecordChange<'_>) -> Result<(), StoreFailed>,
    ) -> Result<(), StoreFailed>;

    fn mark_stored(&mut self);
}

/// The store's own error was kept by the caller of [`Persist::write`].
pub(super) struct StoreFailed;

impl Persist<'_> {
    /// Gives every change of the batch to `put`, sealed. The batch has to be committed as one.
    ///
    /// # Errors
    /// The first error of `put`; the batch is then asked again.
    pub fn write<E>(
        &mut self,
        seal: &Seal,
        rng: &mut dyn CryptoRng,
        mut put: impl FnMut(RecordChange<'_>) -> Result<(), E>,
    ) -> Result<(), PersistError<E>> {
        let mut error = None;
        let mut put = |change: RecordChange<'_>| {
            put(change).map_err(|store_error| {
                error = Some(store_error);
                StoreFailed
            })
        };
        let written = scrubbed(|| self.records.write(seal, rng, &mut put));
        self.is_written = written.is_ok();
        match (written, error) {
            (Ok(()), _) => Ok(()),
            (Err(StoreFailed), Some(error)) => Err(PersistError::Store(error)),
            (Err(StoreFailed), None) => Err(PersistError::Bug),
        }
    }

    /// The whole batch is durable: what waited for it may go out. A batch that [`Self::write`] has not given out whole is
    /// asked again.
    pub fn stored(self) {
        if self.is_written {
            self.records.mark_stored();
        }
    }
}

/// Why a batch was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersistError<E> {
    /// The store's.
    Store(E),
    /// A record was larger than its maximum; please report it.
    Bug,
}

impl<E: fmt::Display> fmt::Display for PersistError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the store failed: {error}"),
            Self::Bug => f.write_str("internal error: a record did not fit"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for PersistError<E> {}

/// A message for the application.
pub struct Delivery<'e> {
    /// The peer that sealed it.
    pub from: DeviceId,
    /// Another device of this owner sent it to this peer, and this is a copy for the owner to read.
    pub copied_to: Option<DeviceId>,
    /// Stable over redelivery and restarts.
    pub message_id: MessageId,
    /// What the peer sent.
    pub payload: &'e [u8],
    /// To confirm or answer it.
    pub ticket: Ticket,
}

/// Names a delivered message until it is confirmed or answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) slot: usize,
    pub(super) message_id: MessageId,
}
