//! Where the server's binaries are, and which version they are of.

use std::env;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::error::EmbeddedError;

/// Views with `security_invoker` and the role `pg_checkpoint` came with it.
const OLDEST_MAJOR: u32 = 15;

/// Debian and Ubuntu keep a folder a major version here, outside `PATH`.
const PACKAGED: &str = "/usr/lib/postgresql";

/// A folder with `initdb` and `postgres` of one version.
#[derive(Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    /// Takes the folder given, else the first in `PATH`, else the newest packaged one.
    pub(super) fn find(given: Option<&Path>, account: &Account) -> Result<Self, EmbeddedError> {
        let folder = match given {
            Some(folder) if is_complete(folder) => folder.to_path_buf(),
            Some(folder) => return Err(EmbeddedError::Missing { looked_in: folder.display().to_string() }),
            None => in_path()
                .or_else(packaged)
                .ok_or_else(|| EmbeddedError::Missing { looked_in: format!("PATH and {PACKAGED}") })?,
        };
        let binaries = Self { major: major_version(&folder.join("postgres"), account)?, folder };
        if binaries.major < OLDEST_MAJOR {
            return Err(EmbeddedError::TooOld { found: binaries.major, oldest: OLDEST_MAJOR });
        }
        Ok(binaries)
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

fn is_complete(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

fn in_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).find(|folder| is_complete(folder))
}

fn packaged() -> Option<PathBuf> {
    let versions = std::fs::read_dir(PACKAGED).ok()?.flatten();
    let numbered = versions.filter_map(|entry| {
        let major: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((major, entry.path().join("bin")))
    });
    let newest = numbered.filter(|(_, folder)| is_complete(folder)).max()?;
    Some(newest.1)
}

/// Asked under the server's account, so that a folder which only the relay can read shows here.
fn major_version(postgres: &Path, account: &Account) -> Result<u32, EmbeddedError> {
    let output = account.command(postgres).arg("--version").output().map_err(EmbeddedError::Setpriv)?;
    let said = String::from_utf8_lossy(&output.stdout);
    parse_major(&said).ok_or_else(|| EmbeddedError::Binary {
        program: postgres.to_path_buf(),
        user: account.server().to_owned(),
        reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15, `postgres (PostgreSQL) 19beta1` is 19.
pub(super) fn parse_major(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("(PostgreSQL) ")?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version.get(..end)?.parse().ok()
}
