//! What unlocks a state directory: a key file, or a passphrase from the environment or the terminal.

use std::io::{self, IsTerminal};
use std::path::Path;

use av_host::Unlock;
use av_host::store::Store;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Where a passphrase stands when nobody can be asked. Handlers do not inherit it.
pub(crate) const PASSPHRASE_VARIABLE: &str = "AV_PASSPHRASE";

/// Finds out how the state in `directory` is, or will be, unlocked. A new passphrase is asked for twice.
pub(crate) fn unlock(directory: &Path, key_file: Option<&Path>) -> Result<Unlock, Failure> {
    if let Some(path) = key_file {
        return Ok(Unlock::KeyFile(path.to_owned()));
    }
    if let Ok(passphrase) = std::env::var(PASSPHRASE_VARIABLE) {
        return Ok(Unlock::Passphrase(Zeroizing::new(passphrase)));
    }
    if io::stdin().is_terminal() {
        return from_terminal(directory);
    }
    Err(Failure::usage(format!(
        "nobody can be asked for a passphrase here: set {PASSPHRASE_VARIABLE}, or give --key-file FILE"
    )))
}

fn from_terminal(directory: &Path) -> Result<Unlock, Failure> {
    // Ctrl-C would otherwise end the process while the terminal shows nothing of what is typed, and leave it so.
    let _heard = signal(SignalKind::interrupt())?;
    let ask = |prompt: &str| match rpassword::prompt_password(prompt) {
        Ok(passphrase) => Ok(Zeroizing::new(passphrase)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Failure::interrupted()),
        Err(error) => Err(error.into()),
    };
    if Store::exists(directory) {
        return Ok(Unlock::Passphrase(ask("Passphrase: ")?));
    }
    let first = ask("New passphrase for this device's state: ")?;
    let second = ask("The same again: ")?;
    if *first == *second {
        Ok(Unlock::Passphrase(first))
    } else {
        Err(Failure::usage("the two passphrases differ; nothing was made: try again"))
    }
}
