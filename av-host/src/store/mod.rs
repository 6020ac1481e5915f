//! A device's state on disk: sealed records in one transactional file, in a directory that is its owner's alone.
//!
//! ```text
//! DIR/            0700
//!   lock          0600   held while a process uses the state
//!   state.redb    0600   table "header" (plain: format, key derivation, key check), table "records" (sealed)
//! ```
//!
//! The records' values are sealed by the endpoint (`PROTOCOL.md` section 8); this module sees their keys, three
//! bytes each, and opaque values.

mod error;
mod header;
mod staged;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};

pub use error::StoreError;
use header::{FORMAT, HEADER, Header, HeaderError};
use staged::StagedFile;

use crate::files::sync_entry;
use crate::keystore::{KeyDerivation, StoreKey, Unlock};

const RECORDS: TableDefinition<'_, [u8; 3], &[u8]> = TableDefinition::new("records");

const STATE: &str = "state.redb";
/// New state is made under this name and takes its place whole.
const UNFINISHED: &str = "state.redb.new";
const LOCK: &str = "lock";

/// Bytes of redb's page cache: more than a device's whole state.
const CACHE: usize = 4 << 20;

/// An open state directory. Dropping it closes it.
pub struct Store {
    path: PathBuf,
    database: Database,
    key: StoreKey,
    _lock: File,
}

/// State that is unlocked but not yet accepted: its files are still exactly as they were found.
pub struct Inspection {
    store: Store,
    staged: StagedFile,
}

/// The changes of one commit.
pub struct Batch<'txn, 'store> {
    records: redb::Table<'txn, [u8; 3], &'static [u8]>,
    path: &'store Path,
}

impl Batch<'_, '_> {
    /// Stores a record in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError::NotStored`]; the commit is void.
    pub fn put(&mut self, key: [u8; 3], sealed: &[u8]) -> Result<(), StoreError> {
        self.records.insert(key, sealed).map_err(|error| StoreError::not_stored(self.path)(error.into()))?;
        Ok(())
    }

    /// Removes a record; one that is not there is none the worse.
    ///
    /// # Errors
    /// [`StoreError::NotStored`]; the commit is void.
    pub fn delete(&mut self, key: [u8; 3]) -> Result<(), StoreError> {
        self.records.remove(key).map_err(|error| StoreError::not_stored(self.path)(error.into()))?;
        Ok(())
    }
}

impl Batch<'_, '_> {
    /// The error that voids this commit when its content cannot be made.
    pub fn abandon(&self) -> StoreError {
        StoreError::NotStored {
            path: self.path.to_owned(),
            detail: "a record is larger than its maximum".to_owned(),
        }
    }
}

impl Store {
    /// Whether the directory holds state.
    pub fn exists(directory: &Path) -> bool {
        directory.join(STATE).exists()
    }

    /// Makes new, empty state under a fresh salt; the directory is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError`]; then there is no new state.
    pub fn create(directory: &Path, unlock: &Unlock) -> Result<Self, StoreError> {
        let path = directory.join(STATE);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(StoreError::not_writable(directory))?;
        let lock = lock(directory)?;
        if path.exists() {
            return Err(StoreError::Exists(directory.to_owned()));
        }
        let derivation = KeyDerivation::fresh(unlock)?;
        let (key, check) = derivation.derive(unlock, true)?;

        let unfinished = directory.join(UNFINISHED);
        let failed = StoreError::not_stored(&path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(StoreError::not_writable(&unfinished))?;
        let staged = StagedFile::open(file).map_err(StoreError::not_writable(&unfinished))?;
        staged.accept().map_err(StoreError::not_writable(&unfinished))?;
        let database = builder().create_with_backend(staged).map_err(|error| failed(error.into()))?;
        let store = Self { path: path.clone(), database, key, _lock: lock };
        store.write(|transaction| {
            Header { derivation, check }.write(&mut transaction.open_table(HEADER)?)?;
            transaction.open_table(RECORDS)?;
            Ok(())
        })?;
        // The name appears only with its content on disk, and the directory's entry is on disk before anything
        // that depends on it leaves this machine.
        std::fs::rename(&unfinished, &path).map_err(StoreError::not_writable(&path))?;
        sync_entry(&path).map_err(StoreError::not_writable(directory))?;
        Ok(store)
    }

    /// Unlocks existing state without writing to it.
    ///
    /// # Errors
    /// [`StoreError`]; the files are as they were.
    pub fn inspect(directory: &Path, unlock: &Unlock) -> Result<Inspection, StoreError> {
        let path = directory.join(STATE);
        match std::fs::metadata(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing(directory.to_owned()));
            }
            Err(error) => return Err(StoreError::not_writable(&path)(error)),
        }
        let lock = lock(directory)?;
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(StoreError::not_writable(&path))?;
        let staged = StagedFile::open(file).map_err(StoreError::not_writable(&path))?;
        let database = open(&path, staged.clone())?;
        let header = read_header(&path, &database)?;
        let (key, check) = header.derivation.derive(unlock, false)?;
        check.verify(&header.check, unlock)?;
        Ok(Inspection { store: Self { path, database, key, _lock: lock }, staged })
    }

    /// The key that records are sealed under.
    pub fn key(&self) -> &StoreKey {
        &self.key
    }

    /// Applies one batch: when this returns, all of it is on disk, or none of it and an error.
    ///
    /// # Errors
    /// [`StoreError::NotStored`], or what `fill` returns.
    pub fn commit(
        &self,
        fill: impl FnOnce(&mut Batch<'_, '_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        self.write(|transaction| {
            let records = transaction.open_table(RECORDS)?;
            outcome = fill(&mut Batch { records, path: &self.path });
            match outcome {
                Ok(()) => Ok(()),
                // Any error keeps the transaction from being committed; the one in `outcome` is reported.
                Err(_) => Err(redb::Error::PreviousIo),
            }
        })
        .or_else(|error| outcome.and(Err(error)))
    }

    /// One sealed record.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], also when it is not there.
    pub fn record(&self, key: [u8; 3]) -> Result<Vec<u8>, StoreError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let records = self.database.begin_read()?.open_table(RECORDS)?;
            Ok(records.get(key)?.map(|sealed| sealed.value().to_vec()))
        };
        let sealed = read().map_err(|error| self.damaged(error))?;
        sealed.ok_or_else(|| self.damaged("a record is missing"))
    }

    /// The error for state whose records do not fit together.
    pub fn damaged(&self, detail: impl ToString) -> StoreError {
        StoreError::damaged(&self.path, detail)
    }

    fn write(
        &self,
        fill: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let attempt = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            // The endpoint transmits as soon as this returns; a power cut right after it must not take it back.
            transaction.set_durability(Durability::Immediate)?;
            fill(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        attempt().map_err(StoreError::not_stored(&self.path))
    }
}

