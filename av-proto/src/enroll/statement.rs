//! Signed statements: made by an owner, believed by every device of the tenant (`PROTOCOL.md` section 4.5).

use av_wire::grant::OwnerSerial;
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use av_wire::limits::MAX_OWNERS;
use av_wire::posted::{Posted, VerifiedStatement};
use av_wire::signature::SignedKind;
use av_wire::statement::Statement;
use av_wire::{DeviceId, Unverified};
use heapless::Vec;

use super::Membership;
use crate::crypto::{CryptoError, SigningSecret};
use crate::record::codec::{CodecError, Writer};

/// The last serial that this device knows of each owner; a statement at or below it is a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerSerials {
    known: Vec<OwnerSerial, MAX_OWNERS>,
}

impl OwnerSerials {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = 1 + MAX_OWNERS * (DeviceId::LEN + 8);

    /// What a verified grant said.
    pub const fn new(known: Vec<OwnerSerial, MAX_OWNERS>) -> Self {
        Self { known }
    }

    /// The last serial of this owner; 0 before its first statement.
    pub fn last(&self, owner: &DeviceId) -> u64 {
        self.known.iter().find(|known| known.owner == *owner).map_or(0, |known| known.serial)
    }

    /// All of them, as a grant carries them.
    pub fn as_slice(&self) -> &[OwnerSerial] {
        &self.known
    }

    /// Notes a serial; `false` when there is no room for another owner, which refuses the statement.
    #[must_use]
    pub fn advance(&mut self, owner: &DeviceId, serial: u64) -> bool {
        match self.known.iter_mut().find(|known| known.owner == *owner) {
            Some(known) => {
                known.serial = serial;
                true
            }
            None => self.known.push(OwnerSerial { owner: *owner, serial }).is_ok(),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u8(u8::try_from(self.known.len()).map_err(|_| CodecError)?)?;
        self.known.iter().try_for_each(|known| {
            writer.bytes(known.owner.as_bytes())?;
            writer.u64(known.serial)
        })
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut known = Vec::new();
        for _ in 0..reader.u8()? {
            let serial = OwnerSerial { owner: DeviceId(*reader.array()?), serial: reader.u64()? };
            known.push(serial).map_err(|_| CodecError)?;
        }
        Ok(Self { known })
    }
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

/// Verifies a statement for this device: of its tenant, by who has a say, with a serial that it has not seen.
///
/// # Errors
/// [`CryptoError`], whatever does not hold.
pub fn verify_statement<'b>(
    membership: &Membership,
    serials: &OwnerSerials,
    posted: &Posted<'b>,
) -> Result<VerifiedStatement<'b>, CryptoError> {
    let verified =
        posted.verify(membership.tenant_id(), membership.root(), |_| false).map_err(|_| CryptoError)?;
    let statement = verified.statement();
    if statement.serial > serials.last(&statement.issuer) { Ok(verified) } else { Err(CryptoError) }
}
