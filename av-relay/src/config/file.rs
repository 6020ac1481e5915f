//! The file as it is written: every key, and its default.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use av_wire::ids::Origin;
use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::ConfigError;
use crate::service::Founding;
use crate::store::DATABASE;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Vec<SocketAddr>,
    #[serde(deserialize_with = "origin")]
    pub(super) origin: Origin,
    pub(super) data: PathBuf,
    #[serde(default = "closed")]
    pub(super) founding: Founding,
    #[serde(default)]
    pub(super) tls: TlsBy,
    #[serde(default, deserialize_with = "path")]
    pub(super) certificate: Option<PathBuf>,
    #[serde(default, deserialize_with = "path")]
    pub(super) key: Option<PathBuf>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) database: Database,
}

/// Who speaks TLS with devices.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum TlsBy {
    #[default]
    Off,
    Own,
    Proxy,
}

/// `[database]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    pub(super) host: String,
    #[serde(default = "port")]
    pub(super) port: u16,
    #[serde(default = "name")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "path")]
    pub(super) ca: Option<PathBuf>,
    #[serde(default, deserialize_with = "path")]
    pub(super) app_password_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "path")]
    pub(super) janitor_password_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "path")]
    pub(super) owner_password_file: Option<PathBuf>,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ConfigError::Missing(path.to_owned()),
            _ => ConfigError::Unreadable { path: path.to_owned(), source },
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Invalid { path: path.to_owned(), source })
    }
}

fn origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Origin, D::Error> {
    let text = String::deserialize(deserializer)?;
    Origin::parse(&text).map_err(D::Error::custom)
}

/// An empty path is none, as it stands in the example.
fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

const fn closed() -> Founding {
    Founding::Closed
}

const fn port() -> u16 {
    5_432
}

fn name() -> String {
    DATABASE.to_owned()
}
