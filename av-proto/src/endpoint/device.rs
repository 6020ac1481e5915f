//! This device: its keys, its relay, and how far it has come.

use av_wire::bundle::Bundle;
use av_wire::frame::{LinkKind, ToRelay, authentication_message};
use av_wire::layout::Reader;
use av_wire::signature::InvalidSignature;
use av_wire::{EncodeError, Origin, Signature, TenantId};
use heapless::String;

use super::link::Channel;
use crate::enroll::{Founding, Granted, Membership, Requested, VerifiedGrant};
use crate::invite::NAME_MAX;
use crate::keys::{Identity, Prekeys, Secret};
use crate::limits::ONE_TIME_PREKEYS;
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// The identity record.
pub(super) struct Device {
    pub(super) identity: Identity,
    /// How this device is called, at most 40 bytes.
    pub(super) name: String<NAME_MAX>,
    /// The relay's origin as this device was configured with it.
    pub(super) origin: Origin,
    pub(super) link_keys: LinkKeys,
    pub(super) progress: Progress,
}

/// The relay's link key and its announced successor, as invite, grant or statement named them last; 32 zero bytes
/// stand for none. Both are taken, so that a relay can change over at its own time.
#[derive(Clone, Copy)]
pub(super) struct LinkKeys {
    pub(super) current: [u8; 32],
    pub(super) next: [u8; 32],
}

impl LinkKeys {
    pub(super) const NONE: [u8; 32] = [0; 32];

    pub(super) fn of(current: Option<[u8; 32]>) -> Self {
        Self { current: current.unwrap_or(Self::NONE), next: Self::NONE }
    }

    /// The one in use and its successor, as a grant has them.
    pub(super) const fn both(&self) -> [&[u8; 32]; 2] {
        [&self.current, &self.next]
    }

    /// Those that there are, the one in use first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.both().into_iter().filter(|key| **key != Self::NONE)
    }
}

/// How far a device has come; transitions consume the state before.
pub(super) enum Progress {
    Founding(Founding),
    Requested(Requested),
    Granted(Granted),
    Active(Membership),
}

/// The frame that a device has to send before it is authenticated, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    Found,
    Enroll,
    Activate,
    Authenticate,
}

impl Device {
    pub(super) const MAX_LEN: usize = Identity::LEN + 2 + NAME_MAX + 2 + 280 + 64 + 1 + Requested::MAX_LEN;

    /// Whether this device may speak on such a connection (`PROTOCOL.md` section 9).
    pub(super) fn allows(&self, channel: &Channel<'_>) -> bool {
        match channel {
            Channel::Noise(link) => self.link_keys.iter().any(|key| key == link.link_key()),
            Channel::Tls => !self.origin.is_plain(),
            Channel::Plain => {
                self.origin.is_plain() && self.origin.is_loopback() && self.link_keys.iter().next().is_none()
            }
        }
    }

    /// What this device has to send first on a connection.
    pub(super) const fn handshake(&self) -> Handshake {
        match self.progress {
            Progress::Founding(_) => Handshake::Found,
            Progress::Requested(_) => Handshake::Enroll,
            Progress::Granted(_) => Handshake::Activate,
            Progress::Active(_) => Handshake::Authenticate,
        }
    }

    /// From requested to granted, where the device stands: it is too large to be moved about on a microcontroller's
    /// stack. Returns the owner's psk; `None`, with nothing changed, when nothing was requested.
    pub(super) fn take_grant(
        &mut self,
        grant: &VerifiedGrant<'_>,
        link_keys: LinkKeys,
    ) -> Option<Secret<32>> {
        let Progress::Requested(_) = self.progress else { return None };
        let Progress::Requested(requested) =
            core::mem::replace(&mut self.progress, Progress::Granted(Granted::of(grant)))
        else {
            return None;
        };
        self.link_keys = link_keys;
        // The grant was verified, so its chain is one.
        self.fill(grant.chain().as_bytes()).ok()?;
        Some(requested.into_psk())
    }

    /// The membership of an active device.
    pub(super) const fn membership(&self) -> Option<&Membership> {
        match &self.progress {
            Progress::Active(membership) => Some(membership),
            _ => None,
        }
    }

    pub(super) const fn membership_mut(&mut self) -> Option<&mut Membership> {
        match &mut self.progress {
            Progress::Active(membership) => Some(membership),
            _ => None,
        }
    }

