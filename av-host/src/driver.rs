//! The drain loop: the one place where the endpoint meets disk, socket and clock.
//!
//! The steps are the ones of av-proto's crate page:
//! 1. feed the endpoint one input: a frame, a command, a timer, the state of the connection;
//! 2. drain it until it has no output: records are stored before whatever depends on them is transmitted;
//! 3. wait for the next input.
//!
//! The driver has a thread of its own: storing blocks until the disk has answered, by design, and nothing else may
//! wait for that. Everything is owned by that thread, so there is no lock to hold across an await.

use std::collections::VecDeque;
use std::sync::Arc;

use av_proto::wire::Origin;
use av_proto::{ConnectionError, Event, HostEndpoint, Output, PersistError, RecordChange, Seal};
use rand_core::CryptoRng;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Bytes;

use crate::clock::Clock;
use crate::directory::{Directory, Inputs};
use crate::error::Error;
use crate::notice::{Message, Notice};
use crate::randomness::randomness;
use crate::store::Store;
use crate::transport::{Backoff, Link, TransportError};

/// Notices that wait for the application before frames are no longer taken from the relay: several inboxes full.
const NOTICES: usize = 256;

/// Seconds that a relay can ask for at the most: a bad answer must not park a device for years.
const LONGEST_PATIENCE: u32 = 15 * 60;

