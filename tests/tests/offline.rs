//! What a person types wrong, and what is wrong around `av`: a clear sentence, and nothing lost.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use av_tests::Outcome;
use av_tests::agent::Agent;
use av_tests::blindness::secrets_of_state;
use av_tests::folder::Folder;
use av_tests::owner::{self, Owner};
use av_tests::process::{Finished, Process};
use av_tests::recorder::Recorder;
use av_tests::relay::{Relay, free_address};
use av_tests::shared::SharedRelay;
use av_tests::wait::{DEADLINE, wait_until};

/// `av`'s exit statuses.
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const STATE: i32 = 4;

/// Every file under a folder, with its content.
fn files(folder: &Path) -> Outcome<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        files.insert(path.display().to_string(), std::fs::read(&path)?);
    }
    Ok(files)
}

/// It failed as it should, without a panic.
fn clear(finished: Finished, status: i32, words: &[&str]) -> Outcome {
    let finished = finished.with_status(status)?;
    for word in words {
        assert!(finished.stderr.contains(word), "no {word:?} in {finished:#?}");
    }
    assert!(!finished.output().contains("panicked"), "{finished:#?}");
    Ok(())
}

#[test]
fn a_mistyped_invite_is_caught_before_the_network() -> Outcome {
    let folder = Folder::new()?;
    // Nobody listens behind it: whatever connects is recorded all the same.
    let recorder = Recorder::start(free_address()?)?;
    let relay = SharedRelay::get()?;
    let invite = Owner::found(&folder, "owner", relay.origin())?.invite(&[])?;
    let (head, token) = invite.url.split_once('#').ok_or("an invite has a token")?;
    let origin = recorder.origin().replace(':', "%3A").replace('/', "%2F");
    let elsewhere = head.replace(&relay.origin().replace(':', "%3A").replace('/', "%2F"), &origin);
    assert!(elsewhere.contains(&origin), "{elsewhere}");
    let symbols: Vec<usize> =
        token.char_indices().skip(4).filter(|(_, c)| *c != '-').map(|(i, _)| i).collect();
    for (number, index) in symbols.iter().step_by(5).enumerate() {
        let mut typo = token.to_owned();
        let other = if typo[*index..].starts_with('7') { "8" } else { "7" };
        typo.replace_range(index..=index, other);
        let mut agent = Agent::new(&folder, &format!("agent{number}"), &format!("{elsewhere}#{typo}"))?;
        agent.start()?;
        clear(agent.take()?.finish()?, USAGE, &["invite"])?;
        assert!(!agent.state().exists(), "no state was made");
    }
    assert!(recorder.recordings().is_empty() && recorder.attempts() == 0, "nobody connected");
    Ok(())
}

#[test]
fn a_relay_that_is_down_is_named_and_nothing_is_made() -> Outcome {
    let folder = Folder::new()?;
    let address = free_address()?.to_string();
    let owner = Owner::new(&folder, "owner")?;
    let finished = owner.run(&["init", "--relay", &format!("ws://{address}")])?;
    clear(finished, FAILED, &[&address])?;
    assert!(!owner.home().exists(), "half a tenant was left behind");
    Ok(())
}

#[test]
fn a_wrong_port_is_no_relay() -> Outcome {
    let folder = Folder::new()?;
    // Somebody listens there who speaks another language: PostgreSQL's neighbour, a mail server, anything.
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let answering = std::thread::spawn(move || -> std::io::Result<()> {
        use std::io::Write;
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"220 mail.example.org ESMTP\r\n")
    });
    let owner = Owner::new(&folder, "owner")?;
    clear(owner.run(&["init", "--relay", &format!("ws://{address}")])?, FAILED, &[&address])?;
    assert!(answering.join().is_ok_and(|answered| answered.is_ok()));
    assert!(!owner.home().exists());
    Ok(())
}

#[test]
fn a_message_typed_while_the_relay_is_down_is_not_lost() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "owner", relay.origin())?;
    let agent = Agent::enrolled(&folder, "agent", &owner)?;
    relay.stop()?.success()?;
    let mut chat = owner.spawn(&["chat", "agent", "--expect", "1"])?;
    chat.write("typed into the void\n")?;
    chat.close_stdin();
    relay.restart()?;
    chat.expect_line("TYPED INTO THE VOID")?;
    chat.finish()?.success()?;
    assert_eq!(agent.handled()?, ["typed into the void"]);
    Ok(())
}

#[test]
fn a_line_that_the_full_outbox_holds_back_is_given_back_on_interrupt() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "owner", relay.origin())?;
    let agent = Agent::enrolled(&folder, "agent", &owner)?;
    relay.stop()?.success()?;
    let mut chat = owner.spawn(&["chat", "agent"])?;
    // One more than may wait for one peer.
    let lines: Vec<String> = (1..=33).map(|number| format!("line {number}")).collect();
    chat.write(&format!("{}\n", lines.join("\n")))?;
    wait_until("the last line is held back", DEADLINE, || {
        Ok(chat.log().iter().any(|line| line.contains("held back")).then_some(()))
    })?;
    chat.signal(rustix::process::Signal::INT)?;
    clear(chat.finish()?, FAILED, &["not sent", "line 33"])?;
    relay.restart()?;
    owner.chat("agent", &[], 32)?;
    assert_eq!(agent.handled()?, lines[..32]);
    Ok(())
}

