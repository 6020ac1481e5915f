//! Who is out, and on whose word a device is in (`PROTOCOL.md` sections 4.4 and 4.5).

use av_wire::DeviceId;
use av_wire::chain::{Lineage, Provenance};
use av_wire::layout::Reader;
use heapless::Vec;

use crate::limits::REVOKED;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// The revoked owners of the tenant, and those of this device's peers that are revoked: final, so nothing is ever
/// taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    ids: Vec<DeviceId, REVOKED>,
    /// One had no room: from then on nobody's chain is believed any more that was not believed before.
    is_overfull: bool,
}

impl Revoked {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = 1 + 1 + REVOKED * DeviceId::LEN;

    /// Nobody.
    pub const fn new() -> Self {
        Self { ids: Vec::new(), is_overfull: false }
    }

    /// Whether this device is known to be out.
    pub fn contains(&self, device: &DeviceId) -> bool {
        self.ids.contains(device)
    }

    /// Whether a chain that was not verified before may be believed.
    pub const fn is_complete(&self) -> bool {
        !self.is_overfull
    }

    /// Notes that a device is out; `false` when there was no room, which is noted as well.
    pub fn add(&mut self, device: &DeviceId) -> bool {
        if self.contains(device) || self.ids.push(*device).is_ok() {
            return true;
        }
        self.is_overfull = true;
        false
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.flag(self.is_overfull)?;
        writer.u8(u8::try_from(self.ids.len()).map_err(|_| CodecError)?)?;
        self.ids.iter().try_for_each(|id| writer.bytes(id.as_bytes()))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let is_overfull = reader.flag()?;
        let mut ids = Vec::new();
        for _ in 0..reader.u8()? {
            ids.push(DeviceId(*reader.array()?)).map_err(|_| CodecError)?;
        }
        Ok(Self { ids, is_overfull })
    }
}

/// On whose word a peer is in, as its chain showed when it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certification(Provenance);

impl Certification {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = 16 + 1 + (av_wire::limits::MAX_CHAIN - 1) * DeviceId::LEN + 1 + DeviceId::LEN;

    /// What a verified chain says, or this device's own.
    pub(crate) const fn new(provenance: Provenance) -> Self {
        Self(provenance)
    }

    /// The name by which a revocation keeps its certificate.
    pub const fn name(&self) -> &[u8; 16] {
        &self.0.name
    }

    /// Whether all on whose word it is in still are owners, or kept what they certified.
    pub fn stands(&self, revoked: &Revoked) -> bool {
        self.0.lineage.iter().all(|owner| self.0.kept == Some(*owner) || !revoked.contains(owner))
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        let Provenance { name, lineage, kept } = &self.0;
        writer.bytes(name)?;
        writer.u8(u8::try_from(lineage.len()).map_err(|_| CodecError)?)?;
        lineage.iter().try_for_each(|owner| writer.bytes(owner.as_bytes()))?;
        writer.flag(kept.is_some())?;
        kept.map_or(Ok(()), |kept| writer.bytes(kept.as_bytes()))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let name = *reader.array()?;
        let mut lineage = Lineage::new();
        for _ in 0..reader.u8()? {
            lineage.push(DeviceId(*reader.array()?)).map_err(|_| CodecError)?;
        }
        let kept = if reader.flag()? { Some(DeviceId(*reader.array()?)) } else { None };
        Ok(Self(Provenance { name, lineage, kept }))
    }
}
