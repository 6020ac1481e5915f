//! Fields that several parts of a session's record have.

use av_wire::layout::Reader;

use crate::crypto::{AgreementSecret, Secret};
use crate::limits::MAX_CHAIN_MESSAGES;
use crate::record::codec::{CodecError, Writer};

pub(super) fn secret(reader: &mut Reader<'_>) -> Result<Secret<32>, CodecError> {
    Ok(Secret::new(*reader.array()?))
}

pub(super) fn count(reader: &mut Reader<'_>) -> Result<u32, CodecError> {
    let count = reader.u32()?;
    if count <= MAX_CHAIN_MESSAGES { Ok(count) } else { Err(CodecError) }
}

pub(super) fn pair(reader: &mut Reader<'_>) -> Result<AgreementSecret, CodecError> {
    Ok(AgreementSecret::from_parts(reader.array()?, reader.array()?))
}

pub(super) fn write_pair(pair: &AgreementSecret, writer: &mut Writer<'_>) -> Result<(), CodecError> {
    writer.secret(pair.expose())?;
    writer.bytes(pair.public())
}
