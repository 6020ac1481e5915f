//! Is a secret anywhere in these bytes? Raw, in hexadecimal, in base64 or in base64url.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::Outcome;

/// Bytes: a shorter secret could be found by chance, or be cut away at base64's edges.
const MIN_SECRET: usize = 12;

/// Something that must not be found, and what to call it when it is.
#[derive(Clone)]
pub struct Secret {
    name: String,
    bytes: Vec<u8>,
}

impl Secret {
    /// A secret of at least 12 bytes.
    ///
    /// # Errors
    /// For a shorter one: a search for it would prove nothing.
    pub fn new(name: &str, bytes: &[u8]) -> Outcome<Self> {
        if bytes.len() < MIN_SECRET {
            return Err(format!("{name}: {} bytes are too few to search for", bytes.len()).into());
        }
        Ok(Self { name: name.to_owned(), bytes: bytes.to_vec() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub secret: String,
    /// In which spelling.
    pub spelling: &'static str,
    /// Where.
    pub place: String,
}

/// All spellings of some secrets, ready to be looked for in one pass.
pub struct Search {
    automaton: AhoCorasick,
    /// Name and spelling of each pattern of the automaton.
    patterns: Vec<(String, &'static str)>,
}

/// What a search of a folder came to.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Files read.
    pub files: usize,
    /// Bytes read.
    pub bytes: u64,
    /// What was found.
    pub found: Vec<Found>,
}

impl Search {
    /// A search for all spellings of these secrets.
    ///
    /// # Errors
    /// When there is nothing to search for.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Outcome<Self> {
        let mut patterns = Vec::new();
        let mut bytes = Vec::new();
        for secret in secrets {
            for (spelling, pattern) in spellings(&secret.bytes) {
                patterns.push((secret.name.clone(), spelling));
                bytes.push(pattern);
            }
        }
        if patterns.is_empty() {
            return Err("a search for nothing finds nothing".into());
        }
        Ok(Self { automaton: AhoCorasick::new(bytes)?, patterns })
    }

    /// How many patterns it looks for.
    pub fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Searches a stream to its end, in bounded memory. Each secret is reported once a spelling.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn in_stream(&self, place: &str, stream: impl Read) -> Outcome<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        for hit in self.automaton.stream_find_iter(stream) {
            if let Some((secret, spelling)) = self.patterns.get(hit?.pattern().as_usize()) {
                let one = Found { secret: secret.clone(), spelling, place: place.to_owned() };
                if !found.contains(&one) {
                    found.push(one);
                }
            }
        }
        Ok(found)
    }

    /// Searches every file under `folder`. A file that is removed meanwhile is passed over.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn in_folder(&self, folder: &Path) -> Outcome<Scanned> {
        let mut scanned = Scanned::default();
        self.scan(folder, &mut scanned)?;
        Ok(scanned)
    }

    fn scan(&self, folder: &Path, scanned: &mut Scanned) -> Outcome {
        let Some(entries) = unless_gone(fs::read_dir(folder))? else {
            return Ok(());
        };
        for entry in entries {
            let path = entry?.path();
            let Some(metadata) = unless_gone(fs::symlink_metadata(&path))? else {
                continue;
            };
            if metadata.is_dir() {
                self.scan(&path, scanned)?;
            } else if metadata.is_file() {
                let Some(file) = unless_gone(File::open(&path))? else {
                    continue;
                };
                scanned.files += 1;
                scanned.bytes += metadata.len();
                scanned.found.extend(self.in_stream(&path.display().to_string(), file)?);
            }
        }
        Ok(())
    }
}

fn unless_gone<T>(result: std::io::Result<T>) -> Outcome<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Every spelling in which `secret` could stand inside a larger text. Base64 has three: it depends on how many bytes
/// modulo 3 stand before; the characters that also hold bits of what stands around are left away.
fn spellings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut spellings = vec![
        ("raw", secret.to_vec()),
        ("hex", secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()),
        ("HEX", secret.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes()),
    ];
    for before in 0..3 {
        let padded = [vec![0; before].as_slice(), secret].concat();
        // 6 bits a character: from the first that holds none of the bytes before, to the last that is full.
        let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            let text = engine.encode(&padded).into_bytes();
            let pattern = text.get(from..to).unwrap_or_default().to_vec();
            if !spellings.iter().any(|(_, other)| *other == pattern) {
                spellings.push((name, pattern));
            }
        }
    }
    spellings
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
