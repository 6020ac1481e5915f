//! `av-relay dev` as a process: how it starts, what it says when it cannot, and what it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Long enough for a machine that has other things to do.
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder that PostgreSQL's account may enter, and that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let mut name = [0; 8];
        getrandom::fill(&mut name).unwrap();
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = std::env::temp_dir().join(format!("av-relay-dev-{name}"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn server_pid(&self) -> Option<i32> {
        let file = fs::read_to_string(self.data().join("cluster/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_av-relay"));
    command.arg("dev").arg("--data").arg(data).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A relay that said that it is ready. Ended with the value, whatever becomes of the test.
struct Relay {
    process: Child,
    origin: String,
}

impl Relay {
    fn start(scratch: &Scratch) -> Self {
        let mut command = command(&scratch.data(), &["--listen", "127.0.0.1:0"]);
        let mut process = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let mut relay = Self { process, origin: String::new() };
        let origin = line.strip_prefix("ready ws://127.0.0.1:").and_then(|rest| rest.strip_suffix('\n'));
        relay.origin = format!("127.0.0.1:{}", origin.expect("the one line on standard output"));
        relay
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    fn is_healthy(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.origin) else { return false };
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the relay ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "this is wait_until")]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Gone, or a zombie that nobody has collected: its command line is empty then.
fn is_gone(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |line| line.is_empty())
}

/// What a relay says that does not start.
fn refusal(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stdout.is_empty());
    String::from_utf8(stderr).unwrap()
}

#[test]
fn it_starts_stops_and_starts_again() {
    let scratch = Scratch::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut relay = Relay::start(&scratch);
        assert!(relay.is_healthy());
        let server = scratch.server_pid().unwrap();
        relay.signal(signal);
        assert!(relay.end().success());
        assert!(is_gone(server));
        assert_eq!(scratch.server_pid(), None);
    }
}

#[test]
fn a_relay_that_is_killed_takes_its_server_along_and_can_start_again_at_once() {
    let scratch = Scratch::new();
    let mut relay = Relay::start(&scratch);
    let server = scratch.server_pid().unwrap();
    relay.signal(Signal::SIGKILL);
    assert!(!relay.end().success());
    // At once: the server may still be about to end.
    let again = Relay::start(&scratch);
    assert!(again.is_healthy());
    assert!(is_gone(server));
    let second = scratch.server_pid().unwrap();
    again.signal(Signal::SIGKILL);
    wait_until("the server has ended", || is_gone(second));
}

#[test]
fn a_relay_whose_server_ends_says_so() {
    let scratch = Scratch::new();
    let mut command = command(&scratch.data(), &["--listen", "127.0.0.1:0"]);
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    kill(Pid::from_raw(scratch.server_pid().unwrap()), Signal::SIGINT).unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("PostgreSQL ended by itself") && said.contains("postgres.log"), "{said}");
}

#[test]
fn a_second_relay_on_the_same_data_is_refused_and_the_first_goes_on() {
    let scratch = Scratch::new();
    let relay = Relay::start(&scratch);
    let said = refusal(command(&scratch.data(), &["--listen", "127.0.0.1:0"]));
    assert!(said.contains("in use by another av-relay") && said.contains("--data DIR"), "{said}");
    assert!(relay.is_healthy());
}

#[test]
fn a_taken_port_is_named_before_anything_is_made() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = refusal(command(&scratch.data(), &["--listen", &address.to_string()]));
    assert!(said.contains(&format!("port {} is taken", address.port())), "{said}");
    assert!(said.contains("--listen 127.0.0.1:0"), "{said}");
    assert!(!scratch.data().exists());
}

#[test]
fn on_a_network_it_wants_to_know_what_it_is_called_and_that_it_has_no_tls() {
    let scratch = Scratch::new();
    let said = refusal(command(&scratch.data(), &["--listen", "0.0.0.0:0"]));
    assert!(said.contains("no loopback address") && said.contains("--origin ws://192.168.1.5:"), "{said}");
    let said =
        refusal(command(&scratch.data(), &["--listen", "0.0.0.0:0", "--origin", "wss://relay.example"]));
    assert!(said.contains("no TLS") && said.contains("--origin is ws://HOST:PORT"), "{said}");
    assert!(!scratch.data().exists());
}

#[test]
fn missing_binaries_are_named_with_the_cure() {
    let scratch = Scratch::new();
    let arguments = ["--listen", "127.0.0.1:0", "--pg-bin", "/nonexistent"];
    let said = refusal(command(&scratch.data(), &arguments));
    assert!(said.contains("PostgreSQL is not installed") && said.contains("apt-get install"), "{said}");
    assert!(!scratch.data().exists());
}

#[test]
fn an_origin_that_is_none_is_a_usage_error() {
    let scratch = Scratch::new();
    let Output { status, stderr, .. } =
        command(&scratch.data(), &["--origin", "https://example.org"]).output().unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(String::from_utf8(stderr).unwrap().contains("an origin is ws://HOST:PORT"));
}
