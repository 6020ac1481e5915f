//! Where a device's state is when nobody says so.

use std::path::PathBuf;

use av_host::av_proto::invite::is_plain;
use av_host::av_proto::limits::NAME_MAX;

use crate::Global;
use crate::failure::Failure;

/// The owner's state directory.
pub(crate) fn directory(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(home) = &global.home {
        return Ok(home.clone());
    }
    let data = match std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()) {
        Some(data) => PathBuf::from(data),
        None => std::env::home_dir()
            .filter(|home| !home.as_os_str().is_empty())
            .ok_or_else(|| {
                Failure::usage("there is no home directory here: say where the state is with --home DIR")
            })?
            .join(".local/share"),
    };
    Ok(data.join("agentvault/owner"))
}

/// A name that a device can have.
pub(crate) fn device_name(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_MAX).contains(&text.len()) && is_plain(text);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("a name has 1 to {NAME_MAX} bytes and no control or invisible characters"))
    }
}

/// What a device is called when nobody says so: the machine's name, as far as it fits.
pub(crate) fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain: String = name.chars().filter(|c| !c.is_control()).collect();
    let end = plain.floor_char_boundary(NAME_MAX);
    match plain.get(..end) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "device".to_owned(),
    }
}
