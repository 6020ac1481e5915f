//! A device in a test's hands: av-proto's endpoint, its records in memory, its frames one by one.

mod owner;
mod records;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use av_proto::{
    ApiKey, Channel, ConnectionError, EnrollOptions, Event, HostEndpoint, InviteUrl, Now, Output,
    RecordChange, Seal, Ticket,
};
use av_wire::frame::ToDevice;
use av_wire::limits::MAX_FRAME;
use av_wire::{DeviceId, InboxEpoch, MessageId, Origin, Role};
use getrandom::SysRng;
use rand_core::UnwrapErr;

use crate::Outcome;
use crate::connection::{Connection, Incoming};
use crate::device::random;

/// A device that does what its endpoint says and nothing else.
pub struct Client {
    endpoint: Box<HostEndpoint>,
    seal: Seal,
    key: [u8; 32],
    /// Sealed records, as a disk would hold them.
    records: BTreeMap<[u8; 3], Vec<u8>>,
    connection: Option<Connection>,
    /// Events that no test has asked for yet.
    events: VecDeque<Event>,
    /// Messages offered in this run.
    pub delivered: VecDeque<Delivered>,
    /// Frames that had no connection to go to.
    pub unsent: Vec<Unsent>,
    start: Instant,
}

/// A frame that the endpoint wanted to send, and the records as they were stored in that moment.
pub struct Unsent {
    /// The frame.
    pub frame: Vec<u8>,
    records: BTreeMap<[u8; 3], Vec<u8>>,
}

/// A message that the endpoint offered.
pub struct Delivered {
    /// From whom.
    pub from: DeviceId,
    /// Which.
    pub message_id: MessageId,
    /// What.
    pub payload: Vec<u8>,
    /// To confirm it.
    pub ticket: Ticket,
}

impl Client {
    /// A device without identity.
    ///
    /// # Errors
    /// Those of the system's random source.
    pub fn new() -> Outcome<Self> {
        let key = random()?;
        Ok(Self {
            endpoint: Box::new(HostEndpoint::new()),
            seal: Seal::new(key),
            key,
            records: BTreeMap::new(),
            connection: None,
            events: VecDeque::new(),
            delivered: VecDeque::new(),
            unsent: Vec::new(),
            start: Instant::now(),
        })
    }

    /// A founding owner's device at the relay of this origin.
    ///
    /// # Errors
    /// When the relay does not found the tenant.
    pub fn found(origin: &str, name: &str) -> Outcome<Self> {
        let mut client = Self::new()?;
        let (now, origin) = (client.now()?, Origin::parse(origin)?);
        client
            .endpoint
            .found(now, &mut UnwrapErr(SysRng), &origin, None, name)
            .map_err(|error| format!("{error:?}"))?;
        client.connect(origin.as_str())?;
        client.await_event("the tenant is founded", |event| matches!(event, Event::Founded).then_some(()))?;
        client.await_event("the owner is let in", |event| {
            matches!(event, Event::Authenticated).then_some(())
        })?;
        Ok(client)
    }

    /// Begins to enroll as an agent with an invite's URL; connects and waits until the relay has the request.
    ///
    /// # Errors
    /// When the relay refuses.
    pub fn enroll(url: &str, name: &str) -> Outcome<Self> {
        let mut client = Self::new()?;
        let url = InviteUrl::parse(url).map_err(|error| format!("{error:?}"))?;
        let options = EnrollOptions {
            origin: &url.origin,
            link_key: url.link_key,
            inviter: url.owner,
            role: Role::Agent,
            name,
            platform: "test",
        };
        let now = client.now()?;
        client
            .endpoint
            .enroll(now, &mut UnwrapErr(SysRng), &url.token, &options)
            .map_err(|error| format!("{error:?}"))?;
        client.connect(url.origin.as_str())?;
        client.await_event("the request is taken", |event| {
            matches!(event, Event::EnrollmentPending).then_some(())
        })?;
        Ok(client)
    }

    /// Begins to enroll as an agent with an API key's text, and connects.
    ///
    /// # Errors
    /// When the text is none, or nobody listens there.
    pub fn begin_with_key(origin: &str, key: &str) -> Outcome<Self> {
        let mut client = Self::new()?;
        let (now, origin, key) = (client.now()?, Origin::parse(origin)?, ApiKey::parse(key)?);
        let begun = client.endpoint.enroll_with_key(now, &mut UnwrapErr(SysRng), key, &origin, None);
        begun.map_err(|error| format!("{error:?}"))?;
        client.connect(origin.as_str())?;
        Ok(client)
    }

    /// The endpoint, for commands and views; call [`Client::drain`] after a command.
    pub fn endpoint(&mut self) -> &mut HostEndpoint {
        &mut self.endpoint
    }

    /// The device's id.
    ///
    /// # Errors
    /// When it has no identity.
    pub fn id(&self) -> Outcome<DeviceId> {
        self.endpoint.device_id().ok_or_else(|| "a device without identity".into())
    }

    /// A connection without a relay: what the endpoint sends is kept in [`Client::unsent`], and what it receives is
    /// the test's to make, a hostile relay's frames among it.
    ///
    /// # Errors
    /// When the endpoint does not take a challenge and a welcome.
    pub fn connect_by_hand(&mut self, inbox_epoch: InboxEpoch, next_sequence: u64) -> Outcome {
        self.connect_to_enroll()?;
        self.feed_frame(&ToDevice::Welcome { inbox_epoch, next_sequence, one_time_prekeys: 1 })
    }

