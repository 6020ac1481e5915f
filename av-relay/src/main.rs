//! The `av-relay` command.

#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use av_relay::dev::{Options, dev};
use av_wire::ids::Origin;
use clap::{Parser, Subcommand};
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
    /// Runs a relay for this machine on a PostgreSQL cluster of its own, which it makes at the first start.
    Dev {
        /// Loopback address to listen on; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7460")]
        listen: SocketAddr,
        /// What devices call this relay, where that is not ws:// and the address above.
        #[arg(long, value_name = "ws://HOST:PORT", value_parser = Origin::parse)]
        origin: Option<Origin>,
        /// Folder for the cluster; made if missing [default: /var/lib/agentvault/dev for root, else
        /// ~/.local/share/agentvault/relay-dev].
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Folder of PostgreSQL's initdb and postgres, where they are in no usual place.
        #[arg(long, value_name = "DIR", env = "AV_PG_BIN")]
        pg_bin: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let Cli { command: Command::Dev { listen, origin, data, pg_bin } } = Cli::parse();
    log_to_stderr();
    match dev(&Options { listen, origin, data, binaries: pg_bin }) {
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
