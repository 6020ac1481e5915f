//! The demo plays, its narration is the one in `golden/demo.txt`, and it leaves nothing behind, however it ends.
//!
//! After a change of the narration: `BLESS=1 cargo test -p av-tests --test demo`, and read the difference.

use std::fs;
use std::process::Command;

use av_tests::Outcome;
use av_tests::folder::Folder;
use av_tests::process::Process;
use av_tests::wait::{DEADLINE, wait_until};
use regex_lite::Regex;
use rustix::process::Signal;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/demo.txt");

/// What differs from run to run, and what stands for it in the golden transcript. In this order.
const MASKS: [(&str, &str); 13] = [
    (r"(\d{5} ){7}\d{5}", "FINGERPRINT"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"127\.0\.0\.1%3A\d+", "127.0.0.1%3APORT"),
    (r"av1-[0-9A-Z]+(-[0-9A-Z]+)*…[0-9A-Z-]+", "INVITE"),
    (r"…[0-9A-Z]{12}\b", "…INVITE"),
    (r#""\d{5} …""#, "\"FINGER…\""),
    (r"\b[0-9a-f]{8,}(…[0-9a-f]{4,})?\b", "HEX"),
    (r"\bPostgreSQL \d+", "PostgreSQL N"),
    (r"\b\d+ (files|MB|kB|secrets)\b", "N $1"),
    (r"\b[0-9.]+ s\.", "N s."),
    // An owner publishes its prekeys as soon as it is founded, which may be before or after they are counted.
    (r"prekeys +\d+:", "prekeys  N:"),
    // Columns are as wide as what stands in them.
    (r" {2,}", "  "),
    (r"─{2,}", "──"),
];

fn masked(text: &str) -> Outcome<String> {
    let mut text = text.to_owned();
    for (pattern, stand_in) in MASKS {
        text = Regex::new(pattern)?.replace_all(&text, stand_in).into_owned();
    }
    Ok(text)
}

/// The demo, with all its temporary files in this folder.
fn demo(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_av-demo"));
    command.env("TMPDIR", folder.path()).env_remove("KEEP").env_remove("NO_COLOR");
    command
}

/// Nothing is left in the folder, and no process that knows of it.
fn nothing_is_left(folder: &Folder) -> Outcome {
    let left: Vec<_> =
        fs::read_dir(folder.path())?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    assert!(left.is_empty(), "{left:?}");
    let path = folder.path().display().to_string();
    for entry in fs::read_dir("/proc")? {
        let arguments = entry?.path().join("cmdline");
        // A process that ended in the meantime has none.
        let arguments = String::from_utf8_lossy(&fs::read(&arguments).unwrap_or_default()).into_owned();
        assert!(!arguments.contains(&path), "still running: {arguments:?}");
    }
    Ok(())
}

#[test]
fn the_demo_plays_as_it_is_written() -> Outcome {
    let folder = Folder::new()?;
    let finished = Process::run("av-demo", demo(&folder), "")?.success()?;
    assert_eq!(finished.stderr, "");
    assert!(!finished.stdout.contains('\x1b'), "plain text where there is no terminal");
    nothing_is_left(&folder)?;
    let transcript = masked(&finished.stdout)?;
    if std::env::var_os("BLESS").is_some() {
        return Ok(fs::write(GOLDEN, &transcript)?);
    }
    let golden = fs::read_to_string(GOLDEN).map_err(|error| format!("{GOLDEN}: {error}"))?;
    for (number, (line, wanted)) in transcript.lines().zip(golden.lines()).enumerate() {
        assert_eq!(line, wanted, "line {} of the transcript", number + 1);
    }
    assert_eq!(transcript.lines().count(), golden.lines().count());
    Ok(())
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() -> Outcome {
    for (signal, act) in [(Signal::INT, "Act 1"), (Signal::TERM, "Act 3"), (Signal::HUP, "Act 5")] {
        let folder = Folder::new()?;
        let mut demo = Process::spawn("av-demo", demo(&folder))?;
        demo.expect_line(act)?;
        demo.signal(signal)?;
        demo.finish()?.with_status(130)?;
        nothing_is_left(&folder)?;
    }
    Ok(())
}

#[test]
fn a_demo_that_fails_says_why_and_leaves_nothing_behind() -> Outcome {
    let folder = Folder::new()?;
    let mut command = demo(&folder);
    command.env("AV_PG_BIN", folder.join("nothing"));
    let finished = Process::run("av-demo", command, "")?.with_status(1)?;
    assert!(finished.stderr.contains("PostgreSQL"), "{finished:#?}");
    nothing_is_left(&folder)
}

#[test]
fn a_kept_demo_can_be_talked_to_until_it_is_interrupted() -> Outcome {
    let folder = Folder::new()?;
    let mut command = demo(&folder);
    command.env("KEEP", "1");
    let mut demo = Process::spawn("av-demo", command)?;
    demo.expect_line("from another terminal")?;
    let line = demo.expect_line(" chat ")?;
    let mut pasted = Command::new("sh");
    pasted.arg("-c").arg(format!("{line} --expect 1"));
    let answer = Process::run("the pasted line", pasted, "is anybody there?\n")?.success()?;
    answer.line("IS ANYBODY THERE?")?;
    demo.expect_line("Ctrl-C")?;
    demo.signal(Signal::INT)?;
    demo.finish()?.success()?;
    nothing_is_left(&folder)
}

#[test]
fn a_second_demo_does_not_disturb_the_first() -> Outcome {
    let folder = Folder::new()?;
    let mut first = Process::spawn("av-demo", demo(&folder))?;
    let second = Process::spawn("av-demo", demo(&folder))?;
    second.finish()?.success()?;
    wait_until("the first demo ends", DEADLINE, || Ok((!first.is_running()?).then_some(())))?;
    first.finish()?.success()?;
    nothing_is_left(&folder)
}