    /// Writes the handshake frame into `out`.
    pub(super) fn write_handshake<'o>(
        &self,
        prekeys: &Prekeys<ONE_TIME_PREKEYS>,
        channel: &[u8; 32],
        link: LinkKind,
        receive_window: u16,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], EncodeError> {
        match &self.progress {
            Progress::Founding(founding) => self.write_found(founding, prekeys, out),
            Progress::Requested(requested) => requested.frame(self.identity.public(), out),
            Progress::Granted(granted) => {
                let frame = ToRelay::Activate {
                    tenant_id: *granted.membership().tenant_id(),
                    device_id: *self.identity.device_id(),
                    signature: *granted.activation(),
                };
                av_wire::encode(&frame, out)
            }
            Progress::Active(membership) => {
                let (tenant_id, device_id) = (*membership.tenant_id(), *self.identity.device_id());
                let signature = self.authenticate(&tenant_id, channel, link).map_err(|_| EncodeError)?;
                let frame = ToRelay::Authenticate {
                    tenant_id,
                    device_id,
                    receive_window,
                    // The relay's own period suits hosts and microcontrollers alike until one has a reason.
                    ping_period: 0,
                    link,
                    signature,
                };
                av_wire::encode(&frame, out)
            }
        }
    }

    /// In a frame of its own, as [`Self::authenticate`]: the message and the bundle take a kilobyte each, on top of
    /// which a signature takes four.
    #[inline(never)]
    fn write_found<'o>(
        &self,
        founding: &Founding,
        prekeys: &Prekeys<ONE_TIME_PREKEYS>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], EncodeError> {
        let mut buffer = [0; Bundle::MAX_LEN];
        let bundle = prekeys.bundle(&self.identity).map_err(|_| EncodeError)?;
        let bundle = bundle.encode(&mut buffer)?;
        let frame = ToRelay::Found {
            code: &[],
            chain: founding.membership().chain().as_bytes(),
            bundle,
            signature: *founding.signature(),
        };
        av_wire::encode(&frame, out)
    }

    #[inline(never)]
    fn authenticate(
        &self,
        tenant_id: &TenantId,
        channel: &[u8; 32],
        link: LinkKind,
    ) -> Result<Signature, InvalidSignature> {
        let message =
            authentication_message(link, channel, tenant_id, self.identity.device_id(), &self.origin)?;
        Ok(self.identity.signing().sign_message(&message))
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        self.identity.write(writer)?;
        writer.var(self.name.as_bytes())?;
        writer.var(self.origin.as_str().as_bytes())?;
        writer.bytes(&self.link_keys.current)?;
        writer.bytes(&self.link_keys.next)?;
        match &self.progress {
            Progress::Founding(founding) => writer.u8(0).and_then(|()| founding.write(writer)),
            Progress::Requested(requested) => writer.u8(1).and_then(|()| requested.write(writer)),
            Progress::Granted(granted) => writer.u8(2).and_then(|()| granted.write(writer)),
            Progress::Active(membership) => writer.u8(3).and_then(|()| membership.write(writer)),
        }
    }

    /// A device, and the `chain` to [`Self::fill`] it with, where it has one.
    pub(super) fn read<'b>(reader: &mut Reader<'b>, chain: &mut &'b [u8]) -> Result<Self, CodecError> {
        Ok(Self {
            identity: Identity::read(reader)?,
            name: text(reader.var()?)?,
            origin: Origin::parse(str(reader.var()?)?).map_err(|_| CodecError)?,
            link_keys: LinkKeys { current: *reader.array()?, next: *reader.array()? },
            progress: Progress::read(reader, chain)?,
        })
    }

    /// Takes in the chain of its membership.
    pub(super) fn fill(&mut self, chain: &[u8]) -> Result<(), CodecError> {
        match &mut self.progress {
            Progress::Founding(founding) => founding.membership_mut().fill(chain),
            Progress::Requested(_) => Ok(()),
            Progress::Granted(granted) => granted.membership_mut().fill(chain),
            Progress::Active(membership) => membership.fill(chain),
        }
    }
}

impl Progress {
    fn read<'b>(reader: &mut Reader<'b>, chain: &mut &'b [u8]) -> Result<Self, CodecError> {
        let step = reader.u8()?;
        if step == 1 {
            return Requested::read(reader).map(Self::Requested);
        }
        *chain = reader.var()?;
        match step {
            0 => Ok(Self::Founding(Founding::restored(Signature(*reader.array()?)))),
            2 => Ok(Self::Granted(Granted::restored(Signature(*reader.array()?)))),
            3 => Ok(Self::Active(Membership::empty())),
            _ => Err(CodecError),
        }
    }
}

impl From<Founding> for Progress {
    fn from(founding: Founding) -> Self {
        Self::Founding(founding)
    }
}

impl From<Requested> for Progress {
    fn from(requested: Requested) -> Self {
        Self::Requested(requested)
    }
}

fn str(bytes: &[u8]) -> Result<&str, CodecError> {
    core::str::from_utf8(bytes).map_err(|_| CodecError)
}

/// A bounded text from a record.
pub(super) fn text<const N: usize>(bytes: &[u8]) -> Result<String<N>, CodecError> {
    str(bytes)?.try_into().map_err(|_| CodecError)
}
