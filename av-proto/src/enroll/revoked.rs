//! Who is out, and on whose word a device is in (`PROTOCOL.md` sections 4.4 and 4.5).

use av_wire::DeviceId;
use av_wire::chain::{Lineage, Provenance};
use av_wire::layout::Reader;
use heapless::Vec;

use crate::limits::REVOKED;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// The revoked owners of the tenant, and the other revoked devices that this one has to know: final, so nothing is taken
/// out but for a word of the root.
///
/// A revocation counts where its issuer stands above the device: in a chain of another make, which its issuer could have
/// signed for this very purpose, it would have a say over everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    known: Vec<Revocation, REVOKED>,
    /// One had no room: from then on nobody's chain is believed any more that was not believed before.
    is_overfull: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Revocation {
    device: DeviceId,
    /// [`DeviceId::ROOT`] where it counts in every chain.
    by: DeviceId,
}

impl Revoked {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize = 1 + 1 + REVOKED * 2 * DeviceId::LEN;

    /// Nobody.
    pub const fn new() -> Self {
        Self { known: Vec::new(), is_overfull: false }
    }

    /// Whether this device is out whatever chain it shows: by the root's word, or by that of an owner above it in the
    /// chain by which this device knew it.
    pub fn contains(&self, device: &DeviceId) -> bool {
        self.known.iter().any(|known| known.device == *device && known.by == DeviceId::ROOT)
    }

    /// Whether this device is out in a chain in which these owners stand above it.
    pub fn is_out(&self, device: &DeviceId, above: &[DeviceId]) -> bool {
        let of_device = self.known.iter().filter(|known| known.device == *device);
        of_device.into_iter().any(|known| known.by == DeviceId::ROOT || above.contains(&known.by))
    }

    /// Whether it is known that this owner, or somebody whose word counts for more, revoked the device.
    pub fn has_heard(&self, device: &DeviceId, by: &DeviceId) -> bool {
        self.is_out(device, core::slice::from_ref(by))
    }

    /// Whether a chain that was not verified before may be believed.
    pub const fn is_complete(&self) -> bool {
        !self.is_overfull
    }

    /// Notes that a device is out by the word of this owner, or in every chain by [`DeviceId::ROOT`]'s; `false` when
    /// there was no room, which is noted as well. The root's word then takes the place of an owner's: a thief of an
    /// owner's key could fill all places before its own revocation comes.
    pub fn add(&mut self, device: &DeviceId, by: &DeviceId) -> bool {
        if self.has_heard(device, by) {
            return true;
        }
        let revocation = Revocation { device: *device, by: *by };
        if *by == DeviceId::ROOT {
            // It says all that others said of this device.
            self.known.retain(|known| known.device != *device);
        }
        if self.known.push(revocation).is_ok() {
            return true;
        }
        self.is_overfull = true;
        let an_owners = self.known.iter_mut().find(|known| known.by != DeviceId::ROOT);
        if let (Some(place), true) = (an_owners, *by == DeviceId::ROOT) {
            *place = revocation;
        }
        false
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.flag(self.is_overfull)?;
        writer.u8(u8::try_from(self.known.len()).map_err(|_| CodecError)?)?;
        self.known.iter().try_for_each(|known| {
            writer.bytes(known.device.as_bytes())?;
            writer.bytes(known.by.as_bytes())
        })
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let is_overfull = reader.flag()?;
        let mut known = Vec::new();
        for _ in 0..reader.u8()? {
            let revocation =
                Revocation { device: DeviceId(*reader.array()?), by: DeviceId(*reader.array()?) };
            known.push(revocation).map_err(|_| CodecError)?;
        }
        Ok(Self { known, is_overfull })
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

    /// Whether this owner, or the root, stands above it and so can revoke it.
    pub(crate) fn is_below(&self, owner: &DeviceId) -> bool {
        *owner == DeviceId::ROOT || self.0.lineage.contains(owner)
    }

    /// Whether the device that has this certification is in.
    pub(crate) fn admits(&self, device: &DeviceId, revoked: &Revoked) -> bool {
        !revoked.is_out(device, &self.0.lineage) && self.stands(revoked)
    }

    /// Whether all on whose word it is in still are owners, or kept what they certified.
    pub fn stands(&self, revoked: &Revoked) -> bool {
        let mut above = self.0.lineage.as_slice();
        while let Some((owner, rest)) = above.split_first() {
            if self.0.kept != Some(*owner) && revoked.is_out(owner, rest) {
                return false;
            }
            above = rest;
        }
        true
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
