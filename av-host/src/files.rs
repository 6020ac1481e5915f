//! Small files that are there whole or not at all, whatever crashes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes a file that only its owner can read, under another name first, and durable when this returns.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is a file of that name, which is left alone; otherwise what the
/// operating system says.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    // Only a file that is not there is ever made, so nobody but another first run could come in between.
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // What a crash left is begun anew; what somebody else put there, to read along, is not written into.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_entry(path)
}

/// Makes the entry of a new file durable in the directory that it stands in.
///
/// # Errors
/// What the operating system says.
pub fn sync_entry(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
