//! Writes and checks the published vectors, `vectors/*.json`.
//!
//! `make vectors` writes them; without it each test computes its file anew and compares, so that a change of the
//! protocol's bytes cannot go unnoticed. What must be refused is refused here before it is written. A second
//! implementation, written from `PROTOCOL.md` and these files alone, computes the same (`tests/second`).

mod api_key;
mod enrollment;
mod identity;
mod invite;
mod link;
mod ratchet;
mod record;
mod second;
mod x3dh;

use core::convert::Infallible;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::string::String;
use std::vec;
use std::vec::Vec;

use chacha20::ChaCha20Rng;
use rand_core::{Rng as _, TryCryptoRng, TryRng};
use serde_json::{Value, json};

use crate::test_support::rng;

/// Compares `vectors/NAME.json` with what was computed, or writes it when `BLESS` is set.
fn check(name: &str, computed: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name).with_extension("json");
    let mut text = serde_json::to_string_pretty(computed).expect("a value is JSON");
    text.push('\n');
    if env::var_os("BLESS").is_some() {
        fs::write(&path, text).expect("vectors/ can be written");
        return;
    }
    let committed = fs::read_to_string(&path).expect("the vectors are there; `make vectors` writes them");
    let (committed, computed): (Value, Value) =
        (serde_json::from_str(&committed).expect("JSON"), serde_json::from_str(&text).expect("JSON"));
    if let (Value::Object(committed), Value::Object(computed)) = (&committed, &computed) {
        for (key, value) in computed {
            assert_eq!(committed.get(key), Some(value), "{name}.json, {key}");
        }
    }
    assert_eq!(committed, computed, "{name}.json");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

/// A seeded generator that remembers what was drawn, so that the vectors can name every random value.
struct Draws {
    source: ChaCha20Rng,
    drawn: Vec<Vec<u8>>,
}

impl Draws {
    fn new(seed: u64) -> Self {
        Self { source: rng(seed), drawn: vec![] }
    }

    /// What was drawn since the last call, in order.
    fn take(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.drawn)
    }

    /// The one value that was drawn since the last call.
    fn only(&mut self) -> String {
        let drawn = self.take();
        assert_eq!(drawn.len(), 1, "one draw");
        hex(&drawn[0])
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("AV/1 draws bytes; a number would have no place in the vectors")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("AV/1 draws bytes; a number would have no place in the vectors")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.source.fill_bytes(out);
        self.drawn.push(out.to_vec());
        Ok(())
    }
}

impl TryCryptoRng for Draws {}

/// `text` as a vector that must be refused, with the reason.
fn refused(reason: &str, text: &str) -> Value {
    json!({ "reason": reason, "text": text })
}

/// Bytes as a vector that must be refused, with the reason.
fn refused_bytes(reason: &str, bytes: &[u8]) -> Value {
    json!({ "reason": reason, "bytes": hex(bytes) })
}
