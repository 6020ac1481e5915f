//! The server process: started, watched, and ended with the relay.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::account::Account;
use super::binaries::Binaries;
use super::directory::{Directory, PORT};
use super::error::EmbeddedError;

/// Crash recovery reads all WAL since the last checkpoint; a slow disk takes its time over that.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// A fast shutdown writes one checkpoint.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at a process or its file.
const POLL: Duration = Duration::from_millis(10);
/// Connections for the relay's pool, migrations and a person who looks.
const MAX_CONNECTIONS: u32 = 40;

/// A server that runs, and ends when the thread that started it does.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    ended: watch::Receiver<bool>,
}

impl Server {
    /// Starts the server and waits until it takes connections.
    pub(super) fn start(
        directory: &Directory,
        binaries: &Binaries,
        account: &Account,
    ) -> Result<Self, EmbeddedError> {
        end_leftover(&directory.cluster())?;
        let mut child = spawn_ready(directory, binaries, account)?;
        let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(|_| EmbeddedError::Failed {
            step: "starting PostgreSQL",
            reason: "its process id is out of range".to_owned(),
        })?;
        let (tell, ended) = watch::channel(false);
        thread::spawn(move || {
            // Any outcome of waiting means that there is no such child any more.
            let _ = child.wait();
            tell.send_replace(true);
        });
        Ok(Self { pid, ended })
    }

    /// Turns true when the server has ended, by itself or because it was told to.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.clone()
    }

    /// Ends the server with a checkpoint, or, if it does not, without one.
    pub(super) fn stop(&self) {
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            if *self.ended.borrow() {
                return;
            }
            // It may have ended in between; then there is nothing to signal.
            let _ = kill(self.pid, signal);
            let deadline = Instant::now() + STOP_DEADLINE;
            while !*self.ended.borrow() && Instant::now() < deadline {
                pause();
            }
        }
    }
}

/// Starts the server; again, while processes of one that was killed still hold its shared memory. They notice that
/// it is gone, and end.
fn spawn_ready(
    directory: &Directory,
    binaries: &Binaries,
    account: &Account,
) -> Result<Child, EmbeddedError> {
    const STILL_HELD: &str = "pre-existing shared memory block";
    let deadline = Instant::now() + STOP_DEADLINE;
    loop {
        let mut child = spawn(directory, binaries, account)?;
        match await_ready(&mut child, directory) {
            Ok(()) => return Ok(child),
            Err(EmbeddedError::Failed { reason, .. })
                if reason.contains(STILL_HELD) && Instant::now() < deadline =>
            {
                pause();
            }
            Err(error) => return Err(error),
        }
    }
}

fn spawn(directory: &Directory, binaries: &Binaries, account: &Account) -> Result<Child, EmbeddedError> {
    let path = directory.log();
    let log = File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| account.not_writable(&path, source))?;
    let log_too = log.try_clone().map_err(|source| account.not_writable(&path, source))?;
    let socket = directory.socket().display();
    // On the command line, so that no file in the cluster can open a network port.
    let settings = [
        "listen_addresses=".to_owned(),
        format!("port={PORT}"),
        format!("unix_socket_directories={socket}"),
        "unix_socket_permissions=0700".to_owned(),
        format!("max_connections={MAX_CONNECTIONS}"),
    ];
    let mut command = account.command(binaries.postgres());
    command.arg("-D").arg(directory.cluster());
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    command
        // Ctrl-C is for the relay, which ends the server when its own connections have ended.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .spawn()
        .map_err(EmbeddedError::Setpriv)
}

fn await_ready(child: &mut Child, directory: &Directory) -> Result<(), EmbeddedError> {
    let failed = |reason: String| EmbeddedError::Failed { step: "starting PostgreSQL", reason };
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let ended = child.try_wait().map_err(|error| failed(error.to_string()))?;
        if let Some(status) = ended {
            return Err(failed(format!("{status}\n{}", last_lines(&directory.log()))));
        }
        let file = PidFile::read(&directory.cluster());
        if file.is_some_and(|file| file.is_ready && file.pid.unsigned_abs() == child.id()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            // It ends with this process; the reason is worth more than a clean end.
            let _ = child.kill();
            return Err(failed(format!("it took too long\n{}", last_lines(&directory.log()))));
        }
        pause();
    }
}

/// A relay that was killed leaves a server that is told to stop by the kernel, and that may still be at it.
fn end_leftover(cluster: &Path) -> Result<(), EmbeddedError> {
    let Some(file) = PidFile::read(cluster) else { return Ok(()) };
    let deadline = Instant::now() + STOP_DEADLINE;
    let mut told = false;
    while is_server_of(file.pid, cluster) {
        if !told {
            // Covers the instant in which the relay died before its server had asked for the signal.
            let _ = kill(Pid::from_raw(file.pid), Signal::SIGINT);
            told = true;
        }
        if Instant::now() > deadline {
            return Err(EmbeddedError::StillRunning { path: cluster.to_path_buf(), pid: file.pid });
        }
        pause();
    }
    Ok(())
}

/// Whether the process is a server of this cluster, and not another one that got its number.
fn is_server_of(pid: i32, cluster: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let cluster = cluster.as_os_str().as_encoded_bytes();
    line.split(|byte| *byte == 0).any(|argument| argument == cluster)
}

/// Between two looks at something that the kernel or the server tells nobody about.
#[expect(clippy::disallowed_methods, reason = "a process that is no child, and a file, can only be polled")]
fn pause() {
    thread::sleep(POLL);
}

/// `postmaster.pid`: the process id in the first line, the state in the eighth.
struct PidFile {
    pid: i32,
    is_ready: bool,
}

impl PidFile {
    fn read(cluster: &Path) -> Option<Self> {
        let content = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
        let mut lines = content.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let is_ready = lines.nth(6).is_some_and(|state| state.trim() == "ready");
        Some(Self { pid, is_ready })
    }
}

/// What the server said last, for a person who has to find out why it did not start.
fn last_lines(log: &Path) -> String {
    const LINES: usize = 6;
    let content = fs::read(log).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let lines: Vec<&str> = content.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}
