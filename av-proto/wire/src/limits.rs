//! Sizes that both ends must agree on: name, unit, reason.

/// Bytes of the largest frame. A Noise transport message holds 65,535 bytes with its 16-byte tag
/// (`PROTOCOL.md` section 9), so a frame fits in one, whatever the link.
pub const MAX_FRAME: usize = 65_519;

/// Bytes of a `Deliver` frame beside header_blob and ciphertext: 3 array and index bytes, two 9-byte sequences,
/// a 17-byte sender, a 9-byte time and two 3-byte lengths, rounded up.
pub const DELIVER_OVERHEAD: usize = 64;

/// Bytes: every device takes `Deliver` frames at least this large (`PROTOCOL.md` section 8).
pub const MIN_MAX_MESSAGE: u32 = 4_096;

/// Certificates in a chain: owner certified by owner certified by owner certified by the root, and the device.
pub const MAX_CHAIN: usize = 4;

/// Revocations in a chain. A device below two revoked owners is certified anew: a second one, of up to
/// 1,162 bytes, would not leave room for a message in the smallest frame.
pub const MAX_CHAIN_REVOCATIONS: usize = 1;

/// Certificates that a revocation of an owner may keep (`PROTOCOL.md` section 4.5).
pub const MAX_KEEP: usize = 64;

/// Devices that may enroll with one API key: as many as the revocation that closes it can keep (`PROTOCOL.md`
/// section 4.6).
pub const MAX_KEY_DEVICES: usize = MAX_KEEP;

/// Bytes of the largest signed body: a revocation with [`MAX_KEEP`] kept certificates takes 1,091.
pub const MAX_SIGNED_BODY: usize = 1_120;

/// Bytes of the largest `x` in Sign(k, tag, x): a KEM prekey's record of 1,197 behind its device's id.
pub const MAX_SIGNED: usize = 1_213;

/// Bytes of an origin such as `wss://relay.example.org:8443`; a DNS name has at most 253.
pub const MAX_ORIGIN: usize = 280;

/// Bytes of an enrollment's sealed name: nonce 24, padded name and platform 64, tag 16.
pub const SEALED_NAME: usize = 104;

/// Bytes of the largest bundle: a signed prekey, a one-time prekey and a KEM prekey.
pub const MAX_BUNDLE: usize = crate::bundle::Bundle::MAX_LEN;

/// Prekey records in one `PublishPrekeys` call: 100 one-time keys are two days of one request an hour, twice.
pub const MAX_PREKEYS_PER_CALL: usize = 100;

/// KEM prekey records in one `PublishPrekeys` call: with 100 of the others they fit into a frame.
pub const MAX_KEM_PREKEYS_PER_CALL: usize = 32;

/// Bytes: a device that lists a suite with a KEM takes `Deliver` frames at least this large, since a first flight with
/// a chain and a KEM ciphertext is 2,400 bytes before its text (`PROTOCOL.md` section 8).
pub const MIN_MAX_MESSAGE_WITH_KEM: u32 = 8_192;

/// Owner devices whose statement serials a grant can carry (`PROTOCOL.md` section 8: at most 8 owners active).
pub const MAX_OWNERS: usize = 8;

/// Seconds: the longest life of an invite. A token on paper for longer than a week is a token in a drawer.
pub const MAX_INVITE_SECONDS: u32 = 7 * 24 * 3_600;

/// Messages in one `Ack` that the device rejects; further ones wait for the next `Ack`.
pub const MAX_REJECTED: usize = 16;
