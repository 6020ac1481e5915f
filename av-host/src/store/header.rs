//! The store's header: what has to be readable before there is a key.

use redb::{ReadableTable, Table, TableDefinition};

use crate::keystore::{KeyCheck, KeyDerivation};

/// The one table that is not sealed.
pub(super) const HEADER: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("header");

/// The format that this program writes and reads.
pub(super) const FORMAT: u16 = 1;

const FORMAT_KEY: &str = "format";
const DERIVATION_KEY: &str = "key derivation";
const CHECK_KEY: &str = "key check";

/// How the key comes about, and how a wrong one is told.
pub(super) struct Header {
    pub(super) derivation: KeyDerivation,
    pub(super) check: KeyCheck,
}

/// Why a header is not one.
pub(super) enum HeaderError {
    Version(String),
    Damaged(&'static str),
    Storage(redb::StorageError),
}

impl From<redb::StorageError> for HeaderError {
    fn from(error: redb::StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Header {
    pub(super) fn write(&self, table: &mut Table<'_, &str, &[u8]>) -> Result<(), redb::StorageError> {
        table.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
        table.insert(DERIVATION_KEY, self.derivation.to_bytes().as_slice())?;
        table.insert(CHECK_KEY, self.check.as_bytes().as_slice())?;
        Ok(())
    }

    pub(super) fn read(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Self, HeaderError> {
        let field = |name: &'static str| -> Result<Vec<u8>, HeaderError> {
            let value = table.get(name)?.ok_or(HeaderError::Damaged("its header is incomplete"))?;
            Ok(value.value().to_vec())
        };
        let format = field(FORMAT_KEY)?;
        match <[u8; 2]>::try_from(format.as_slice()).map(u16::from_be_bytes) {
            Ok(FORMAT) => {}
            Ok(other) => return Err(HeaderError::Version(other.to_string())),
            Err(_) => return Err(HeaderError::Damaged("its format number is no number")),
        }
        let derivation = KeyDerivation::from_bytes(&field(DERIVATION_KEY)?)
            .ok_or(HeaderError::Damaged("its key derivation is unknown"))?;
        let check = KeyCheck::from_slice(&field(CHECK_KEY)?)
            .ok_or(HeaderError::Damaged("its key check is incomplete"))?;
        Ok(Self { derivation, check })
    }
}
