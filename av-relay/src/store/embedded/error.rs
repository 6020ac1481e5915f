//! What can go wrong with the private cluster, each with what to do about it.

use std::io;
use std::path::PathBuf;

/// Why the private cluster does not run. Nothing in the data directory was changed by the failure.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No server binaries were found.
    #[error(
        "PostgreSQL is not installed (looked in {looked_in}).\n\
         Install it: apt-get install --no-install-recommends postgresql\n\
         or name a folder that holds initdb and postgres: --pg-bin DIR (or AV_PG_BIN=DIR)"
    )]
    Missing {
        /// The places looked at.
        looked_in: String,
    },
    /// The binaries are there and do not run.
    #[error(
        "{program} does not run as user {user}: {reason}\n\
         Its folder must be readable by that user; another one can be named by --pg-bin DIR"
    )]
    Binary {
        /// The binary.
        program: PathBuf,
        /// Who tried to run it.
        user: String,
        /// What the system said.
        reason: String,
    },
    /// The server is older than the oldest one that the isolation rests on.
    #[error(
        "PostgreSQL {found} is too old: version {oldest} or newer is needed (--pg-bin DIR names another)"
    )]
    TooOld {
        /// Major version found.
        found: u32,
        /// Oldest major version that will do.
        oldest: u32,
    },
    /// `setpriv` is missing.
    #[error("setpriv does not run: {0}\nInstall it: apt-get install util-linux")]
    Setpriv(io::Error),
    /// Started as root where no unprivileged account exists.
    #[error(
        "PostgreSQL does not run as root, and this machine has no user `postgres` to run it as.\n\
         Installing it from packages makes one (apt-get install --no-install-recommends postgresql); \
         or start av-relay as another user"
    )]
    NoAccount,
    /// The operating system does not know who runs the relay.
    #[error(
        "the user that runs av-relay (uid {uid}) has no name on this machine, and PostgreSQL knows users by name"
    )]
    NamelessUser {
        /// Its number.
        uid: u32,
    },
    /// A folder or file cannot be made or written.
    #[error("cannot write {path}: {source}\nGive a folder that user {user} may write to: --data DIR")]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// Who tried.
        user: String,
        /// What the system said.
        source: io::Error,
    },
    /// The unprivileged user cannot reach the data directory.
    #[error(
        "user {user}, as which PostgreSQL runs, may not enter {path}.\n\
         Allow it (chmod o+x {path}) or give another folder: --data DIR"
    )]
    NotTraversable {
        /// The first folder on the way that is closed.
        path: PathBuf,
        /// The unprivileged user.
        user: String,
    },
    /// Another relay uses the data directory.
    #[error(
        "the data directory {path} is in use by another av-relay; stop it or give another folder: --data DIR"
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// A server from an earlier run does not end.
    #[error(
        "a PostgreSQL server of an earlier run (pid {pid}) still holds {path} and does not stop; stop it first"
    )]
    StillRunning {
        /// The cluster's folder.
        path: PathBuf,
        /// The server's process id.
        pid: i32,
    },
    /// The data directory belongs to another major version.
    #[error(
        "the data directory {path} was made by PostgreSQL {made_by}, the binaries found are version {found}.\n\
         Name the binaries of version {made_by} (--pg-bin DIR) or give another folder: --data DIR"
    )]
    OtherVersion {
        /// The cluster's folder.
        path: PathBuf,
        /// Its major version, as written there.
        made_by: String,
        /// Major version of the binaries.
        found: u32,
    },
    /// A step of making or starting the cluster failed.
    #[error("{step} failed: {reason}")]
    Failed {
        /// What was done.
        step: &'static str,
        /// What the program said.
        reason: String,
    },
}
