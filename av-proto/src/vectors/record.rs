//! Sealed records (`PROTOCOL.md` section 8).

use serde_json::json;

use super::{Draws, check, hex, refused_bytes};
use crate::record::{RecordKey, RecordKind, Seal};

#[test]
fn a_sealed_record_has_its_vector() {
    let (key, record) = ([0x5a; 32], b"what a record holds");
    let seal = Seal::new(key);
    let place = RecordKey::new(RecordKind::Peer, 513);
    let mut draws = Draws::new(50);
    let mut buffer = [0; 128];
    buffer[Seal::PREFIX..Seal::PREFIX + record.len()].copy_from_slice(record);
    let sealed = seal.seal_in_place(place, record.len(), &mut draws, &mut buffer).expect("fits").to_vec();
    let flipped = |at: usize| {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        changed
    };
    let rejected = [
        ("another version", flipped(0)),
        ("another nonce", flipped(1)),
        ("a bit of the ciphertext", flipped(Seal::PREFIX)),
        ("a bit of the tag", flipped(sealed.len() - 1)),
        ("a byte short", sealed[..sealed.len() - 1].to_vec()),
    ];
    let mut out = [0; 128];
    let rejected = rejected.map(|(reason, bytes)| {
        assert!(seal.open(place, &bytes, &mut out).is_err(), "{reason}");
        refused_bytes(reason, &bytes)
    });
    let elsewhere = RecordKey::new(RecordKind::Peer, 514);
    assert!(seal.open(elsewhere, &sealed, &mut out).is_err(), "a record opens in its own place only");
    check(
        "record",
        &json!({
            "about": "PROTOCOL.md section 8, the seal of a record; bytes are hex",
            "seal_key": hex(&key),
            "record_key": hex(&place.to_bytes()),
            "record": hex(record),
            "nonce": draws.only(),
            "sealed": hex(&sealed),
            "does_not_open_as": hex(&elsewhere.to_bytes()),
            "reject": rejected,
        }),
    );
}
