//! `relay.toml`: what `av-relay serve` and `av-relay migrate` are told. `av-relay/relay.toml` explains every key.

mod error;
mod file;
mod passwords;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use av_wire::ids::Origin;
use tokio_postgres::Config as Login;

pub use self::error::ConfigError;
use self::file::{Database, File};
use self::passwords::password;
use crate::service::Founding;
use crate::store::{APP_ROLE, JANITOR_ROLE, Logins, OWNER_ROLE, session};

/// A configuration that has been read and makes sense.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) origin: Origin,
    pub(crate) data: PathBuf,
    pub(crate) founding: Founding,
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
        let File { listen, origin, data, founding, database } = file;
        check_listeners(&listen, &origin)?;
        check_place(&database.host)?;
        Ok(Self { listen, origin, data: folder.join(data), founding, database, folder })
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
        let Database { host, port, name, .. } = &self.database;
        let mut login = session(role);
        login.host(host).port(*port).dbname(name);
        let file = file.map(|file| self.folder.join(file));
        if let Some(password) = password(role, file.as_deref(), environment)? {
            login.password(password.as_bytes());
        }
        Ok(login)
    }
}

fn check_listeners(listen: &[SocketAddr], origin: &Origin) -> Result<(), ConfigError> {
    if listen.is_empty() {
        return Err(ConfigError::NoListener);
    }
    if !origin.is_plain() {
        return Err(ConfigError::NoTls(origin.to_string()));
    }
    match listen.iter().find(|address| !address.ip().is_loopback()) {
        Some(address) if origin.is_loopback() => {
            Err(ConfigError::Unprotected { address: *address, origin: origin.to_string() })
        }
        _ => Ok(()),
    }
}

/// Rows and passwords would cross a network in the open.
fn check_place(host: &str) -> Result<(), ConfigError> {
    let is_here = host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_here { Ok(()) } else { Err(ConfigError::RemoteDatabase(host.to_owned())) }
}

#[cfg(test)]
mod tests;
