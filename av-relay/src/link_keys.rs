//! The relay's Noise link keys: the one in use, and the successor that owners announce before it is needed.
//!
//! They are in a file, as a TLS key is, and not in the database: whoever has a dump, a replica or a backup of that
//! could stand in for the relay. Every instance behind one origin is given the same file.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use av_link::limits::HANDSHAKE;
use av_link::{LinkError, LinkSecret, Transport, respond};
use av_wire::ids::Origin;
use base64ct::{Base64UrlUnpadded, Encoding};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use zeroize::{Zeroize, Zeroizing};

use crate::files::write_secret;

/// Their file, in the relay's folder.
pub(crate) const LINK_KEYS: &str = "link-keys";
/// What stands above the keys, for the person who opens the file.
const HEAD: &str = "# AgentVault link keys, secret: the one in use, then its successor.\n";
/// Characters of 32 bytes in base64url without padding.
const KEY_TEXT: usize = 43;

/// The two key pairs. A device knows the public halves, from an invite and from its owner.
pub(crate) struct LinkKeys {
    current: LinkSecret,
    next: LinkSecret,
}

/// Why there are no link keys.
#[derive(Debug, thiserror::Error)]
pub enum LinkKeyError {
    /// The file cannot be read or written.
    #[error("the link keys in {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others on this machine can read the file.
    #[error("{} can be read by others: take it from them with `chmod 600 {}`", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// Something else stands in the file.
    #[error(
        "{} does not hold two link keys. Put its backup back, or give the file of another instance of this relay; \
         without either, remove it: the relay makes new keys, and every device needs them by a new invite",
        .0.display()
    )]
    Damaged(PathBuf),
    /// No key can be made.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl LinkKeys {
    /// The keys in `path`; at the first start two new ones, on the disk before anybody sees them.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self, LinkKeyError> {
        match Self::open(path) {
            Err(LinkKeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let mut rng = rng()?;
                let keys =
                    Self { current: LinkSecret::generate(&mut rng), next: LinkSecret::generate(&mut rng) };
                keys.store(path)?;
                Ok(keys)
            }
            opened => opened,
        }
    }

    /// The keys in `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, LinkKeyError> {
        let file_error = |source| LinkKeyError::File { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(file_error)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(LinkKeyError::Exposed(path.to_owned()));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(file_error)?);
        let mut keys = text.lines().filter(|line| !line.starts_with('#')).map(secret);
        match (keys.next(), keys.next(), keys.next()) {
            (Some(Some(current)), Some(Some(next)), None) => Ok(Self { current, next }),
            _ => Err(LinkKeyError::Damaged(path.to_owned())),
        }
    }

    /// The successor comes into use, and gets a successor. A device that knew both keys before goes on with the one
    /// that stays, so owners announce the new pair while every device still knows one of it.
    pub(crate) fn rotate(self, path: &Path) -> Result<Self, LinkKeyError> {
        let rotated = Self { current: self.next, next: LinkSecret::generate(&mut rng()?) };
        rotated.store(path)?;
        Ok(rotated)
    }

    fn store(&self, path: &Path) -> Result<(), LinkKeyError> {
        let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + 2 * (KEY_TEXT + 1)));
        text.push_str(HEAD);
        for secret in [&self.current, &self.next] {
            let mut line = Zeroizing::new([0; KEY_TEXT]);
            text.push_str(Base64UrlUnpadded::encode(secret.expose(), &mut *line).unwrap_or_default());
            text.push('\n');
        }
        write_secret(path, text.as_bytes())
            .map_err(|source| LinkKeyError::File { path: path.to_owned(), source })
    }

    /// The public halves: the key in use and its successor, 32 bytes each.
    pub(crate) fn public(&self) -> [&[u8; 32]; 2] {
        [self.current.public(), self.next.public()]
    }

    /// Answers a device's first message, whichever of the two keys it was made for.
    ///
    /// # Errors
    /// [`LinkError::Rejected`] for neither.
    pub(crate) fn respond(
        &self,
        origin: &Origin,
        hello: &[u8],
    ) -> Result<(Transport, [u8; HANDSHAKE]), LinkError> {
        let mut rng = rng().map_err(|_| LinkError::Rejected)?;
        respond(&mut rng, origin, &self.current, hello)
            .or_else(|_| respond(&mut rng, origin, &self.next, hello))
    }
}

/// A link key as people pass it on: 43 characters.
pub(crate) fn display(key: &[u8; 32]) -> String {
    Base64UrlUnpadded::encode_string(key)
}

fn secret(line: &str) -> Option<LinkSecret> {
    let mut bytes = Zeroizing::new([0; 32]);
    let decoded = Base64UrlUnpadded::decode(line, &mut *bytes).ok()?;
    (decoded.len() == bytes.len()).then(|| LinkSecret::from_bytes(&bytes))
}

/// A generator for one use, so that randomness that fails is an error here and no panic in a library.
pub(crate) fn rng() -> Result<ChaCha20Rng, getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let rng = ChaCha20Rng::from_seed(seed);
    seed.zeroize();
    Ok(rng)
}

#[cfg(test)]
mod tests;
