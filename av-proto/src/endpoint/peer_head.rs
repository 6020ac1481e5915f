//! The beginning of a peer's record: what is known of a peer without its sessions.

use av_wire::DevicePublic;
use av_wire::layout::Reader;
use heapless::String;

use super::device::text;
use super::event::{PeerView, Standing};
use super::working_set::PeerRecord;
use crate::invite::NAME_MAX;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// Who a peer is and where it stands.
pub(super) struct PeerHead {
    /// Something has to be done for it unasked, so it has to be in memory.
    pub(super) is_due: bool,
    /// Whether a message of the peer opened under the session that this device sends on.
    pub(super) is_confirmed: bool,
    pub(super) device: DevicePublic,
    pub(super) name: String<NAME_MAX>,
    pub(super) standing: Standing,
    /// Whether it ever ran on an old copy of its storage.
    pub(super) diverged: bool,
}

impl PeerHead {
    pub(super) const MAX_LEN: usize = 1 + 1 + DevicePublic::LEN + 2 + NAME_MAX + 1 + 1;

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.flag(self.is_due)?;
        writer.flag(self.is_confirmed)?;
        writer.bytes(&self.device.to_bytes())?;
        writer.var(self.name.as_bytes())?;
        writer.u8(match self.standing {
            Standing::Approved => 1,
            Standing::Active => 2,
            Standing::Revoked => 3,
            // Seen from outside only: what it comes from is stored.
            Standing::Suspended | Standing::Uncertified => return Err(CodecError),
        })?;
        writer.flag(self.diverged)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            is_due: reader.flag()?,
            is_confirmed: reader.flag()?,
            device: DevicePublic::from_bytes(reader.bytes(DevicePublic::LEN)?)?,
            name: text(reader.var()?)?,
            standing: match reader.u8()? {
                1 => Standing::Approved,
                2 => Standing::Active,
                3 => Standing::Revoked,
                _ => return Err(CodecError),
            },
            diverged: reader.flag()?,
        })
    }

    /// The peer as the application sees it.
    pub(super) fn view(self, record: PeerRecord) -> PeerView {
        let Self { is_confirmed, device, name, standing, diverged, .. } = self;
        PeerView {
            device_id: record.device_id,
            fingerprint: device.fingerprint(),
            role: device.role,
            name,
            standing,
            confirmed: is_confirmed,
            diverged,
            record,
        }
    }
}
