//! A relay's front that records everything: a TCP proxy between the devices and the relay.

pub mod websocket;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use av_wire::TenantId;
use av_wire::chain::Chain;
use av_wire::frame::ToRelay;

use crate::Outcome;
use crate::search::{Found, Search};

/// Bytes a turn: a frame or two.
const BUFFER: usize = 64 * 1024;

/// The proxy. Devices connect to [`Recorder::origin`]; dropping it ends all connections.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    ended: AtomicBool,
    /// Connections that were begun, also those behind which no relay was.
    attempts: AtomicUsize,
}

/// One connection: its two sockets, and what went through them.
struct Connection {
    device: TcpStream,
    relay: TcpStream,
    recording: Arc<Mutex<Recording>>,
}

/// What went over one connection, as the wire had it.
#[derive(Clone, Default)]
pub struct Recording {
    /// From the device to the relay, its frames masked.
    pub to_relay: Vec<u8>,
    /// From the relay to the device.
    pub to_device: Vec<u8>,
}

impl Recording {
    /// Payloads of the binary messages that the device sent, unmasked.
    pub fn frames_to_relay(&self) -> Vec<Vec<u8>> {
        websocket::messages(&self.to_relay)
    }
}

#[derive(Clone, Copy)]
enum Direction {
    ToRelay,
    ToDevice,
}

impl Recorder {
    /// Starts a proxy on a free port in front of the relay at `upstream`, which need not listen yet.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(upstream: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let acceptor = std::thread::Builder::new().spawn(move || {
            for device in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                accepting.attempts.fetch_add(1, Ordering::SeqCst);
                // A relay that is down refuses: the device sees its connection end, as it would without a proxy.
                if let Ok(relay) = TcpStream::connect(upstream) {
                    let _ = accepting.join(device, relay);
                }
            }
        })?;
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// The origin that devices use and the relay must be told to have.
    pub fn origin(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The same place, written so that AV/1 does not take it for this machine: devices reach it as they reach a relay
    /// on a network, while nothing leaves this machine.
    pub fn origin_on_a_network(&self) -> String {
        format!("ws://127.1:{}", self.address.port())
    }

    /// A copy of everything that was recorded, a connection each, in the order in which they came.
    pub fn recordings(&self) -> Vec<Recording> {
        let connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections
            .iter()
            .map(|c| c.recording.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    /// The tenant that was founded over this wire.
    ///
    /// # Errors
    /// When none was.
    pub fn tenant(&self) -> Outcome<TenantId> {
        for frame in self.recordings().iter().flat_map(Recording::frames_to_relay) {
            if let Ok(ToRelay::Found { chain, .. }) = av_wire::decode(&frame) {
                return Ok(Chain::new(chain).claimed()?.tenant_id);
            }
        }
        Err("no tenant was founded yet".into())
    }

    /// How many connections were begun, also those behind which no relay was.
    pub fn attempts(&self) -> usize {
        self.shared.attempts.load(Ordering::SeqCst)
    }

    /// Ends every connection of this moment, as a network that fails.
    pub fn cut(&self) {
        for connection in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            connection.shutdown();
        }
    }

    /// Searches all that was recorded: the raw bytes of both directions, and the payloads unmasked, since a masked
    /// secret is invisible in the raw bytes.
    ///
    /// # Errors
    /// Never in memory; the search's signature allows it.
    pub fn search(&self, search: &Search) -> Outcome<Searched> {
        let mut searched = Searched::default();
        for (number, recording) in self.recordings().iter().enumerate() {
            for (name, raw) in
                [("to the relay", &recording.to_relay), ("to the device", &recording.to_device)]
            {
                let place = format!("wire, connection {number} {name}");
                searched.bytes += raw.len();
                searched.found.extend(search.in_stream(&format!("{place}, raw"), raw.as_slice())?);
                let unmasked = websocket::payloads(raw).concat();
                searched.found.extend(search.in_stream(&format!("{place}, unmasked"), unmasked.as_slice())?);
            }
        }
        Ok(searched)
    }
}

/// What a search of the wire came to.
#[derive(Debug, Default)]
pub struct Searched {
    /// Raw bytes searched, both directions.
    pub bytes: usize,
    /// What was found.
    pub found: Vec<Found>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the acceptor, which looks at `ended` first.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.cut();
    }
}

impl Shared {
    fn join(&self, device: TcpStream, relay: TcpStream) -> Outcome {
        for stream in [&device, &relay] {
            stream.set_nodelay(true)?;
        }
        let recording = Arc::new(Mutex::new(Recording::default()));
        let ways = [
            (device.try_clone()?, relay.try_clone()?, Direction::ToRelay),
            (relay.try_clone()?, device.try_clone()?, Direction::ToDevice),
        ];
        for (from, to, direction) in ways {
            let recording = Arc::clone(&recording);
            std::thread::Builder::new().spawn(move || pump(from, to, direction, &recording))?;
        }
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(Connection { device, relay, recording });
        Ok(())
    }
}

impl Connection {
    fn shutdown(&self) {
        for stream in [&self.device, &self.relay] {
            // It fails when the connection has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Copies one direction until it ends, recording each piece before it is passed on.
fn pump(mut from: TcpStream, mut to: TcpStream, direction: Direction, recording: &Mutex<Recording>) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(read) = from.read(&mut buffer) {
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        {
            let mut recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
            match direction {
                Direction::ToRelay => recording.to_relay.extend_from_slice(piece),
                Direction::ToDevice => recording.to_device.extend_from_slice(piece),
            }
        }
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