/// A command: runs on the endpoint, and returns what reports its outcome once that is stored.
pub(crate) type Command = Box<dyn FnOnce(&mut Inputs<'_>) -> Box<dyn FnOnce() + Send> + Send>;

/// The connection, or the way to one.
enum Connection {
    /// Not wanted before this instant.
    Waiting(Instant),
    /// A task of its own, so that an attempt is not begun anew with every other input.
    Connecting(JoinHandle<Result<Link, TransportError>>),
    Open(Link),
    /// Never again: enrollment ended, or another process runs as this device.
    Over,
}

pub(crate) struct Driver {
    endpoint: Box<HostEndpoint>,
    directory: Directory,
    store: Store,
    seal: Seal,
    clock: Clock,
    origin: Origin,
    connection: Connection,
    backoff: Backoff,
    timer: Option<u64>,
    commands: mpsc::Receiver<Command>,
    notices: mpsc::Sender<Notice>,
    /// Notices for which the channel had no room yet.
    backlog: VecDeque<Notice>,
}

/// What the driver waits for.
enum Input {
    Frame(Bytes),
    Lost(TransportError),
    ConnectionDue,
    Connected(Result<Link, TransportError>),
    Command(Command),
    Timer,
    /// The application is gone.
    Closed,
}

impl Driver {
    pub(crate) fn new(
        store: Store,
        endpoint: Box<HostEndpoint>,
        directory: Directory,
        origin: Origin,
        commands: mpsc::Receiver<Command>,
    ) -> (Self, mpsc::Receiver<Notice>) {
        let (notices, receiver) = mpsc::channel(NOTICES);
        let seal = Seal::new(*store.key().expose());
        let driver = Self {
            endpoint,
            directory,
            store,
            seal,
            clock: Clock::new(),
            origin,
            connection: Connection::Waiting(Instant::now()),
            backoff: Backoff::default(),
            timer: None,
            commands,
            notices,
            backlog: VecDeque::new(),
        };
        (driver, receiver)
    }

    /// Runs until the application is gone.
    ///
    /// Not cancel safe, and never cancelled: the thread that runs it runs nothing else.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        self.drain()?;
        loop {
            match self.wait().await {
                Input::Closed => break,
                input => self.feed(input)?,
            }
        }
        if let Connection::Open(link) = self.connection {
            link.close().await;
        }
        Ok(())
    }

    /// Step 1, and with it step 2.
    fn feed(&mut self, input: Input) -> Result<(), Error> {
        let now = self.clock.now();
        match input {
            Input::Frame(frame) => {
                let mut rng = randomness()?;
                let mut inputs = self.inputs(&mut rng);
                let received = match inputs.feed(|endpoint, now, rng| endpoint.receive(now, rng, &frame)) {
                    // The relay still has it: by the next connection there is less to do.
                    Err(Error::Busy) => Err(ConnectionError::RetryAfter(0)),
                    fed => fed?,
                };
                // What the endpoint had to say about the frame is stored and sent before the connection ends.
                self.drain()?;
                if let Err(error) = received {
                    self.end_connection(&error.to_string(), &error);
                }
            }
            Input::Lost(error) => {
                self.endpoint.disconnected();
                self.retry_later(None);
                self.notify(Notice::Disconnected(error));
            }
            Input::ConnectionDue => {
                let origin = self.origin.clone();
                let link_keys: Vec<_> = self.endpoint.link_keys().copied().collect();
                let attempt = tokio::spawn(async move { Link::connect(&origin, &link_keys).await });
                self.connection = Connection::Connecting(attempt);
            }
            Input::Connected(Ok(link)) => {
                let connected = self.endpoint.connected(link.channel());
                self.connection = Connection::Open(link);
                if let Err(error) = connected {
                    self.end_connection(&error.to_string(), &error);
                }
            }
            Input::Connected(Err(error)) => {
                self.retry_later(None);
                self.notify(Notice::Disconnected(error));
            }
            Input::Command(command) => {
                let report = command(&mut self.inputs(&mut randomness()?));
                self.drain()?;
                report();
            }
            Input::Timer => {
                self.timer = self.timer.filter(|at| now.uptime < *at);
                self.endpoint.tick(now, &mut randomness()?);
            }
            Input::Closed => {}
        }
        self.drain()
    }

    fn inputs<'d>(&'d mut self, rng: &'d mut dyn CryptoRng) -> Inputs<'d> {
        Inputs {
            endpoint: &mut self.endpoint,
            now: self.clock.now(),
            rng,
            directory: &self.directory,
            store: &self.store,
            seal: &self.seal,
        }
    }

    /// Step 2: until the endpoint is idle.
    fn drain(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        let (mut ended, mut over) = (None, false);
        while let Some(output) = self.endpoint.poll(now) {
            match output {
                Output::Persist(mut persist) => {
                    let (seal, rng, directory) = (&self.seal, &mut randomness()?, &mut self.directory);
                    self.store.commit(|batch| {
                        let written = persist.write(seal, rng, |change| match change {
                            RecordChange::Put(key, sealed) => batch.put(key.to_bytes(), sealed),
                            RecordChange::Delete(key) => {
                                directory.forget(key);
                                batch.delete(key.to_bytes())
                            }
                        });
                        match written {
                            Ok(()) => Ok(()),
                            Err(PersistError::Store(error)) => Err(error),
                            Err(PersistError::Bug) => Err(batch.abandon()),
                        }
                    })?;
                    persist.stored();
                    self.endpoint.peers().for_each(|peer| self.directory.note(peer));
                }
                Output::Transmit(frame) => {
                    if let Connection::Open(link) = &mut self.connection
                        && let Err(error) = link.send(frame)
                    {
                        ended = Some(error);
                    }
                }
                Output::Deliver(delivery) => self.backlog.push_back(Notice::Message(Message {
                    from: delivery.from,
                    id: delivery.message_id,
                    payload: delivery.payload.to_vec(),
                    ticket: Arc::new(delivery.ticket),
                })),
                Output::Event(event) => {
                    tracing::debug!(?event, "endpoint");
                    match event {
                        Event::Authenticated | Event::EnrollmentPending => self.backoff.reset(),
                        Event::ConnectionSilent => {
                            ended = Some(TransportError::Lost("the relay does not answer".to_owned()));
                        }
                        // Connecting again would take the place of whoever took this one's, in turn for ever.
                        Event::Superseded | Event::EnrollmentEnded(_) => over = true,
                        _ => {}
                    }
                    self.backlog.push_back(Notice::Event(event));
                }
                Output::Timer(at) => self.timer = Some(at),
            }
        }
        if over {
            self.endpoint.disconnected();
            self.connection = Connection::Over;
        }
        if let Some(error) = ended.filter(|_| matches!(self.connection, Connection::Open(_))) {
            return self.feed(Input::Lost(error));
        }
        self.pass_on();
        Ok(())
    }

    /// Step 3.
    async fn wait(&mut self) -> Input {
        let Self { connection, commands, notices, backlog, timer, clock, .. } = self;
        // Frames are not taken while the application does not keep up; TCP then holds the relay back. Commands
        // always are, since the application may be waiting for one's outcome.
        let keeps_up = backlog.len() < NOTICES;
        let timer_due = timer.map(|at| clock.instant(at));
        loop {
            // Every branch is cancel safe: channels keep what was not received, a permit that was not used is
            // returned.
            tokio::select! {
                input = next_of(connection), if keeps_up => return input,
                command = commands.recv() => return command.map_or(Input::Closed, Input::Command),
                () = sleep_until(timer_due.unwrap_or_else(Instant::now)), if timer_due.is_some() => return Input::Timer,
                permit = notices.reserve(), if !backlog.is_empty() => match (permit, backlog.pop_front()) {
                    (Ok(permit), Some(notice)) => permit.send(notice),
                    (Ok(_), None) => {}
                    // The application listens no more; commands may still come.
                    (Err(_), _) => backlog.clear(),
                },
            }
        }
    }

    fn end_connection(&mut self, reason: &str, error: &ConnectionError) {
        if matches!(self.connection, Connection::Over) {
            return;
        }
        self.endpoint.disconnected();
        let seconds = match error {
            ConnectionError::RetryAfter(seconds) => Some(*seconds),
            ConnectionError::Violation
            | ConnectionError::Moved
            | ConnectionError::Redeliver
            | ConnectionError::Insecure
            | ConnectionError::NeedPeer(_) => None,
        };
        self.retry_later(seconds);
        self.notify(Notice::Disconnected(TransportError::Lost(reason.to_owned())));
    }

    fn retry_later(&mut self, at_least_seconds: Option<u32>) {
        let random = getrandom::u32().unwrap_or(u32::MAX);
        let seconds = at_least_seconds.unwrap_or(0).min(LONGEST_PATIENCE);
        let least = std::time::Duration::from_secs(u64::from(seconds));
        self.connection = Connection::Waiting(Instant::now() + least + self.backoff.next(random));
    }

    fn notify(&mut self, notice: Notice) {
        self.backlog.push_back(notice);
    }

    /// Hands over what the channel has room for.
    fn pass_on(&mut self) {
        while let Ok(permit) = self.notices.try_reserve() {
            match self.backlog.pop_front() {
                Some(notice) => permit.send(notice),
                None => return,
            }
        }
    }
}

/// The connection's next input. Cancel safe: a timer, a task's handle and [`Link::receive`] are.
async fn next_of(connection: &mut Connection) -> Input {
    match connection {
        Connection::Waiting(until) => {
            sleep_until(*until).await;
            Input::ConnectionDue
        }
        Connection::Connecting(attempt) => Input::Connected(
            attempt.await.unwrap_or_else(|error| Err(TransportError::Lost(error.to_string()))),
        ),
        Connection::Open(link) => match link.receive().await {
            Ok(frame) => Input::Frame(frame),
            Err(error) => Input::Lost(error),
        },
        Connection::Over => std::future::pending().await,
    }
}
