//! The main job by TLS, with the real programs: whom a device believes, and a certificate that is renewed meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use av_tests::agent::Agent;
use av_tests::database::Cluster;
use av_tests::folder::Folder;
use av_tests::owner::Owner;
use av_tests::process::Process;
use av_tests::relay::{Relay, free_address};
use av_tests::wait::{DEADLINE, wait_until};
use av_tests::{Outcome, programs};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::Signal;

/// A CA of the operator's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Folder, name: &str) -> Outcome<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let file = folder.write(name, params.self_signed(&key)?.pem().as_bytes(), 0o644)?;
        Ok(Self { issuer: Issuer::new(params, key), file })
    }

    /// Puts a certificate for localhost and its key where the relay looks for them.
    fn issue(&self, folder: &Folder) -> Outcome {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(["localhost".to_owned()])?;
        folder.write("relay.crt", params.signed_by(&key, &self.issuer)?.pem().as_bytes(), 0o644)?;
        folder.write("relay.key", key.serialize_pem().as_bytes(), 0o600)?;
        Ok(())
    }
}

/// `av-relay serve` on the PostgreSQL server of another relay.
fn serve(folder: &Folder, other: &Relay, port: u16) -> Outcome<Process> {
    let database = Cluster::find(other.data())?;
    let config = format!(
        "listen = [\"127.0.0.1:{port}\"]\norigin = \"wss://localhost:{port}\"\nfounding = \"open\"\ndata = \"served\"\n\
         tls = \"own\"\ncertificate = \"relay.crt\"\nkey = \"relay.key\"\n[database]\nhost = \"{}\"\n",
        database.socket_folder()
    );
    let mut command = Command::new(programs::find("av-relay")?);
    command.arg("serve").arg("--config").arg(folder.write("relay.toml", config.as_bytes(), 0o600)?);
    let mut relay = Process::spawn("av-relay serve", command)?;
    relay.expect_line(&format!("ready wss://localhost:{port}"))?;
    Ok(relay)
}

/// SIGHUP, and what the relay says then.
fn reload(relay: &Process, says: &str) -> Outcome {
    relay.signal(Signal::HUP)?;
    wait_until(&format!("the relay says {says:?}"), DEADLINE, || {
        Ok(relay.log().iter().any(|line| line.contains(says)).then_some(()))
    })
}

fn refused(folder: &Folder, name: &str, origin: &str, trusted: &Path, why: &str) -> Outcome {
    let mut owner = Owner::new(folder, name)?;
    owner.trust(trusted);
    let refused = owner.run(&["init", "--name", name, "--relay", origin])?.with_status(1)?;
    assert!(refused.stderr.contains(why), "{refused:#?}");
    assert!(!owner.home().exists(), "half a tenant");
    Ok(())
}

#[test]
fn the_main_job_by_tls_while_the_certificate_is_renewed() -> Outcome {
    let folder = Folder::new()?;
    let other = Relay::start(&folder.join("other"))?;
    let port = free_address()?.port();
    let [old, new] = [Authority::new(&folder, "old.pem")?, Authority::new(&folder, "new.pem")?];
    old.issue(&folder)?;
    let mut relay = serve(&folder, &other, port)?;
    let origin = format!("wss://localhost:{port}");

    refused(&folder, "mallory", &origin, &new.file, "no CA that this computer trusts")?;
    refused(&folder, "typo", &format!("wss://127.0.0.1:{port}"), &old.file, "another host's")?;
    let downgraded = format!("ws://localhost:{port}");
    refused(&folder, "plain", &downgraded, &old.file, "no AgentVault relay")?;

    let mut owner = Owner::new(&folder, "alice")?;
    owner.trust(&old.file);
    owner.run(&["init", "--name", "alice", "--relay", &origin])?.success()?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    owner.chat("scout", &["are you there?"], 1)?.line("ARE YOU THERE?")?;

    fs::write(folder.join("relay.crt"), "half a certificate")?;
    reload(&relay, "the one before goes on")?;
    owner.chat("scout", &["and now?"], 1)?.line("AND NOW?")?;

    new.issue(&folder)?;
    reload(&relay, "the certificate was read anew")?;
    refused(&folder, "late", &origin, &old.file, "no CA that this computer trusts")?;
    owner.trust(&new.file);
    owner.chat("scout", &["still there?"], 1)?.line("STILL THERE?")?;
    let connected = agent.process()?.lines().iter().filter(|line| line.contains("connected")).count();
    assert_eq!(connected, 1, "the agent, which trusts the old CA alone, is on its first connection");
    assert!(relay.is_running()?);
    Ok(())
}
