//! What a relay shares with its operating system: the addresses it listens on, the signals that end it, and the line
//! that says it is ready.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use av_wire::ids::Origin;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The port is taken.
    #[error("port {} is taken on {}: another relay, perhaps; end it, or listen on another port", .0.port(), .0.ip())]
    Taken(SocketAddr),
    /// The address is another machine's.
    #[error("{} is no address of this machine: listen on one that `ip address` shows, or on 0.0.0.0 for all", .0.ip())]
    Elsewhere(SocketAddr),
    /// The port is for the privileged.
    #[error(
        "no rights to port {}: listen on one from 1024 up, or start with AmbientCapabilities=CAP_NET_BIND_SERVICE",
        .0.port()
    )]
    Privileged(SocketAddr),
    /// Something else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Listens; connections wait until they are accepted.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listening = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listening.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(address),
        io::ErrorKind::AddrNotAvailable => ListenError::Elsewhere(address),
        io::ErrorKind::PermissionDenied => ListenError::Privileged(address),
        _ => ListenError::Other { address, source },
    })
}

/// The signals that end a relay.
pub(crate) struct EndSignals {
    interrupted: Signal,
    terminated: Signal,
}

impl EndSignals {
    /// To be made early: until then the signals end the process at once.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one. Cancel safe.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => tracing::info!("interrupted: ending"),
            _ = self.terminated.recv() => tracing::info!("terminated: ending"),
        }
    }
}

/// The signal to read certificates again.
pub(crate) struct ReloadSignal(Signal);

impl ReloadSignal {
    /// To be made early: until then the signal ends the process.
    pub(crate) fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Does it each time.
    pub(crate) async fn each(mut self, mut reload: impl FnMut()) {
        while self.0.recv().await.is_some() {
            reload();
        }
    }
}

/// The one line on standard output: whoever starts the relay waits for it.
pub(crate) fn announce(origin: &Origin) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "ready {origin}")?;
    out.flush()
}
