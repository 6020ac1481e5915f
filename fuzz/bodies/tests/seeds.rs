//! Every seed on the stable toolchain. `BLESS=1 cargo test -p av-fuzz-bodies --test seeds` writes them anew.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use av_fuzz_bodies::{BODIES, place_of};
use av_proto::invite::InviteText;
use av_proto::wire::cert::DeviceCert;
use av_proto::wire::frame::{ToDevice, ToRelay};
use av_proto::wire::statement::{Statement, Verdict};
use av_proto::wire::{DeviceId, Signature, TenantId, Unverified, decode, encode};
use av_proto::{ApiKey, RecordKind, RecoveryKey};
use av_simulator::{Capacity, Choices, Manners, Violation, World};
use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Inputs by target and name.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("fuzz").join("seeds").join(target)
}

fn worlds() -> Result<Vec<World>, Violation> {
    let capacities = [Capacity::Host, Capacity::Small];
    let invited = World::invited(7, &capacities, Manners::KIND)?;
    let mut talking = World::new(7, &capacities, Manners::FAULTY)?;
    let mut choices = Choices::seeded(7);
    // Until a device has something of every kind in its store.
    while !holds_all(&mut talking)? {
        talking.step(&mut choices)?;
    }
    Ok(vec![invited, talking])
}

fn holds_all(world: &mut World) -> Result<bool, Violation> {
    let kinds =
        |records: BTreeMap<[u8; 3], Vec<u8>>| records.into_keys().map(|key| key[0]).collect::<BTreeSet<_>>();
    let held = &kinds(world.stored(0)?) | &kinds(world.stored(1)?);
    // Devices of these worlds grant no API keys.
    Ok(held.len() == RecordKind::ALL.len() - 1)
}

/// What honest devices say and store, and what people type.
fn made() -> Seeds {
    let mut seeds = Seeds::new();
    let mut worlds = worlds().expect("an honest world");
    for (which, world) in worlds.iter_mut().enumerate() {
        for frame in world.frames(true) {
            let decoded: ToRelay<'_> = decode(frame).expect("a frame of a device");
            seeds.insert(("to_relay", format!("{:02}", number(frame))), frame.to_vec());
            objects(&mut seeds, &decoded);
        }
        for frame in world.frames(false) {
            assert!(decode::<ToDevice<'_>>(frame).is_ok(), "a frame of the relay");
            seeds.insert(("to_device", format!("{:02}", number(frame))), frame.to_vec());
        }
        for index in 0..2 {
            for (key, record) in world.stored(index).expect("a store") {
                let first =
                    (0..=u8::MAX).find(|first| place_of(*first).kind as u8 == key[0]).expect("a kind");
                let name = format!("{}-{which}-{index}-{}", kind_name(key[0]), key[2]);
                seeds.insert(("records", name), [&[first], &record[..]].concat());
            }
        }
    }
    let first = (0..=u8::MAX).find(|first| place_of(*first).kind == RecordKind::ApiKey).expect("a kind");
    seeds.insert(("records", "apikey".into()), [&[first], &granted_key()[..]].concat());
    published(&mut seeds);
    texts(&mut seeds);
    seeds.insert(("link", "message".into()), b"a text behind the handshake".to_vec());
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    for target in ["ratchet", "conversation", "enrollment"] {
        for (name, len) in [("short", 40), ("long", 250)] {
            let mut input = vec![0; len];
            rng.fill_bytes(&mut input);
            if let ("conversation" | "enrollment", "long", Some(last)) = (target, name, input.last_mut()) {
                // It comes to rest.
                *last = 0;
            }
            seeds.insert((target, name.into()), input);
        }
    }
    // Each side sends three, which arrive; the last are lost, and the process restarts.
    let turns = [0, 0, 0, 2, 2, 2, 0x80, 0, 0, 2, 2, 7, 0x80, 0, 5, 2, 0, 2].to_vec();
    seeds.insert(("ratchet", "turns".into()), turns);
    seeds
}

/// A frame's number stands behind its array's head; from 24 on with a head of its own.
fn number(frame: &[u8]) -> u8 {
    if frame[1] == 0x18 { frame[2] } else { frame[1] }
}

fn kind_name(kind: u8) -> String {
    let kind = RecordKind::ALL.into_iter().find(|known| *known as u8 == kind).expect("a kind");
    format!("{kind:?}").to_lowercase()
}

fn objects(seeds: &mut Seeds, frame: &ToRelay<'_>) {
    let mut put = |which: u8, name: &str, object: &[u8]| {
        seeds.insert(("objects", name.to_string()), [&[which], object].concat());
    };
    match frame {
        ToRelay::Found { chain, bundle, .. } => {
            put(0, "chain", chain);
            put(8, "chain-of-its-tenant", chain);
            put(1, "bundle", bundle);
            // Behind the array's head and the root's key, the first certificate with its 2-byte head.
            put(2, "signed-cert", &chain[1 + 34 + 2..][..DeviceCert::SIGNED_LEN]);
            put(2, "signed-statement", &statement());
        }
        ToRelay::Enroll { request } => {
            let mut buffer = [0; 4_096];
            put(6, "request", encode(request, &mut buffer).expect("a request"));
            put(5, "public", &request.device);
        }
        ToRelay::Approve { grant, .. } => put(3, "grant", grant),
        ToRelay::Send { header_blob, .. } => {
            put(4, "header-blob", header_blob);
            if let [2, _, high, low, rest @ ..] = &header_blob[..] {
                put(7, "prelude", &rest[..usize::from(u16::from_be_bytes([*high, *low]))]);
            }
        }
        _ => {}
    }
}

/// Every frame and signed object of the published vectors: those of the worlds above are few.
fn published(seeds: &mut Seeds) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../av-proto/wire/vectors/av-wire.txt");
    let text = fs::read_to_string(path).expect("the vectors of av-wire");
    for (name, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
        let (of, first) = match name.split_once(['.', '/']).map_or(name, |(kind, _)| kind) {
            "ToRelay" => ("to_relay", None),
            "ToDevice" => ("to_device", None),
            "Chain" => ("objects", Some(8)),
            "Bundle" => ("objects", Some(1)),
            "Cert" | "Revocation" | "Suspension" | "Resumption" | "LinkKeys" | "KeyGrant" => {
                ("objects", Some(2))
            }
            "Prelude" => ("objects", Some(7)),
            _ => continue,
        };
        let bytes = value.as_bytes().chunks(2).map(|digits| {
            let digits = core::str::from_utf8(digits).expect("hex");
            u8::from_str_radix(digits, 16).expect("hex")
        });
        let name = format!("vector-{}", name.replace(['.', '/'], "-"));
        seeds.insert((of, name), first.into_iter().chain(bytes).collect());
    }
}

