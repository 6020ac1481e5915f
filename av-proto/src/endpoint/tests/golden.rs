//! Records that an earlier build wrote still open: `vectors/records/vN.txt`, a file a version, a record of each kind.
//!
//! `make vectors` writes the file of the present version, and no other. Once a version is released its file is not
//! written again: what no longer opens it is a new version ([`VERSION`]), whose reader stands beside the old one.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::records::with_every_kind;
use super::{NOW, Output, Phase, RecordKey, Store};
use crate::SmallEndpoint;
use crate::record::{Seal, VERSION};

/// What the owner of [`with_every_kind`] seals under.
const KEY: [u8; 32] = [1; 32];

fn file(version: u8) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("vectors/records/v{version}.txt"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// The present version's file: record key and sealed record, in hex, a line each.
fn written() -> String {
    let mut text = format!(
        "# Records of version {VERSION} of a microcontroller-sized owner, sealed under 32 bytes 01.\n\
         # It is called laptop, knows the agent thermostat, has one message for its application and one for the relay.\n"
    );
    for (key, sealed) in &with_every_kind().owner.store {
        writeln!(text, "{} {}", hex(key), hex(sealed)).expect("a String takes all");
    }
    text
}

fn read(version: u8) -> Store {
    let text =
        fs::read_to_string(file(version)).expect("a file for each version; `make vectors` writes the last");
    let records = text.lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &str| {
        let (key, sealed) = line.split_once(' ').expect("a key and a record");
        (bytes(key).try_into().expect("a record key"), bytes(sealed))
    };
    records.map(parse).collect()
}

#[test]
fn records_of_every_version_still_open() {
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(file(VERSION).parent().expect("a folder")).expect("vectors/ can be written");
        fs::write(file(VERSION), written()).expect("vectors/ can be written");
    }
    for version in 1..=VERSION {
        let mut endpoint = Box::<SmallEndpoint>::default();
        for (key, sealed) in read(version) {
            let key = RecordKey::from_bytes(&key).expect("a known kind");
            let restored = endpoint.restore(NOW, &Seal::new(KEY), key, &sealed);
            assert!(restored.is_ok(), "version {version}, {key:?}: {:?}", restored.err());
        }
        assert_eq!(endpoint.resume(), Ok(()), "version {version}");
        assert_eq!((endpoint.phase(), endpoint.name()), (Phase::Active, Some("laptop")));
        let peer = endpoint.peers().next().expect("the agent");
        assert_eq!((peer.name.as_str(), peer.confirmed), ("thermostat", true));
        assert!(endpoint.outbox_len() > 0);
        let Some(Output::Deliver(delivery)) = endpoint.poll(NOW) else { panic!("a message waits") };
        assert_eq!(delivery.payload, b"waits for the application");
    }
}
