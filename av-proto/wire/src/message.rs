//! A message's public layout: its id, its first bytes, the prelude (`PROTOCOL.md` sections 6 and 7).

use crate::cbor::array;
use crate::hash::h128;
use crate::ids::{DeviceId, MessageId, TenantId};
use crate::labels;

/// 16 bytes: the same bytes from the same sender to the same recipient have the same id, so a retry is
/// recognised by the relay and by the recipient (`PROTOCOL.md` section 7).
pub fn message_id(
    tenant: &TenantId,
    sender: &DeviceId,
    recipient: &DeviceId,
    header_blob: &[u8],
    ciphertext: &[u8],
) -> MessageId {
    // A frame holds less than 2^32 bytes; a longer header never reaches this.
    let length = u32::try_from(header_blob.len()).unwrap_or(u32::MAX).to_be_bytes();
    MessageId(h128(
        labels::hash::MESSAGE,
        &[tenant.as_bytes(), sender.as_bytes(), recipient.as_bytes(), &length, header_blob, ciphertext],
    ))
}

/// The first byte of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageType {
    /// A ratchet message.
    Ratchet = 1,
    /// A ratchet message behind a prelude.
    WithPrelude = 2,
}

array! {
    /// What lets a responder compute the session: `[gen, mode, EK, signed prekey id, one-time prekey id or null,
    /// KEM key id or null, KEM ciphertext or null, chain or device id]`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Prelude<'b> {
        /// Generation: greater than every one that the responder accepted from this peer.
        pub generation: u32,
        /// 1 while the invite's psk lives, else 0.
        pub mode: u8,
        /// X25519 ephemeral key.
        pub ephemeral: [u8; 32],
        /// Which signed prekey of the responder.
        pub signed_prekey: u32,
        /// Which one-time prekey of the responder, if any.
        pub one_time_prekey: Option<u32>,
        /// Which KEM key of the responder; null in suites without a KEM.
        pub kem_key: Option<u32>,
        /// KEM ciphertext; null in suites without a KEM.
        pub kem_ciphertext: Option<&'b [u8]>,
        /// The initiator's chain in the first message to a peer that never opened one of ours, else its 16-byte id.
        pub initiator: &'b [u8],
    }
}
