use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use av_wire::ids::Origin;
use av_wire::public::Role;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::binaries::parse_major;
use super::{Cluster, EmbeddedError};
use crate::Founding;
use crate::Relay;
use crate::store::{EntryContent, OpenError, Store};
use crate::testing::{ORIGIN, Tenant, TestCluster, binaries, relay, scratch_folder, shared};

/// A folder that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(scratch_folder())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::set_permissions(&self.0, Permissions::from_mode(0o755)).unwrap();
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn start(data: &Path) -> Result<Cluster, EmbeddedError> {
    Cluster::start(data, binaries().as_deref())
}

#[test]
fn versions_are_read_as_servers_write_them() {
    assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
    assert_eq!(parse_major("postgres (PostgreSQL) 19beta1\n"), Some(19));
    assert_eq!(parse_major("postgres: command not found"), None);
    assert_eq!(parse_major(""), None);
}

#[test]
fn missing_binaries_are_named_with_the_cure() {
    let scratch = Scratch::new();
    let error = Cluster::start(&scratch.0.join("data"), Some(&scratch.0)).unwrap_err().to_string();
    assert!(error.contains("PostgreSQL is not installed"), "{error}");
    assert!(error.contains("apt-get install") && error.contains("--pg-bin"), "{error}");
    assert!(!scratch.0.join("data").exists());
}

#[test]
fn a_cluster_of_another_version_is_left_alone() {
    let scratch = Scratch::new();
    let cluster = scratch.0.join("cluster");
    fs::create_dir(&cluster).unwrap();
    fs::write(cluster.join("PG_VERSION"), "14\n").unwrap();
    let error = start(&scratch.0).unwrap_err();
    assert!(matches!(&error, EmbeddedError::OtherVersion { made_by, .. } if made_by == "14"), "{error}");
    let files: Vec<_> = fs::read_dir(&cluster).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(files, ["PG_VERSION"]);
}

