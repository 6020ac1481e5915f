//! `relay.toml`: what `av-relay serve` and `av-relay migrate` are told. `av-relay/relay.toml` explains every key.

mod error;
mod file;
mod passwords;
mod tls;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use av_wire::ids::Origin;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub use self::error::ConfigError;
use self::file::{Database, File};
use self::passwords::password;
pub(crate) use self::tls::TlsConfig;
use crate::service::Founding;
use crate::store::{APP_ROLE, JANITOR_ROLE, Login, Logins, OWNER_ROLE, session};

/// A configuration that has been read and makes sense.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) origin: Origin,
    pub(crate) data: PathBuf,
    pub(crate) founding: Founding,
    pub(crate) tls: TlsConfig,
    database: Database,
    /// Where relative paths start.
    folder: PathBuf,
}

/// What the environment says under a name.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads the file and checks what can be checked without trying.
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigError> {
        let file = File::open(path)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let tls = TlsConfig::of(&file, &folder)?;
        check_place(&file.database)?;
        let File { listen, origin, data, founding, database, .. } = file;
        Ok(Self { listen, origin, data: folder.join(data), founding, tls, database, folder })
    }

    /// How the relay logs in for its work.
    pub(crate) fn logins(&self, environment: Environment<'_>) -> Result<Logins, ConfigError> {
        let Database { app_password_file, janitor_password_file, .. } = &self.database;
        Ok(Logins {
            app: self.login(APP_ROLE, app_password_file.as_deref(), environment)?,
            janitor: self.login(JANITOR_ROLE, janitor_password_file.as_deref(), environment)?,
        })
    }

    /// How it logs in to change the schema.
    pub(crate) fn owner(&self, environment: Environment<'_>) -> Result<Login, ConfigError> {
        self.login(OWNER_ROLE, self.database.owner_password_file.as_deref(), environment)
    }

    fn login(
        &self,
        role: &'static str,
        file: Option<&Path>,
        environment: Environment<'_>,
    ) -> Result<Login, ConfigError> {
        let Database { host, port, name, ca, .. } = &self.database;
        let mut config = session(role);
        config.host(host).port(*port).dbname(name);
        let file = file.map(|file| self.folder.join(file));
        if let Some(password) = password(role, file.as_deref(), environment)? {
            config.password(password.as_bytes());
        }
        match ca {
            Some(ca) => Ok(Login::verified(config, roots(&self.folder.join(ca))?)?),
            None => Ok(Login::plain(config)?),
        }
    }
}

/// Without TLS rows and passwords would cross a network in the open.
fn check_place(database: &Database) -> Result<(), ConfigError> {
    let Database { host, ca, .. } = database;
    let is_socket = host.starts_with('/');
    let is_here = is_socket
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match ca {
        None if !is_here => Err(ConfigError::RemoteDatabase(host.clone())),
        Some(_) if is_socket => Err(ConfigError::SocketWithCa(host.clone())),
        _ => Ok(()),
    }
}

/// The CAs in a file: what a server's certificate has to be signed by.
fn roots(path: &Path) -> Result<RootCertStore, ConfigError> {
    let text = fs::read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let added = certificate.ok().map(|certificate| roots.add(certificate));
        if !matches!(added, Some(Ok(()))) {
            return Err(ConfigError::NoCa(path.to_owned()));
        }
    }
    if roots.is_empty() { Err(ConfigError::NoCa(path.to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests;
