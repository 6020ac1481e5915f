//! Signed statements: made by an owner, believed by every device of the tenant (`PROTOCOL.md` section 4.5).

use av_wire::grant::OwnerSerial;
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use av_wire::limits::MAX_OWNERS;
use av_wire::signature::SignedKind;
use av_wire::statement::Statement;
use av_wire::{DeviceId, Unverified};
use heapless::Vec;

use super::Revoked;
use crate::crypto::{CryptoError, SigningSecret};
use crate::record::codec::{CodecError, Writer};

/// An owner's statements, as far as this device has them and as far as it has heard of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    owner: DeviceId,
    /// The last of the statements without a gap.
    last: u64,
    /// The greatest serial that somebody with a say named: greater than `last` while statements are missing.
    heard: u64,
}

/// What this device knows of each owner's statements; one at or below its last serial is a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerSerials {
    known: Vec<Known, { MAX_OWNERS + 1 }>,
}

impl OwnerSerials {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = 1 + (MAX_OWNERS + 1) * (DeviceId::LEN + 8 + 8);

    /// No statement of anybody.
    pub const fn new() -> Self {
        Self { known: Vec::new() }
    }

    /// What a verified grant named, eight at most: statements that have to be fetched.
    pub fn heard_of(grant: impl Iterator<Item = OwnerSerial>) -> Self {
        let known = |OwnerSerial { owner, serial }| Known { owner, last: 0, heard: serial };
        Self { known: grant.take(MAX_OWNERS).map(known).collect() }
    }

    /// The last serial of this owner's statements without a gap; 0 before its first.
    pub fn last(&self, owner: &DeviceId) -> u64 {
        self.known.iter().find(|known| known.owner == *owner).map_or(0, |known| known.last)
    }

    /// As a grant carries them: what this device has.
    pub fn iter(&self) -> impl Iterator<Item = OwnerSerial> {
        self.known.iter().map(|known| OwnerSerial { owner: known.owner, serial: known.last })
    }

    /// Whose statements are missing, and the last that is there. Of an owner that is out nothing is: whom it revoked is
    /// out with it, unless kept by name, what else it said is void, and with its key a thief names any serial.
    pub fn missing(&self, revoked: &Revoked) -> impl Iterator<Item = OwnerSerial> {
        let is_behind = |known: &&Known| known.heard > known.last && !revoked.contains(&known.owner);
        self.known
            .iter()
            .filter(is_behind)
            .map(|known| OwnerSerial { owner: known.owner, serial: known.last })
    }

    /// Notes the serial of the statement behind the last one. The root's serials are times, and have gaps.
    ///
    /// # Errors
    /// [`SerialError`]; nothing changed.
    pub fn advance(&mut self, owner: &DeviceId, serial: u64, revoked: &Revoked) -> Result<(), SerialError> {
        let last = self.last(owner);
        if serial <= last {
            return Err(SerialError::Replayed);
        }
        if *owner != DeviceId::ROOT && last.checked_add(1) != Some(serial) {
            return Err(SerialError::Gap);
        }
        let known = self.place(owner, revoked).ok_or(SerialError::Full)?;
        known.last = serial;
        known.heard = known.heard.max(serial);
        Ok(())
    }

    /// Notes that an owner has said this many; whether that was news and something is missing.
    pub fn hear(&mut self, owner: &DeviceId, serial: u64, revoked: &Revoked) -> bool {
        let Some(known) = self.place(owner, revoked) else { return false };
        let is_news = serial > known.heard;
        known.heard = known.heard.max(serial);
        is_news
    }

    /// An owner's place; a revoked owner, who says no more, makes room for a new one.
    fn place(&mut self, owner: &DeviceId, revoked: &Revoked) -> Option<&mut Known> {
        let index = self.known.iter().position(|known| known.owner == *owner);
        if let Some(index) = index {
            return self.known.get_mut(index);
        }
        // One place is the root's: owners, made up by the dozen with one stolen key, must not crowd it out.
        let owners = self.known.iter().filter(|known| known.owner != DeviceId::ROOT).count();
        if *owner != DeviceId::ROOT && owners >= MAX_OWNERS {
            let is_over = |known: &Known| revoked.contains(&known.owner);
            self.known.remove(self.known.iter().position(is_over)?);
        }
        self.known.push(Known { owner: *owner, last: 0, heard: 0 }).ok()?;
        self.known.last_mut()
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u8(u8::try_from(self.known.len()).map_err(|_| CodecError)?)?;
        self.known.iter().try_for_each(|known| {
            writer.bytes(known.owner.as_bytes())?;
            writer.u64(known.last)?;
            writer.u64(known.heard)
        })
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut known = Vec::new();
        for _ in 0..reader.u8()? {
            let entry =
                Known { owner: DeviceId(*reader.array()?), last: reader.u64()?, heard: reader.u64()? };
            known.push(entry).map_err(|_| CodecError)?;
        }
        Ok(Self { known })
    }
}

/// Why a statement is not the next of its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialError {
    /// Seen before.
    Replayed,
    /// Statements before it are missing.
    Gap,
    /// No room for another owner.
    Full,
}

/// Signs a statement into `out` and returns the bytes written; the caller is the issuer that it names.
///
/// # Errors
/// [`CryptoError`] when it keeps more certificates than it may, or `out` is too small.
pub fn sign_statement<'o>(
    issuer: &SigningSecret,
    statement: &Statement<'_>,
    out: &'o mut [u8],
) -> Result<&'o [u8], CryptoError> {
    let body = statement.body().map_err(|_| CryptoError)?;
    let kind: SignedKind = statement.kind();
    let purpose: SignaturePurpose = kind.purpose();
    let signature = issuer.sign(purpose, &[&body])?;
    Unverified { kind, body: body[..].into(), signature }.encode(out).map_err(|_| CryptoError)
}
