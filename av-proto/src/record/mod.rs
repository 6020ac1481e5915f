//! State at rest (`PROTOCOL.md` section 8): a device's state is a set of records, each with a maximum size known
//! at compile time and a seal of its own, and together such that no old one can take its successor's place.

pub mod codec;
mod head;
mod seal;

#[cfg(test)]
mod tests;

pub(crate) use head::{Head, Tally};
#[cfg(test)]
pub(crate) use seal::VERSION;
pub use seal::{Seal, SealError};

/// Bytes that a stored record is longer than its content: generation, mark and seal.
pub const OVERHEAD: usize = Head::LEN + Seal::OVERHEAD;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    /// Keys of this device and how far it has come: founding, enrolling or active.
    Identity = 1,
    /// Counters and the inbox cursor.
    Meta = 2,
    /// Secrets of the prekeys.
    Prekeys = 3,
    /// A peer with its sessions.
    Peer = 4,
    /// The keys of an invite that this device made.
    Invite = 5,
    /// A frame that the relay has not answered yet.
    Outbox = 6,
    /// A message that the application has not confirmed yet.
    Inbox = 7,
    /// An API key that this device granted, and who enrolled with it.
    ApiKey = 8,
}

impl RecordKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Meta,
        Self::Prekeys,
        Self::Peer,
        Self::Invite,
        Self::Outbox,
        Self::Inbox,
        Self::ApiKey,
    ];
}

/// 3 bytes: which record; kind(1) ‖ index(u16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// What it holds.
    pub kind: RecordKind,
    /// Which slot of its kind; 0 where there is only one.
    pub index: u16,
}

impl RecordKey {
    /// Bytes of its encoding.
    pub const LEN: usize = 3;

    /// The record of this kind and slot.
    pub const fn new(kind: RecordKind, index: u16) -> Self {
        Self { kind, index }
    }

    /// Its encoding, by which a store finds it.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [high, low] = self.index.to_be_bytes();
        [self.kind as u8, high, low]
    }

    /// Reads an encoding; `None` for an unknown kind.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let [kind, high, low] = *bytes;
        let kind = RecordKind::ALL.into_iter().find(|known| *known as u8 == kind)?;
        Some(Self { kind, index: u16::from_be_bytes([high, low]) })
    }
}

/// One change of a batch that a store commits atomically.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RecordChange<'b> {
    /// The record now has these sealed bytes.
    Put(RecordKey, &'b [u8]),
    /// The record is gone.
    Delete(RecordKey),
}
