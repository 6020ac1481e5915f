//! The relay starts, refuses to start, and ends: each with a sentence, and the data directory as it was.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use av_tests::Outcome;
use av_tests::database::Cluster;
use av_tests::folder::Folder;
use av_tests::founder::Founder;
use av_tests::process::{Finished, Process, exists};
use av_tests::relay::Relay;
use rustix::process::{Signal, geteuid};

/// Any port: these relays do not get that far.
const ANY: &str = "127.0.0.1:0";

/// Runs a relay that must refuse to start with a sentence that holds these words.
fn refuses(command: Command, words: &[&str]) -> Outcome<Finished> {
    let finished = Process::run("av-relay", command, "")?.with_status(1)?;
    assert_eq!(finished.stdout, "", "it is not ready: {finished:#?}");
    for word in words {
        assert!(finished.stderr.contains(word), "no {word:?} in {finished:#?}");
    }
    assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
    Ok(finished)
}

/// The content of a file.
fn content(path: &Path) -> Outcome<Vec<u8>> {
    Ok(std::fs::read(path)?)
}

#[test]
fn a_relay_asked_to_end_ends_well_and_goes_on_where_it_was() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let founder = Founder::found(relay.origin())?;
    for signal in [Signal::TERM, Signal::INT] {
        let cluster = Cluster::find(relay.data())?;
        relay.process()?.signal(signal)?;
        relay.ended()?.success()?;
        assert!(!exists(cluster.process()), "PostgreSQL ends first");
        relay.restart()?;
        founder.connect(relay.origin())?;
    }
    Ok(())
}

#[test]
fn a_killed_relay_takes_postgresql_with_it_and_goes_on_where_it_was() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let founder = Founder::found(relay.origin())?;
    let before = relay.inspect()?.digest(founder.tenant)?;
    for _ in 0..3 {
        relay.kill()?;
        relay.restart()?;
    }
    assert_eq!(relay.inspect()?.digest(founder.tenant)?, before);
    founder.connect(relay.origin()).map(drop)
}

#[test]
fn a_killed_relay_can_be_followed_at_once_while_postgresql_still_ends() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    relay.process()?.kill()?;
    relay.restart()
}

#[test]
fn a_taken_port_is_named() -> Outcome {
    let folder = Folder::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let port = taken.local_addr()?.port().to_string();
    refuses(Relay::command(&folder.join("relay"), &address)?, &[&port, "--listen"]).map(drop)
}

#[test]
fn a_port_for_the_network_is_refused() -> Outcome {
    let folder = Folder::new()?;
    let finished = Process::run("av-relay", Relay::command(&folder.join("relay"), "0.0.0.0:0")?, "")?;
    assert_ne!(finished.status, 0, "{finished:#?}");
    assert!(finished.stderr.contains("loopback"), "{finished:#?}");
    assert!(!folder.join("relay").exists(), "nothing was made");
    Ok(())
}

#[test]
fn a_data_directory_in_use_is_left_alone() -> Outcome {
    let folder = Folder::new()?;
    let relay = Relay::start(&folder.join("relay"))?;
    let founder = Founder::found(relay.origin())?;
    refuses(Relay::command(relay.data(), ANY)?, &["in use", "--data"])?;
    founder.connect(relay.origin()).map(drop)
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() -> Outcome {
    let folder = Folder::new()?;
    let file = folder.write("file", b"not a folder", 0o600)?;
    refuses(Relay::command(&file.join("relay"), ANY)?, &[&file.display().to_string(), "--data"])?;
    assert_eq!(content(&file)?, b"not a folder");
    Ok(())
}

#[test]
fn a_data_directory_of_another_version_is_left_alone() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let version = Cluster::find(relay.data())?.folder().join("PG_VERSION");
    relay.stop()?.success()?;
    let known = content(&version)?;
    std::fs::write(&version, "14\n")?;
    refuses(Relay::command(relay.data(), ANY)?, &["14", "--pg-bin", "--data"])?;
    assert_eq!(content(&version)?, b"14\n");
    std::fs::write(&version, known)?;
    relay.restart()
}

#[test]
fn a_data_directory_of_a_newer_relay_is_left_alone() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let founder = Founder::found(relay.origin())?;
    let before = relay.inspect()?.digest(founder.tenant)?;
    relay.inspect()?.pretend_newer()?;
    relay.stop()?.success()?;
    refuses(Relay::command(relay.data(), ANY)?, &["newer"])?;
    // Its own PostgreSQL shows that nothing was migrated or lost.
    refuses(Relay::command(relay.data(), ANY)?, &["newer"])?;
    assert!(!before.is_empty());
    Ok(())
}

#[test]
fn missing_postgresql_is_told_with_the_line_to_type() -> Outcome {
    let folder = Folder::new()?;
    let mut command = Relay::command(&folder.join("relay"), ANY)?;
    command.arg("--pg-bin").arg(folder.join("nothing"));
    refuses(command, &["PostgreSQL", "apt-get install", "--pg-bin"])?;
    let mut command = Relay::command(&folder.join("relay"), ANY)?;
    command.env("AV_PG_BIN", folder.join("nothing"));
    refuses(command, &["PostgreSQL", "apt-get install", "AV_PG_BIN"]).map(drop)
}

#[test]
fn a_folder_that_postgresql_may_not_enter_is_named() -> Outcome {
    if !geteuid().is_root() {
        // Whoever is not root runs PostgreSQL as itself, and there is no such folder.
        return Ok(());
    }
    let folder = Folder::new()?;
    let closed = folder.join("closed");
    std::fs::create_dir(&closed)?;
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700))?;
    refuses(Relay::command(&closed.join("relay"), ANY)?, &[&closed.display().to_string(), "chmod"]).map(drop)
}
