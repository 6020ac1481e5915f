//! An owner: the `av` command on a state directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder::Folder;
use crate::process::{Finished, Process};
use crate::{Outcome, programs};

/// An owner's state directory and its key file.
#[derive(Clone, Debug)]
pub struct Owner {
    home: PathBuf,
    key_file: PathBuf,
    trusted: Option<PathBuf>,
}

/// An invite as `av invite` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// `av1:?…#…`: with the relay and the inviting device.
    pub url: String,
    /// `av1-…`: the token alone.
    pub text: String,
}

impl Owner {
    /// An owner in `folder`, not founded yet; with a fresh key file.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(folder: &Folder, name: &str) -> Outcome<Self> {
        Ok(Self {
            home: folder.join(name),
            key_file: folder.key_file(&format!("{name}.key"))?,
            trusted: None,
        })
    }

    /// An owner that founded a tenant at the relay of this origin.
    ///
    /// # Errors
    /// When `av init` fails.
    pub fn found(folder: &Folder, name: &str, origin: &str) -> Outcome<Self> {
        let owner = Self::new(folder, name)?;
        owner.run(&["init", "--relay", origin, "--name", name])?.success()?;
        Ok(owner)
    }

    /// From now on it trusts the CAs in this file, and no others.
    pub fn trust(&mut self, authorities: &Path) {
        self.trusted = Some(authorities.to_owned());
    }

    /// Its state directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its key file.
    pub fn key_file(&self) -> &Path {
        &self.key_file
    }

    /// `av` with these arguments, on this state.
    ///
    /// # Errors
    /// When `av` is not built.
    pub fn command(&self, arguments: &[&str]) -> Outcome<Command> {
        let mut command = av()?;
        if let Some(folder) = self.home.parent() {
            command.current_dir(folder);
        }
        if let Some(trusted) = &self.trusted {
            command.env("SSL_CERT_FILE", trusted);
        }
        command.arg("--home").arg(&self.home).arg("--key-file").arg(&self.key_file).args(arguments);
        Ok(command)
    }

    /// Runs `av` to its end, without input.
    ///
    /// # Errors
    /// When it cannot be started or does not end; a failure of the command itself is in what it left.
    pub fn run(&self, arguments: &[&str]) -> Outcome<Finished> {
        Process::run(&format!("av {}", arguments.join(" ")), self.command(arguments)?, "")
    }

    /// Starts `av` and leaves it running.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Outcome<Process> {
        Process::spawn(&format!("av {}", arguments.join(" ")), self.command(arguments)?)
    }

    /// The CAs that it trusts, where that is not for the computer to say.
    pub fn trusted(&self) -> Option<&Path> {
        self.trusted.as_deref()
    }

    /// Makes an invite for an agent.
    ///
    /// # Errors
    /// When the command fails or shows none.
    pub fn invite(&self, arguments: &[&str]) -> Outcome<Invite> {
        let finished = self.run(&[&["invite"], arguments].concat())?.success()?;
        let word = |prefix: &str| {
            let words = finished.stdout.split_whitespace();
            words
                .map(str::to_owned)
                .find(|word| word.starts_with(prefix))
                .ok_or_else(|| format!("no {prefix} in {finished:#?}"))
        };
        Ok(Invite { url: word("av1:?")?, text: word("av1-")? })
    }

    /// Waits for the request of the device with this fingerprint and approves it.
    ///
    /// # Errors
    /// When the command fails.
    pub fn approve(&self, fingerprint: &str) -> Outcome<Finished> {
        self.run(&["approve", "--wait", "--fingerprint", fingerprint])?.success()
    }

    /// Sends `lines` to `peer` and waits until they are accepted and `answers` messages have come.
    ///
    /// # Errors
    /// When the command fails.
    pub fn chat(&self, peer: &str, lines: &[&str], answers: usize) -> Outcome<Finished> {
        self.try_chat(peer, lines, answers)?.success()
    }

    /// As [`Owner::chat`], whatever comes of it.
    ///
    /// # Errors
    /// When `av` cannot be started or does not end.
    pub fn try_chat(&self, peer: &str, lines: &[&str], answers: usize) -> Outcome<Finished> {
        let arguments = ["chat", peer, "--expect", &answers.to_string()];
        let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Process::run("av chat", self.command(&arguments)?, &input)
    }
}

/// The `av` command, with nothing of the caller's environment that it would read.
///
/// # Errors
/// When it is not built.
pub fn av() -> Outcome<Command> {
    let mut command = Command::new(programs::find("av")?);
    for variable in ["AV_HOME", "AV_KEY_FILE", "AV_PASSPHRASE", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(variable);
    }
    Ok(command)
}
