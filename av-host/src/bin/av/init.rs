//! `av init`: found a tenant.

use std::io;
use std::path::{Path, PathBuf};

use av_host::av_proto::invite::parse_link_key;
use av_host::av_proto::wire::{Origin, Role};
use av_host::av_proto::{EndReason, Event, Phase, RecoveryKey};
use av_host::files::write_new;
use av_host::store::Store;
use av_host::{Owner, StoredDevice, transport};
use clap::Args;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::lock::unlock;
use crate::session::{finish, interrupted, wait_for};
use crate::terminal::say;
use crate::{Global, home};

/// Found a tenant, with this device as its first owner
#[derive(Args)]
#[command(after_help = "Example:\n  av init --relay ws://127.0.0.1:7460 --recovery-file recovery.txt")]
pub(crate) struct Init {
    /// The relay's origin
    #[arg(long, value_name = "ORIGIN", value_parser = Origin::parse)]
    relay: Origin,
    /// The relay's link key, as `av-relay link-keys` shows it; for a relay that is not on this machine
    #[arg(long, value_name = "KEY", value_parser = LinkKey::parse)]
    link_key: Option<LinkKey>,
    /// What this device is called [default: the machine's name]
    #[arg(long, value_parser = home::device_name)]
    name: Option<String>,
    /// Write the recovery key to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    recovery_file: Option<PathBuf>,
}

/// 32 bytes that are no secret.
#[derive(Clone, Copy)]
struct LinkKey([u8; 32]);

impl LinkKey {
    fn parse(text: &str) -> Result<Self, &'static str> {
        parse_link_key(text.trim())
            .map(Self)
            .map_err(|_| "a link key has 43 characters, as `av-relay link-keys` shows it: copy it whole")
    }
}

impl Init {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let directory = home::directory(global)?;
        // Asked first: a relay that is down is no reason to leave half a tenant behind.
        let link_key = self.link_key.map(|LinkKey(key)| key);
        transport::probe(&self.relay, link_key.as_ref()).await?;
        let exists = Store::exists(&directory);
        let unlock = unlock(&directory, global.key_file.as_deref())?;
        let mut stored = if exists {
            StoredDevice::open(&directory, &unlock)?
        } else {
            StoredDevice::create(&directory, &unlock)?
        };
        let mut owner = match stored.endpoint().phase() {
            Phase::Empty => self.found(stored, link_key)?,
            Phase::Founding => self.go_on(stored)?,
            Phase::Active | Phase::Enrolling | Phase::Granted => {
                return Err(Failure::state(format!(
                    "{} already holds a device of a tenant; it was left alone. Another one needs another --home",
                    directory.display()
                )));
            }
        };
        let outcome = tokio::select! {
            outcome = founded(&mut owner) => outcome,
            () = interrupted() => Err(Failure::interrupted()),
        };
        finish(owner, outcome).await
    }

    fn found(&self, stored: StoredDevice, link_key: Option<[u8; 32]>) -> Result<Owner, Failure> {
        let name = self.name.clone().unwrap_or_else(home::machine_name);
        // The key is in the person's hands before anything is stored or sent: a crash in between leaves a key
        // without a tenant, never a tenant without its key.
        Owner::found(stored, &self.relay, link_key, &name, |key| match &self.recovery_file {
            Some(path) => write_recovery_file(path, key),
            None => Ok(show_recovery_key(key)?),
        })
    }

    /// The run before this one ended between storing the tenant and the relay's answer.
    fn go_on(&self, mut stored: StoredDevice) -> Result<Owner, Failure> {
        match stored.endpoint().origin() {
            Some(origin) if *origin == self.relay => {}
            Some(origin) => {
                return Err(Failure::usage(format!(
                    "an earlier `av init` began at {origin}: give that --relay"
                )));
            }
            None => {
                return Err(Failure::failed("the earlier `av init` left no relay to go on with"));
            }
        }
        say!("Going on with an earlier `av init`; the recovery key is the one that it gave.")?;
        Ok(Owner::start(stored)?)
    }
}

async fn founded(owner: &mut Owner) -> Result<(), Failure> {
    wait_for(owner, |event| match event {
        Event::Founded => Some(Ok(())),
        Event::EnrollmentEnded(EndReason::FoundingRefused(code)) => {
            Some(Err(Failure::refused_with("the relay does not found this tenant", *code)))
        }
        Event::EnrollmentEnded(_) => Some(Err(Failure::refused("the relay does not found this tenant"))),
        _ => None,
    })
    .await?;
    let stored = owner.device().identity().await?;
    say!("Founded. This device is the tenant's first owner.")?;
    if let Some(identity) = stored.filter(|identity| identity.role == Role::Owner) {
        say!("fingerprint  {}", identity.fingerprint.groups())?;
    }
    say!("Next: av invite")?;
    Ok(())
}

fn show_recovery_key(key: &RecoveryKey) -> io::Result<()> {
    say!("RECOVERY KEY, shown this once. Write it down and keep it offline:")?;
    say!("")?;
    key.reveal(|text| say!("  {text}"))?;
    say!("")?;
    say!("Whoever has it can take over the tenant; without it a lost device cannot be replaced.")
}

fn write_recovery_file(path: &Path, key: &RecoveryKey) -> Result<(), Failure> {
    let written = key.reveal(|text| {
        let line = Zeroizing::new(format!("{text}\n"));
        // Never over another tenant's key.
        write_new(path, line.as_bytes())
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::usage(format!(
            "{} exists, and may hold another tenant's recovery key: name another --recovery-file",
            path.display()
        )),
        _ => Failure::failed(format!("cannot write {}: {error}; no tenant was made", path.display())),
    })?;
    say!("The recovery key is in {}. Move it offline.", path.display())?;
    Ok(())
}