    /// As [`Client::connect_by_hand`], for a device that is not let in yet: it is given a challenge alone.
    ///
    /// # Errors
    /// When the endpoint does not take it.
    pub fn connect_to_enroll(&mut self) -> Outcome {
        self.disconnect();
        self.endpoint.connected(Channel::Plain)?;
        self.feed_frame(&ToDevice::Challenge { nonce: random()?, server_time: 0 })
    }

    /// Gives the endpoint a frame that must not end the connection.
    ///
    /// # Errors
    /// When it does.
    pub fn feed_frame(&mut self, frame: &ToDevice<'_>) -> Outcome {
        let mut buffer = vec![0; MAX_FRAME];
        let frame = av_wire::encode(frame, &mut buffer)?;
        self.feed(frame)?.map_err(|error| format!("a frame ends the connection: {error:?}").into())
    }

    /// This moment, as the endpoint wants it.
    ///
    /// # Errors
    /// When the system's clock stands before 1970.
    pub fn now(&self) -> Outcome<Now> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Now { uptime: u64::try_from(self.start.elapsed().as_millis())?, wall })
    }

    /// Opens a connection and lets the endpoint have it; an earlier one ends.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(&mut self, origin: &str) -> Outcome {
        self.disconnect();
        let connection = Connection::open(origin)?;
        let challenge = connection.challenge().to_vec();
        self.connection = Some(connection);
        self.endpoint.connected(Channel::Plain)?;
        self.feed(&challenge)?.map_err(|error| format!("the challenge ends the connection: {error:?}").into())
    }

    /// Takes the connection away.
    pub fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.abandon();
            self.endpoint.disconnected();
        }
    }

    /// Gives the endpoint a frame as if the relay had sent it, and does what it then says.
    ///
    /// # Errors
    /// The outer one when that cannot be done, the inner one when the endpoint ends the connection.
    pub fn feed(&mut self, frame: &[u8]) -> Outcome<Result<(), ConnectionError>> {
        let now = self.now()?;
        let result = self.endpoint.receive(now, &mut UnwrapErr(SysRng), frame);
        self.drain()?;
        Ok(result)
    }

    /// The relay's next frame, not given to the endpoint.
    ///
    /// # Errors
    /// When the connection ends instead.
    pub fn next_frame(&mut self) -> Outcome<Vec<u8>> {
        let connection = self.connection.as_mut().ok_or("there is no connection")?;
        match connection.incoming()? {
            Incoming::Frame(frame) => Ok(frame),
            Incoming::Closed(code) => Err(format!("the relay closed the connection ({code:?})").into()),
        }
    }

    /// Does everything that the endpoint says, until it has nothing more to say.
    ///
    /// # Errors
    /// When a record cannot be written or a frame not be sent.
    pub fn drain(&mut self) -> Outcome {
        let now = self.now()?;
        while let Some(output) = self.endpoint.poll(now) {
            match output {
                Output::Persist(mut persist) => {
                    let mut changes = Vec::new();
                    let written = persist.write(&self.seal, &mut UnwrapErr(SysRng), |change| {
                        changes.push(match change {
                            RecordChange::Put(key, sealed) => (key.to_bytes(), Some(sealed.to_vec())),
                            RecordChange::Delete(key) => (key.to_bytes(), None),
                        });
                        Ok::<(), ()>(())
                    });
                    written.map_err(|error| format!("{error:?}"))?;
                    for (key, sealed) in changes {
                        match sealed {
                            Some(sealed) => drop(self.records.insert(key, sealed)),
                            None => drop(self.records.remove(&key)),
                        }
                    }
                    persist.stored();
                }
                Output::Transmit(frame) => match &mut self.connection {
                    Some(connection) => connection.send_bytes(frame)?,
                    None => self.unsent.push(Unsent { frame: frame.to_vec(), records: self.records.clone() }),
                },
                Output::Deliver(delivery) => self.delivered.push_back(Delivered {
                    from: delivery.from,
                    message_id: delivery.message_id,
                    payload: delivery.payload.to_vec(),
                    ticket: delivery.ticket,
                }),
                Output::Event(event) => self.events.push_back(event),
                // Nothing here lasts long enough for a timer.
                Output::Timer(_) => {}
            }
        }
        Ok(())
    }

    /// Feeds frames until an event comes that `is_it` has a value for; earlier ones are passed over.
    ///
    /// # Errors
    /// When the connection ends before.
    pub fn await_event<T>(&mut self, what: &str, mut is_it: impl FnMut(&Event) -> Option<T>) -> Outcome<T> {
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(value) = is_it(&event) {
                    return Ok(value);
                }
            }
            let frame = self.next_frame().map_err(|error| format!("{what}: {error}"))?;
            self.feed(&frame)?.map_err(|error| format!("{what}: {error:?}"))?;
        }
    }

    /// Takes out the events that no one has asked for.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Sends a message to a peer.
    ///
    /// # Errors
    /// When the endpoint does not take it.
    pub fn send(&mut self, peer: &DeviceId, payload: &[u8]) -> Outcome {
        self.endpoint.send(&mut UnwrapErr(SysRng), peer, payload).map_err(|error| format!("{error:?}"))?;
        self.drain()
    }

    /// Confirms a message.
    ///
    /// # Errors
    /// When its ticket was used.
    pub fn confirm(&mut self, delivered: &Delivered) -> Outcome {
        self.endpoint.confirm(&delivered.ticket).map_err(|error| format!("{error:?}"))?;
        self.drain()
    }
}
