//! The program that answers messages: one process a message, the payload on stdin, the answer on stdout.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use av_host::av_proto::HostEndpoint;
use av_host::av_proto::wire::{DeviceId, MessageId};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::failure::Failure;
use crate::lock::PASSPHRASE_VARIABLE;

/// Times that a handler may fail on a message. A message that fails it for ever must not block those behind it.
pub(super) const TRIES: u32 = 3;

/// Before the second try, and doubled before each further one: what the handler needs may just be starting.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Bytes: an answer longer than the largest frame cannot be sent anyway.
const MAX_ANSWER: usize = HostEndpoint::MAX_MESSAGE;

/// How a handler is started.
pub(super) struct Handler {
    program: PathBuf,
    directory: PathBuf,
    timeout: Duration,
}

/// What a handler is asked.
pub(super) struct Question<'m> {
    pub(super) from: DeviceId,
    pub(super) from_name: &'m str,
    pub(super) id: MessageId,
    pub(super) payload: &'m [u8],
}

/// Why a handler did not answer.
#[derive(Debug, thiserror::Error)]
enum HandlerError {
    #[error("it cannot be started: {0}")]
    Start(io::Error),
    #[error("its input or output broke: {0}")]
    Pipe(io::Error),
    #[error("it ended with {0}")]
    Status(ExitStatus),
    #[error("it took longer than {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    #[error("its answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
}

impl Handler {
    /// Checks now what would otherwise fail on the first message.
    pub(super) fn new(program: &Path, directory: &Path, timeout: Duration) -> Result<Self, Failure> {
        let unusable = |why: &str| Failure::usage(format!("exec: {} {why}", program.display()));
        let metadata =
            std::fs::metadata(program).map_err(|error| unusable(&format!("cannot be used: {error}")))?;
        if !metadata.is_file() {
            return Err(unusable("is no program"));
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(unusable(&format!("is not executable; run: chmod +x {}", program.display())));
        }
        Ok(Self { program: program.to_owned(), directory: directory.to_owned(), timeout })
    }

    /// The answer to a message, empty for none; `None` when the handler failed on it for good.
    ///
    /// Not cancel safe: a handler under way is ended, and the message, which is not confirmed, offered again.
    pub(super) async fn answer(&self, question: &Question<'_>) -> Option<Vec<u8>> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            match self.attempt(question).await {
                Ok(answer) => return Some(answer),
                Err(error) => tracing::warn!(id = %question.id, attempt, "the handler failed: {error}"),
            }
            if attempt < TRIES {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        None
    }

    async fn attempt(&self, question: &Question<'_>) -> Result<Vec<u8>, HandlerError> {
        let child = Command::new(&self.program)
            .current_dir(&self.directory)
            .env("AV_FROM", question.from.to_string())
            .env("AV_FROM_NAME", question.from_name)
            .env("AV_MESSAGE_ID", question.id.to_string())
            .env_remove(PASSPHRASE_VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own: it is ended whole, and Ctrl-C on the terminal is for the agent alone.
            .process_group(0)
            .spawn()
            .map_err(HandlerError::Start)?;
        let mut group = Group(child);
        tokio::time::timeout(self.timeout, converse(&mut group.0, question.payload))
            .await
            .unwrap_or(Err(HandlerError::Timeout(self.timeout)))
    }
}

/// A handler with whatever it has started itself; ended when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // The id is gone once the handler was waited for, and with it the right to signal that group.
        let leader = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // It may have ended in this instant, which is what is wanted.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

async fn converse(child: &mut Child, payload: &[u8]) -> Result<Vec<u8>, HandlerError> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(HandlerError::Pipe(io::ErrorKind::BrokenPipe.into()));
    };
    let feed = async move {
        match stdin.write_all(payload).await {
            // A handler need not read what it does not care for.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    };
    let collect = async {
        let mut answer = Vec::new();
        stdout.take(MAX_ANSWER as u64 + 1).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    // Both at once: a handler may begin to answer before it has read everything.
    let ((), answer) = tokio::try_join!(feed, collect).map_err(HandlerError::Pipe)?;
    if answer.len() > MAX_ANSWER {
        return Err(HandlerError::TooLong);
    }
    let status = child.wait().await.map_err(HandlerError::Pipe)?;
    if status.success() { Ok(answer) } else { Err(HandlerError::Status(status)) }
}

#[cfg(test)]
#[path = "handler_tests.rs"]
mod tests;
