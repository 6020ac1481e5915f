//! Every size of the link: name, unit, reason.

/// Bytes of an authentication tag.
pub const TAG: usize = 16;

/// Bytes of each handshake message: an ephemeral public key and the tag of an empty payload.
pub const HANDSHAKE: usize = 32 + TAG;

/// Bytes of the largest transport message, tag included (Noise, section 3).
pub const MAX_MESSAGE: usize = 65_535;

/// Bytes of the largest text in a transport message: AV/1's largest frame.
pub const MAX_TEXT: usize = MAX_MESSAGE - TAG;

/// Messages that one direction of a link carries; then the device connects anew. At a hundred a second that is
/// more than a year, and it is far below the 2^64 - 1 at which Noise's nonces would end.
pub const MAX_MESSAGES: u64 = 1 << 32;

// A frame fits into one message, whatever the link.
const _: () = assert!(MAX_TEXT == av_wire::limits::MAX_FRAME);
