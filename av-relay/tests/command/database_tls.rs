//! `av-relay serve` with its database across a network: PostgreSQL's TLS, verified as by libpq's `verify-full`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use av_relay::store::embedded::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_postgres::{Config, NoTls};

use crate::process::{Running, Scratch, refusal, wait_until};
use crate::serve::free_address;

const ROLES: [&str; 3] = ["av_owner", "av_app", "av_janitor"];
const NOW: [i32; 2] = [2_020, 4_000];

/// A PostgreSQL server that is reached by TLS alone, with a password.
struct Server {
    process: Child,
    cluster: PathBuf,
    scratch: Scratch,
    address: SocketAddr,
    authority: Issuer<'static, KeyPair>,
}

impl Server {
    fn start() -> Self {
        let scratch = Scratch::new();
        let binaries = std::env::var_os("AV_PG_BIN").map(PathBuf::from);
        let private = Cluster::start(&scratch.data(), binaries.as_deref()).unwrap();
        let endpoint = private.endpoint();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for role in ROLES {
            let mut config = Config::new();
            config.host_path(&endpoint.socket_folder).port(endpoint.port).dbname("agentvault").user(role);
            runtime.block_on(async {
                let (client, connection) = config.connect(NoTls).await.unwrap();
                tokio::spawn(connection);
                client.batch_execute(&format!("ALTER ROLE {role} PASSWORD 'of {role}'")).await.unwrap();
            });
        }
        let cluster = private.folder();
        let pid = scratch.server_pid().unwrap();
        let postgres = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        drop(private);

        let (authority, pem) = authority();
        let access = format!("hostssl agentvault {} 127.0.0.1/32 scram-sha-256\n", ROLES.join(","));
        fs::write(cluster.join("pg_hba.conf"), access).unwrap();
        let account = fs::metadata(&cluster).unwrap();
        let address = free_address();
        fs::write(scratch.0.join("ca.pem"), pem).unwrap();
        issue(&authority, &cluster, "localhost", NOW);
        set_tls(&cluster, "on");
        let process = Command::new(postgres)
            .arg("-D")
            .arg(&cluster)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .arg("-c")
            .arg(format!("port={}", address.port()))
            .current_dir("/")
            .uid(account.uid())
            .gid(account.gid())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, cluster, scratch, address, authority };
        let file = server.cluster.join("postmaster.pid");
        wait_until("PostgreSQL is ready", || {
            fs::read_to_string(&file)
                .is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
        });
        server
    }

    /// `av-relay` on it, under this name and with this CA.
    fn command(&self, subcommand: &str, host: &str, ca: &str) -> Command {
        let relay = free_address();
        let text = format!(
            "listen = [\"{relay}\"]\norigin = \"ws://{relay}\"\ndata = \"relay\"\n\
             [database]\nhost = \"{host}\"\nport = {}\n{ca}\n",
            self.address.port()
        );
        let config = self.scratch.0.join("relay.toml");
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_av-relay"));
        command.arg(subcommand).arg("--config").arg(config);
        for role in ROLES {
            command.env(format!("{}_PASSWORD", role.to_uppercase()), format!("of {role}"));
        }
        command
    }

    fn refuses(&self, host: &str, ca: &str, says: &str) -> bool {
        let said = refusal(self.command("serve", host, ca));
        assert!(!said.contains("of av_app"), "{said}");
        said.contains(says)
    }

    fn reload(&self) {
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGHUP).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A fast shutdown; its children end with it.
        let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGINT);
        let _ = self.process.wait();
    }
}

/// A CA, and its certificate.
fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// A certificate and its key, where the server looks for them.
fn issue(authority: &Issuer<'static, KeyPair>, cluster: &Path, name: &str, years: [i32; 2]) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    [params.not_before, params.not_after] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
    let key = KeyPair::generate().unwrap();
    let account = fs::metadata(cluster).unwrap();
    for (name, text) in [
        ("server.crt", params.signed_by(&key, authority).unwrap().pem()),
        ("server.key", key.serialize_pem()),
    ] {
        let path = cluster.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(account.uid()), Some(account.gid())).unwrap();
    }
}

/// The last word in the server's settings.
fn set_tls(cluster: &Path, value: &str) {
    let path = cluster.join("postgresql.conf");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\nssl = {value}\n")).unwrap();
}

#[test]
fn the_database_is_believed_by_the_ca_under_its_name_in_its_time() {
    const CA: &str = "ca = \"ca.pem\"";
    let server = Server::start();
    let output = server.command("migrate", "localhost", CA).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(Running::start(server.command("serve", "localhost", CA)).is_healthy());

    fs::write(server.scratch.0.join("other.pem"), authority().1).unwrap();
    assert!(server.refuses("localhost", "ca = \"other.pem\"", "is not the CA that signed it"));
    assert!(server.refuses("127.0.0.1", CA, "has to be a name in it"));
    assert!(server.refuses("localhost", "", "pg_hba.conf"), "without TLS it lets nobody in");

    issue(&server.authority, &server.cluster, "localhost", [2_020, 2_021]);
    server.reload();
    // It reads its files in its own time.
    wait_until("an expired certificate is refused", || server.refuses("localhost", CA, "Renew it"));

    set_tls(&server.cluster, "off");
    server.reload();
    wait_until("a server without TLS is refused", || server.refuses("localhost", CA, "ssl = on"));
}
