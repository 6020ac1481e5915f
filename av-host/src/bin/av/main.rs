//! `av`: an owner's and an agent's device on the command line. One file a subcommand.

mod agent;
mod approve;
mod chat;
mod failure;
mod home;
mod init;
mod invite;
mod lock;
mod peer;
mod peers;
mod reject;
mod session;
mod standing;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use failure::Failure;

const EXAMPLES: &str = "\
Examples:
  av init --relay ws://127.0.0.1:7460     found a tenant; this becomes its first owner's device
  av invite                               an invite for one agent, good for 10 minutes
  av agent run agent.toml                 on the agent's side: enroll, then answer messages
  av approve --wait                       compare the fingerprint, then let the agent in
  av chat thermostat                      talk to it
  av revoke thermostat                    put it out, for good

Exit codes:
  0  done
  1  failed: the message says why and what to do; nothing is lost
  2  usage: the command line, agent.toml or an invite has a mistake
  3  refused, by the relay or by an owner; also an attack on an enrollment
  4  the state directory cannot be used; its files are as they were";

/// End-to-end encrypted messages between you and your agents, over a relay that cannot read them.
#[derive(Parser)]
#[command(name = "av", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Where the owner's device keeps its state, and what unlocks it.
#[derive(Args)]
struct Global {
    /// Directory of this device's state [default: $XDG_DATA_HOME or ~/.local/share, then agentvault/owner]
    #[arg(long, value_name = "DIR", env = "AV_HOME", global = true)]
    home: Option<PathBuf>,
    /// File of 32 random bytes that unlocks the state in place of a passphrase; made with new state. Without it,
    /// a passphrase is taken from AV_PASSPHRASE, or asked for on the terminal
    #[arg(long, value_name = "FILE", env = "AV_KEY_FILE", global = true)]
    key_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Found a tenant, with this device as its first owner
    Init(Box<init::Init>),
    /// Make a single-use invite
    Invite(invite::Invite),
    /// Show enrollment requests and let one in
    Approve(approve::Approve),
    /// Turn an enrollment request down, for good
    Reject(reject::Reject),
    /// Put a device out, for good
    Revoke(standing::Target),
    /// Hold a device until it is resumed
    Suspend(standing::Target),
    /// Let a suspended device go on
    Resume(standing::Target),
    /// List the devices that this one knows
    Peers,
    /// Send lines, and print what comes
    Chat(chat::Chat),
    /// An agent's device
    #[command(subcommand)]
    Agent(agent::Agent),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Logs go to stderr: stdout is the command's result.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(format!("cannot start: {error}")).report(),
    };
    let outcome = runtime.block_on(run(cli));
    // A read from the terminal cannot be taken back; it must not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(init) => init.run(&global).await,
        Command::Invite(invite) => invite.run(&global).await,
        Command::Approve(approve) => approve.run(&global).await,
        Command::Reject(reject) => reject.run(&global).await,
        Command::Revoke(target) => target.revoke(&global).await,
        Command::Suspend(target) => target.suspend(&global).await,
        Command::Resume(target) => target.resume(&global).await,
        Command::Peers => peers::run(&global),
        Command::Chat(chat) => chat.run(&global).await,
        Command::Agent(agent) => agent.run(&global).await,
    }
}
