use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use super::write_new;

#[test]
fn a_new_file_is_whole_and_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    // What a crash in the middle leaves.
    fs::write(directory.path().join("key.new"), b"half of something longer").unwrap();
    write_new(&path, b"content").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"content");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn nothing_is_written_through_what_somebody_else_put_there() {
    let directory = tempfile::tempdir().unwrap();
    let (path, trap) = (directory.path().join("key"), directory.path().join("trap"));
    fs::write(&trap, b"").unwrap();
    std::os::unix::fs::symlink(&trap, directory.path().join("key.new")).unwrap();
    write_new(&path, b"content").unwrap();
    assert_eq!(fs::read(&trap).unwrap(), b"");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, b"precious").unwrap();
    assert_eq!(write_new(&path, b"other").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
    assert_eq!(write_new(&path, b"other").unwrap_err().kind(), ErrorKind::AlreadyExists);
}
