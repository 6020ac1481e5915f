//! A running device: a handle to its thread.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use av_proto::wire::{DeviceId, Fingerprint, Origin, Role};
use av_proto::{
    EndpointError, HostEndpoint, OutboxId, PeerView, Phase, RecordKey, RecordKind, Seal, Standing,
};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::directory::{Directory, Inputs, MOST_PEERS};
use crate::driver::{Command, Driver};
use crate::error::Error;
use crate::keystore::Unlock;
use crate::notice::{Message, Notice};
use crate::store::{Store, StoreError};

/// Commands that wait for the device; callers of more wait in turn.
const COMMANDS: usize = 16;

/// A device at rest: its state is open and no connection is wanted.
pub struct StoredDevice {
    store: Store,
    endpoint: Box<HostEndpoint>,
    directory: Directory,
}

/// A device that keeps itself connected. Dropping it stops it; [`Device::close`] also waits for the end.
pub struct Device {
    commands: mpsc::Sender<Command>,
    notices: mpsc::Receiver<Notice>,
    thread: JoinHandle<Result<(), Error>>,
}

/// A peer as this device knows it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its id.
    pub device_id: DeviceId,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Owner or agent.
    pub role: Role,
    /// The name under which it was approved. Comes from the device itself: escape it before it reaches a terminal.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// Whether a message of the peer opened under the current session.
    pub confirmed: bool,
}

/// Who a device is.
#[derive(Clone, Debug)]
pub struct DeviceIdentity {
    /// Its id.
    pub device_id: DeviceId,
    /// Its fingerprint, to show to whoever approves it.
    pub fingerprint: Fingerprint,
    /// Owner or agent.
    pub role: Role,
    /// What it is called.
    pub name: String,
    /// The origin of its relay.
    pub origin: Origin,
    /// The relay's link key in use; `None` where it is reached in the open.
    pub link_key: Option<[u8; 32]>,
}

impl DeviceIdentity {
    fn of(endpoint: &HostEndpoint) -> Option<Self> {
        Some(Self {
            device_id: endpoint.device_id()?,
            fingerprint: endpoint.fingerprint()?,
            role: endpoint.public()?.role,
            name: endpoint.name()?.to_owned(),
            origin: endpoint.origin()?.clone(),
            link_key: endpoint.link_keys().next().copied(),
        })
    }
}

impl From<PeerView> for Peer {
    fn from(view: PeerView) -> Self {
        Self {
            device_id: view.device_id,
            fingerprint: view.fingerprint,
            role: view.role,
            name: view.name.as_str().to_owned(),
            standing: view.standing,
            confirmed: view.confirmed,
        }
    }
}

/// An endpoint that lends what its memory does not hold.
fn empty_endpoint() -> Box<HostEndpoint> {
    let mut endpoint = Box::new(HostEndpoint::new());
    endpoint.keep_peers(MOST_PEERS);
    endpoint
}

impl StoredDevice {
    /// Makes empty state.
    ///
    /// # Errors
    /// [`StoreError`]; then there is no new state.
    pub fn create(directory: &Path, unlock: &Unlock) -> Result<Self, StoreError> {
        let store = Store::create(directory, unlock)?;
        Ok(Self { store, endpoint: empty_endpoint(), directory: Directory::default() })
    }

    /// Opens existing state.
    ///
    /// # Errors
    /// [`StoreError`]; the files are as they were.
    pub fn open(directory: &Path, unlock: &Unlock) -> Result<Self, StoreError> {
        let inspection = Store::inspect(directory, unlock)?;
        let seal = Seal::new(*inspection.key().expose());
        let (mut endpoint, mut directory) = (empty_endpoint(), Directory::default());
        let now = Clock::new().now();
        // Peers last, so that those with work to do are in memory from the start.
        for peers in [false, true] {
            inspection.restore(|key, sealed| {
                let key = RecordKey::from_bytes(&key).ok_or("it holds a record of an unknown kind")?;
                if (key.kind == RecordKind::Peer) == peers {
                    let peer =
                        endpoint.restore(now, &seal, key, sealed).map_err(|error| error.to_string())?;
                    peer.into_iter().for_each(|peer| directory.note(peer));
                }
                Ok::<(), String>(())
            })?;
        }
        endpoint.resume().map_err(|error| inspection.damaged(error))?;
        Ok(Self { store: inspection.accept()?, endpoint, directory })
    }

