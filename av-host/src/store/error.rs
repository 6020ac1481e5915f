//! What can be wrong with a state directory, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::keystore::KeyError;

/// A state directory that cannot be used. Whatever the error, the files are as they were.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no state in the directory.
    #[error("{} holds no AgentVault state; create it first, or point to the right directory", .0.display())]
    Missing(PathBuf),
    /// There is state where new state was to be made.
    #[error("{} already holds AgentVault state; it was left alone", .0.display())]
    Exists(PathBuf),
    /// Another process has it open.
    #[error("{} is in use by another process; end that one first (a device runs once)", .0.display())]
    InUse(PathBuf),
    /// The directory or a file in it cannot be read or written.
    #[error("cannot use {}: {source}; make it readable and writable for this user", path.display())]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The state cannot be unlocked.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file is torn or was changed by something else than this program.
    #[error("{} is damaged ({detail}); it was left as it is: restore it from a backup, or move it away and enroll anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// The file is of another version of this program.
    #[error("{} has format {found}, this program reads format {known}; use the version that wrote it", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The format that it names.
        found: String,
        /// The format that this program reads.
        known: u16,
    },
    /// A commit did not become durable: the disk is full or failing.
    #[error("cannot store in {}: {detail}; nothing was sent that depends on it: make room and start again", path.display())]
    NotStored {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        detail: String,
    },
}

impl StoreError {
    pub(super) fn not_writable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::NotWritable { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, detail: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), detail: detail.to_string() }
    }

    pub(super) fn not_stored(path: &Path) -> impl Fn(redb::Error) -> Self {
        move |error| Self::NotStored { path: path.to_owned(), detail: error.to_string() }
    }
}
