//! `av-relay serve` and `av-relay migrate`: a relay that its operator configured, on a PostgreSQL server of his.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::Relay;
use crate::config::{Config, ConfigError, TlsConfig};
use crate::link_keys::{LINK_KEYS, LinkKeyError, LinkKeys, display};
use crate::process::{EndSignals, ListenError, ReloadSignal, announce, listen};
use crate::server::run;
use crate::store::{Logins, OpenError, Store};
use crate::tls::{Certificate, CertificateError, Tls};

/// Why the relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What it was told makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The data folder cannot be made.
    #[error("the data folder {} cannot be made: {source}", .path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The Noise link's keys cannot be used.
    #[error(transparent)]
    LinkKeys(#[from] LinkKeyError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something of the operating system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Brings the schema up to date, as the owner of the tables.
///
/// # Errors
/// [`ServeError`].
pub fn migrate(config: &Path) -> Result<(), ServeError> {
    let owner = Config::open(config)?.owner(&environment)?;
    Ok(runtime()?.block_on(Store::migrate(&owner))?)
}

/// Runs a relay until it is told to end by SIGINT or SIGTERM; SIGHUP makes it read its certificate again. Prints `ready ORIGIN` on standard output when it takes
/// connections.
///
/// # Errors
/// [`ServeError`].
pub fn serve(config: &Path) -> Result<(), ServeError> {
    let config = Config::open(config)?;
    let logins = config.logins(&environment)?;
    let tls = match &config.tls {
        TlsConfig::Off => Tls::Off,
        TlsConfig::Own(files) => Tls::Own(Arc::new(Certificate::open(files.clone())?)),
        TlsConfig::Proxy(proxies) => Tls::Proxy(Arc::new(proxies.clone())),
    };
    let listeners = config.listen.iter().map(|address| listen(*address)).collect::<Result<_, _>>()?;
    make_folder(&config.data)?;
    let keys = LinkKeys::open_or_create(&config.data.join(LINK_KEYS))?;
    runtime()?.block_on(serve_on(listeners, config, &logins, keys, tls))
}

async fn serve_on(
    listeners: Vec<TcpListener>,
    config: Config,
    logins: &Logins,
    keys: LinkKeys,
    tls: Tls,
) -> Result<(), ServeError> {
    let mut end = EndSignals::new()?;
    let reload = ReloadSignal::new()?;
    let store = Store::serve(logins).await?;
    for line in store.catalogue() {
        tracing::info!("{line}");
    }
    let [current, next] = keys.public().map(display);
    tracing::info!(%current, %next, "the Noise link's keys");
    let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<Result<_, _>>()?;
    announce(&config.origin)?;
    let relay = Relay::new(store, config.origin, config.founding);
    let reloading = tls.clone();
    tokio::select! {
        () = run(listeners, relay, keys, tls, end.received()) => {}
        // Its stream has no end.
        () = reload.each(|| reloading.reload()) => {}
    }
    Ok(())
}

/// For nobody but the relay's account.
fn make_folder(path: &Path) -> Result<(), ServeError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| ServeError::Data { path: path.to_owned(), source })
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn environment(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
