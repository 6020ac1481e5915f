//! Plays AgentVault's main job in five acts, with the real programs, and shows what the relay learns of it.
//!
//! Everything it starts ends with it, on Ctrl-C too, and all that it writes is in one temporary folder. `KEEP=1`
//! leaves it running until Ctrl-C.
#![forbid(unsafe_code)]

mod acts;
mod page;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use av_tests::wait::{self, wait_until};
use av_tests::{Outcome, programs};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use page::Page;
use world::World;

/// What a shell makes of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if wait::is_interrupted() => {
            eprintln!("interrupted; everything was ended and removed");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Outcome {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, wait::interruption())?;
    }
    let start = Instant::now();
    let mut page = Page::stdout();
    page.tell(
        "AgentVault: an owner and an agent talk over a relay that cannot read them. Real programs, a real database. \
         Each device has a state of its own; its commands are shown without --home and --key-file.",
    )?;
    let mut world = World::new()?;
    acts::relay::play(&mut page, &mut world)?;
    acts::enroll::play(&mut page, &mut world)?;
    acts::talk::play(&mut page, &mut world)?;
    acts::search::play(&mut page, &mut world)?;
    acts::revoke::play(&mut page, &mut world)?;
    page.tell("")?;
    page.heading(&format!("Done in {:.1} s.", start.elapsed().as_secs_f32()))?;
    if std::env::var_os("KEEP").is_some_and(|keep| keep == "1") {
        keep(&mut page, &mut world)
    } else {
        close(&mut page)
    }
}

/// Leaves a conversation open until Ctrl-C.
fn keep(page: &mut Page, world: &mut World) -> Outcome {
    let peer = acts::enroll::another(world)?;
    let av = programs::find("av")?;
    let owner = world.owner();
    page.tell("Kept running. Talk to a new agent from another terminal:")?;
    // Not wrapped: it is there to be pasted.
    page.heading(&format!(
        "{} --home {} --key-file {} chat {peer}",
        av.display(),
        owner.home().display(),
        owner.key_file().display()
    ))?;
    page.tell("Ctrl-C here ends the agent and the relay and removes their folder.")?;
    wait_until("Ctrl-C", std::time::Duration::MAX, || Ok(wait::is_interrupted().then_some(()))).or_else(
        |error| {
            // That is the end that was asked for.
            if wait::is_interrupted() { Ok(()) } else { Err(error) }
        },
    )
}

fn close(page: &mut Page) -> Outcome {
    page.tell("Nothing was left running. Try next:")?;
    for (command, what) in [
        ("KEEP=1 make demo", "the same, left running, with a line to paste for a conversation of your own"),
        ("make test", "the whole suite; every promise above is a test (tests/promises.md)"),
        ("target/debug/av-relay dev", "a relay of your own; README.md goes on from there, by hand"),
    ] {
        page.tell(&format!("  {command:<28}{what}"))?;
    }
    Ok(())
}
