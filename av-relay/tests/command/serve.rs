//! `av-relay serve` on a PostgreSQL server of its operator's: how it starts, and what it says when it cannot.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use av_relay::store::embedded::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::{Config, NoTls};

use crate::process::{Running, Scratch, is_healthy, refusal, wait_until};

/// The operator's server and configuration. The server was made by roles.sql, and ends with the test.
struct Operator {
    cluster: Cluster,
    scratch: Scratch,
    address: SocketAddr,
}

impl Operator {
    fn new() -> Self {
        let scratch = Scratch::new();
        let binaries = std::env::var_os("AV_PG_BIN").map(PathBuf::from);
        let cluster = Cluster::start(&scratch.data(), binaries.as_deref()).unwrap();
        let address = free_address();
        let operator = Self { cluster, scratch, address };
        operator.configure("");
        operator
    }

    fn folder(&self) -> &Path {
        &self.scratch.0
    }

    fn config(&self) -> PathBuf {
        self.folder().join("relay.toml")
    }

    /// Writes the configuration, with this at its end, in `[database]`.
    fn configure(&self, end: &str) {
        let endpoint = self.cluster.endpoint();
        let text = format!(
            "listen = [\"{0}\"]\norigin = \"ws://{0}\"\ndata = \"relay\"\n[database]\nhost = {1:?}\nport = {2}\n{end}\n",
            self.address, endpoint.socket_folder, endpoint.port
        );
        fs::write(self.config(), text).unwrap();
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_av-relay"));
        command.arg(subcommand).arg("--config").arg(self.config());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn migrate(&self) {
        let output = self.command("migrate").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty());
    }

    /// From here on the server wants a password of this role.
    fn want_password(&self, role: &str, password: &str) {
        let endpoint = self.cluster.endpoint();
        let mut config = Config::new();
        config.host_path(endpoint.socket_folder).port(endpoint.port).dbname("agentvault").user(role);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(&format!("ALTER ROLE {role} PASSWORD '{password}'")).await.unwrap();
        });
        let access = self.cluster.folder().join("pg_hba.conf");
        let text = fs::read_to_string(&access).unwrap();
        fs::write(&access, format!("local agentvault {role} scram-sha-256\n{text}")).unwrap();
        kill(Pid::from_raw(self.scratch.server_pid().unwrap()), Signal::SIGHUP).unwrap();
        // It reads the file in its own time.
        wait_until("the server wants a password", || runtime.block_on(config.connect(NoTls)).is_err());
    }

    fn password_file(&self, password: &str) {
        let file = self.folder().join("app.password");
        fs::write(&file, password).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// An address that nobody listens on. A configured origin names the port, so the relay cannot take a free one itself. Below those that the system gives to outgoing
/// connections, of which tests open hundreds.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let mut port = [0; 2];
        getrandom::fill(&mut port).unwrap();
        let port = 20_000 + u16::from_be_bytes(port) % 12_000;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

#[test]
fn it_starts_once_the_schema_is_there_and_goes_on_with_what_it_has() {
    let operator = Operator::new();
    let said = refusal(operator.command("serve"));
    assert!(said.contains("the database has schema 0") && said.contains("`av-relay migrate`"), "{said}");
    operator.migrate();
    operator.migrate();

    let mut keys = Vec::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut relay = Running::start(operator.command("serve"));
        assert!(relay.is_healthy());
        keys.push(fs::read(operator.folder().join("relay/link-keys")).unwrap());
        relay.signal(signal);
        assert!(relay.end().success());
        assert!(!is_healthy(&operator.address.to_string()));
    }
    assert_eq!(keys[0], keys[1], "the link keys stay");
}

#[test]
fn a_password_is_given_by_file_or_environment_and_a_wrong_one_is_named() {
    let operator = Operator::new();
    operator.migrate();
    operator.want_password("av_app", "correct");

    let said = refusal(operator.command("serve"));
    assert!(said.contains("does not take av_app") && said.contains("app_password_file"), "{said}");
    let mut wrong = operator.command("serve");
    wrong.env("AV_APP_PASSWORD", "wrong");
    let said = refusal(wrong);
    assert!(said.contains("password authentication failed") && said.contains("ALTER ROLE av_app"), "{said}");
    assert!(!said.contains("wrong"), "{said}");

    let mut right = operator.command("serve");
    right.env("AV_APP_PASSWORD", "correct");
    assert!(Running::start(right).is_healthy());
    operator.configure("app_password_file = \"app.password\"");
    operator.password_file("correct\n");
    assert!(Running::start(operator.command("serve")).is_healthy());
    // The owner's is another, which only `migrate` needs.
    operator.want_password("av_owner", "owners");
    assert!(Running::start(operator.command("serve")).is_healthy());
    let said = refusal(operator.command("migrate"));
    assert!(said.contains("does not take av_owner") && said.contains("AV_OWNER_PASSWORD"), "{said}");
}

#[test]
fn a_server_that_is_not_there_a_database_and_a_role_that_are_missing_are_named() {
    let operator = Operator::new();
    operator.configure("name = \"elsewhere\"");
    let said = refusal(operator.command("migrate"));
    assert!(said.contains("elsewhere"), "{said}");
    let file = fs::read_to_string(operator.config()).unwrap();
    fs::write(operator.config(), file.replace("host = \"", "host = \"/nonexistent")).unwrap();
    let said = refusal(operator.command("migrate"));
    assert!(said.contains("/nonexistent") && said.contains("Is it running there?"), "{said}");
    operator.configure("");
    let access = operator.cluster.folder().join("pg_hba.conf");
    fs::write(&access, "local agentvault av_owner peer map=relay\n").unwrap();
    kill(Pid::from_raw(operator.scratch.server_pid().unwrap()), Signal::SIGHUP).unwrap();
    wait_until("the server lets nobody but the owner in", || {
        refusal(operator.command("serve")).contains("pg_hba.conf")
    });
}

#[test]
fn what_the_machine_refuses_is_named_with_the_cure() {
    let operator = Operator::new();
    let taken = TcpListener::bind(operator.address).unwrap();
    let said = refusal(operator.command("serve"));
    assert!(said.contains(&format!("port {} is taken", operator.address.port())), "{said}");
    drop(taken);
    let file = fs::read_to_string(operator.config()).unwrap();
    fs::write(operator.config(), file.replace("listen = [\"127.0.0.1", "listen = [\"192.0.2.7")).unwrap();
    let said = refusal(operator.command("serve"));
    assert!(said.contains("nothing would protect"), "{said}");
    let elsewhere = file.replace("listen = [\"127.0.0.1", "listen = [\"192.0.2.7");
    fs::write(operator.config(), elsewhere.replace("ws://127.0.0.1", "ws://192.0.2.7")).unwrap();
    let said = refusal(operator.command("serve"));
    assert!(said.contains("192.0.2.7 is no address of this machine"), "{said}");
    fs::write(operator.config(), file.replace("data = \"relay\"", "data = \"/proc/relay\"")).unwrap();
    let said = refusal(operator.command("serve"));
    assert!(said.contains("/proc/relay cannot be made"), "{said}");
    fs::remove_file(operator.config()).unwrap();
    let said = refusal(operator.command("serve"));
    assert!(said.contains("relay.toml") && said.contains("--config FILE"), "{said}");
}
