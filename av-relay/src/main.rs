//! The `av-relay` command.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use av_relay::dev::{Options, dev, link_keys};
use av_relay::serve::{migrate, serve};
use av_wire::ids::Origin;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// The AgentVault relay: stores and forwards ciphertext.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a relay on a PostgreSQL cluster of its own, which it makes at the first start.
    Dev(Box<Dev>),
    /// Runs a relay on a PostgreSQL server of yours.
    Serve {
        /// The configuration; av-relay/relay.toml explains every key.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Brings that server's schema up to date, as av_owner; before the first start, and before a newer relay's.
    Migrate {
        /// The configuration, as for `serve`.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Shows the Noise link's keys: the one in use, and its successor.
    LinkKeys {
        /// The relay's folder, as for `dev`; for `serve` it is data in its configuration.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Takes the successor into use and makes another. Announce both first; the relay reads them when it starts.
        #[arg(long)]
        rotate: bool,
    },
}

#[derive(Args, Debug)]
struct Dev {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7460")]
    listen: SocketAddr,
    /// What devices call this relay, where that is not ws:// and the address above. Under a name or address that is
    /// not this machine's own they reach it by the Noise link only.
    #[arg(long, value_name = "ws://HOST:PORT", value_parser = Origin::parse)]
    origin: Option<Origin>,
    /// Founds tenants also for others on the network; on loopback it always does.
    #[arg(long)]
    found: bool,
    /// Folder for the cluster; made if missing [default: /var/lib/agentvault/dev for root, else
    /// ~/.local/share/agentvault/relay-dev].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of PostgreSQL's initdb and postgres, where they are in no usual place.
    #[arg(long, value_name = "DIR", env = "AV_PG_BIN")]
    pg_bin: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    let done: Result<(), Box<dyn Error>> = match cli.command {
        Command::Dev(command) => {
            let Dev { listen, origin, found, data, pg_bin } = *command;
            dev(&Options { listen, origin, found, data, binaries: pg_bin }).map_err(Box::from)
        }
        Command::Serve { config } => serve(&config).map_err(Box::from),
        Command::Migrate { config } => migrate(&config).map_err(Box::from),
        Command::LinkKeys { data, rotate } => link_keys(data, rotate).map_err(Box::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody to tell.
            let _ = writeln!(io::stderr(), "av-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `RUST_LOG` chooses what is logged, in the usual syntax.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
