//! A folder of a test's own, gone afterwards.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Outcome;

/// A temporary folder directly under the system's, so that a socket's path stays below its limit of 107 bytes.
/// Everything in it is removed when it is dropped.
pub struct Folder {
    inner: TempDir,
}

impl Folder {
    /// Makes one. Others may pass through it (0755): PostgreSQL runs as another user when the tests run as root.
    ///
    /// # Errors
    /// When the system's temporary folder cannot be written to.
    pub fn new() -> Outcome<Self> {
        let inner = tempfile::Builder::new().prefix("agentvault-").tempdir()?;
        fs::set_permissions(inner.path(), Permissions::from_mode(0o755))?;
        Ok(Self { inner })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.inner.path()
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.inner.path().join(name)
    }

    /// Writes a file into it that only its owner may read, as key files and state must be.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, name: &str, content: &[u8], mode: u32) -> Outcome<PathBuf> {
        let path = self.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// A key file for a state directory: 32 random bytes, 0600.
    ///
    /// # Errors
    /// Those of the file system and of the system's random source.
    pub fn key_file(&self, name: &str) -> Outcome<PathBuf> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        self.write(name, &key, 0o600)
    }
}
