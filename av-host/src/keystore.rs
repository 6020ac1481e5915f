//! From what its owner knows or holds to the key of a device's store.
//!
//! | source | derivation |
//! | --- | --- |
//! | passphrase | Argon2id under a random salt |
//! | key file, 32 random bytes | keyed BLAKE2b-512 under a random salt |
//!
//! Either gives 64 bytes: the key of the records, and a check that tells a wrong passphrase from a damaged file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use blake2::Blake2bMac512;
use blake2::digest::FixedOutput;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::files::write_new;

/// KiB that one guess at a passphrase costs: 64 MiB, the second recommended choice of RFC 9106 section 4, which a
/// small server has to spare and a graphics card does not have a thousand times.
const ARGON2_MEMORY: u32 = 64 * 1024;
/// Passes over that memory, as RFC 9106 recommends with it.
const ARGON2_PASSES: u32 = 3;
/// Lanes: one, since the passes are computed by one thread here.
const ARGON2_LANES: u32 = 1;

/// KiB: the most that a header may ask for, so that a changed header cannot exhaust the machine.
const MAX_ARGON2_MEMORY: u32 = 1024 * 1024;
/// Passes: likewise.
const MAX_ARGON2_PASSES: u32 = 64;

/// Bytes of a key file.
pub const KEY_FILE_LEN: usize = 32;

const SALT: usize = 16;
const KEY_FILE_PERSONALISATION: &[u8; 16] = b"AgentVault store";

/// What unlocks a store.
pub enum Unlock {
    /// Something that a person remembers.
    Passphrase(Zeroizing<String>),
    /// A file of [`KEY_FILE_LEN`] random bytes that nobody else can read; it is made with a new store if it is not
    /// there.
    KeyFile(PathBuf),
}

/// Why a store cannot be unlocked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The passphrase is not the store's.
    #[error("wrong passphrase; nothing was changed: try again")]
    WrongPassphrase,
    /// The key file is not the store's.
    #[error("{} is not the key file of this state; nothing was changed: give the one that it was made with", .0.display())]
    WrongKeyFile(PathBuf),
    /// The store was made with a passphrase.
    #[error("this state is locked with a passphrase: leave out --key-file")]
    NeedsPassphrase,
    /// The store was made with a key file.
    #[error("this state is locked with a key file: give it with --key-file")]
    NeedsKeyFile,
    /// A new store cannot be locked with nothing.
    #[error("an empty passphrase protects nothing: choose another")]
    EmptyPassphrase,
    /// Others can read the key file.
    #[error("{} can be read by others; run: chmod 600 {}", .0.display(), .0.display())]
    KeyFileExposed(PathBuf),
    /// The key file has another length.
    #[error("{} is no key file: it must hold exactly {KEY_FILE_LEN} random bytes", .0.display())]
    KeyFileLength(PathBuf),
    /// The key file cannot be read, or not be made.
    #[error("cannot use the key file {}: {source}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The derivation failed: there is too little memory, or no randomness.
    #[error("cannot derive the key: {0}")]
    Derivation(String),
}

/// The key of a store's records: 32 bytes, wiped when dropped, unprintable.
pub struct StoreKey(Zeroizing<[u8; 32]>);

