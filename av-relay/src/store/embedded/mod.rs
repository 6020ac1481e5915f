//! A private PostgreSQL cluster, made and started from installed binaries: no password, no TCP port, and no
//! other account than the relay's can connect. The same server, roles and row-level security as anywhere else.

mod account;
mod binaries;
mod create;
mod directory;
mod error;
mod server;

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use self::account::Account;
use self::binaries::Binaries;
use self::directory::Directory;
use self::server::Server;
use super::Endpoint;
pub use error::EmbeddedError;

/// A running private cluster. Dropping it stops the server.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    directory: Directory,
}

impl Cluster {
    /// Starts the cluster in `data`, which is made at the first start. `binaries` names the folder of `initdb`
    /// and `postgres` where they are to be found in no usual place.
    ///
    /// To be called from a thread that lives as long as the cluster shall: the server ends with that thread,
    /// even when the process is killed.
    ///
    /// # Errors
    /// [`EmbeddedError`]; what is in the directory stays as it was.
    pub fn start(data: &Path, binaries: Option<&Path>) -> Result<Self, EmbeddedError> {
        let account = Account::detect()?;
        let binaries = Binaries::find(binaries, &account)?;
        let directory = Directory::open(data, &account)?;
        if !directory.has_cluster_for(&binaries)? {
            tracing::info!(data = %data.display(), "making a new PostgreSQL cluster");
            create::create(&directory, &binaries, &account)?;
        }
        create::write_access_files(&directory, &account)?;
        let server = Server::start(&directory, &binaries, &account)?;
        tracing::info!(
            version = binaries.major,
            user = account.server(),
            "PostgreSQL runs, on a Unix socket only"
        );
        Ok(Self { server, directory })
    }

    /// Where it takes connections.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { socket_folder: self.directory.socket().to_path_buf(), port: directory::PORT }
    }

    /// The folder with the cluster's files.
    pub fn folder(&self) -> PathBuf {
        self.directory.cluster()
    }

    /// Turns true when the server has ended.
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.server.ended()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.stop();
    }
}

#[cfg(test)]
mod tests;
