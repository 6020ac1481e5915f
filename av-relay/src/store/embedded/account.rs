//! Under which account the server runs, and how a program is started under it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User, geteuid};

use super::error::EmbeddedError;

/// The account that packages of PostgreSQL make for it.
const UNPRIVILEGED: &str = "postgres";

/// PostgreSQL refuses to run as root, and nothing that reads from the network should; so a relay that is started
/// as root runs its server as [`UNPRIVILEGED`], any other relay runs it as itself.
#[derive(Debug)]
pub(super) struct Account {
    /// Name of the account that the relay runs under.
    pub(super) relay: String,
    server: User,
    switches: bool,
}

impl Account {
    pub(super) fn detect() -> Result<Self, EmbeddedError> {
        let uid = geteuid();
        let nameless = EmbeddedError::NamelessUser { uid: uid.as_raw() };
        let relay = User::from_uid(uid).ok().flatten().ok_or(nameless)?;
        if uid.is_root() {
            let server = User::from_name(UNPRIVILEGED).ok().flatten().ok_or(EmbeddedError::NoAccount)?;
            Ok(Self { relay: relay.name, server, switches: true })
        } else {
            Ok(Self { relay: relay.name.clone(), server: relay, switches: false })
        }
    }

    /// Name of the account that the server runs under.
    pub(super) fn server(&self) -> &str {
        &self.server.name
    }

    pub(super) fn is_server(&self, uid: u32) -> bool {
        Uid::from_raw(uid) == self.server.uid
    }

    /// A command that runs under the server's account, with nothing of the relay's environment, and that ends
    /// when the calling *thread* does: the kernel sends the signal at the end of the thread that forked.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]);
        if self.switches {
            let (uid, gid) = (self.server.uid.to_string(), self.server.gid.to_string());
            command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups"]);
        }
        command
            .arg("--")
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C");
        command
    }

    /// Hands a file or folder over to the server's account.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.switches {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.server.uid.as_raw()), Some(self.server.gid.as_raw()))
            .map_err(|source| self.not_writable(path, source))
    }

    /// Fails for the first folder on the way to `path` that the server's account may not enter.
    pub(super) fn check_may_enter(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.switches || self.may_enter(path)? {
            return Ok(());
        }
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            if !self.may_enter(ancestor)? {
                return Err(EmbeddedError::NotTraversable {
                    path: ancestor.to_path_buf(),
                    user: self.server.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn may_enter(&self, path: &Path) -> Result<bool, EmbeddedError> {
        let status = self.command("test").arg("-x").arg(path).status();
        Ok(status.map_err(EmbeddedError::Setpriv)?.success())
    }

    pub(super) fn not_writable(&self, path: &Path, source: io::Error) -> EmbeddedError {
        EmbeddedError::NotWritable { path: PathBuf::from(path), user: self.relay.clone(), source }
    }
}
