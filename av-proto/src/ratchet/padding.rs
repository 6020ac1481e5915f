//! Plaintext = kind(1) ‖ body ‖ 0x80 ‖ zeros to the next multiple of the sender's block (`PROTOCOL.md` section 7).

use crate::error::RatchetError;
use crate::limits::MAX_PADDING_BLOCK;

/// Ends the body.
const END: u8 = 0x80;

/// Bytes of the padded plaintext of a body: kind, body and end mark, rounded up to a multiple of `block`.
///
/// # Errors
/// [`RatchetError::Length`] for a block of 0 or over [`MAX_PADDING_BLOCK`], or a body that no address space holds.
pub fn padded_len(body_len: usize, block: usize) -> Result<usize, RatchetError> {
    if block == 0 || block > MAX_PADDING_BLOCK {
        return Err(RatchetError::Length);
    }
    let plain = body_len.checked_add(2).ok_or(RatchetError::Length)?;
    plain.checked_next_multiple_of(block).ok_or(RatchetError::Length)
}

/// Fills `out`, which has [`padded_len`] bytes; `head` begins with the kind.
pub(super) fn pad(head: &[u8], body: &[u8], out: &mut [u8]) {
    let mut rest = out;
    for part in [head, body, &[END]] {
        let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else { return };
        place.copy_from_slice(part);
        rest = behind;
    }
    rest.fill(0);
}

/// The kind and the body of a padded plaintext; `None` when it has no end mark behind its kind.
pub(super) fn strip(plain: &[u8]) -> Option<(u8, &[u8])> {
    let (kind, rest) = plain.split_first()?;
    let end = rest.iter().rposition(|byte| *byte != 0)?;
    let (body, mark) = rest.split_at_checked(end)?;
    (mark.first() == Some(&END)).then_some((*kind, body))
}
