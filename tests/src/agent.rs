//! An agent: `av agent run` as a process with a state directory and a handler program of its own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::process::Process;
use crate::{Outcome, owner};

/// Notes every message in `handled`, one a line, and answers with the message in capitals. An empty message gets
/// no answer, since an empty stdout is none.
const HANDLER: &str = "#!/bin/sh\nread -r message\nprintf '%s\\n' \"$message\" >>\"${0%/*}/handled\"\n\
                       printf '%s' \"$message\" | tr '[:lower:]' '[:upper:]'\n";

/// An agent's folder, and its process while it runs.
pub struct Agent {
    folder: PathBuf,
    trusted: Option<PathBuf>,
    process: Option<Process>,
}

impl Agent {
    /// An agent in a folder of its own within `folder`, set up with this invite; not started.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn new(folder: &Folder, name: &str, invite: &str) -> Outcome<Self> {
        Self::with_handler(folder, name, invite, HANDLER)
    }

    /// As [`Agent::new`], with this program as its handler.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn with_handler(folder: &Folder, name: &str, invite: &str, handler: &str) -> Outcome<Self> {
        fs::create_dir(folder.join(name))?;
        folder.key_file(&format!("{name}/key"))?;
        folder.write(&format!("{name}/handler"), handler.as_bytes(), 0o755)?;
        let settings = format!(
            "invite = \"{invite}\"\nexec = \"./handler\"\nstate = \"state\"\nname = \"{name}\"\nkey_file = \"key\"\n"
        );
        folder.write(&format!("{name}/agent.toml"), settings.as_bytes(), 0o600)?;
        Ok(Self { folder: folder.join(name), trusted: None, process: None })
    }

    /// An agent that runs, was approved by `owner`, whose CAs it trusts, and is active.
    ///
    /// # Errors
    /// When any step of that fails.
    pub fn enrolled(folder: &Folder, name: &str, owner: &owner::Owner) -> Outcome<Self> {
        let mut agent = Self::new(folder, name, &owner.invite(&[])?.url)?;
        agent.trusted = owner.trusted().map(Path::to_owned);
        let fingerprint = agent.enroll()?;
        owner.approve(&fingerprint)?;
        agent.process()?.expect_line("approved by")?;
        agent.process()?.expect_line("connected")?;
        Ok(agent)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When `av` cannot be started.
    pub fn start(&mut self) -> Outcome {
        let mut command = owner::av()?;
        if let Some(trusted) = &self.trusted {
            command.env("SSL_CERT_FILE", trusted);
        }
        command.args(["agent", "run"]).arg(self.folder.join("agent.toml"));
        self.process = Some(Process::spawn("av agent run", command)?);
        Ok(())
    }

    /// Starts it for the first time and gives the fingerprint that it shows while it waits for approval.
    ///
    /// # Errors
    /// When it does not get that far.
    pub fn enroll(&mut self) -> Outcome<String> {
        self.start()?;
        fingerprint(&self.process()?.expect_line("fingerprint")?)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&mut self) -> Outcome {
        self.process()?.kill()?;
        self.process = None;
        Ok(())
    }

    /// Takes the process out, to wait for its end.
    ///
    /// # Errors
    /// When it is not running.
    pub fn take(&mut self) -> Outcome<Process> {
        self.process.take().ok_or_else(|| "the agent is not running".into())
    }

    /// The running process.
    ///
    /// # Errors
    /// When it is not running.
    pub fn process(&mut self) -> Outcome<&mut Process> {
        self.process.as_mut().ok_or_else(|| "the agent is not running".into())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The key file of its state.
    pub fn key_file(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// The messages that its handler was given so far.
    ///
    /// # Errors
    /// When the handler's notes cannot be read.
    pub fn handled(&self) -> Outcome<Vec<String>> {
        match fs::read_to_string(self.folder.join("handled")) {
            Ok(notes) => Ok(notes.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The first fingerprint in `text`: 8 groups of 5 digits.
///
/// # Errors
/// When there is none.
pub fn fingerprint(text: &str) -> Outcome<String> {
    let is_group = |word: &&str| word.len() == 5 && word.bytes().all(|byte| byte.is_ascii_digit());
    let words: Vec<&str> = text.split_whitespace().collect();
    let groups = words.windows(8).find(|groups| groups.iter().all(is_group));
    groups.map(|groups| groups.join(" ")).ok_or_else(|| format!("no fingerprint in {text:?}").into())
}
