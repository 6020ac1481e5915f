//! `av` on a terminal.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use av_tests::Outcome;
use av_tests::folder::Folder;
use av_tests::owner;
use av_tests::process::Process;
use av_tests::shared::SharedRelay;
use av_tests::wait::{DEADLINE, wait_until};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// Whether the terminal shows what is typed.
fn shows(terminal: &OwnedFd) -> Outcome<bool> {
    Ok(tcgetattr(terminal)?.local_modes.contains(LocalModes::ECHO))
}

#[test]
fn an_interrupted_passphrase_leaves_a_terminal_that_shows_what_is_typed() -> Outcome {
    let folder = Folder::new()?;
    let relay = SharedRelay::get()?;
    let home = folder.join("owner");
    let mut init = owner::av()?;
    init.env("AV_PASSPHRASE", "correct horse").arg("--home").arg(&home);
    init.args(["init", "--relay", relay.origin()]);
    Process::run("av init", init, "")?.success()?;

    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&terminal)?;
    unlockpt(&terminal)?;
    let name = ptsname(&terminal, Vec::new())?;
    let other_end = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    // A session of its own, with this terminal as the one that it may ask.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(owner::av()?.get_program());
    for variable in ["AV_HOME", "AV_KEY_FILE", "AV_PASSPHRASE"] {
        command.env_remove(variable);
    }
    command.arg("--home").arg(&home).arg("peers");
    command.stdin(other_end.try_clone()?).stdout(other_end.try_clone()?).stderr(Stdio::piped());
    let mut asking = command.spawn()?;

    wait_until("the passphrase is asked for", DEADLINE, || Ok((!shows(&terminal)?).then_some(())))?;
    std::fs::File::from(terminal.try_clone()?).write_all(b"\x03")?;
    let status = wait_until("av ends", DEADLINE, || Ok(asking.try_wait()?))?;
    assert!(shows(&terminal)?, "the terminal was left without echo");
    assert_eq!(status.code(), Some(1));
    let mut complaint = String::new();
    asking.stderr.take().ok_or("it is piped")?.read_to_string(&mut complaint)?;
    assert!(complaint.contains("interrupted"), "{complaint}");
    Ok(())
}
