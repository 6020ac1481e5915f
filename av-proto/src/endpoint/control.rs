//! What a message is, and the bodies of those that endpoints exchange by themselves (`PROTOCOL.md` sections 6 to 8).

use av_wire::MessageId;
use heapless::Vec;

use super::history::History;
use crate::limits::UNOPENED_IDS;

/// What a message is; the first byte of its plaintext.
pub(super) mod kind {
    /// The application's.
    pub(crate) const APPLICATION: u8 = 1;
    /// An initiator's first message when the application has nothing to say yet; no body.
    pub(crate) const HELLO: u8 = 2;
    /// A receipt: which messages were opened. Another plaintext may stand behind it.
    pub(crate) const HAVE: u8 = 4;
    /// Asks for a receipt; no body.
    pub(crate) const CHECK: u8 = 5;
    /// Names frames that did not open.
    pub(crate) const RESYNC: u8 = 6;
    /// A message sent again: its first id, and its plaintext.
    pub(crate) const AGAIN: u8 = 7;
    /// Ends the answer to a resync: ids that this device no longer holds.
    pub(crate) const GONE: u8 = 8;
    /// An owner's last serial; a u64.
    pub(crate) const SERIALS: u8 = 10;
    /// An owner's device to another: what it sent to somebody.
    pub(crate) const COPY: u8 = 11;
}

/// Whether a message of this kind is kept until its receipt, and sent again when it did not arrive.
pub(super) const fn is_receipted(kind: u8) -> bool {
    matches!(kind, kind::APPLICATION | kind::COPY)
}

/// The first 8 bytes of an id. Ids are hashes: only who holds the session could look for two alike, would need 2^64
/// trials for a given one, and would lose a message of its own by it.
pub(super) type ShortId = [u8; 8];

/// The short form of a message id.
pub(super) fn short(id: &MessageId) -> ShortId {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    [a, b, c, d, e, f, g, h]
}

/// The body of [`kind::RESYNC`] and [`kind::GONE`]: ids one after the other.
pub(super) type ShortIds = Vec<ShortId, UNOPENED_IDS>;

/// Reads ids; `None` when the bytes are not whole ids, or more than a frame may name.
pub(super) fn read_ids(body: &[u8]) -> Option<ShortIds> {
    let (ids, rest) = body.as_chunks();
    if rest.is_empty() { ShortIds::from_slice(ids).ok() } else { None }
}

/// What stands before a body: a receipt, and the longest head of another kind, a copy's 34 bytes.
pub(super) type Head = Vec<u8, { 1 + History::MAX_LEN + 34 }>;
