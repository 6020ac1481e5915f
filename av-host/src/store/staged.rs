//! redb on a file that stays byte-identical until its content has been checked.
//!
//! Opening a redb file writes to it: it marks the file as open and repairs what a crash left behind. A file that
//! turns out to be damaged, or sealed under another passphrase, must not have been written to. So redb opens a copy
//! in memory, its writes are kept in order, and only [`StagedFile::accept`] carries them out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Bytes: the largest state file that is opened. A device with 10,000 peers has some 50 MB; a file much larger is not
/// this program's, and reading it into memory would harm the machine.
const MAX_FILE: u64 = 128 << 20;

#[derive(Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Resize(u64),
    Sync,
}

#[derive(Debug)]
enum State {
    Staged { copy: Vec<u8>, changes: Vec<Change> },
    Accepted,
}

#[derive(Debug)]
struct Shared {
    file: File,
    state: Mutex<State>,
}

/// A file, or until it is accepted a copy of it. Clones are the same file.
#[derive(Clone, Debug)]
pub(super) struct StagedFile(Arc<Shared>);

impl StagedFile {
    /// Reads the file; nothing is written until it is accepted.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any state file"));
        }
        let mut copy = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut copy, 0)?;
        let state = Mutex::new(State::Staged { copy, changes: Vec::new() });
        Ok(Self(Arc::new(Shared { file, state })))
    }

    /// Carries out what was written so far, in its order and with its syncs, so that a crash in between leaves what
    /// a crash of redb itself would leave; from now on everything goes to the file at once.
    pub(super) fn accept(&self) -> io::Result<()> {
        let mut state = self.state();
        if let State::Staged { changes, .. } = &*state {
            for change in changes {
                match change {
                    Change::Write { offset, bytes } => self.0.file.write_all_at(bytes, *offset)?,
                    Change::Resize(length) => self.0.file.set_len(*length)?,
                    Change::Sync => self.0.file.sync_data()?,
                }
            }
        }
        *state = State::Accepted;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave the state half changed: each arm below is one assignment
        // or one push, and the change is pushed before the copy follows.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn range(copy_len: usize, offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    match start.checked_add(len) {
        Some(end) if end <= copy_len => Ok(start..end),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends too early")),
    }
}

impl StorageBackend for StagedFile {
    fn len(&self) -> io::Result<u64> {
        match &*self.state() {
            State::Staged { copy, .. } => Ok(copy.len() as u64),
            State::Accepted => Ok(self.0.file.metadata()?.len()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*self.state() {
            State::Staged { copy, .. } => {
                let range = range(copy.len(), offset, out.len())?;
                out.copy_from_slice(copy.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            State::Accepted => self.0.file.read_exact_at(out, offset),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match &mut *self.state() {
            State::Staged { copy, changes } => {
                if len > MAX_FILE {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any state file"));
                }
                changes.push(Change::Resize(len));
                copy.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
                Ok(())
            }
            State::Accepted => self.0.file.set_len(len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match &mut *self.state() {
            State::Staged { changes, .. } => {
                changes.push(Change::Sync);
                Ok(())
            }
            State::Accepted => self.0.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match &mut *self.state() {
            State::Staged { copy, changes } => {
                let range = range(copy.len(), offset, data.len())?;
                changes.push(Change::Write { offset, bytes: data.to_vec() });
                copy.get_mut(range).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
                Ok(())
            }
            State::Accepted => self.0.file.write_all_at(data, offset),
        }
    }
}
