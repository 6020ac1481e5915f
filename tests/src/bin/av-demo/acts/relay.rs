//! Act 1: the relay starts on its embedded default.

use av_tests::Outcome;

use crate::page::Page;
use crate::world::World;

pub(crate) fn play(page: &mut Page, world: &mut World) -> Outcome {
    page.act(1, "The relay starts, with a PostgreSQL of its own")?;
    world.start_relay()?;
    let origin = world.recorder().origin();
    let facts = world.database()?.facts()?;
    page.command(
        "relay$ av-relay dev",
        &[format!("ready {origin}")],
        &[
            format!("PostgreSQL {}: Unix socket only, no password", facts.major),
            format!("{} tables, row-level security forced", facts.tables),
            "commits reach the disk before an answer".to_owned(),
        ],
    )
}
