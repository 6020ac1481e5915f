//! `av-relay dev` as a process: how it starts, what it says when it cannot, and what it leaves behind.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::{Running, Scratch, is_gone, refusal, wait_until};

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_av-relay"));
    command.arg("dev").arg("--data").arg(data).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(scratch: &Scratch) -> Running {
    Running::start(command(&scratch.data(), &["--listen", "127.0.0.1:0"]))
}

#[test]
fn it_starts_stops_and_starts_again() {
    let scratch = Scratch::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut relay = start(&scratch);
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
    let mut relay = start(&scratch);
    let server = scratch.server_pid().unwrap();
    relay.signal(Signal::SIGKILL);
    assert!(!relay.end().success());
    // At once: the server may still be about to end.
    let again = start(&scratch);
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
    let relay = start(&scratch);
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