impl StoreKey {
    /// Its bytes, for the record seal alone.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 32 bytes derived beside the key: equal exactly when the key is right. Reveals nothing of the key.
pub(crate) struct KeyCheck([u8; 32]);

impl KeyCheck {
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn verify(&self, stored: &Self, unlock: &Unlock) -> Result<(), KeyError> {
        if bool::from(self.0.ct_eq(&stored.0)) {
            return Ok(());
        }
        Err(match unlock {
            Unlock::Passphrase(_) => KeyError::WrongPassphrase,
            Unlock::KeyFile(path) => KeyError::WrongKeyFile(path.clone()),
        })
    }
}

/// How a store's key comes from what unlocks it; stands in the store's header, in the clear.
pub(crate) enum KeyDerivation {
    Passphrase { salt: [u8; SALT], memory: u32, passes: u32, lanes: u32 },
    KeyFile { salt: [u8; SALT] },
}

impl KeyDerivation {
    /// A derivation for a new store, with a random salt.
    pub(crate) fn fresh(unlock: &Unlock) -> Result<Self, KeyError> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|error| KeyError::Derivation(error.to_string()))?;
        match unlock {
            Unlock::Passphrase(passphrase) if passphrase.is_empty() => Err(KeyError::EmptyPassphrase),
            Unlock::Passphrase(_) => Ok(Self::Passphrase {
                salt,
                memory: ARGON2_MEMORY,
                passes: ARGON2_PASSES,
                lanes: ARGON2_LANES,
            }),
            Unlock::KeyFile(_) => Ok(Self::KeyFile { salt }),
        }
    }

    /// kind(1: 1 passphrase, 2 key file) ‖ salt(16) ‖ memory(u32, KiB) ‖ passes(u32) ‖ lanes(u32), the last three
    /// for a passphrase only.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Passphrase { salt, memory, passes, lanes } => {
                [&[1], &salt[..], &memory.to_be_bytes(), &passes.to_be_bytes(), &lanes.to_be_bytes()].concat()
            }
            Self::KeyFile { salt } => [&[2], &salt[..]].concat(),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (salt, rest) = rest.split_first_chunk::<SALT>()?;
        match kind {
            1 => {
                let (words, []) = rest.as_chunks::<4>() else {
                    return None;
                };
                let &[memory, passes, lanes] = words else {
                    return None;
                };
                let derivation = Self::Passphrase {
                    salt: *salt,
                    memory: u32::from_be_bytes(memory),
                    passes: u32::from_be_bytes(passes),
                    lanes: u32::from_be_bytes(lanes),
                };
                let bounded = u32::from_be_bytes(memory) <= MAX_ARGON2_MEMORY
                    && u32::from_be_bytes(passes) <= MAX_ARGON2_PASSES;
                bounded.then_some(derivation)
            }
            2 if rest.is_empty() => Some(Self::KeyFile { salt: *salt }),
            _ => None,
        }
    }

    /// The key and its check. With `create`, a key file that is not there is made.
    pub(crate) fn derive(&self, unlock: &Unlock, create: bool) -> Result<(StoreKey, KeyCheck), KeyError> {
        let mut output = Zeroizing::new([0; 64]);
        match (self, unlock) {
            (Self::Passphrase { salt, memory, passes, lanes }, Unlock::Passphrase(passphrase)) => {
                let failed = |error: argon2::Error| KeyError::Derivation(error.to_string());
                let parameters = Params::new(*memory, *passes, *lanes, Some(output.len())).map_err(failed)?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
                    .hash_password_into(passphrase.as_bytes(), salt, &mut output[..])
                    .map_err(failed)?;
            }
            (Self::KeyFile { salt }, Unlock::KeyFile(path)) => {
                let key = key_file(path, create)?;
                let mac =
                    Blake2bMac512::new_with_salt_and_personal(Some(&key[..]), salt, KEY_FILE_PERSONALISATION)
                        .map_err(|error| KeyError::Derivation(error.to_string()))?;
                output.copy_from_slice(&mac.finalize_fixed());
            }
            (Self::Passphrase { .. }, Unlock::KeyFile(_)) => return Err(KeyError::NeedsPassphrase),
            (Self::KeyFile { .. }, Unlock::Passphrase(_)) => return Err(KeyError::NeedsKeyFile),
        }
        let mut key = StoreKey(Zeroizing::new([0; 32]));
        let mut check = KeyCheck([0; 32]);
        let (first, second) = output.split_at(32);
        key.0.copy_from_slice(first);
        check.0.copy_from_slice(second);
        output.zeroize();
        Ok((key, check))
    }
}

fn key_file(path: &Path, create: bool) -> Result<Zeroizing<[u8; KEY_FILE_LEN]>, KeyError> {
    let failed = |source| KeyError::KeyFile { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if create && error.kind() == io::ErrorKind::NotFound => return make_key_file(path),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::KeyFileExposed(path.to_owned()));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(KEY_FILE_LEN + 1));
    file.take(KEY_FILE_LEN as u64 + 1).read_to_end(&mut content).map_err(failed)?;
    let mut key = Zeroizing::new([0; KEY_FILE_LEN]);
    if content.len() != key.len() {
        return Err(KeyError::KeyFileLength(path.to_owned()));
    }
    key.copy_from_slice(&content);
    Ok(key)
}

fn make_key_file(path: &Path) -> Result<Zeroizing<[u8; KEY_FILE_LEN]>, KeyError> {
    let failed = |source| KeyError::KeyFile { path: path.to_owned(), source };
    let mut key = Zeroizing::new([0; KEY_FILE_LEN]);
    getrandom::fill(&mut key[..]).map_err(|error| KeyError::Derivation(error.to_string()))?;
    // On disk before the first record is sealed under it.
    write_new(path, &key[..]).map_err(failed)?;
    Ok(key)
}

#[cfg(test)]
#[path = "keystore_tests.rs"]
mod tests;
