//! Signed statements of owners: revocation, suspension, resumption, link keys (`PROTOCOL.md` section 4.5).

use crate::cbor::{DecodeError, EncodeError};
use crate::hash::h128;
use crate::ids::{DeviceId, TenantId};
use crate::labels;
use crate::layout::Reader;
use crate::limits::{MAX_KEEP, MAX_SIGNED_BODY};
use crate::signature::{SignedKind, Unverified};

/// What a statement says of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Final: the device is out, and so is whatever it certified and the statement does not keep.
    Revoked,
    /// The device is held until an owner resumes it.
    Suspended,
    /// The issuer lifts its suspension.
    Resumed,
    /// The subject, which is the relay, has these link keys.
    LinkKeys,
}

/// The 16-byte name by which a revocation keeps a certificate: `H128("av1 keep", signed certificate)`.
pub fn keep_name(signed_cert: &[u8]) -> [u8; 16] {
    h128(labels::hash::KEEP, &[signed_cert])
}

/// A relay's link key and its announced successor, 32 zero bytes where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncedKeys {
    /// The one in use.
    pub current: [u8; 32],
    /// The one that the relay changes over to.
    pub next: [u8; 32],
}

/// A statement; version(1) ‖ tenant_id(16) ‖ subject(16) ‖ issuer(16) ‖ serial(u64) ‖ issued_at(u64, s), and for a
/// revocation the number kept (u16) and their names (16 each), for link keys the two keys (32 each).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'b> {
    /// What is said.
    pub verdict: Verdict,
    /// The tenant it holds in.
    pub tenant_id: TenantId,
    /// The device it is about, or the relay ([`Origin::subject`](crate::Origin::subject)).
    pub subject: DeviceId,
    /// The owner's device that says it, or [`DeviceId::ROOT`].
    pub issuer: DeviceId,
    /// The issuer's counter: gapless, stored before use; the root's is the time in ms.
    pub serial: u64,
    /// Seconds since 1970 by the issuer's clock.
    pub issued_at: u64,
    /// Names of the certificates that stay valid, 16 bytes each; empty unless the verdict is revoked.
    pub keep: &'b [u8],
    /// What is said of link keys; of nothing else.
    pub link_keys: Option<AnnouncedKeys>,
}

impl<'b> Statement<'b> {
    /// Bytes of the largest body: a revocation with [`MAX_KEEP`] names.
    pub const MAX_LEN: usize = 1 + 16 + 16 + 16 + 8 + 8 + 2 + 16 * MAX_KEEP;
    /// Bytes of the largest signed statement with its CBOR frame.
    pub const MAX_SIGNED_LEN: usize = 1 + 1 + 3 + Self::MAX_LEN + 2 + 64;
    const VERSION: u8 = 1;

    /// The kind of the signed object that carries it.
    pub const fn kind(&self) -> SignedKind {
        match self.verdict {
            Verdict::Revoked => SignedKind::Revocation,
            Verdict::Suspended => SignedKind::Suspension,
            Verdict::Resumed => SignedKind::Resumption,
            Verdict::LinkKeys => SignedKind::LinkKeys,
        }
    }

    /// Whether it is a revocation that keeps this signed certificate.
    pub fn keeps(&self, signed_cert: &[u8]) -> bool {
        let name = keep_name(signed_cert);
        self.keep.as_chunks::<16>().0.contains(&name)
    }

    /// Writes the body that is signed.
    ///
    /// # Errors
    /// [`EncodeError`] for more than [`MAX_KEEP`] names, a partial name, names beside another verdict, or link keys that
    /// the verdict does not announce.
    pub fn body(&self) -> Result<heapless::Vec<u8, MAX_SIGNED_BODY>, EncodeError> {
        let (names, partial) = self.keep.as_chunks::<16>();
        let revokes = self.verdict == Verdict::Revoked;
        if !partial.is_empty()
            || names.len() > MAX_KEEP
            || (!revokes && !names.is_empty())
            || (self.verdict == Verdict::LinkKeys) != self.link_keys.is_some()
        {
            return Err(EncodeError);
        }
        let mut body = heapless::Vec::new();
        let fields: [&[u8]; 6] = [
            &[Self::VERSION],
            self.tenant_id.as_bytes(),
            self.subject.as_bytes(),
            self.issuer.as_bytes(),
            &self.serial.to_be_bytes(),
            &self.issued_at.to_be_bytes(),
        ];
        for field in fields {
            body.extend_from_slice(field).map_err(|_| EncodeError)?;
        }
        if revokes {
            let count = u16::try_from(names.len()).map_err(|_| EncodeError)?;
            body.extend_from_slice(&count.to_be_bytes()).map_err(|_| EncodeError)?;
            body.extend_from_slice(self.keep).map_err(|_| EncodeError)?;
        }
        if let Some(AnnouncedKeys { current, next }) = &self.link_keys {
            body.extend_from_slice(current).map_err(|_| EncodeError)?;
            body.extend_from_slice(next).map_err(|_| EncodeError)?;
        }
        Ok(body)
    }

    /// Reads the body of a signed object that claims to be a statement. The signature is not looked at.
    ///
    /// # Errors
    /// [`DecodeError`] for another kind, another version, or any other layout.
    pub fn from_unverified(object: &Unverified<'b>) -> Result<Self, DecodeError> {
        let verdict = match object.kind {
            SignedKind::Revocation => Verdict::Revoked,
            SignedKind::Suspension => Verdict::Suspended,
            SignedKind::Resumption => Verdict::Resumed,
            SignedKind::LinkKeys => Verdict::LinkKeys,
            SignedKind::Cert | SignedKind::KeyGrant => return Err(DecodeError),
        };
        let mut reader = Reader::new(object.body);
        if reader.u8()? != Self::VERSION {
            return Err(DecodeError);
        }
        let mut statement = Self {
            verdict,
            tenant_id: TenantId(*reader.array()?),
            subject: DeviceId(*reader.array()?),
            issuer: DeviceId(*reader.array()?),
            serial: reader.u64()?,
            issued_at: reader.u64()?,
            keep: &[],
            link_keys: None,
        };
        if verdict == Verdict::Revoked {
            let count = usize::from(reader.u16()?);
            if count > MAX_KEEP {
                return Err(DecodeError);
            }
            statement.keep = reader.bytes(16 * count)?;
        }
        if verdict == Verdict::LinkKeys {
            statement.link_keys = Some(AnnouncedKeys { current: *reader.array()?, next: *reader.array()? });
        }
        reader.end()?;
        Ok(statement)
    }
}
