//! Making a cluster: `initdb`, the three roles and the database, and who may connect.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::account::Account;
use super::binaries::Binaries;
use super::directory::{Directory, make_empty_private};
use super::error::EmbeddedError;
use crate::store::{APP_ROLE, DATABASE, JANITOR_ROLE, OWNER_ROLE};

/// The superuser that `initdb` makes. Nobody can connect as it: it only ever speaks in single-user mode, below.
const SUPERUSER: &str = "postgres";

/// Makes the cluster beside its place and moves it there when it is whole.
pub(super) fn create(
    directory: &Directory,
    binaries: &Binaries,
    account: &Account,
) -> Result<(), EmbeddedError> {
    let folder = directory.unfinished_cluster();
    make_empty_private(&folder, account)?;
    initdb(&folder, binaries, account)?;
    make_roles(&folder, binaries, account)?;
    fs::rename(&folder, directory.cluster())
        .map_err(|source| account.not_writable(&directory.cluster(), source))
}

fn initdb(folder: &Path, binaries: &Binaries, account: &Account) -> Result<(), EmbeddedError> {
    let mut command = account.command(binaries.initdb());
    command
        .arg("--pgdata")
        .arg(folder)
        .arg(format!("--username={SUPERUSER}"))
        // Byte order for text, whatever the machine's locale: an upgrade of it cannot corrupt an index.
        .args(["--encoding=UTF8", "--locale=C", "--data-checksums"])
        .args(["--auth-local=peer", "--auth-host=reject", "--no-instructions"])
        .stdin(Stdio::null());
    let output = run(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(EmbeddedError::Failed { step: "initdb", reason: text(&output.stderr) })
}

/// One statement a line, as single-user mode reads them; the same that an operator gives a server of his own.
const ROLES: &str = include_str!("../../../roles.sql");

fn make_roles(folder: &Path, binaries: &Binaries, account: &Account) -> Result<(), EmbeddedError> {
    const STEP: &str = "making the cluster's roles";
    let failed = |reason: String| EmbeddedError::Failed { step: STEP, reason };
    let mut child = account
        .command(binaries.postgres())
        .args(["--single", "-D"])
        .arg(folder)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(EmbeddedError::Setpriv)?;
    let mut stdin = child.stdin.take().ok_or_else(|| failed("no standard input".to_owned()))?;
    let written = stdin.write_all(ROLES.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let said = text(&output.stderr);
    // Single-user mode goes on after an error and ends with status 0.
    if output.status.success() && written.is_ok() && !said.contains("ERROR:") {
        Ok(())
    } else {
        Err(failed(said))
    }
}

/// The first line of both files.
const WRITTEN: &str = "# Written by av-relay at every start.\n";

/// Says who may connect: the relay's account, over the Unix socket, as one of the three roles, to the one
/// database. Written at every start, so that neither an edit nor another account's relay outlives it.
pub(super) fn write_access_files(directory: &Directory, account: &Account) -> Result<(), EmbeddedError> {
    let cluster = directory.cluster();
    let relay = &account.relay;
    let roles = [OWNER_ROLE, APP_ROLE, JANITOR_ROLE];
    let may_be = roles.map(|role| format!("relay \"{relay}\" {role}\n")).concat();
    let files = [
        ("pg_hba.conf", format!("{WRITTEN}local {DATABASE} {} peer map=relay\n", roles.join(","))),
        ("pg_ident.conf", format!("{WRITTEN}{may_be}")),
    ];
    for (name, content) in files {
        let path = cluster.join(name);
        fs::write(&path, content).map_err(|source| account.not_writable(&path, source))?;
        account.give(&path)?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<Output, EmbeddedError> {
    command.output().map_err(EmbeddedError::Setpriv)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