#[test]
fn a_folder_that_is_a_file_cannot_be_written() {
    let scratch = Scratch::new();
    let file = scratch.0.join("file");
    fs::write(&file, "").unwrap();
    let error = start(&file).unwrap_err();
    assert!(matches!(error, EmbeddedError::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("--data DIR"), "{error}");
}

/// Root may enter anything, so it is told when PostgreSQL's account may not; anybody else cannot write.
#[test]
fn a_closed_folder_is_named() {
    let scratch = Scratch::new();
    let (mode, is_root) = if nix::unistd::geteuid().is_root() { (0o700, true) } else { (0o500, false) };
    fs::set_permissions(&scratch.0, Permissions::from_mode(mode)).unwrap();
    let error = start(&scratch.0.join("data")).unwrap_err();
    match &error {
        EmbeddedError::NotTraversable { path, .. } if is_root => assert_eq!(*path, scratch.0),
        EmbeddedError::NotWritable { .. } if !is_root => {}
        other => panic!("{other}"),
    }
}

#[test]
fn a_second_relay_on_the_same_folder_is_refused() {
    let cluster = shared();
    let error = start(cluster.files().parent().unwrap()).unwrap_err();
    assert!(matches!(error, EmbeddedError::InUse { .. }), "{error}");
}

#[test]
fn a_socket_path_that_is_too_long_is_kept_elsewhere() {
    let scratch = Scratch::new();
    let deep = scratch.0.join("d".repeat(100));
    let cluster = start(&deep).unwrap();
    let socket = cluster.endpoint().socket_folder;
    assert!(!socket.starts_with(&scratch.0));
    assert!(socket.join(".s.PGSQL.5432").exists());
    drop(cluster);
    fs::remove_dir(&socket).unwrap();
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let (_cluster, relay) = relay().await;
    let scratch = Scratch::new();
    let tenant = Tenant::unknown(&relay);
    for _ in 0..2 {
        // On this test's own thread, which outlives it.
        let cluster = start(&scratch.0).unwrap();
        let store = Store::open(&cluster.endpoint()).await.unwrap();
        let tenant =
            Tenant { relay: Relay::new(store, relay.origin().clone(), Founding::Open), ..copy(&tenant) };
        // The second time it is there, and this is the retry.
        tenant.found(&tenant.owner, ORIGIN).await.unwrap();
        let tx = tenant.relay.store().tenant(tenant.id).await.unwrap();
        assert_eq!(tx.owner_count().await.unwrap(), 1);
    }
}

/// What was accepted is there, however the server ended in between.
#[tokio::test]
async fn accepted_messages_survive_a_server_that_is_killed() {
    const ROUNDS: u8 = 3;
    const EACH: u32 = 25;
    let scratch = Scratch::new();
    let mut accepted: Vec<Vec<u8>> = Vec::new();
    let mut devices = None;
    for round in 0..ROUNDS {
        let cluster = start(&scratch.0).unwrap();
        let store = Store::open(&cluster.endpoint()).await.unwrap();
        let relay = Relay::new(store, Origin::parse(ORIGIN).unwrap(), Founding::Open);
        let (tenant, agent) = match devices.take() {
            None => {
                let tenant = Tenant::founded(&relay).await;
                let agent = tenant.active(Role::Agent).await;
                (tenant, agent)
            }
            Some((tenant, agent)) => (Tenant { relay, ..tenant }, agent),
        };
        let stored = tenant.relay.entries_after(&tenant.actor(&agent), 0, u16::MAX).await.unwrap();
        let stored: Vec<Vec<u8>> = stored
            .entries
            .into_iter()
            .filter_map(|entry| match entry.content {
                EntryContent::Message { ciphertext, .. } => Some(ciphertext),
                _ => None,
            })
            .collect();
        // One that was under way may be there without its answer; none that was answered is missing.
        assert!(accepted.iter().all(|message| stored.contains(message)), "round {round}");
        assert!(stored.len() <= accepted.len() + usize::from(round), "round {round}");

        let pid = fs::read_to_string(scratch.0.join("cluster/postmaster.pid")).unwrap();
        let pid = Pid::from_raw(pid.lines().next().unwrap().parse().unwrap());
        for number in 0_u32.. {
            let message = [&[round], &number.to_be_bytes()[..]].concat();
            match tenant.send(&tenant.owner, &agent, &message).await {
                Ok(()) => accepted.push(message),
                Err(_) => break,
            }
            if number == EACH {
                kill(pid, Signal::SIGKILL).unwrap();
            }
        }
        assert!(accepted.len() >= usize::from(round + 1) * EACH as usize);
        devices = Some((tenant, agent));
    }
}

fn copy(tenant: &Tenant) -> Tenant {
    Tenant {
        root: tenant.root.clone(),
        id: tenant.id,
        owner: tenant.owner.clone(),
        relay: tenant.relay.clone(),
    }
}

#[tokio::test]
async fn settings_that_lose_messages_are_refused() {
    let scratch = Scratch::new();
    drop(start(&scratch.0).unwrap());
    let settings = scratch.0.join("cluster/postgresql.conf");
    let shipped = fs::read_to_string(&settings).unwrap();
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        fs::write(&settings, format!("{shipped}\n{setting} = off\n")).unwrap();
        let cluster = start(&scratch.0).unwrap();
        let error = Store::open(&cluster.endpoint()).await.unwrap_err();
        assert!(matches!(error, OpenError::NotDurable { setting: found, .. } if found == setting), "{error}");
    }
    fs::write(&settings, shipped).unwrap();
    let cluster = start(&scratch.0).unwrap();
    Store::open(&cluster.endpoint()).await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let cluster = TestCluster::start();
    Store::open(&cluster.endpoint).await.unwrap();
    let owner = cluster.owner().await;
    owner.batch_execute("INSERT INTO av_meta.schema_migrations VALUES (9999)").await.unwrap();
    let error = Store::open(&cluster.endpoint).await.unwrap_err();
    assert!(matches!(error, OpenError::NewerSchema { found: 9999, .. }), "{error}");
}

#[tokio::test]
async fn nobody_connects_but_the_relay_and_not_as_superuser() {
    let (cluster, _relay) = relay().await;
    assert!(cluster.try_connect("postgres").await.is_none());
    let sockets = fs::read_dir(&cluster.endpoint.socket_folder).unwrap().count();
    assert_eq!(sockets, 2, "the socket and its lock");
    let owner = cluster.owner().await;
    let listens: String = owner.query_one("SHOW listen_addresses", &[]).await.unwrap().get(0);
    assert_eq!(listens, "");
}
