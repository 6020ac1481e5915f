//! Where the programs under test are.

use std::path::PathBuf;

use crate::Outcome;

/// The path of a program of this workspace: it was built into the folder that this test or the demo stands in.
///
/// # Errors
/// When it is not there.
pub fn find(name: &str) -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    // A test binary stands in `deps`, one level below the programs.
    let program = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    program.ok_or_else(|| format!("`{name}` is not built: run `cargo build --workspace --bins` first").into())
}
