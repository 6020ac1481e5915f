//! `av-relay dev`: a whole relay on one machine, without configuration; for that machine, or by the Noise link for the
//! network around it.

use std::env;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use av_wire::ids::Origin;

use crate::link_keys::{LINK_KEYS, LinkKeyError, LinkKeys, display};
use crate::process::{EndSignals, ListenError, announce, listen};
use crate::server::run;
use crate::store::embedded::{Cluster, EmbeddedError};
use crate::store::{OpenError, Store};
use crate::tls::Tls;
use crate::{Founding, Relay};

/// What `av-relay dev` is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// What devices call this relay; `ws://` and the address listened on unless given. Devices connect in the open to
    /// a loopback origin only, to another by the Noise link.
    pub origin: Option<Origin>,
    /// Whether tenants are founded, also under an origin that others on the network know.
    pub found: bool,
    /// The data directory; see [`default_data`].
    pub data: Option<PathBuf>,
    /// The folder of `initdb` and `postgres`, where they are in no usual place.
    pub binaries: Option<PathBuf>,
}

/// Why the relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// Others could reach the relay, and nobody could say what it is called.
    #[error(
        "{0} is no loopback address: say what devices on the network call this relay, as in --origin ws://192.168.1.5:7460"
    )]
    NoOrigin(SocketAddr),
    /// An origin that promises TLS.
    #[error("`av-relay dev` has no TLS: --origin is ws://HOST:PORT; the Noise link protects what goes there")]
    Tls,
    /// The port is taken.
    #[error("port {} is taken; take a free one by --listen {}:0, or name another", .0.port(), .0.ip())]
    PortTaken(SocketAddr),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(ListenError),
    /// No place for the data.
    #[error("neither XDG_DATA_HOME nor HOME is set: name a folder for the relay's data with --data DIR")]
    NoHome,
    /// The private cluster does not run.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The Noise link's keys cannot be used.
    #[error(transparent)]
    LinkKeys(#[from] LinkKeyError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// PostgreSQL ended while the relay ran.
    #[error("PostgreSQL ended by itself; {} says why", .0.display())]
    DatabaseEnded(PathBuf),
    /// Something of the operating system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where the data goes unless told: `/var/lib/agentvault/dev` for root, else the user's data folder.
///
/// # Errors
/// [`DevError::NoHome`] when the environment names none.
pub fn default_data() -> Result<PathBuf, DevError> {
    if nix::unistd::geteuid().is_root() {
        // The server runs as another user, who may not enter root's home.
        return Ok(PathBuf::from("/var/lib/agentvault/dev"));
    }
    let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = named("XDG_DATA_HOME").or_else(|| Some(named("HOME")?.join(".local/share")));
    Ok(data.ok_or(DevError::NoHome)?.join("agentvault/relay-dev"))
}

/// Runs a relay on a private PostgreSQL cluster until it is told to end by SIGINT or SIGTERM. Prints
/// `ready ORIGIN` on standard output when it takes connections.
///
/// To be called from the main thread: the cluster ends with the thread that starts it, even when the process is
/// killed.
///
/// # Errors
/// [`DevError`].
pub fn dev(options: &Options) -> Result<(), DevError> {
    match &options.origin {
        Some(origin) if !origin.is_plain() => return Err(DevError::Tls),
        None if !options.listen.ip().is_loopback() => return Err(DevError::NoOrigin(options.listen)),
        _ => {}
    }
    let listener = listen(options.listen).map_err(|error| match error {
        ListenError::Taken(address) => DevError::PortTaken(address),
        error => DevError::Listen(error),
    })?;
    let address = listener.local_addr()?;
    let origin = match &options.origin {
        Some(origin) => origin.clone(),
        None => Origin::parse(&format!("ws://{address}")).map_err(io::Error::other)?,
    };
    let data = options.data.clone().map_or_else(default_data, Ok)?;
    let cluster = Cluster::start(&data, options.binaries.as_deref())?;
    let keys = LinkKeys::open_or_create(&data.join(LINK_KEYS))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let founding = if options.found || origin.is_loopback() { Founding::Open } else { Founding::Closed };
    let served = Served { listener, origin, founding, keys };
    runtime.block_on(serve(served, &cluster, &data))
    // The cluster is stopped when it goes out of scope, after every connection to it.
}

/// Prints the Noise link's keys, one a line: the one in use, then its successor.
///
/// # Errors
/// [`DevError::LinkKeys`]; there are none before the relay's first start. [`DevError::NoHome`].
pub fn link_keys(data: Option<PathBuf>, rotate: bool) -> Result<(), DevError> {
    let path = data.map_or_else(default_data, Ok)?.join(LINK_KEYS);
    let mut keys = LinkKeys::open(&path)?;
    if rotate {
        keys = keys.rotate(&path)?;
    }
    let [current, next] = keys.public().map(display);
    writeln!(io::stdout(), "{current}\n{next}")?;
    Ok(())
}

/// What is settled before the first connection.
struct Served {
    listener: TcpListener,
    origin: Origin,
    founding: Founding,
    keys: LinkKeys,
}

async fn serve(served: Served, cluster: &Cluster, data: &Path) -> Result<(), DevError> {
    let Served { listener, origin, founding, keys } = served;
    let mut end = EndSignals::new()?;
    let mut database_ended = cluster.ended();

    let store = Store::open(&cluster.endpoint()).await?;
    for line in store.catalogue() {
        tracing::info!("{line}");
    }
    let [current, next] = keys.public().map(display);
    tracing::info!(%current, %next, "the Noise link's keys");
    let listener = tokio::net::TcpListener::from_std(listener)?;
    announce(&origin)?;

    let mut lost_database = false;
    let shutdown = async {
        tokio::select! {
            () = end.received() => {}
            _ = database_ended.wait_for(|ended| *ended) => lost_database = true,
        }
    };
    run(vec![listener], Relay::new(store, origin, founding), keys, Tls::Off, shutdown).await;
    if lost_database { Err(DevError::DatabaseEnded(data.join("postgres.log"))) } else { Ok(()) }
}