    /// The endpoint, for its views and for the first commands of its life.
    pub fn endpoint(&mut self) -> &mut HostEndpoint {
        &mut self.endpoint
    }

    /// The peers that this device knows.
    pub fn peers(&self) -> Vec<Peer> {
        self.directory.peers()
    }

    /// Starts the device: it connects to the relay that it was founded or enrolled at, and stays connected.
    ///
    /// # Errors
    /// [`Error::Command`] when it was neither founded nor enrolled. [`Error::Thread`].
    pub fn start(self) -> Result<Device, Error> {
        let origin = self.endpoint.origin().cloned().ok_or(EndpointError::NotActive)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (driver, notices) = Driver::new(self.store, self.endpoint, self.directory, origin, receiver);
        let thread = std::thread::Builder::new()
            .name("av-device".to_owned())
            .spawn(move || runtime.block_on(driver.run()))
            .map_err(Error::Thread)?;
        Ok(Device { commands, notices, thread })
    }
}

impl Device {
    /// What happened next; `None` once the device has stopped.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// Runs a command on the endpoint and returns its outcome once what it changed is stored.
    ///
    /// Not cancel safe: a command whose future is dropped may be carried out all the same.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub(crate) async fn command<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Inputs<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, outcome) = oneshot::channel();
        let command: Command = Box::new(move |inputs| {
            let result = run(inputs);
            // Whoever asked may have stopped listening.
            Box::new(move || drop(sender.send(result)))
        });
        self.commands.send(command).await.map_err(|_| Error::Stopped)?;
        outcome.await.map_err(|_| Error::Stopped)
    }

    /// Sends a message; stored when this returns, on its way as soon as there is a connection.
    ///
    /// # Errors
    /// [`Error::Send`]: the message was not taken. [`Error::Stopped`].
    pub async fn send(&self, peer: DeviceId, payload: Vec<u8>) -> Result<OutboxId, Error> {
        Ok(self.command(move |d| d.feed(|endpoint, _, rng| endpoint.send(rng, &peer, &payload))).await???)
    }

    /// The application is done with a message.
    ///
    /// # Errors
    /// [`Error::Command`] for a message that was confirmed before. [`Error::Stopped`].
    pub async fn confirm(&self, message: &Message) -> Result<(), Error> {
        let ticket = Arc::clone(&message.ticket);
        Ok(self.command(move |d| d.endpoint.confirm(&ticket)).await??)
    }

    /// Confirms a message and sends its answer, both or neither, whatever crashes.
    ///
    /// # Errors
    /// [`Error::Send`]: neither was done, and the message is still to be confirmed. [`Error::Stopped`].
    pub async fn answer(&self, message: &Message, payload: Vec<u8>) -> Result<OutboxId, Error> {
        let ticket = Arc::clone(&message.ticket);
        Ok(self
            .command(move |d| d.feed(|endpoint, _, rng| endpoint.answer(rng, &ticket, &payload)))
            .await???)
    }

    /// The peers that this device knows.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn peers(&self) -> Result<Vec<Peer>, Error> {
        self.command(|d| d.directory.peers()).await
    }

    /// Who this device is; `None` before it was founded or began to enroll.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn identity(&self) -> Result<Option<DeviceIdentity>, Error> {
        self.command(|d| DeviceIdentity::of(d.endpoint)).await
    }

    /// Messages and calls that the relay has not accepted yet.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn outbox_len(&self) -> Result<usize, Error> {
        self.command(|d| d.endpoint.outbox_len()).await
    }

    /// How far the device has come.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn phase(&self) -> Result<Phase, Error> {
        self.command(|d| d.endpoint.phase()).await
    }

    /// Stops the device and waits until its state is closed.
    ///
    /// # Errors
    /// What made the device stop before: [`Error::Store`] when something could not be stored.
    pub async fn close(self) -> Result<(), Error> {
        let Self { commands, notices, thread } = self;
        drop(commands);
        drop(notices);
        tokio::task::spawn_blocking(move || thread.join().unwrap_or(Err(Error::Stopped)))
            .await
            .unwrap_or(Err(Error::Stopped))
    }
}
