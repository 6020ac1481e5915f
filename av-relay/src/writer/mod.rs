//! Group commit: what all connections send and acknowledge goes into few transactions, each with one fsync.
//!
//! ```text
//! session ─┐               ┌▶ queue ─▶ Gatherer ─▶ batch: one GroupTx, one part a tenant ─▶ store
//! session ─┼─▶ Writers ────┼▶ queue ─▶ …                     │
//! session ─┘  by recipient └▶ queue ─▶ …                     └─▶ bus: wakes the recipients
//! ```
//!
//! Whose inbox it is decides which writer: so what is sent to one device stays in order, and no two writers of this
//! process wait for one inbox's lock. A writer has one transaction at a time; while it commits, the next batch gathers.

mod batch;
mod gather;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use av_wire::RejectCode;
use av_wire::ids::{DeviceId, InboxEpoch, MessageId, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use self::gather::Gatherer;
use crate::bus::Bus;
use crate::limits::{MAX_QUEUED, MAX_QUEUED_KIB, WRITERS};
use crate::store::{Outcome, Store, StoreError};

/// A message on its way in.
#[derive(Debug)]
pub(crate) struct OutgoingMessage {
    pub(crate) tenant: TenantId,
    pub(crate) id: MessageId,
    pub(crate) sender: DeviceId,
    pub(crate) recipient: DeviceId,
    pub(crate) header_blob: Box<[u8]>,
    pub(crate) ciphertext: Box<[u8]>,
}

/// An acknowledgement on its way in.
#[derive(Debug)]
pub(crate) struct OutgoingAcknowledgement {
    pub(crate) tenant: TenantId,
    pub(crate) device: DeviceId,
    pub(crate) epoch: InboxEpoch,
    /// At most `i64::MAX`.
    pub(crate) sequence: u64,
    pub(crate) rejected: Vec<(u64, RejectCode)>,
}

/// What a writer is asked for, and who waits for it.
#[derive(Debug)]
enum Job {
    Send { message: OutgoingMessage, answers: Vec<Answer<Outcome>>, _room: Room },
    Acknowledge { acknowledgement: OutgoingAcknowledgement, answer: Answer<bool> },
}

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
/// Given back when the job is done.
type Room = OwnedSemaphorePermit;

/// An answer that comes with the commit.
#[derive(Debug)]
pub(crate) struct Written<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Written<T> {
    /// Waits for the commit.
    pub(crate) async fn wait(self) -> Result<T, StoreError> {
        self.0.await.unwrap_or(Err(StoreError::NotWritten))
    }
}

/// The queues of this process's writers.
pub(crate) struct Writers {
    queues: Vec<mpsc::Sender<Job>>,
    room: Arc<Semaphore>,
    /// Keyed anew in each process, so that nobody can choose devices which all go to one writer.
    hasher: std::hash::RandomState,
}

impl Writers {
    /// Starts the writers, on the runtime that this is called on. They end when the last sender is gone.
    pub(crate) fn start(store: &Store, bus: &Arc<Bus>) -> Self {
        let start = |_| {
            let (sender, queue) = mpsc::channel(MAX_QUEUED);
            tokio::spawn(run(store.clone(), Arc::clone(bus), Gatherer::new(queue)));
            sender
        };
        Self {
            queues: (0..WRITERS).map(start).collect(),
            room: Arc::new(Semaphore::new(MAX_QUEUED_KIB)),
            hasher: std::hash::RandomState::new(),
        }
    }

    /// Queues a message, which may mean to wait for room. The queues keep the order of calls for one recipient.
    pub(crate) async fn send(&self, message: OutgoingMessage) -> Result<Written<Outcome>, StoreError> {
        let kib = 1 + (message.header_blob.len() + message.ciphertext.len()) / 1_024;
        let kib = u32::try_from(kib).map_err(|_| StoreError::NotWritten)?;
        let room =
            Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| StoreError::NotWritten)?;
        let (answer, written) = oneshot::channel();
        let recipient = message.recipient;
        let job = Job::Send { message, answers: vec![answer], _room: room };
        self.queue(&recipient, job).await?;
        Ok(Written(written))
    }

    /// Queues an acknowledgement. Its answer says whether it was good.
    pub(crate) async fn acknowledge(
        &self,
        acknowledgement: OutgoingAcknowledgement,
    ) -> Result<Written<bool>, StoreError> {
        let (answer, written) = oneshot::channel();
        let device = acknowledgement.device;
        self.queue(&device, Job::Acknowledge { acknowledgement, answer }).await?;
        Ok(Written(written))
    }

    async fn queue(&self, inbox: &DeviceId, job: Job) -> Result<(), StoreError> {
        let writers = self.queues.len() as u64;
        let writer = self.hasher.hash_one(inbox.as_bytes()).checked_rem(writers).unwrap_or(0);
        let queue = usize::try_from(writer).ok().and_then(|writer| self.queues.get(writer));
        let queue = queue.ok_or(StoreError::NotWritten)?;
        queue.send(job).await.map_err(|_| StoreError::NotWritten)
    }
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers").field("queues", &self.queues.len()).finish_non_exhaustive()
    }
}

async fn run(store: Store, bus: Arc<Bus>, mut gatherer: Gatherer) {
    while let Some(jobs) = gatherer.next().await {
        batch::commit(&store, &bus, jobs).await;
    }
}

#[cfg(test)]
mod tests;
