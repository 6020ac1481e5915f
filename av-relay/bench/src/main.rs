//! `make bench-relay`: the relay beside PostgreSQL alone and beside NATS JetStream, in one run, in turns.
//!
//! ```text
//! main ─▶ accepted ─▶ load ─▶ client ─▶ relay ─▶ PostgreSQL
//!            │    └─▶ alone ────────────────────────▲
//!            └──────▶ nats
//! ```
//!
//! A round measures each side once, right after the other, so that what changes on the machine meets both; what counts
//! is the median of the rounds' quotients. All rows are on empty tables behind a checkpoint.

mod accepted;
mod alone;
mod client;
mod load;
mod measure;
mod nats;
mod world;

use av_tests::Outcome;

use crate::measure::Settings;

/// What ONLY chooses from.
const GROUPS: [&str; 2] = ["accepted", "single"];

#[tokio::main]
async fn main() -> Outcome {
    let settings = Settings::from_environment()?;
    let only = std::env::var("ONLY").unwrap_or_default();
    let chosen: Vec<_> = GROUPS.iter().filter(|group| group.contains(&only)).collect();
    if chosen.is_empty() {
        return Err(format!("ONLY={only}: there are {}", GROUPS.join(", ")).into());
    }
    println!("{} rounds of {} s each side", settings.rounds, settings.time.as_secs());
    for group in chosen {
        println!();
        match *group {
            "accepted" => accepted::many(settings).await?,
            _ => accepted::single(settings).await?,
        }
    }
    Ok(())
}
