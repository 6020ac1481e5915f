//! A device's records: what is in them, and the device that they make after a crash.

use std::collections::BTreeMap;

use av_proto::{RecordKey, RecordKind, Seal};

use super::{Client, Unsent};
use crate::Outcome;

/// Bytes that hold any opened record.
const RECORD: usize = 16 * 1024;

impl Client {
    /// The opened records. Seals are fresh at every write, so it is their content that is compared.
    ///
    /// # Errors
    /// When one does not open.
    pub fn opened_records(&self) -> Outcome<BTreeMap<[u8; 3], Vec<u8>>> {
        let mut opened = BTreeMap::new();
        for (bytes, sealed) in &self.records {
            let key = RecordKey::from_bytes(bytes).ok_or("a record of an unknown kind")?;
            let mut buffer = vec![0; RECORD];
            let record =
                self.seal.open(key, sealed, &mut buffer).map_err(|error| format!("{error:?}"))?.to_vec();
            opened.insert(*bytes, record);
        }
        Ok(opened)
    }

    /// The opened records but the inbox cursor's, which counts what was refused too.
    ///
    /// # Errors
    /// When one does not open.
    pub fn records_but_cursor(&self) -> Outcome<BTreeMap<[u8; 3], Vec<u8>>> {
        let mut records = self.opened_records()?;
        records.retain(|key, _| key.first() != Some(&(RecordKind::Meta as u8)));
        Ok(records)
    }

    /// The device as it would be after a crash of this instant: a new endpoint on the stored records.
    ///
    /// # Errors
    /// When the records do not fit together.
    pub fn restarted(&self) -> Outcome<Self> {
        self.restarted_on(&self.records)
    }

    /// The device as it would be after a crash at the moment when this frame left.
    ///
    /// # Errors
    /// When the records of that moment do not fit together.
    pub fn restarted_at(&self, unsent: &Unsent) -> Outcome<Self> {
        self.restarted_on(&unsent.records)
    }

    fn restarted_on(&self, records: &BTreeMap<[u8; 3], Vec<u8>>) -> Outcome<Self> {
        let mut client = Self::new()?;
        (client.seal, client.key) = (Seal::new(self.key), self.key);
        client.records.clone_from(records);
        let now = client.now()?;
        for (bytes, sealed) in &client.records {
            let key = RecordKey::from_bytes(bytes).ok_or("a record of an unknown kind")?;
            client.endpoint.restore(now, &client.seal, key, sealed).map_err(|error| format!("{error:?}"))?;
        }
        client.endpoint.resume().map_err(|error| format!("{error:?}"))?;
        Ok(client)
    }
}
