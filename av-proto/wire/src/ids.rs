//! Identifiers: fixed-length, public, self-certifying where they can be.

use core::fmt;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::groups::Groups;
use crate::hash::{h128, h256};
use crate::labels;
use crate::limits::MAX_ORIGIN;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Its length in bytes.
            pub const LEN: usize = $len;

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// An identifier from a slice of exactly its length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl<'b> Decode<'b> for $name {
            fn decode(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
                Decode::decode(decoder).map(Self)
            }
        }

        impl Encode for $name {
            fn encode(&self, encoder: &mut Encoder<'_>) {
                encoder.bytes(&self.0);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

identifier! {
    /// 16 bytes: `H128("av1 tenant", root's public key)`, so that a tenant's id certifies its root
    /// (`PROTOCOL.md` section 4.4).
    TenantId, 16
}
identifier! {
    /// 16 bytes: the first half of a device's fingerprint (`PROTOCOL.md` section 2). The root's, as an issuer,
    /// is all zero.
    DeviceId, 16
}
identifier! {
    /// 16 bytes: `H128("av1 keyid", an API key's public key)` (`PROTOCOL.md` section 4.6).
    KeyId, 16
}
identifier! {
    /// 16 bytes: a message's id and the relay's idempotency key (`PROTOCOL.md` section 7).
    MessageId, 16
}
identifier! {
    /// 32 bytes: the hash under which the relay knows an invite (`PROTOCOL.md` section 3).
    LookupHash, 32
}
identifier! {
    /// 16 random bytes stored with the inboxes; a new value means that the relay's database was restored
    /// (`PROTOCOL.md` section 9).
    InboxEpoch, 16
}
identifier! {
    /// 32 bytes: `H256("av1 device", DevicePublic)`, shown as 8 groups of 5 digits (`PROTOCOL.md` section 2).
    Fingerprint, 32
}

impl TenantId {
    /// The id of the tenant that this root key founds.
    pub fn of_root(root: &[u8; 32]) -> Self {
        Self(h128(labels::hash::TENANT, &[root]))
    }
}

impl DeviceId {
    /// The issuer id that stands for the root: all zero, which no fingerprint can be made to be.
    pub const ROOT: Self = Self([0; 16]);
}

impl KeyId {
    /// The id of the API key with this public key.
    pub fn of(public_key: &[u8; 32]) -> Self {
        Self(h128(labels::hash::KEY_ID, &[public_key]))
    }

    /// The key as the issuer of a certificate, or the subject of a statement.
    pub const fn as_issuer(&self) -> DeviceId {
        DeviceId(self.0)
    }
}

impl LookupHash {
    /// What the relay stores of an invite's `lookup` value.
    pub fn of(lookup: &[u8; 32]) -> Self {
        Self(h256(labels::hash::LOOKUP, &[lookup]))
    }
}

impl Fingerprint {
    /// The id of the device with this fingerprint.
    pub fn device_id(&self) -> DeviceId {
        let mut id = [0; DeviceId::LEN];
        id.copy_from_slice(self.0.split_at(DeviceId::LEN).0);
        DeviceId(id)
    }

    /// What a person compares: 8 groups of 5 decimal digits, separated by spaces.
    pub fn groups(&self) -> Groups {
        Groups::of(&self.0)
    }
}

/// The safety number of two devices: the same for both, whoever computes it (`PROTOCOL.md` section 2).
pub fn safety_number(one: &Fingerprint, other: &Fingerprint) -> Groups {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    Groups::of(&h256(labels::hash::SAFETY, &[&low.0, &high.0]))
}

/// A relay's origin, `scheme://host[:port]` with scheme `ws` or `wss`, in lower case, without a path.
///
/// A device signs the origin that it was configured with, never one from a frame (`PROTOCOL.md` section 9).
#[derive(Clone, PartialEq, Eq)]
pub struct Origin(heapless::String<MAX_ORIGIN>);

/// Not an origin that AV/1 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOrigin;

impl Origin {
    /// Reads an origin; a trailing slash is forgiven, anything else behind the port is not.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for another scheme, an empty host, a port that is none, a path, query, user name or
    /// blank.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin)?;
        let known = scheme.eq_ignore_ascii_case("ws") || scheme.eq_ignore_ascii_case("wss");
        if !known || !is_authority(authority) {
            return Err(InvalidOrigin);
        }
        let mut origin: heapless::String<MAX_ORIGIN> = text.try_into().map_err(|_| InvalidOrigin)?;
        origin.make_ascii_lowercase();
        Ok(Self(origin))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The relay there as the subject of a statement: `H128("av1 origin", origin)`.
    pub fn subject(&self) -> DeviceId {
        DeviceId(h128(labels::hash::ORIGIN, &[self.0.as_bytes()]))
    }

    /// Whether connections to it are plain, which is allowed on loopback only.
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("ws://")
    }

    /// Whether its host is this machine: `localhost`, `127.0.0.0/8` or `::1`. Another name that leads here is not
    /// known to, since nothing is looked up.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The host alone: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').unwrap_or_default().0,
            None => authority.split_once(':').map_or(authority, |(host, _)| host),
        }
    }

    /// The port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.authority().rsplit_once(':').and_then(|(_, port)| port.parse().ok())
    }

    /// Host and port, as written.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

/// `host[:port]`: a name or IPv4 address, or an IPv6 address in brackets; the port from 1 to 65535 without leading
/// zeros, so that one port has one spelling under the signature.
fn is_authority(authority: &str) -> bool {
    let (host, rest) = match authority.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((address, rest)) => (address.parse::<core::net::Ipv6Addr>().is_ok(), rest),
        None => {
            let (name, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
            (!name.is_empty() && name.chars().all(is_allowed), rest)
        }
    };
    let is_port = |port: &str| {
        port.bytes().all(|digit| digit.is_ascii_digit())
            && !port.starts_with('0')
            && port.parse::<u16>().is_ok()
    };
    host && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.0)
    }
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin is ws://HOST:PORT or wss://HOST[:PORT], nothing behind it")
    }
}

impl core::error::Error for InvalidOrigin {}
