//! A relay of a test's own: `av-relay dev` on a free port, with a PostgreSQL of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::database::{Cluster, Database};
use crate::device::random;
use crate::process::{Finished, Process};
use crate::wait::{DEADLINE, wait_to_end, wait_until};
use crate::{Outcome, programs};

/// A relay. Dropping it kills it, and its PostgreSQL ends with it.
pub struct Relay {
    data: PathBuf,
    address: SocketAddr,
    origin: String,
    process: Option<Process>,
}

impl Relay {
    /// Starts a relay whose devices connect to it directly.
    ///
    /// # Errors
    /// When it does not get ready, with everything it said.
    pub fn start(data: &Path) -> Outcome<Self> {
        let address = free_address()?;
        Self::start_at(data, address, &format!("ws://{address}"))
    }

    /// Starts a relay at `address`, which devices know as `origin` (a recorder's, perhaps).
    ///
    /// # Errors
    /// When it does not get ready, with everything it said.
    pub fn start_at(data: &Path, address: SocketAddr, origin: &str) -> Outcome<Self> {
        let mut relay = Self { data: data.to_owned(), address, origin: origin.to_owned(), process: None };
        relay.restart()?;
        Ok(relay)
    }

    /// The command that starts a relay on this data directory.
    ///
    /// # Errors
    /// When `av-relay` is not built.
    pub fn command(data: &Path, listen: &str) -> Outcome<Command> {
        let mut command = Command::new(programs::find("av-relay")?);
        command.args(["dev", "--listen", listen, "--data"]).arg(data);
        Ok(command)
    }

    /// Starts it again on the same data and port, after [`Relay::kill`] or [`Relay::stop`].
    ///
    /// # Errors
    /// When it does not get ready, with everything it said.
    pub fn restart(&mut self) -> Outcome {
        let mut command = Self::command(&self.data, &self.address.to_string())?;
        command.args(["--found", "--origin", &self.origin]);
        let mut process = Process::spawn("av-relay", command)?;
        process.expect_line(&format!("ready {}", self.origin))?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills it with SIGKILL and waits until its PostgreSQL has ended too.
    ///
    /// # Errors
    /// When that goes on without it.
    pub fn kill(&mut self) -> Outcome {
        let database = Cluster::find(&self.data)?.process();
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        wait_until("PostgreSQL ends with the relay that was killed", DEADLINE, || {
            Ok((!crate::process::exists(database)).then_some(()))
        })
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// When it is not running, or does not end.
    pub fn stop(&mut self) -> Outcome<Finished> {
        self.process()?.signal(Signal::TERM)?;
        self.ended()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it is not running, or does not end.
    pub fn ended(&mut self) -> Outcome<Finished> {
        self.process.take().ok_or("the relay is not running")?.finish()
    }

    /// Its link keys, as its operator is shown them: the one in use, then its successor.
    ///
    /// # Errors
    /// When the command fails.
    pub fn link_keys(&self) -> Outcome<[String; 2]> {
        let mut command = Command::new(programs::find("av-relay")?);
        command.args(["link-keys", "--data"]).arg(&self.data);
        let shown = Process::run("av-relay link-keys", command, "")?.success()?;
        let keys: Vec<_> = shown.stdout.lines().map(str::to_owned).collect();
        keys.try_into().map_err(|keys| format!("two keys expected: {keys:?}").into())
    }

    /// A look into its database.
    ///
    /// # Errors
    /// When it is not running.
    pub fn inspect(&self) -> Outcome<Database> {
        Database::connect(&Cluster::find(&self.data)?)
    }

    /// The running process.
    ///
    /// # Errors
    /// When it is not running.
    pub fn process(&mut self) -> Outcome<&mut Process> {
        self.process.as_mut().ok_or_else(|| "the relay is not running".into())
    }

    /// The origin that its devices use.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let database = Cluster::find(&self.data).map(|cluster| cluster.process());
        // Its folder can be removed only when nobody writes into it any more, so the end is waited for; a relay
        // that does not take the signal is killed by its drop.
        let _ = process.signal(Signal::TERM);
        let _ = wait_to_end("the relay ends", DEADLINE, || Ok((!process.is_running()?).then_some(())));
        drop(process);
        if let Ok(database) = database {
            let _ = wait_to_end("PostgreSQL ends", DEADLINE, || {
                Ok((!crate::process::exists(database)).then_some(()))
            });
        }
    }
}

/// Ports below those that the system gives to outgoing connections, of which tests open hundreds.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// An address on loopback that nobody listens on at this moment, and that no outgoing connection will take.
///
/// # Errors
/// Those of the system, or when all ports that were tried are taken.
pub fn free_address() -> Outcome<SocketAddr> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let port = PORTS.start + u16::from_be_bytes(random()?) % (PORTS.end - PORTS.start);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener.local_addr()?);
        }
    }
    Err("no free port on loopback".into())
}
