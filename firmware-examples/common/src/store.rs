//! A store in RAM with flash's manners: it outlives a restart, and of a batch there is all or nothing.

use av_proto::crypto::{Secret, mac};
use av_proto::{RecordChange, RecordKey, RecordKind};
use heapless::Vec;

/// Bytes for all sealed records of one device, with 5 bytes beside each.
const CAPACITY: usize = 8 * 1_024;
/// A record's key and its length (u16), which stand before it.
const HEAD: usize = RecordKey::LEN + 2;
/// Records of a small endpoint: identity, counters, prekeys, 2 peers, 8 invites, 4 frames, 2 messages.
const RECORDS: usize = 19;

/// The store is full.
#[derive(Clone, Copy, Debug)]
pub struct Full;

/// Two images of all records: the next batch is written beside the one that counts.
pub struct Store {
    images: [Vec<u8, CAPACITY>; 2],
    current: usize,
    fullest: usize,
}

impl Store {
    pub const fn new() -> Self {
        Self { images: [Vec::new(), Vec::new()], current: 0, fullest: 0 }
    }

    /// Begins a batch over what is stored.
    pub fn begin(&mut self) {
        let [first, second] = &mut self.images;
        let (from, to) = if self.current == 0 { (first, second) } else { (second, first) };
        // Not `clone_from`, which makes the copy on the stack first.
        to.clear();
        to.extend(from.iter().copied());
    }

    /// Adds a change to the batch.
    ///
    /// # Errors
    /// [`Full`] when there is no room.
    pub fn change(&mut self, change: RecordChange<'_>) -> Result<(), Full> {
        let image = &mut self.images[1 - self.current];
        let (RecordChange::Put(key, _) | RecordChange::Delete(key)) = change;
        if let Some((start, length)) = Records::of(image).find_place(key) {
            image.copy_within(start + HEAD + length.., start);
            image.truncate(image.len() - HEAD - length);
        }
        if let RecordChange::Put(key, sealed) = change {
            let length = u16::try_from(sealed.len()).map_err(|_| Full)?.to_be_bytes();
            for part in [&key.to_bytes()[..], &length, sealed] {
                image.extend_from_slice(part).map_err(|_| Full)?;
            }
        }
        Ok(())
    }

    /// The batch counts from now on.
    pub fn commit(&mut self) {
        self.current = 1 - self.current;
        self.fullest = self.fullest.max(self.images[self.current].len());
    }

    /// Every record with its key.
    pub fn records(&self) -> impl Iterator<Item = (RecordKey, &[u8])> {
        Records::of(&self.images[self.current]).map(|(key, _, sealed)| (key, sealed))
    }

    /// Bytes that all records ever took at once.
    pub const fn fullest(&self) -> usize {
        self.fullest
    }

    /// 32 bytes that change with any byte of any record but the counters, where the inbox cursor moves with every
    /// delivery, taken or refused.
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        let mut parts: Vec<&[u8], { RECORDS }> = Vec::new();
        for (_, sealed) in self.records().filter(|(key, _)| key.kind != RecordKind::Meta) {
            parts.push(sealed).ok()?;
        }
        mac(&Secret::new([0; 32]), b"selftest", &parts).ok()
    }
}

/// Walks over an image.
struct Records<'i> {
    rest: &'i [u8],
    offset: usize,
}

impl<'i> Records<'i> {
    const fn of(image: &'i [u8]) -> Self {
        Self { rest: image, offset: 0 }
    }

    /// Where a record begins, and its length without the head.
    fn find_place(mut self, key: RecordKey) -> Option<(usize, usize)> {
        self.find(|(known, _, _)| *known == key).map(|(_, start, sealed)| (start, sealed.len()))
    }
}

impl<'i> Iterator for Records<'i> {
    type Item = (RecordKey, usize, &'i [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.rest.split_first_chunk::<{ RecordKey::LEN }>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (sealed, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let start = self.offset;
        self.offset += HEAD + sealed.len();
        self.rest = rest;
        Some((RecordKey::from_bytes(key)?, start, sealed))
    }
}
