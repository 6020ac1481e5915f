//! An invite: its token, the text and URL that carry it, and the keys derived from it (`PROTOCOL.md` section 3).

mod keys;
mod url;

#[cfg(test)]
mod tests;

use core::fmt;

use av_wire::labels;
use rand_core::CryptoRng;

use crate::crockford::{self, TextError};
use crate::crypto::Secret;
pub use crate::limits::{NAME_MAX, PLATFORM_MAX};
pub use keys::{InviteKeys, is_plain};
pub use url::{InviteUrl, InviteUrlError, parse_link_key};

/// Before the text.
const PREFIX: &str = "av1-";
/// Symbols of the text: 160 bits of token and 20 of checksum, 5 a symbol.
const SYMBOLS: usize = 36;
/// Bytes of a token. 160 random bits cannot be guessed, and are few enough to type.
const TOKEN: usize = 20;

/// A token, 20 random bytes, and its text: 36 symbols in 9 groups of 4 behind `av1-`, of which the last 4 symbols
/// catch typing mistakes before the network does.
///
/// `Display` is the way to show it to the person it is for; it has no `Debug`, and is wiped when dropped.
pub struct InviteText {
    token: Secret<TOKEN>,
}

/// Why a text is no invite. It says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteError {
    /// Too few or too many symbols.
    Length,
    /// A character that no invite has.
    Symbol,
    /// The checksum does not match.
    Checksum,
}

impl InviteText {
    /// A fresh token, 20 random bytes.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self { token: Secret::random(rng) }
    }

    /// Reads a text; case, spaces, dashes, a missing prefix, `O` for `0` and `I` or `L` for `1` are forgiven.
    ///
    /// # Errors
    /// [`InviteError`].
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let mut token = Secret::zero();
        crockford::parse::<SYMBOLS>(PREFIX, labels::hash::INVITE, text, token.expose_mut())?;
        Ok(Self { token })
    }

    pub(crate) const fn token(&self) -> &[u8; TOKEN] {
        self.token.expose()
    }
}

impl fmt::Display for InviteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crockford::with_text::<SYMBOLS, _>(PREFIX, labels::hash::INVITE, self.token(), |text| {
            f.write_str(text)
        })
    }
}

impl From<TextError> for InviteError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Length => Self::Length,
            TextError::Symbol => Self::Symbol,
            TextError::Checksum => Self::Checksum,
        }
    }
}

impl fmt::Display for InviteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "an invite is av1- and 9 groups of 4 characters: see that it was copied whole",
            Self::Symbol => "an invite has digits and letters only, and no U: look for a mistyped character",
            Self::Checksum => {
                "a character of the invite is mistyped: compare it group by group and try again"
            }
        })
    }
}

impl core::error::Error for InviteError {}
