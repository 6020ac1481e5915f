//! Where the secrets of a record stand.

use heapless::Vec;

use super::FRAME;
use crate::record::codec::{CodecError, Writer};
use crate::{Aead, RecordKey};

/// Calls `found` with each secret in an opened record, so that a test can search for it where it must not be.
///
/// # Errors
/// [`CodecError`] when the record is not what its key says.
pub fn secrets_in_record<A: Aead, const SKIP: usize>(
    key: RecordKey,
    record: &[u8],
    found: &mut dyn FnMut(&[u8]),
) -> Result<(), CodecError> {
    let mut copy = [0; 2 * FRAME];
    let mut secrets = Vec::<(usize, usize), 256>::new();
    let mut mark = |place: core::ops::Range<usize>| {
        // A record holds far fewer; one too many would be missed, so the bound is checked below.
        let _ = secrets.push((place.start, place.end));
    };
    let mut writer = Writer::marking(&mut copy, &mut mark);
    crate::endpoint::rewrite_record::<A, SKIP>(key, record, &mut writer)?;
    if secrets.is_full() {
        return Err(CodecError);
    }
    for (start, end) in secrets {
        found(record.get(start..end).ok_or(CodecError)?);
    }
    Ok(())
}
