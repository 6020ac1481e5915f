//! Passwords: in a file or in the environment, never in `relay.toml`, which people show each other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::{ConfigError, Environment};

/// The password of a role, if it has one.
pub(super) fn password(
    role: &'static str,
    file: Option<&Path>,
    environment: Environment<'_>,
) -> Result<Option<Zeroizing<String>>, ConfigError> {
    let variable = format!("{}_PASSWORD", role.to_uppercase());
    match (file, environment(&variable)) {
        (Some(file), Some(_)) => Err(ConfigError::TwoPasswords { file: file.to_owned(), variable }),
        (Some(file), None) => read(file).map(Some),
        (None, password) => Ok(password.map(Zeroizing::new)),
    }
}

/// The file's first line: editors end a file with a newline.
fn read(file: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: file.to_owned(), source };
    let mode = fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(ConfigError::Exposed(file.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(unreadable)?);
    let password = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if password.is_empty() || password.contains('\n') {
        return Err(ConfigError::NoPassword(file.to_owned()));
    }
    Ok(password)
}