/// A revocation that keeps one certificate, as a device might post it; the relay is who checks signatures.
fn statement() -> Vec<u8> {
    let statement = Statement {
        verdict: Verdict::Revoked,
        tenant_id: TenantId([1; 16]),
        subject: DeviceId([2; 16]),
        issuer: DeviceId([3; 16]),
        serial: 4,
        issued_at: 1_800_000_000,
        keep: &[5; 16],
        link_keys: None,
    };
    let body = statement.body().expect("a body");
    let object = Unverified { kind: statement.kind(), body: &body, signature: Signature([6; 64]) };
    let mut buffer = [0; Statement::MAX_SIGNED_LEN];
    object.encode(&mut buffer).expect("room").to_vec()
}

/// The record of an API key with which two devices enrolled: generation and mark, key, most, expiry, not overused, names.
fn granted_key() -> Vec<u8> {
    let (key, names) = ([1; 16], [[2; 16], [3; 16]]);
    let expires_at = 1_800_000_000_u64.to_be_bytes();
    [&[0; 15], &[9][..], &key, &[0, 12], &expires_at, &[0, 2], names.as_flattened()].concat()
}

fn texts(seeds: &mut Seeds) {
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    let invite = InviteText::generate(&mut rng).to_string();
    let recovery = RecoveryKey::generate(&mut rng).reveal(str::to_string);
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let url = format!("av1:?relay=wss%3A%2F%2Frelay.example&key={key}&owner={:032x}#{invite}", 7);
    let written = [
        ("invite-typed", invite.to_uppercase().replace('-', " ")),
        ("invite", invite),
        ("url", url),
        ("recovery-key", recovery),
        ("api-key", ApiKey::generate(&mut rng, &TenantId([7; 16])).to_string()),
        ("safety-number", "01234 56789 01234 56789 01234 56789 01234 56789".into()),
        ("origin", "wss://relay.example:8443".into()),
        ("origin-v6", "ws://[::1]:7460".into()),
        ("name", "Kühlraum 3\nesp32".into()),
    ];
    seeds.extend(written.into_iter().map(|(name, text)| (("texts", name.to_string()), text.into_bytes())));
}

#[test]
fn every_seed_is_replayed() {
    let made = made();
    if env::var_os("BLESS").is_some() {
        for (target, _) in BODIES {
            let _ = fs::remove_dir_all(folder(target));
            fs::create_dir_all(folder(target)).expect("a folder");
        }
        for ((target, name), input) in &made {
            fs::write(folder(target).join(name), input).expect("a seed");
        }
    }
    for (target, body) in BODIES {
        // Those of this build, and the committed ones: a layout that changed shows in the first, an old finding in
        // the second.
        made.iter().filter(|((of, _), _)| *of == target).for_each(|(_, input)| body(input));
        let files = fs::read_dir(folder(target)).expect("seeds of every target");
        let replayed =
            files.map(|file| body(&fs::read(file.expect("a seed").path()).expect("a seed"))).count();
        assert!(replayed > 0, "{target} has no seeds");
    }
}

#[test]
fn the_seeds_hold_every_frame_and_every_kind_of_record() {
    let made = made();
    let count = |target: &str| made.keys().filter(|(of, _)| *of == target).count();
    let numbers = |target: &str| -> BTreeSet<u8> {
        made.iter().filter(|((of, _), _)| *of == target).map(|(_, frame)| number(frame)).collect()
    };
    assert_eq!(numbers("to_relay"), (1..=23).collect());
    assert_eq!(numbers("to_device"), (64..=87).collect());
    assert_eq!(count("objects"), 25);
    for kind in RecordKind::ALL {
        let name = kind_name(kind as u8);
        assert!(made.keys().any(|(of, seed)| *of == "records" && seed.starts_with(&name)), "{name}");
    }
}

/// The targets in `fuzz/Cargo.toml` are the bodies.
#[test]
fn every_body_has_its_target() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("fuzz").join("targets");
    let mut found: Vec<String> = fs::read_dir(targets)
        .expect("targets")
        .map(|file| {
            file.expect("a target").path().file_stem().expect("a name").to_string_lossy().into_owned()
        })
        .collect();
    let mut bodies = BODIES.map(|(name, _)| name.to_string());
    found.sort();
    bodies.sort();
    assert_eq!(found, bodies);
}
