//! Where a device's state is when nobody says so.

use std::path::PathBuf;

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

/// What a device is called when nobody says so: the machine's name, as far as it fits.
pub(crate) fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain: String = name.chars().filter(|c| !c.is_control()).collect();
    let end = plain.floor_char_boundary(av_host::av_proto::limits::NAME_MAX);
    match plain.get(..end) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "device".to_owned(),
    }
}
