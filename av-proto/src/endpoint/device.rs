//! This device: its keys, its relay, and how far it has come.

use av_wire::bundle::KEM_RECORD;
use av_wire::chain::Chain;
use av_wire::frame::{LinkKind, ToRelay, authentication_message};
use av_wire::layout::Reader;
use av_wire::signature::InvalidSignature;
use av_wire::statement::AnnouncedKeys;
use av_wire::{EncodeError, Origin, Role, Signature, TenantId};
use heapless::String;

use super::link::Channel;
use super::slot::Slot;
use crate::api_key::ApiKey;
use crate::enroll::{CertifiedByKey, Founding, Granted, KeyHeld, Membership, Requested, VerifiedGrant};
use crate::invite::NAME_MAX;
use crate::keys::{Identity, Prekeys, Secret};
use crate::limits::{KEM_PREKEYS_IN_BUNDLE, ONE_TIME_PREKEYS, OWN_BUNDLE};
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
    /// Its place in its tenant: empty while it requests one, and of no effect before it is active. Beside `progress`,
    /// not in it: two kilobytes are too many to be moved about on a microcontroller's stack.
    membership: Membership,
}

/// The relay's link key and its announced successor, as invite, grant or statement named them last; 32 zero bytes
/// stand for none. Both are taken, so that a relay can change over at its own time.
#[derive(Clone, Copy)]
pub(super) struct LinkKeys {
    pub(super) current: [u8; 32],
    pub(super) next: [u8; 32],
    /// Seconds since 1970, by the clock of the owner that named them: what is older counts no more. A new device is
    /// given the statements of all times.
    pub(super) stated_at: u64,
}

impl LinkKeys {
    pub(super) const NONE: [u8; 32] = [0; 32];

    pub(super) fn of(current: Option<[u8; 32]>, stated_at: u64) -> Self {
        Self { current: current.unwrap_or(Self::NONE), next: Self::NONE, stated_at }
    }

    /// Takes in what a statement says, unless something newer is known; whether that changed the keys.
    pub(super) fn announce(&mut self, keys: &AnnouncedKeys, stated_at: u64) -> bool {
        if stated_at < self.stated_at {
            return false;
        }
        self.stated_at = stated_at;
        let before = core::mem::replace(&mut self.current, keys.current);
        let next_before = core::mem::replace(&mut self.next, keys.next);
        (before, next_before) != (self.current, self.next)
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
#[expect(clippy::large_enum_variant, reason = "a device holds one, and there is no allocator to box it in")]
pub(super) enum Progress {
    Founding(Founding),
    Requested(Requested),
    Granted(Granted),
    KeyHeld(KeyHeld),
    CertifiedByKey(CertifiedByKey),
    Active,
}

/// The frame that a device has to send before it is authenticated, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    Found,
    Enroll,
    Activate,
    FindKey,
    EnrollWithKey,
    Authenticate,
}

impl Device {
    pub(super) const MAX_LEN: usize = Identity::LEN + 2 + NAME_MAX + 2 + 280 + 72 + 1 + Requested::MAX_LEN;

    /// A device whose progress and membership are still to be put in their places. Inlined, so that the room for them is
    /// not moved.
    #[inline(always)]
    pub(super) const fn new(
        identity: Identity,
        name: String<NAME_MAX>,
        origin: Origin,
        link_keys: LinkKeys,
    ) -> Self {
        Self {
            identity,
            name,
            origin,
            link_keys,
            progress: Progress::Active,
            membership: Membership::empty(),
        }
    }

    /// The place of a request that is to be made, empty.
    pub(super) fn await_grant(&mut self) -> Result<(&Identity, &mut Requested), CodecError> {
        self.progress = Progress::Requested(Requested::empty());
        match &mut self.progress {
            Progress::Requested(requested) => Ok((&self.identity, requested)),
            _ => Err(CodecError),
        }
    }

    /// Takes in the key that is to certify this device.
    pub(super) fn hold_key(&mut self, key: ApiKey) {
        self.progress = Progress::KeyHeld(KeyHeld::new(key));
    }

    /// Takes in the membership to be, of a tenant that the relay has to confirm.
    #[cfg(feature = "owner")]
    pub(super) fn found(&mut self, membership: Membership, founding: Founding) {
        self.progress = Progress::Founding(founding);
        self.membership = membership;
    }

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
            Progress::KeyHeld(_) => Handshake::FindKey,
            Progress::CertifiedByKey(_) => Handshake::EnrollWithKey,
            Progress::Active => Handshake::Authenticate,
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
        self.membership.fill(grant.chain().as_bytes()).ok()?;
        Some(requested.into_psk())
    }

    /// From the key to its certificate; the key is wiped. Nothing changes when no key is held, or `chain` is none.
    pub(super) fn certified_by_key(
        &mut self,
        chain: Chain<'_>,
        certified: CertifiedByKey,
    ) -> Result<(), CodecError> {
        let Progress::KeyHeld(_) = self.progress else { return Err(CodecError) };
        self.membership.fill(chain.as_bytes())?;
        self.progress = Progress::CertifiedByKey(certified);
        Ok(())
    }

