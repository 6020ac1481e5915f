use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, tempdir};
use tokio_postgres::config::SslMode;

use super::file::File;
use super::{Config, ConfigError, TlsConfig};
use crate::service::Founding;
use crate::tls::tests::Authority;

const EXAMPLE: &str = include_str!("../../relay.toml");

/// A configuration in a folder of its own.
struct Trial {
    folder: TempDir,
    path: PathBuf,
}

impl Trial {
    fn new(text: &str) -> Self {
        let folder = tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn open(&self) -> Config {
        Config::open(&self.path).unwrap()
    }
}

/// The example with a line changed.
fn with(line: &str, changed: &str) -> String {
    assert!(EXAMPLE.contains(line), "{line}");
    EXAMPLE.replacen(line, changed, 1)
}

fn refused(text: &str) -> String {
    Config::open(&Trial::new(text).path).unwrap_err().to_string()
}

fn no_environment(_: &str) -> Option<String> {
    None
}

#[test]
fn the_example_is_one_and_its_defaults_are_the_defaults() {
    let plain = Trial::new(EXAMPLE).open();
    assert_eq!(plain.listen, ["127.0.0.1:7460".parse().unwrap()]);
    assert_eq!(plain.origin.as_str(), "ws://127.0.0.1:7460");
    assert_eq!(plain.founding, Founding::Closed);
    assert_eq!((plain.database.port, plain.database.name.as_str()), (5_432, "agentvault"));

    let trial = Trial::new(&all_keys());
    let all = trial.open();
    assert_eq!(all.data, trial.folder.path().join("data"), "relative to the file");
    assert_eq!(
        (all.founding, all.database.port, &all.database.name),
        (plain.founding, plain.database.port, &plain.database.name)
    );
}

/// The example with every key that it shows.
fn all_keys() -> String {
    EXAMPLE
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|line| !line.is_empty() && !line.starts_with(' ')).unwrap_or(line)
        })
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_example_shows_every_key() {
    let all: toml::Table = all_keys().parse().unwrap();
    for table in [None, Some("database")] {
        let shown = table.map_or(Some(&all), |table| all[table].as_table()).unwrap();
        let header = table.map_or(String::new(), |table| format!("[{table}]\n"));
        let wrong = toml::from_str::<File>(&format!("{header}no_such_key = 1")).unwrap_err().to_string();
        let known: Vec<_> = wrong.split('`').skip(3).step_by(2).collect();
        assert!(known.len() > 3, "{wrong}");
        for key in &known {
            assert!(shown.contains_key(*key), "{key} is missing in the example");
        }
        assert_eq!(shown.len(), known.len());
    }
}

