//! `agent.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use av_host::av_proto::wire::Origin;
use serde::Deserialize;

use crate::failure::Failure;
use crate::home::device_name;

pub(super) const HELP: &str = "\
agent.toml:
  invite = \"av1:?relay=…#…\"   the invite; or its text av1-… together with relay = \"ws://127.0.0.1:7460\"
  exec = \"./handler\"          started for each message: reads it on stdin, answers on stdout
  state = \"state\"             directory of this agent's state
and if wanted:
  name = \"thermostat\"         what it proposes to be called [default: the machine's name]
  key_file = \"agent.key\"      unlocks the state [default: the state's name with .key behind it, or the passphrase
                             in AV_PASSPHRASE]; made with the state. Whoever has both is this agent
  timeout = \"60s\"             after which a handler is ended

Relative paths are relative to agent.toml. A handler that fails is tried 3 times. It finds the sender in AV_FROM and
AV_FROM_NAME, and in AV_MESSAGE_ID what tells a message apart that is offered again after a crash.";

/// A handler that needs longer than this has hung, for all that anyone waiting for its answer can tell.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Every key, for the nearest one to a mistyped key.
const KEYS: [&str; 7] = ["relay", "invite", "exec", "state", "name", "key_file", "timeout"];

/// How alike a known key must be to be meant (Jaro-Winkler).
const ALIKE: f64 = 0.7;

#[derive(Deserialize)]
struct File {
    relay: Option<String>,
    invite: Option<String>,
    exec: PathBuf,
    state: PathBuf,
    name: Option<String>,
    key_file: Option<PathBuf>,
    timeout: Option<String>,
}

/// A configuration that has been read and makes sense.
pub(super) struct Config {
    pub(super) relay: Option<Origin>,
    pub(super) invite: Option<String>,
    pub(super) exec: PathBuf,
    pub(super) state: PathBuf,
    pub(super) name: Option<String>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) timeout: Duration,
    /// Where agent.toml is, and where handlers run.
    pub(super) directory: PathBuf,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}; see: av agent run --help", path.display()))
        })?;
        let path = std::path::absolute(path)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, directory)
            .map_err(|message| Failure::usage(format!("{}: {message}", path.display())))
    }

    fn parse(text: &str, directory: &Path) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_key(unknown));
        }
        let file: File = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        if file.relay.is_none() && file.invite.is_none() {
            return Err("neither invite nor relay is there: add invite = \"av1:?relay=…#…\"".to_owned());
        }
        let name = file.name.as_deref().map(device_name).transpose();
        let relay = file.relay.as_deref().map(Origin::parse).transpose();
        let timeout = file.timeout.as_deref().map_or(Ok(DEFAULT_TIMEOUT), humantime::parse_duration);
        let config = Self {
            relay: relay.map_err(|error| format!("relay: {error}"))?,
            invite: file.invite,
            exec: directory.join(file.exec),
            state: directory.join(file.state),
            name: name.map_err(|error| format!("name: {error}"))?,
            key_file: file.key_file.map(|path| directory.join(path)),
            timeout: timeout.map_err(|error| format!("timeout: {error}; write it like 30s or 5m"))?,
            directory: directory.to_owned(),
        };
        if config.timeout.is_zero() {
            return Err("timeout: a handler needs more time than none".to_owned());
        }
        Ok(config)
    }
}

fn unknown_key(unknown: &str) -> String {
    let likeness = |key: &&str| strsim::jaro_winkler(unknown, key);
    let nearest = KEYS.into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest.filter(|key| likeness(key) >= ALIKE) {
        Some(nearest) => format!("unknown key `{}`; did you mean `{nearest}`?", unknown.escape_default()),
        None => format!("unknown key `{}`; known are {}", unknown.escape_default(), KEYS.join(", ")),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