impl Inspection {
    /// The key that records are sealed under.
    pub fn key(&self) -> &StoreKey {
        self.store.key()
    }

    /// Hands every record to `restore`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what `restore` says of the first record that it refuses.
    pub fn restore<E: ToString>(
        &self,
        mut restore: impl FnMut([u8; 3], &[u8]) -> Result<(), E>,
    ) -> Result<(), StoreError> {
        let path = &self.store.path;
        let damaged = |error: redb::Error| StoreError::damaged(path, error);
        let transaction = self.store.database.begin_read().map_err(|error| damaged(error.into()))?;
        let records = transaction.open_table(RECORDS).map_err(|error| damaged(error.into()))?;
        for entry in records.iter().map_err(|error| damaged(error.into()))? {
            let (key, sealed) = entry.map_err(|error| damaged(error.into()))?;
            restore(key.value(), sealed.value()).map_err(|error| StoreError::damaged(path, error))?;
        }
        Ok(())
    }

    /// The error for state whose records do not fit together.
    pub fn damaged(&self, detail: impl ToString) -> StoreError {
        self.store.damaged(detail)
    }

    /// Takes the state into use: what opening it had to repair is written now.
    ///
    /// # Errors
    /// [`StoreError::NotWritable`].
    pub fn accept(self) -> Result<Store, StoreError> {
        self.staged.accept().map_err(StoreError::not_writable(&self.store.path))?;
        Ok(self.store)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// One process at a time; the operating system releases the lock when the process ends, however it ends.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::not_writable(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::not_writable(&path)(error)),
    }
}

fn open(path: &Path, staged: StagedFile) -> Result<Database, StoreError> {
    if redb::StorageBackend::len(&staged).unwrap_or(0) == 0 {
        // redb would make a new database of it.
        return Err(StoreError::damaged(path, "it is empty"));
    }
    let mut builder = builder();
    // The checksums of every page, also where redb believes that the file was closed well: a torn page is found
    // now, not when the record on it is needed.
    builder.set_check_integrity_on_open(true);
    // redb's debug builds assert what release builds report as an error.
    match catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(staged))) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::UpgradeRequired(found))) => Err(StoreError::OtherVersion {
            path: path.to_owned(),
            found: format!("redb {found}"),
            known: FORMAT,
        }),
        Ok(Err(error)) => Err(StoreError::damaged(path, error)),
        Err(_) => Err(StoreError::damaged(path, "its pages contradict each other")),
    }
}

fn read_header(path: &Path, database: &Database) -> Result<Header, StoreError> {
    let damaged = |error: redb::Error| StoreError::damaged(path, error);
    let transaction = database.begin_read().map_err(|error| damaged(error.into()))?;
    let table = transaction.open_table(HEADER).map_err(|error| damaged(error.into()))?;
    Header::read(&table).map_err(|error| match error {
        HeaderError::Version(found) => {
            StoreError::OtherVersion { path: path.to_owned(), found, known: FORMAT }
        }
        HeaderError::Damaged(detail) => StoreError::damaged(path, detail),
        HeaderError::Storage(error) => damaged(error.into()),
    })
}

#[cfg(test)]
mod tests;
