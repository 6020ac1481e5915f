//! A program as a process: its lines as they come, its end by its id.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{DEADLINE, wait_until};
use crate::{Failure, Outcome};

/// A running program. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
    /// Lines of stdout that [`Process::expect_line`] has passed.
    read: usize,
}

/// What a program that ended has left.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; 128 + n when signal n ended it, as a shell says it.
    pub status: i32,
    /// Everything it printed.
    pub stdout: String,
    /// Everything it logged.
    pub stderr: String,
}

impl Finished {
    /// The program must have succeeded.
    ///
    /// # Errors
    /// With all its output when it did not.
    pub fn success(self) -> Outcome<Self> {
        if self.status == 0 { Ok(self) } else { Err(format!("it failed: {self:#?}").into()) }
    }

    /// The program must have ended with this status.
    ///
    /// # Errors
    /// With all its output when it did not.
    pub fn with_status(self, status: i32) -> Outcome<Self> {
        if self.status == status {
            Ok(self)
        } else {
            Err(format!("expected status {status}: {self:#?}").into())
        }
    }

    /// Stdout and stderr in one, for a search of what was said.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Stdout's first line that contains `text`.
    ///
    /// # Errors
    /// With all its output when there is none.
    pub fn line(&self, text: &str) -> Outcome<&str> {
        self.stdout
            .lines()
            .find(|line| line.contains(text))
            .ok_or_else(|| format!("no line {text:?} in {self:#?}").into())
    }
}

impl Process {
    /// Starts `command` with its three streams in our hands.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &str, mut command: Command) -> Outcome<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let stdout = Lines::collect(child.stdout.take())?;
        let stderr = Lines::collect(child.stderr.take())?;
        Ok(Self { name: name.to_owned(), stdin: child.stdin.take(), child, stdout, stderr, read: 0 })
    }

    /// Starts `command`, gives it `input` and waits for its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time.
    pub fn run(name: &str, command: Command, input: &str) -> Outcome<Finished> {
        let mut process = Self::spawn(name, command)?;
        process.write(input)?;
        process.close_stdin();
        process.finish()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its stdin. A program that has ended and reads no more is no error here: its status tells.
    ///
    /// # Errors
    /// Any other failure to write.
    pub fn write(&mut self, text: &str) -> Outcome {
        let Some(stdin) = &mut self.stdin else {
            return Err(format!("stdin of {} is closed", self.name).into());
        };
        match stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Ends its input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the next line of stdout that contains `text`, behind the one that an earlier call found.
    ///
    /// # Errors
    /// After the deadline, or when the program ends without such a line; with everything it said.
    pub fn expect_line(&mut self, text: &str) -> Outcome<String> {
        let found = wait_until(&format!("{} prints {text:?}", self.name), DEADLINE, || {
            // Asked before the lines are looked at, so that the last lines of an ended program count.
            let ended = self.child.try_wait()?;
            let complete = ended.is_some() && self.stdout.is_complete();
            if let Some((index, line)) = self.stdout.find(self.read, text) {
                self.read = index + 1;
                return Ok(Some(line));
            }
            match ended {
                Some(status) if complete => {
                    Err(format!("{} ended ({status}) without {text:?}", self.name).into())
                }
                _ => Ok(None),
            }
        });
        found.map_err(|error| self.explain(error))
    }

    /// All lines of stdout so far.
    pub fn lines(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// All lines of stderr so far.
    pub fn log(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn is_running(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Outcome {
        signal_process(self.id(), signal)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// Those of the system.
    pub fn kill(&mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end and takes what it left.
    ///
    /// # Errors
    /// After the deadline, with everything it said.
    pub fn finish(mut self) -> Outcome<Finished> {
        let what = format!("{} ends", self.name);
        let status =
            wait_until(&what, DEADLINE, || Ok(self.child.try_wait()?)).map_err(|e| self.explain(e))?;
        // A process that it left behind may hold its streams open for a moment.
        let streams = format!("the streams of {} end", self.name);
        wait_until(&streams, DEADLINE, || {
            Ok((self.stdout.is_complete() && self.stderr.is_complete()).then_some(()))
        })?;
        Ok(Finished {
            status: code(status),
            stdout: text(&self.stdout.all()),
            stderr: text(&self.stderr.all()),
        })
    }

    fn explain(&self, error: Failure) -> Failure {
        format!("{error}\n--- stdout\n{}--- stderr\n{}", text(&self.lines()), text(&self.log())).into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process by its id.
///
/// # Errors
/// When there is no such process.
pub fn signal_process(id: u32, signal: Signal) -> Outcome {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or("not a process id")?;
    Ok(kill_process(id, signal)?)
}

/// Whether a process with this id exists. One that ended and was not waited for does not count.
pub fn exists(id: u32) -> bool {
    // The state is the first letter behind the name, which may itself hold blanks and parentheses.
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The lines of one stream, filled by a thread until the stream ends.
struct Lines {
    shared: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Lines {
    fn collect(stream: Option<impl Read + Send + 'static>) -> Outcome<Self> {
        let stream = stream.ok_or("a stream of the process is missing")?;
        let shared = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&shared);
        let reader = std::thread::Builder::new().spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
            }
        })?;
        Ok(Self { shared, reader })
    }

    fn all(&self) -> Vec<String> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn find(&self, from: usize, text: &str) -> Option<(usize, String)> {
        self.all().into_iter().enumerate().skip(from).find(|(_, line)| line.contains(text))
    }

    fn is_complete(&self) -> bool {
        self.reader.is_finished()
    }
}
