//! The data directory: what is in it, who holds it, and whether this server may use it.
//!
//! ```text
//! DATA/relay.lock      held by the relay for as long as it runs
//! DATA/cluster/        the server's own folder, 0700, of the server's account
//! DATA/socket/         the server's Unix socket, unless that path is too long for one
//! DATA/postgres.log    what the server said in this run
//! ```

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::binaries::Binaries;
use super::error::EmbeddedError;

/// The server's port: only a part of the socket's file name, for nothing listens on TCP.
pub(super) const PORT: u16 = 5432;

/// Bytes of the longest path of a Unix socket (`sun_path`, less its closing NUL).
const MAX_SOCKET_PATH: usize = 107;

/// Only its own account may enter.
const PRIVATE: u32 = 0o700;

/// A data directory that this process holds.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    socket: PathBuf,
    /// Released by the operating system when the process ends, however it ends.
    _lock: File,
}

impl Directory {
    /// Makes the directory if there is none, takes its lock, and makes the folder for the socket.
    pub(super) fn open(path: &Path, account: &Account) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(path).map_err(|source| account.not_writable(path, source))?;
        let root = path.canonicalize().map_err(|source| account.not_writable(path, source))?;
        let lock = take_lock(&root, account)?;
        account.check_may_enter(&root)?;
        let socket = socket_folder(&root).map_err(|source| account.not_writable(&root, source))?;
        make_private(&socket, account)?;
        Ok(Self { root, socket, _lock: lock })
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    /// Where a cluster is made before it takes its place, so that half of one is never taken for one.
    pub(super) fn unfinished_cluster(&self) -> PathBuf {
        self.root.join("cluster.unfinished")
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// Whether a cluster is there. Fails if it is of another major version than the binaries.
    pub(super) fn has_cluster_for(&self, binaries: &Binaries) -> Result<bool, EmbeddedError> {
        let made_by = match fs::read_to_string(self.cluster().join("PG_VERSION")) {
            Ok(version) => version.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(EmbeddedError::Failed {
                    step: "reading the cluster's version",
                    reason: error.to_string(),
                });
            }
        };
        if made_by == binaries.major.to_string() {
            Ok(true)
        } else {
            Err(EmbeddedError::OtherVersion { path: self.cluster(), made_by, found: binaries.major })
        }
    }
}

fn take_lock(root: &Path, account: &Account) -> Result<File, EmbeddedError> {
    let path = root.join("relay.lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| account.not_writable(&path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse { path: root.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(account.not_writable(&path, source)),
    }
}

/// Inside the data directory, or, where that path is too long, in a folder named after this one's inode.
fn socket_folder(root: &Path) -> io::Result<PathBuf> {
    let inside = root.join("socket");
    let file = inside.join(format!(".s.PGSQL.{PORT}"));
    if file.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(inside);
    }
    let found = fs::metadata(root)?;
    Ok(Path::new("/tmp").join(format!("agentvault-{:x}-{:x}", found.dev(), found.ino())))
}

/// Makes a folder that only the server's account may enter. One that is there already must be such a folder:
/// in /tmp anybody could have made it.
fn make_private(path: &Path, account: &Account) -> Result<(), EmbeddedError> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).map_err(|source| account.not_writable(path, source))?;
            if !found.is_dir() || !account.is_server(found.uid()) {
                let taken = io::Error::new(io::ErrorKind::AlreadyExists, "it belongs to somebody else");
                return Err(account.not_writable(path, taken));
            }
        }
        Err(source) => return Err(account.not_writable(path, source)),
    }
    fs::set_permissions(path, Permissions::from_mode(PRIVATE))
        .map_err(|source| account.not_writable(path, source))?;
    account.give(path)
}

/// Makes an empty private folder, in place of whatever was there.
pub(super) fn make_empty_private(path: &Path, account: &Account) -> Result<(), EmbeddedError> {
    match fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(account.not_writable(path, source)),
    }
    make_private(path, account)
}