#[test]
fn a_typo_is_shown_with_its_line() {
    let said = refused(&with("#founding = \"closed\"", "fuonding = \"open\""));
    assert!(said.contains("unknown field `fuonding`") && said.contains("`founding`"), "{said}");
    assert!(said.contains("fuonding = \"open\"") && said.contains("line "), "{said}");
    let said = refused(&with("#port", "prot"));
    assert!(said.contains("unknown field `prot`") && said.contains("`port`"), "{said}");
    let said = refused(&with("#founding = \"closed\"", "founding = \"opne\""));
    assert!(said.contains("unknown variant `opne`") && said.contains("`open`"), "{said}");
    let said = refused(&with("origin = \"ws:", "origin = \"https:"));
    assert!(said.contains("an origin is ws://HOST:PORT"), "{said}");
    let said = refused(&with("data = \"data\"", ""));
    assert!(said.contains("missing field `data`"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named_with_one_to_copy() {
    let error = Config::open(Path::new("/nonexistent/relay.toml")).unwrap_err();
    assert!(matches!(error, ConfigError::Missing(_)));
    let said = error.to_string();
    assert!(said.contains("/nonexistent/relay.toml") && said.contains("av-relay/relay.toml"), "{said}");
}

#[test]
fn on_a_network_something_has_to_protect_what_goes_there() {
    let listen = "listen = [\"127.0.0.1:7460\"]";
    let network = with(listen, "listen = [\"127.0.0.1:7460\", \"0.0.0.0:7460\"]");
    let said = refused(&network);
    assert!(said.contains("0.0.0.0:7460") && said.contains("nothing would protect"), "{said}");
    assert!(said.contains("Noise link"), "says what to do: {said}");
    let named = network.replace("ws://127.0.0.1:7460", "ws://relay.example:7460");
    assert!(!Trial::new(&named).open().origin.is_loopback());

    let said = refused(&with(listen, "listen = []"));
    assert!(said.contains("listen is empty"), "{said}");
}

#[test]
fn tls_and_origin_fit_together() {
    let tls = |tls: &str, origin: &str| {
        let text = with("\"ws://127.0.0.1:7460\"", &format!("\"{origin}\""));
        text.replacen("#tls = \"off\"", tls, 1)
    };
    let own = "tls = \"own\"\ncertificate = \"relay.crt\"\nkey = \"relay.key\"";
    let proxy = "tls = \"proxy\"\ntrusted_proxies = [\"192.0.2.0/24\"]";
    let trial = Trial::new(&tls(own, "wss://relay.example"));
    let TlsConfig::Own(files) = trial.open().tls else { panic!("its own") };
    assert_eq!(files.key, trial.folder.path().join("relay.key"), "relative to the file");
    assert_eq!(files.host.to_str(), "relay.example");
    assert!(matches!(Trial::new(&tls(proxy, "wss://relay.example")).open().tls, TlsConfig::Proxy(_)));

    for (text, says) in [
        (tls("", "wss://relay.example"), "promises TLS"),
        (tls(own, "ws://relay.example"), "say wss://HOST"),
        (tls(proxy, "ws://127.0.0.1:7460"), "say wss://HOST"),
        (tls("tls = \"own\"\nkey = \"relay.key\"", "wss://relay.example"), "two PEM files"),
        (tls("tls = \"proxy\"", "wss://relay.example"), "trusted_proxies = ["),
        (tls(&own.replace("own", "off"), "ws://127.0.0.1:7460"), "say tls = \"own\""),
        (tls(&own.replace("own", "proxy"), "wss://relay.example"), "say tls = \"own\""),
        (tls(&proxy.replace("proxy\"", "off\""), "ws://127.0.0.1:7460"), "say tls = \"proxy\""),
        (tls(&proxy.replace("/24", ""), "wss://relay.example"), "trusted_proxies"),
        (tls(own, "wss://relay..example"), "no certificate can name"),
        (tls("tls = \"on\"", "wss://relay.example"), "unknown variant `on`"),
    ] {
        let said = refused(&text);
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn a_database_elsewhere_needs_the_ca_of_its_certificate() {
    let host = "host = \"/var/run/postgresql\"";
    for elsewhere in ["db.example", "192.0.2.7", ""] {
        let said = refused(&with(host, &format!("host = \"{elsewhere}\"")));
        assert!(said.contains("is not on this machine") && said.contains("with ca"), "{said}");
    }
    for here in ["localhost", "127.0.0.1", "::1"] {
        let login =
            Trial::new(&with(host, &format!("host = \"{here}\""))).open().owner(&no_environment).unwrap();
        assert_eq!(login.config.get_ssl_mode(), SslMode::Disable);
    }
    let said = refused(&with("#ca = \"\"", "ca = \"ca.pem\""));
    assert!(said.contains("socket") && said.contains("leave out ca"), "{said}");

    let trial = Trial::new(&with(host, "host = \"db.example\"\nca = \"ca.pem\""));
    let config = trial.open();
    let refusal = || config.logins(&no_environment).err().expect("no CA").to_string();
    assert!(refusal().contains("ca.pem cannot be read"), "{}", refusal());
    for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        trial.file("ca.pem", text, 0o644);
        assert!(refusal().contains("holds no CA's certificate"), "{}", refusal());
    }
    trial.file("ca.pem", &Authority::new().pem(), 0o644);
    assert_eq!(config.logins(&no_environment).unwrap().app.config.get_ssl_mode(), SslMode::Require);
}

#[test]
fn a_password_comes_from_a_file_or_from_the_environment() {
    let trial = Trial::new(&with("#app_password_file = \"\"", "app_password_file = \"app\""));
    let config = trial.open();
    let said = config.logins(&no_environment).err().unwrap().to_string();
    assert!(said.contains("app cannot be read"), "{said}");

    trial.file("app", "s3cret\n", 0o640);
    let error = config.logins(&no_environment).err().unwrap();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    trial.file("app", "s3cret\n", 0o600);
    let logins = config.logins(&no_environment).unwrap();
    assert_eq!(logins.app.config.get_password(), Some(b"s3cret".as_slice()));
    assert_eq!(logins.janitor.config.get_password(), None);

    let environment = |name: &str| (name == "AV_JANITOR_PASSWORD").then(|| "other".to_owned());
    assert_eq!(config.logins(&environment).unwrap().janitor.config.get_password(), Some(b"other".as_slice()));
    let environment = |name: &str| (name == "AV_APP_PASSWORD").then(|| "other".to_owned());
    let error = config.logins(&environment).err().unwrap();
    assert!(error.to_string().contains("AV_APP_PASSWORD: leave one of them out"), "{error}");

    for text in ["", "\n", "two\nlines\n"] {
        trial.file("app", text, 0o600);
        let error = config.logins(&no_environment).err().unwrap();
        assert!(error.to_string().contains("holds no password"), "{error}");
    }
    // What is wrong with the traffic's login is no matter of the owner's.
    assert_eq!(config.owner(&no_environment).unwrap().config.get_password(), None);
}