#[test]
fn one_invite_too_many_says_when_there_is_room_again() -> Outcome {
    let folder = Folder::new()?;
    let relay = SharedRelay::get()?;
    let owner = Owner::found(&folder, "owner", relay.origin())?;
    for _ in 0..8 {
        owner.invite(&[])?;
    }
    clear(owner.run(&["invite"])?, FAILED, &["8 invites", "expired"])
}

/// Runs `av peers` on damaged state; it must refuse and leave every file as it is.
fn refuses(owner: &Owner, what: &str, words: &[&str]) -> Outcome {
    let before = files(owner.home())?;
    let finished = owner.run(&["peers"])?;
    clear(finished, STATE, words).map_err(|error| format!("{what}: {error}"))?;
    assert!(files(owner.home())? == before, "{what}: a file was changed");
    Ok(())
}

#[test]
fn a_torn_state_file_is_told_and_left_as_it_is() -> Outcome {
    let folder = Folder::new()?;
    let relay = SharedRelay::get()?;
    let owner = Owner::found(&folder, "owner", relay.origin())?;
    let state = owner.home().join("state.redb");
    let whole = std::fs::read(&state)?;
    let sizes = [0, 1, 100, 4_096, whole.len() / 2, whole.len() - 4_096, whole.len() - 1];
    for size in sizes {
        std::fs::write(&state, whole.get(..size).unwrap_or_default())?;
        refuses(&owner, &format!("{size} of {} bytes", whole.len()), &["state.redb"])?;
    }
    std::fs::write(&state, vec![0x5a; whole.len()])?;
    refuses(&owner, "other bytes", &["state.redb"])?;
    std::fs::write(&state, &whole)?;
    owner.run(&["peers"])?.success().map(drop)
}

#[test]
fn another_key_file_does_not_open_the_state() -> Outcome {
    let folder = Folder::new()?;
    let relay = SharedRelay::get()?;
    let owner = Owner::found(&folder, "owner", relay.origin())?;
    let right = std::fs::read(owner.key_file())?;
    std::fs::write(owner.key_file(), [7; 32])?;
    refuses(&owner, "another key", &["is not the key file of this state"])?;
    std::fs::write(owner.key_file(), &right[..31])?;
    refuses(&owner, "a short key", &["32"])?;
    std::fs::write(owner.key_file(), &right)?;
    std::fs::set_permissions(owner.key_file(), std::fs::Permissions::from_mode(0o644))?;
    refuses(&owner, "an exposed key", &["chmod 600"])?;
    std::fs::set_permissions(owner.key_file(), std::fs::Permissions::from_mode(0o600))?;
    owner.run(&["peers"])?.success().map(drop)
}

#[test]
fn a_wrong_passphrase_is_told_and_the_state_is_left_as_it_is() -> Outcome {
    let folder = Folder::new()?;
    let relay = SharedRelay::get()?;
    let home = folder.join("owner");
    let av = |passphrase: &str, arguments: &[&str]| -> Outcome<Finished> {
        let mut command = owner::av()?;
        command.env("AV_PASSPHRASE", passphrase).arg("--home").arg(&home).args(arguments);
        Process::run("av", command, "")
    };
    av("correct horse", &["init", "--relay", relay.origin()])?.success()?;
    let before = files(&home)?;
    for wrong in ["correct horse ", "Correct horse", "battery staple"] {
        clear(av(wrong, &["peers"])?, STATE, &["wrong passphrase; nothing was changed"])?;
        assert!(files(&home)? == before, "a file was changed");
    }
    av("correct horse", &["peers"])?.success().map(drop)
}

#[test]
fn a_state_in_use_is_told() -> Outcome {
    let folder = Folder::new()?;
    let relay = SharedRelay::get()?;
    let owner = Owner::found(&folder, "owner", relay.origin())?;
    let mut waiting = owner.spawn(&["approve", "--wait"])?;
    waiting.expect_line("Waiting")?;
    clear(owner.run(&["invite"])?, STATE, &["in use"])?;
    waiting.signal(rustix::process::Signal::INT)?;
    waiting.finish()?;
    owner.run(&["invite"])?.success().map(drop)
}

#[test]
fn a_tenant_is_not_founded_over_another() -> Outcome {
    let folder = Folder::new()?;
    let relay = SharedRelay::get()?;
    let owner = Owner::found(&folder, "owner", relay.origin())?;
    let keys = || -> Outcome<Vec<Vec<u8>>> {
        let secrets = secrets_of_state("owner", owner.home(), owner.key_file())?;
        Ok(secrets.iter().map(|secret| secret.bytes().to_vec()).collect())
    };
    let before = keys()?;
    clear(owner.run(&["init", "--relay", relay.origin()])?, STATE, &["already"])?;
    assert!(keys()? == before, "another device stands in its place");
    owner.run(&["invite"])?.success().map(drop)
}
