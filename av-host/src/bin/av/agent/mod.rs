//! `av agent`: an agent's device, whose messages a program answers.

mod config;
mod handler;
mod run;

use clap::{Args, Subcommand};
use std::path::PathBuf;

use crate::Global;
use crate::failure::Failure;

/// An agent's device
#[derive(Subcommand)]
pub(crate) enum Agent {
    /// Enroll on the first run, then answer messages until stopped
    Run(Run),
}

/// Enroll on the first run, then answer messages until stopped
#[derive(Args)]
#[command(after_help = config::HELP)]
pub(crate) struct Run {
    /// The agent's configuration
    #[arg(value_name = "FILE", default_value = "agent.toml")]
    config: PathBuf,
}

impl Agent {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        match self {
            Self::Run(run) => run::run(config::Config::read(&run.config)?, global).await,
        }
    }
}
