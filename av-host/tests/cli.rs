//! `av` on bad input that needs no relay: the exit code, the sentence, and that nothing was touched.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking when it does not come")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use av_host::store::Store;
use av_host::{StoredDevice, Unlock};
use zeroize::Zeroizing;

const PASSPHRASE: &str = "correct horse battery staple";

/// A folder of the test's own, that other users may enter.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Empty state under [`PASSPHRASE`].
    fn with_state(&self) -> PathBuf {
        let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.to_owned()));
        drop(StoredDevice::create(&self.home(), &unlock).unwrap());
        self.home().join("state.redb")
    }

    fn av(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_av"));
        command
            .env_clear()
            .env("AV_HOME", self.home())
            .env("AV_PASSPHRASE", PASSPHRASE)
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.av(arguments).output().unwrap()
    }

    fn agent_toml(&self, text: &str) {
        fs::write(self.path("agent.toml"), text).unwrap();
        let handler = self.path("handler");
        fs::write(&handler, "#!/bin/sh\ncat\n").unwrap();
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Exit code and complaint, with nothing on stdout.
#[track_caller]
fn refused(output: &Output, code: i32, said: &[&str]) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    for words in said {
        assert!(complaint.contains(words), "`{words}` is missing in: {complaint}");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_relay_that_is_down_is_said_before_anything_is_made() {
    let scratch = Scratch::new();
    let recovery = scratch.path("recovery.txt");
    for scheme in ["ws", "wss"] {
        let relay = format!("{scheme}://127.0.0.1:{}", free_port());
        let output = scratch.run(&["init", "--relay", &relay, "--recovery-file", recovery.to_str().unwrap()]);
        refused(&output, 1, &["cannot reach the relay", &relay]);
        assert!(!scratch.home().exists());
        assert!(!recovery.exists());
    }
}

#[test]
fn plain_connections_beyond_this_machine_are_refused() {
    let scratch = Scratch::new();
    refused(
        &scratch.run(&["init", "--relay", "ws://192.0.2.7:7460"]),
        1,
        &["not on this machine", "127.0.0.1"],
    );
    refused(&scratch.run(&["init", "--relay", "127.0.0.1:7460"]), 2, &["ws://HOST:PORT"]);
    assert!(!scratch.home().exists());
}

#[test]
fn a_home_without_state_is_named_and_not_made() {
    let scratch = Scratch::new();
    for arguments in [&["invite"][..], &["peers"], &["chat"], &["approve"], &["revoke", "x"]] {
        refused(&scratch.run(arguments), 4, &["holds no AgentVault state", "av init"]);
    }
    assert!(!scratch.home().exists());
}

#[test]
fn state_that_was_never_founded_says_how_to_go_on() {
    let scratch = Scratch::new();
    scratch.with_state();
    refused(&scratch.run(&["peers"]), 1, &["not founded yet", "av init"]);
}

#[test]
fn a_wrong_passphrase_leaves_the_state_byte_identical() {
    let scratch = Scratch::new();
    let file = scratch.with_state();
    let before = fs::read(&file).unwrap();
    let output = scratch.av(&["peers"]).env("AV_PASSPHRASE", "incorrect horse").output().unwrap();
    refused(&output, 4, &["wrong passphrase"]);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn where_nobody_can_be_asked_the_ways_out_are_named() {
    let scratch = Scratch::new();
    scratch.with_state();
    let output = scratch.av(&["peers"]).env_remove("AV_PASSPHRASE").output().unwrap();
    refused(&output, 2, &["AV_PASSPHRASE", "--key-file"]);
    let output = scratch.av(&["peers", "--key-file", "key"]).output().unwrap();
    refused(&output, 4, &["passphrase"]);
}

#[test]
fn a_torn_state_file_is_named_and_left_alone() {
    let scratch = Scratch::new();
    let file = scratch.with_state();
    let whole = fs::read(&file).unwrap();
    let torn = &whole[..whole.len() / 2];
    fs::write(&file, torn).unwrap();
    refused(&scratch.run(&["peers"]), 4, &["damaged", "state.redb"]);
    assert!(fs::read(&file).unwrap() == torn);
}

#[test]
fn state_in_use_is_refused() {
    let scratch = Scratch::new();
    scratch.with_state();
    let unlock = Unlock::Passphrase(Zeroizing::new(PASSPHRASE.to_owned()));
    let user = Store::inspect(&scratch.home(), &unlock).unwrap();
    refused(&scratch.run(&["peers"]), 4, &["in use by another process"]);
    drop(user);
    refused(&scratch.run(&["peers"]), 1, &["not founded yet"]);
}

/// Root may write anywhere, so that it has to become somebody else for this.
#[test]
fn state_that_cannot_be_written_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.with_state();
    let mut command = scratch.av(&["peers"]);
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(scratch.home(), fs::Permissions::from_mode(0o755)).unwrap();
        command = as_nobody(&command);
    } else {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        fs::set_permissions(scratch.home().join("lock"), fs::Permissions::from_mode(0o400)).unwrap();
    }
    let before = fs::read(&file).unwrap();
    refused(&command.output().unwrap(), 4, &["cannot use", "make it readable and writable"]);
    assert_eq!(fs::read(&file).unwrap(), before);
}

fn as_nobody(command: &Command) -> Command {
    let mut wrapped = Command::new("/usr/bin/setpriv");
    wrapped.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(command.get_program());
    wrapped.args(command.get_args()).env_clear().stdin(Stdio::null());
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

#[test]
fn a_mistyped_invite_is_caught_before_the_network_and_before_any_state() {
    let scratch = Scratch::new();
    let relay = format!("ws://127.0.0.1:{}", free_port());
    for (invite, said) in [
        ("av1-0000-0000-0000-0000-0000-0000-0000-0000-0000", "mistyped"),
        ("av1-0000-0000", "9 groups of 4"),
        ("av1-!000-0000-0000-0000-0000-0000-0000-0000-0000", "digits and letters only"),
        ("av1:?relay=ws%3A%2F%2F127.0.0.1%3A7460#000000000000000000000000000000000000", "mistyped"),
        ("av1:?relay=nonsense#000000000000000000000000000000000000", "relay"),
    ] {
        let relay = if invite.contains(":?") { String::new() } else { format!("relay = \"{relay}\"\n") };
        scratch
            .agent_toml(&format!("{relay}invite = \"{invite}\"\nexec = \"./handler\"\nstate = \"state\"\n"));
        refused(&scratch.run(&["agent", "run"]), 2, &["invite: ", said]);
        assert!(!scratch.path("state").exists());
    }
}

#[test]
fn an_agent_needs_nobody_to_type_a_passphrase() {
    let scratch = Scratch::new();
    let relay = format!("relay = \"ws://127.0.0.1:{}\"\n", free_port());
    let invite = "invite = \"av1-9Z74-NXKE-D119-YRQ4-SHCX-KBSG-XZZY-FK68-47X9\"\n";
    scratch.agent_toml(&format!("{relay}{invite}exec = \"./handler\"\nstate = \"state\"\n"));
    let mut fingerprints = Vec::new();
    for _ in 0..2 {
        let mut command = scratch.av(&["agent", "run"]);
        let mut agent = command.env_remove("AV_PASSPHRASE").stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(agent.stdout.take().unwrap()).lines();
        let fingerprint = said.map(Result::unwrap).find(|line| line.starts_with("fingerprint"));
        agent.kill().unwrap();
        agent.wait().unwrap();
        fingerprints.push(fingerprint.unwrap());
    }
    assert_eq!(fingerprints[0], fingerprints[1], "the second run is the same device");
    let mode = fs::metadata(scratch.path("state.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_agent_without_state_needs_an_invite() {
    let scratch = Scratch::new();
    scratch.agent_toml("relay = \"ws://127.0.0.1:7460\"\nexec = \"./handler\"\nstate = \"state\"\n");
    refused(&scratch.run(&["agent", "run"]), 2, &["not enrolled yet", "invite"]);
    assert!(!scratch.path("state").exists());
}

#[test]
fn a_handler_that_cannot_run_is_named_at_the_start() {
    let scratch = Scratch::new();
    scratch.agent_toml("relay = \"ws://127.0.0.1:7460\"\nexec = \"./handler\"\nstate = \"state\"\n");
    fs::set_permissions(scratch.path("handler"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(&scratch.run(&["agent", "run"]), 2, &["not executable", "chmod +x"]);
    fs::remove_file(scratch.path("handler")).unwrap();
    refused(&scratch.run(&["agent", "run"]), 2, &["exec: ", "handler"]);
}

#[test]
fn a_configuration_is_named_with_its_file() {
    let scratch = Scratch::new();
    refused(&scratch.run(&["agent", "run", "nowhere.toml"]), 2, &["nowhere.toml", "--help"]);
    scratch.agent_toml("relay = \"ws://127.0.0.1:7460\"\nexce = \"./handler\"\nstate = \"state\"\n");
    refused(&scratch.run(&["agent", "run"]), 2, &["agent.toml", "did you mean `exec`?"]);
}

#[test]
fn usage_mistakes_have_their_own_exit_code() {
    let scratch = Scratch::new();
    for arguments in [
        &["invite", "--expires", "8days"][..],
        &["invite", "--expires", "soon"],
        &["approve", "--fingerprint", "12345"],
        &["init"],
        &["sing"],
    ] {
        refused(&scratch.run(arguments), 2, &["error: "]);
    }
}

#[test]
fn every_command_explains_itself() {
    let scratch = Scratch::new();
    for command in ["init", "invite", "approve", "reject", "revoke", "suspend", "resume", "peers", "chat"] {
        let output = scratch.run(&[command, "--help"]);
        assert!(output.status.success(), "{command}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: av "), "{command}");
    }
    let help = scratch.run(&["--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
    assert!(!Path::new(&scratch.home()).exists());
}
