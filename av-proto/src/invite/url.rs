//! An invite as a URL or QR code: `av1:?relay=…&key=…&owner=…#token`. The scheme is its own, so that no browser
//! ever sends it to a server.

use core::fmt;

use av_wire::{DeviceId, Origin};
use av_wire::{labels, limits::MAX_ORIGIN};
use base64ct::{Base64UrlUnpadded, Encoding};
use heapless::Vec;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{InviteError, InviteText, SYMBOLS};
use crate::crockford;

/// What an origin keeps unescaped beside letters and digits (RFC 3986 section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Before the parameters.
const SCHEME: &str = "av1:?";
/// Characters of a 32-byte key in base64url without padding.
const KEY_TEXT: usize = 43;

/// All that a device needs to enroll: token, relay, and whom to believe.
///
/// `Display` is the way to show it to the person it is for; it has no `Debug`, and the token is wiped when dropped.
pub struct InviteUrl {
    /// The token.
    pub token: InviteText,
    /// The relay's origin.
    pub origin: Origin,
    /// The relay's Noise key; `None` when it offers no Noise link.
    pub link_key: Option<[u8; 32]>,
    /// The inviting device; a grant from another is refused.
    pub owner: Option<DeviceId>,
}

/// Why a text is no invite's URL. It says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteUrlError {
    /// It does not begin with `av1:?`, or has a parameter that is unknown or stands twice.
    Layout,
    /// `relay` is missing or no origin.
    Relay,
    /// `key` is not 32 bytes in base64url.
    Key,
    /// `owner` is not 16 bytes in hex.
    Owner,
    /// What stands behind `#` is no invite.
    Token(InviteError),
}

impl InviteUrl {
    /// Reads a URL. Every parameter stands at most once, in any order; only `relay` and the token must be there.
    ///
    /// # Errors
    /// [`InviteUrlError`].
    pub fn parse(text: &str) -> Result<Self, InviteUrlError> {
        let rest = text.trim().strip_prefix(SCHEME).ok_or(InviteUrlError::Layout)?;
        let (parameters, token) = rest.split_once('#').ok_or(InviteUrlError::Token(InviteError::Length))?;
        let (mut origin, mut link_key, mut owner) = (None, None, None);
        for parameter in parameters.split('&') {
            let (name, value) = parameter.split_once('=').ok_or(InviteUrlError::Layout)?;
            let is_first = match name {
                "relay" => origin.replace(relay(value)?).is_none(),
                "key" => link_key.replace(parse_link_key(value)?).is_none(),
                "owner" => owner.replace(device_id(value)?).is_none(),
                _ => false,
            };
            if !is_first {
                return Err(InviteUrlError::Layout);
            }
        }
        Ok(Self {
            token: InviteText::parse(token).map_err(InviteUrlError::Token)?,
            origin: origin.ok_or(InviteUrlError::Relay)?,
            link_key,
            owner,
        })
    }
}

fn relay(value: &str) -> Result<Origin, InviteUrlError> {
    let decoded: Vec<u8, MAX_ORIGIN> = {
        let mut bytes = Vec::new();
        for byte in percent_decode_str(value) {
            bytes.push(byte).map_err(|_| InviteUrlError::Relay)?;
        }
        bytes
    };
    let text = str::from_utf8(&decoded).map_err(|_| InviteUrlError::Relay)?;
    Origin::parse(text).map_err(|_| InviteUrlError::Relay)
}

/// Reads a relay's link key, 32 bytes, from the 43 characters of base64url by which people pass it on.
///
/// # Errors
/// [`InviteUrlError::Key`].
pub fn parse_link_key(text: &str) -> Result<[u8; 32], InviteUrlError> {
    let mut key = [0; 32];
    let decoded = Base64UrlUnpadded::decode(text, &mut key).map_err(|_| InviteUrlError::Key)?;
    if decoded.len() == 32 { Ok(key) } else { Err(InviteUrlError::Key) }
}

fn device_id(value: &str) -> Result<DeviceId, InviteUrlError> {
    let (digits, rest) = value.as_bytes().as_chunks::<2>();
    let mut id = [0; DeviceId::LEN];
    if digits.len() != id.len() || !rest.is_empty() {
        return Err(InviteUrlError::Owner);
    }
    for (byte, [high, low]) in id.iter_mut().zip(digits) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Ok(DeviceId(id))
}

fn nibble(digit: u8) -> Result<u8, InviteUrlError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(InviteUrlError::Owner),
    }
}

impl fmt::Display for InviteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}relay={}", utf8_percent_encode(self.origin.as_str(), UNRESERVED))?;
        if let Some(key) = &self.link_key {
            let mut text = [0; KEY_TEXT];
            write!(f, "&key={}", Base64UrlUnpadded::encode(key, &mut text).map_err(|_| fmt::Error)?)?;
        }
        if let Some(owner) = &self.owner {
            write!(f, "&owner={owner}")?;
        }
        f.write_str("#")?;
        crockford::with_symbols::<SYMBOLS, _>(labels::hash::INVITE, self.token.token(), |text| {
            f.write_str(text)
        })
    }
}

impl fmt::Display for InviteUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout => f.write_str("an invite's URL is av1:?relay=…&key=…&owner=…#token: copy it whole"),
            Self::Relay => f.write_str("the invite's URL names no relay such as wss://relay.example.org"),
            Self::Key => f.write_str("the relay's key in the invite's URL is damaged: copy the URL again"),
            Self::Owner => f.write_str("the owner's id in the invite's URL is damaged: copy the URL again"),
            Self::Token(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for InviteUrlError {}
