use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{KEY_FILE_LEN, KeyDerivation, KeyError, Unlock, Zeroizing};

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Zeroizing::new(text.to_owned()))
}

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The message of the error; keys themselves cannot be printed.
fn refusal(derivation: &KeyDerivation, unlock: &Unlock) -> KeyError {
    derivation.derive(unlock, false).map(|_| ()).unwrap_err()
}

#[test]
fn a_passphrase_gives_the_same_key_under_the_same_salt_only() {
    let unlock = passphrase("correct horse");
    let one = KeyDerivation::fresh(&unlock).unwrap();
    let other = KeyDerivation::fresh(&unlock).unwrap();
    let (key, check) = one.derive(&unlock, false).unwrap();
    let (again, _) = one.derive(&unlock, false).unwrap();
    let (salted, _) = other.derive(&unlock, false).unwrap();
    assert_eq!(key.expose(), again.expose());
    assert_ne!(key.expose(), salted.expose());
    assert_ne!(key.expose(), check.as_bytes(), "the stored check is not the key");

    let (_, wrong) = one.derive(&passphrase("correct horsf"), false).unwrap();
    assert!(check.verify(&check, &unlock).is_ok());
    assert!(matches!(wrong.verify(&check, &unlock), Err(KeyError::WrongPassphrase)));
}

#[test]
fn an_empty_passphrase_is_refused() {
    assert!(matches!(KeyDerivation::fresh(&passphrase("")), Err(KeyError::EmptyPassphrase)));
}

#[test]
fn the_derivation_reads_back_and_is_bounded() {
    for unlock in [passphrase("x"), Unlock::KeyFile("unused".into())] {
        let bytes = KeyDerivation::fresh(&unlock).unwrap().to_bytes();
        assert_eq!(KeyDerivation::from_bytes(&bytes).unwrap().to_bytes(), bytes);
        assert!(KeyDerivation::from_bytes(&bytes[..bytes.len() - 1]).is_none());
        assert!(KeyDerivation::from_bytes(&[&bytes[..], &[0]].concat()).is_none());
    }
    let mut greedy = KeyDerivation::fresh(&passphrase("x")).unwrap().to_bytes();
    greedy[17] = 0xff;
    assert!(KeyDerivation::from_bytes(&greedy).is_none(), "a header may not ask for terabytes");
}

#[test]
fn a_key_file_is_made_once_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let unlock = Unlock::KeyFile(path.clone());
    let derivation = KeyDerivation::fresh(&unlock).unwrap();
    assert!(
        matches!(refusal(&derivation, &unlock), KeyError::KeyFile { .. }),
        "existing state needs its own"
    );
    let (key, _) = derivation.derive(&unlock, true).unwrap();
    let content = fs::read(&path).unwrap();
    assert_eq!(content.len(), KEY_FILE_LEN);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (again, _) = derivation.derive(&unlock, true).unwrap();
    assert_eq!(key.expose(), again.expose());
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let unlock = Unlock::KeyFile(path.clone());
    let derivation = KeyDerivation::fresh(&unlock).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601] {
        write(&path, &[7; KEY_FILE_LEN], mode);
        let error = refusal(&derivation, &unlock);
        assert!(matches!(error, KeyError::KeyFileExposed(_)), "{mode:o}: {error}");
        assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
    }
    write(&path, &[7; KEY_FILE_LEN], 0o600);
    assert!(derivation.derive(&unlock, false).is_ok());
}

#[test]
fn a_key_file_of_another_length_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let unlock = Unlock::KeyFile(path.clone());
    let derivation = KeyDerivation::fresh(&unlock).unwrap();
    for length in [0, 31, 33, 4_096] {
        write(&path, &vec![7; length], 0o600);
        assert!(matches!(refusal(&derivation, &unlock), KeyError::KeyFileLength(_)), "{length}");
    }
}

#[test]
fn the_wrong_kind_of_key_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = Unlock::KeyFile(directory.path().join("key"));
    let by_passphrase = KeyDerivation::fresh(&passphrase("x")).unwrap();
    let by_file = KeyDerivation::fresh(&file).unwrap();
    assert!(matches!(refusal(&by_passphrase, &file), KeyError::NeedsPassphrase));
    assert!(matches!(refusal(&by_file, &passphrase("x")), KeyError::NeedsKeyFile));
}
