//! The README shows what was run: its blocks are taken out of it and run here, in its order.
//!
//! A block's info string says whose it is: `sh relay`, `sh owner`, `sh agent`, `sh operator` are commands,
//! `toml agent.toml` and `sh handler` are files. What a person would do otherwise is put in: the invite that was
//! printed, the agent's name, a passphrase, the fingerprint that was compared.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use av_tests::Outcome;
use av_tests::agent::fingerprint;
use av_tests::folder::Folder;
use av_tests::process::{Finished, Process};
use av_tests::programs;
use av_tests::relay::free_address;

const README: &str = include_str!("../../README.md");
const GOLDEN: &str = include_str!("../golden/demo.txt");
/// The origin that the README's commands use: the relay's default.
const ORIGIN: &str = "ws://127.0.0.1:7460";

/// The contents of the blocks with this info string.
fn blocks(info: &str) -> Vec<&'static str> {
    let mut blocks = Vec::new();
    let mut parts = README.split("```");
    // Text and blocks take turns.
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        let (head, body) = block.split_once('\n').unwrap_or((block, ""));
        if head == info {
            blocks.push(body);
        }
    }
    blocks
}

/// The lines of all blocks with this info string.
fn lines(info: &str) -> Vec<&'static str> {
    blocks(info).into_iter().flat_map(str::lines).collect()
}

/// A person's shell: our programs first, a home and a passphrase of its own.
fn shell(home: &Path, folder: &Path, line: &str) -> Outcome<Command> {
    let programs = programs::find("av")?.parent().ok_or("a program stands in a folder")?.to_owned();
    let mut path = programs.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    // Replaced by the program, so that a signal is the program's.
    command.arg("-c").arg(format!("exec {line}")).current_dir(folder).env("PATH", path).env("HOME", home);
    command.env_remove("XDG_DATA_HOME").env_remove("AV_HOME").env_remove("AV_KEY_FILE");
    command.env("AV_PASSPHRASE", "correct horse battery staple");
    Ok(command)
}

#[test]
fn the_commands_by_hand_work_as_they_are_written() -> Outcome {
    let folder = Folder::new()?;
    let home = folder.join("home");
    let work = folder.join("agent");
    fs::create_dir(&home)?;
    fs::create_dir(&work)?;
    let address = free_address()?;
    let origin = format!("ws://{address}");

    let [relay] = lines("sh relay")[..] else { return Err("one command starts the relay".into()) };
    let data = folder.join("relay").display().to_string();
    let relay = shell(&home, folder.path(), &format!("{relay} --listen {address} --data {data}"))?;
    let mut relay = Process::spawn("av-relay", relay)?;
    relay.expect_line(&format!("ready {origin}"))?;

    let [init, invite, approve, chat, revoke] = lines("sh owner")[..] else {
        return Err("the owner has five commands".into());
    };
    let owner = |line: &str, input: &str| -> Outcome<Finished> {
        let line = line.replace(ORIGIN, &origin).replace("NAME", "porter");
        Process::run(&line, shell(&home, folder.path(), &line)?, input)
    };
    assert!(init.contains(ORIGIN), "{init}");
    owner(init, "")?.success()?.line("Founded")?;
    let printed = owner(invite, "")?.success()?;
    let url = printed.line("av1:?")?;

    let [settings] = blocks("toml agent.toml")[..] else { return Err("one agent.toml".into()) };
    let settings = settings.replace("av1:?relay=…#…", url);
    assert!(settings.contains(url) && settings.lines().count() == 3, "three lines: {settings}");
    fs::write(work.join("agent.toml"), settings + "name = \"porter\"\n")?;
    let [handler] = blocks("sh handler")[..] else { return Err("one handler".into()) };
    fs::write(work.join("handler"), handler)?;
    fs::set_permissions(work.join("handler"), Permissions::from_mode(0o644))?;
    let [chmod, run] = lines("sh agent")[..] else { return Err("the agent has two commands".into()) };
    Process::run(chmod, shell(&home, &work, chmod)?, "")?.success()?;
    let mut agent = Process::spawn(run, shell(&home, &work, run)?)?;
    let shown = fingerprint(&agent.expect_line("fingerprint")?)?;

    owner(&format!("{approve} --fingerprint '{shown}'"), "")?.success()?.line("Approved porter")?;
    owner(&format!("{chat} --expect 1"), "good morning\n")?
        .success()?
        .line("porter: You said: good morning")?;
    owner(revoke, "")?.success()?;
    agent.finish()?.with_status(3)?;
    relay.signal(rustix::process::Signal::TERM)?;
    relay.finish()?.success().map(drop)
}

#[test]
fn the_demo_says_what_the_readme_says_it_does() {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let golden: Vec<String> = GOLDEN.lines().map(squeezed).collect();
    let shown = lines("text");
    assert!(!shown.is_empty());
    for line in shown {
        assert!(golden.contains(&squeezed(line)), "the demo does not print: {line}");
    }
}

#[test]
fn every_target_that_the_readme_names_is_there() {
    let makefile = include_str!("../../Makefile");
    for line in lines("sh") {
        let target = line.strip_prefix("make ").unwrap_or_default();
        assert!(makefile.contains(&format!("\n{target}:")), "no target for: {line}");
    }
    assert!(!lines("sh").is_empty());
}

/// What they do on a server of its own is tested where the relay is; here, that they are written as `av-relay`
/// takes them: as far as the file they name.
#[test]
fn the_operators_commands_are_taken_by_the_relay() -> Outcome {
    let folder = Folder::new()?;
    let operator = lines("sh operator");
    assert!(!operator.is_empty());
    for line in operator {
        let refused = Process::run(line, shell(folder.path(), folder.path(), line)?, "")?.with_status(1)?;
        assert!(refused.stderr.contains("there is no relay.toml"), "{line}: {}", refused.stderr);
    }
    Ok(())
}
