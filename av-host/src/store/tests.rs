use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Inspection, Store, StoreError};
use crate::keystore::{KeyError, Unlock};

type Records = Vec<([u8; 3], Vec<u8>)>;

/// A state directory in a directory of the test's own, unlocked by a key file, which is quick.
struct Home {
    _directory: tempfile::TempDir,
    state: PathBuf,
    unlock: Unlock,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let unlock = Unlock::KeyFile(directory.path().join("key"));
        Self { _directory: directory, state, unlock }
    }

    fn with_records(records: &[([u8; 3], &[u8])]) -> Self {
        let home = Self::new();
        let store = Store::create(&home.state, &home.unlock).unwrap();
        put(&store, records);
        home
    }

    fn file(&self) -> PathBuf {
        self.state.join(super::STATE)
    }

    fn inspect(&self) -> Result<Inspection, StoreError> {
        Store::inspect(&self.state, &self.unlock)
    }

    fn records(&self) -> Result<Records, StoreError> {
        read(&self.inspect()?)
    }
}

fn put(store: &Store, records: &[([u8; 3], &[u8])]) {
    store.commit(|batch| records.iter().try_for_each(|(key, sealed)| batch.put(*key, sealed))).unwrap();
}

fn read(inspection: &Inspection) -> Result<Records, StoreError> {
    let mut records = Vec::new();
    inspection.restore(|key, sealed| {
        records.push((key, sealed.to_vec()));
        Ok::<(), String>(())
    })?;
    Ok(records)
}

fn refusal(result: Result<Inspection, StoreError>) -> StoreError {
    result.map(|_| ()).unwrap_err()
}

#[test]
fn a_batch_is_there_after_reopening() {
    let home = Home::with_records(&[([1, 0, 0], b"identity"), ([4, 0, 1], b"peer"), ([7, 0, 0], b"inbox")]);
    let store = home.inspect().unwrap().accept().unwrap();
    store
        .commit(|batch| {
            batch.put([4, 0, 1], b"peer, changed")?;
            batch.delete([7, 0, 0])?;
            batch.delete([7, 0, 9])
        })
        .unwrap();
    drop(store);
    let expected = [([1, 0, 0], b"identity".to_vec()), ([4, 0, 1], b"peer, changed".to_vec())];
    assert_eq!(home.records().unwrap(), expected);
}

#[test]
fn a_batch_that_fails_changes_nothing() {
    let home = Home::with_records(&[([1, 0, 0], b"before")]);
    let store = home.inspect().unwrap().accept().unwrap();
    let error = store.commit(|batch| {
        batch.put([1, 0, 0], b"after")?;
        Err(batch.abandon())
    });
    assert!(matches!(error, Err(StoreError::NotStored { .. })));
    drop(store);
    assert_eq!(home.records().unwrap(), [([1, 0, 0], b"before".to_vec())]);
}