    /// The membership of an active device.
    pub(super) const fn membership(&self) -> Option<&Membership> {
        match self.progress {
            Progress::Active => Some(&self.membership),
            _ => None,
        }
    }

    pub(super) const fn membership_mut(&mut self) -> Option<&mut Membership> {
        match self.progress {
            Progress::Active => Some(&mut self.membership),
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
            Progress::Founding(_) | Progress::CertifiedByKey(_) => self.write_with_bundle(prekeys, out),
            Progress::Requested(requested) => requested.frame(self.identity.public(), out),
            Progress::KeyHeld(held) => held.frame(out),
            Progress::Granted(granted) => {
                let frame = ToRelay::Activate {
                    tenant_id: *self.membership.tenant_id(),
                    device_id: *self.identity.device_id(),
                    signature: *granted.activation(),
                };
                av_wire::encode(&frame, out)
            }
            Progress::Active => {
                let (tenant_id, device_id) = (*self.membership.tenant_id(), *self.identity.device_id());
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
    fn write_with_bundle<'o>(
        &self,
        prekeys: &Prekeys<ONE_TIME_PREKEYS>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], EncodeError> {
        let (mut buffer, mut room) = ([0; OWN_BUNDLE], [[0; KEM_RECORD]; KEM_PREKEYS_IN_BUNDLE]);
        let bundle = prekeys.bundle(&self.identity, &mut room).map_err(|_| EncodeError)?;
        let (chain, bundle) = (self.membership.chain().as_bytes(), bundle.encode(&mut buffer)?);
        let frame = match &self.progress {
            Progress::Founding(founding) => {
                ToRelay::Found { code: &[], chain, bundle, signature: *founding.signature() }
            }
            Progress::CertifiedByKey(certified) => {
                ToRelay::EnrollWithKey { chain, bundle, pop: *certified.pop() }
            }
            _ => return Err(EncodeError),
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
        writer.u64(self.link_keys.stated_at)?;
        writer.u8(match self.progress {
            Progress::Founding(_) => 0,
            Progress::Requested(_) => 1,
            Progress::Granted(_) => 2,
            Progress::Active => 3,
            Progress::KeyHeld(_) => 4,
            Progress::CertifiedByKey(_) => 5,
        })?;
        match &self.progress {
            Progress::Founding(founding) => {
                self.membership.write(writer).and_then(|()| founding.write(writer))
            }
            Progress::Requested(requested) => requested.write(writer),
            Progress::Granted(granted) => self.membership.write(writer).and_then(|()| granted.write(writer)),
            Progress::KeyHeld(held) => held.write(writer),
            Progress::CertifiedByKey(certified) => {
                self.membership.write(writer).and_then(|()| certified.write(writer))
            }
            Progress::Active => self.membership.write(writer),
        }
    }

    /// Reads a device into its slot, its chain where it stays.
    #[inline(never)]
    pub(super) fn fill(slot: &mut Slot<Self>, mark: u64, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        // Before there is a device on the stack beside it.
        let identity = Identity::read(reader)?;
        if identity.public().role == Role::Owner && !cfg!(feature = "owner") {
            return Err(CodecError);
        }
        Self::place(slot, mark, identity, reader)
    }

    #[inline(never)]
    fn place(
        slot: &mut Slot<Self>,
        mark: u64,
        identity: Identity,
        reader: &mut Reader<'_>,
    ) -> Result<(), CodecError> {
        let name = text(reader.var()?)?;
        let origin = Origin::parse(str(reader.var()?)?).map_err(|_| CodecError)?;
        let link_keys =
            LinkKeys { current: *reader.array()?, next: *reader.array()?, stated_at: reader.u64()? };
        let step = reader.u8()?;
        let chain = if matches!(step, 1 | 4) { None } else { Some(reader.var()?) };
        slot.restore(Self::new(identity, name, origin, link_keys), mark);
        let device = slot.get_mut().ok_or(CodecError)?;
        match step {
            0 => device.progress = Progress::Founding(Founding::read(reader)?),
            1 => device.await_grant()?.1.restore(reader)?,
            2 => device.progress = Progress::Granted(Granted::read(reader)?),
            3 => {}
            4 => device.progress = Progress::KeyHeld(KeyHeld::read(reader)?),
            5 => device.progress = Progress::CertifiedByKey(CertifiedByKey::read(reader)?),
            _ => return Err(CodecError),
        }
        chain.map_or(Ok(()), |chain| device.membership.fill(chain))
    }
}

fn str(bytes: &[u8]) -> Result<&str, CodecError> {
    core::str::from_utf8(bytes).map_err(|_| CodecError)
}

/// A bounded text from a record.
pub(super) fn text<const N: usize>(bytes: &[u8]) -> Result<String<N>, CodecError> {
    str(bytes)?.try_into().map_err(|_| CodecError)
}
