use std::path::Path;
use std::time::Duration;

use super::Config;

const MINIMAL: &str = "relay = \"ws://127.0.0.1:7460\"\nexec = \"./handler\"\nstate = \"state\"\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/srv/agent"))
}

#[test]
fn three_lines_are_enough_and_paths_are_relative_to_the_file() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.exec, Path::new("/srv/agent/./handler"));
    assert_eq!(config.state, Path::new("/srv/agent/state"));
    assert_eq!(config.directory, Path::new("/srv/agent"));
    assert_eq!(config.timeout, Duration::from_secs(60));
    assert!(config.key_file.is_none());
}

#[test]
fn everything_can_be_said() {
    let config = parse(&format!(
        "{MINIMAL}invite = \"av1-x\"\nname = \"kitchen\"\nkey_file = \"/etc/key\"\ntimeout = \"2m\"\n"
    ))
    .unwrap();
    assert_eq!(config.invite.as_deref(), Some("av1-x"));
    assert_eq!(config.name.as_deref(), Some("kitchen"));
    assert_eq!(config.key_file.as_deref(), Some(Path::new("/etc/key")));
    assert_eq!(config.timeout, Duration::from_secs(120));
}

#[test]
fn a_mistyped_key_is_refused_with_the_nearest() {
    for (typo, meant) in
        [("exce", "exec"), ("keyfile", "key_file"), ("time_out", "timeout"), ("invit", "invite")]
    {
        let error = parse(&format!("{MINIMAL}{typo} = \"x\"\n")).map(|_| ()).unwrap_err();
        assert!(error.contains(&format!("`{typo}`")) && error.contains(&format!("`{meant}`?")), "{error}");
    }
    let error = parse(&format!("{MINIMAL}zzz = 1\n")).map(|_| ()).unwrap_err();
    assert!(error.contains("known are relay, invite"), "{error}");
}

#[test]
fn what_is_missing_or_makes_no_sense_is_named() {
    for (text, named) in [
        ("exec = \"a\"\nstate = \"b\"\n", "invite"),
        ("relay = \"ws://127.0.0.1:1\"\nstate = \"b\"\n", "exec"),
        ("relay = \"ws://127.0.0.1:1\"\nexec = \"a\"\n", "state"),
        ("relay = \"http://127.0.0.1:1\"\nexec = \"a\"\nstate = \"b\"\n", "relay"),
        ("name = \"\"\nrelay = \"ws://127.0.0.1:1\"\nexec = \"a\"\nstate = \"b\"\n", "name"),
        ("relay = 7\nexec = \"a\"\nstate = \"b\"\n", "string"),
        ("relay = \"ws://127.0.0.1:1\"\nexec = \"a\"\nstate = \"b\"\ntimeout = \"soon\"\n", "timeout"),
        ("relay = \"ws://127.0.0.1:1\"\nexec = \"a\"\nstate = \"b\"\ntimeout = \"0s\"\n", "timeout"),
        ("relay = \"ws://127.0.0.1:1\"\nexec\n", "line 2"),
    ] {
        let error = parse(text).map(|_| ()).unwrap_err();
        assert!(error.contains(named), "{named}: {error}");
    }
}