#[test]
fn directory_and_files_are_their_owners_alone() {
    let home = Home::with_records(&[]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.state), 0o700);
    for entry in fs::read_dir(&home.state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn new_state_never_replaces_old() {
    let home = Home::with_records(&[([1, 0, 0], b"precious")]);
    let before = fs::read(home.file()).unwrap();
    let error = Store::create(&home.state, &home.unlock).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Exists(_)), "{error}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[test]
fn an_unfinished_creation_is_begun_anew() {
    let home = Home::new();
    fs::create_dir(&home.state).unwrap();
    fs::write(home.state.join(super::UNFINISHED), b"half a database").unwrap();
    assert!(matches!(refusal(home.inspect()), StoreError::Missing(_)));
    drop(Store::create(&home.state, &home.unlock).unwrap());
    assert_eq!(home.records().unwrap(), []);
}

#[test]
fn a_missing_directory_is_named_and_not_made() {
    let home = Home::new();
    let error = refusal(home.inspect());
    assert!(matches!(error, StoreError::Missing(_)), "{error}");
    assert!(!home.state.exists());
}

#[test]
fn a_second_user_is_refused_until_the_first_is_done() {
    let home = Home::with_records(&[([1, 0, 0], b"one at a time")]);
    let before = fs::read(home.file()).unwrap();
    let first = home.inspect().unwrap();
    let error = refusal(home.inspect());
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
    drop(first);
    assert_eq!(home.records().unwrap().len(), 1);
}

#[test]
fn a_wrong_key_leaves_the_file_byte_identical() {
    let home = Home::with_records(&[([1, 0, 0], b"sealed")]);
    let before = fs::read(home.file()).unwrap();
    let other = home.state.parent().unwrap().join("other");
    fs::write(&other, [9; 32]).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let error = refusal(Store::inspect(&home.state, &Unlock::KeyFile(other)));
    assert!(matches!(error, StoreError::Key(KeyError::WrongKeyFile(_))), "{error}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[test]
fn a_wrong_passphrase_leaves_the_file_byte_identical_and_the_right_one_opens_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let passphrase = |text: &str| Unlock::Passphrase(Zeroizing::new(text.to_owned()));
    let store = Store::create(&state, &passphrase("right")).unwrap();
    put(&store, &[([1, 0, 0], b"sealed")]);
    drop(store);
    let before = fs::read(state.join(super::STATE)).unwrap();
    let error = refusal(Store::inspect(&state, &passphrase("wrong")));
    assert!(matches!(error, StoreError::Key(KeyError::WrongPassphrase)), "{error}");
    assert_eq!(fs::read(state.join(super::STATE)).unwrap(), before);
    assert_eq!(read(&Store::inspect(&state, &passphrase("right")).unwrap()).unwrap().len(), 1);
}

#[test]
fn inspecting_without_accepting_leaves_the_file_byte_identical() {
    let home = Home::with_records(&[([1, 0, 0], b"sealed")]);
    let before = fs::read(home.file()).unwrap();
    let inspection = home.inspect().unwrap();
    let error = inspection.restore(|_, _| Err("the record does not open")).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("the record does not open"), "{error}");
    drop(inspection);
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[test]
fn another_format_is_named_and_left_alone() {
    let home = Home::with_records(&[]);
    let store = home.inspect().unwrap().accept().unwrap();
    store
        .write(|transaction| {
            let mut header = transaction.open_table(super::HEADER)?;
            header.insert("format", [0, 9].as_slice())?;
            Ok(())
        })
        .unwrap();
    drop(store);
    let before = fs::read(home.file()).unwrap();
    let error = refusal(home.inspect());
    assert!(matches!(&error, StoreError::OtherVersion { found, known: 1, .. } if found == "9"), "{error}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[test]
fn a_truncated_file_is_an_error_at_every_length_and_left_alone() {
    let home = Home::with_records(&[([1, 0, 0], &[0x5a; 3_000])]);
    let whole = fs::read(home.file()).unwrap();
    let lengths =
        (0..whole.len()).step_by(whole.len().div_ceil(64)).chain([1, 63, 64, 320, 4_095, 4_096, 4_097]);
    for length in lengths {
        let torn = &whole[..length];
        fs::write(home.file(), torn).unwrap();
        let error = refusal(home.inspect());
        assert!(matches!(error, StoreError::Damaged { .. }), "{length} of {}: {error}", whole.len());
        assert!(fs::read(home.file()).unwrap() == torn, "{length}: the file was written to");
    }
    fs::write(home.file(), &whole).unwrap();
    assert_eq!(home.records().unwrap().len(), 1);
}

/// Every page, at three places each. A flip where nothing is stored does no harm; anywhere else it is an error.
/// Neither is ever read as something else, and the file stays as it is.
#[test]
fn a_flipped_byte_is_an_error_or_harmless_and_never_another_state() {
    let home = Home::with_records(&[([1, 0, 0], &[0x5a; 3_000]), ([4, 0, 3], &[0xa5; 2_000])]);
    let expected = home.records().unwrap();
    let whole = fs::read(home.file()).unwrap();
    let mut errors = 0;
    for place in (0..whole.len()).step_by(4_096).flat_map(|page| [page, page + 9, page + 2_049]) {
        let mut flipped = whole.clone();
        if let Some(byte) = flipped.get_mut(place) {
            *byte ^= 0x10;
        }
        fs::write(home.file(), &flipped).unwrap();
        match home.records() {
            Ok(records) => assert_eq!(records, expected, "byte {place}"),
            Err(StoreError::Damaged { .. } | StoreError::OtherVersion { .. }) => errors += 1,
            Err(error) => panic!("byte {place}: {error}"),
        }
        assert!(fs::read(home.file()).unwrap() == flipped, "byte {place}: the file was written to");
    }
    assert!(errors > 0, "at least header and records are covered");
}

/// What a killed process leaves: the file as it was while it was open.
#[test]
fn a_file_that_was_never_closed_opens_with_every_commit() {
    let home = Home::with_records(&[([1, 0, 0], b"first")]);
    let store = home.inspect().unwrap().accept().unwrap();
    for index in 0..20 {
        put(&store, &[([6, 0, index], &[index; 700])]);
    }
    let killed = fs::read(home.file()).unwrap();
    drop(store);
    fs::write(home.file(), &killed).unwrap();
    let inspection = home.inspect().unwrap();
    assert_eq!(read(&inspection).unwrap().len(), 21);
    assert!(fs::read(home.file()).unwrap() == killed, "inspecting repairs nothing");
    let store = inspection.accept().unwrap();
    put(&store, &[([6, 0, 99], b"after the repair")]);
    drop(store);
    assert_eq!(home.records().unwrap().len(), 22);
}
