//! Reading columns: a value that this version did not write is an error, never a guess.

use tokio_postgres::Row;

use super::error::StoreError;

/// A fixed-length id, key or signature.
pub(super) fn id<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Unexpected("an id's length"))
}

/// A fixed-length value that may be absent.
pub(super) fn optional_id<const N: usize>(row: &Row, column: usize) -> Result<Option<[u8; N]>, StoreError> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| StoreError::Unexpected("an id's length"))).transpose()
}

/// A count or sequence, which the schema keeps from being negative.
pub(super) fn unsigned(row: &Row, column: usize) -> Result<u64, StoreError> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| StoreError::Unexpected("a count"))
}

/// A number of AV/1 as PostgreSQL stores it; none that passes the service's checks is too large.
pub(super) fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Unexpected("a number"))
}
