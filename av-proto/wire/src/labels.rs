//! Every label of AV/1 in one table (`PROTOCOL.md`, labels). No two uses share one and none contains NUL, so
//! that a hash, tag, key or signature made for one purpose is never valid for another.

/// BLAKE2b personalisations of unkeyed hashes: at most 16 ASCII bytes, zero-padded.
pub mod hash {
    /// Fingerprint of a [`DevicePublic`](crate::DevicePublic), 256 bits.
    pub const DEVICE: &[u8] = b"av1 device";
    /// Safety number of a pair of devices, 256 bits.
    pub const SAFETY: &[u8] = b"av1 safety";
    /// Checksum of an invite's token, of which 20 bits are shown.
    pub const INVITE: &[u8] = b"av1 invite";
    /// Checksum of a recovery key's text.
    pub const RECOVERY: &[u8] = b"av1 recovery";
    /// What the relay stores in place of an invite's lookup value, 256 bits.
    pub const LOOKUP: &[u8] = b"av1 lookup";
    /// The enrollment transcript `t`, 256 bits.
    pub const ENROLL: &[u8] = b"av1 enroll";
    /// A chain of certificates, 256 bits.
    pub const CERTS: &[u8] = b"av1 certs";
    /// A tenant's id from its root's public key, 128 bits.
    pub const TENANT: &[u8] = b"av1 tenant";
    /// A relay as the subject of a statement, from its origin, 128 bits.
    pub const ORIGIN: &[u8] = b"av1 origin";
    /// A kept certificate's short name inside a revocation, 128 bits.
    pub const KEEP: &[u8] = b"av1 keep";
    /// X3DH transcript, 256 bits.
    pub const X3DH: &[u8] = b"av1 x3dh";
    /// Checksum of an API key's text, of which 16 bits are shown.
    pub const API_KEY: &[u8] = b"av1 apikey";
    /// An API key's id from its public key, 128 bits.
    pub const KEY_ID: &[u8] = b"av1 keyid";
    /// A message's id, 128 bits.
    pub const MESSAGE: &[u8] = b"av1 message";
}

/// BLAKE2b personalisations of keyed hashes (`MAC`).
pub mod mac {
    /// The agent's proof that it holds the invite's token.
    pub const ENROLL_TAG: &[u8] = b"av1 enrolltag";
    /// The owner's proof that the grant comes from who made the invite.
    pub const GRANT: &[u8] = b"av1 grant";
}

/// HKDF-SHA-512 and HMAC-SHA-512 inputs.
pub mod kdf {
    /// Salt: an invite's token to its five keys.
    pub const INVITE: &[u8] = b"AV1 invite";
    /// Info: X3DH output keys.
    pub const X3DH: &[u8] = b"AV1 x3dh";
    /// Info: a step of the root chain.
    pub const ROOT: &[u8] = b"AV1 root";
    /// Prefix: a step of a message chain.
    pub const CHAIN: &[u8] = b"AV1 chain";
}

/// Associated data of record seals (`PROTOCOL.md` section 8).
pub mod seal {
    /// Every sealed record's associated data begins with it.
    pub const RECORD: &[u8] = b"AV1 record";
}

/// The Noise link (`PROTOCOL.md` section 9).
pub mod link {
    /// Its prologue begins with it; the origin follows.
    pub const PROLOGUE: &[u8] = b"AV1 link";
}

/// What an Ed25519 signature is for: `Sign(k, tag, x)` covers `"AV1 " ‖ tag ‖ 0x00 ‖ x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignaturePurpose {
    /// Possession of a device's identity key at enrollment.
    Enroll,
    /// A device certificate.
    Cert,
    /// A device takes up its certificate.
    Activate,
    /// A tenant is founded at a relay.
    Found,
    /// A device authenticates a connection.
    Auth,
    /// A prekey record.
    Prekey,
    /// A revocation statement.
    Revocation,
    /// A suspension statement.
    Suspension,
    /// A resumption statement.
    Resumption,
    /// A statement of a relay's link keys.
    LinkKeys,
    /// The grant of an API key.
    KeyGrant,
}

impl SignaturePurpose {
    /// Every purpose; a test holds that no two share a tag.
    pub const ALL: [Self; 11] = [
        Self::Enroll,
        Self::Cert,
        Self::Activate,
        Self::Found,
        Self::Auth,
        Self::Prekey,
        Self::Revocation,
        Self::Suspension,
        Self::Resumption,
        Self::LinkKeys,
        Self::KeyGrant,
    ];

    /// The ASCII tag that is signed.
    pub const fn tag(self) -> &'static [u8] {
        match self {
            Self::Enroll => b"enroll",
            Self::Cert => b"cert",
            Self::Activate => b"activate",
            Self::Found => b"found",
            Self::Auth => b"auth",
            Self::Prekey => b"prekey",
            Self::Revocation => b"revocation",
            Self::Suspension => b"suspension",
            Self::Resumption => b"resumption",
            Self::LinkKeys => b"linkkeys",
            Self::KeyGrant => b"keygrant",
        }
    }
}
