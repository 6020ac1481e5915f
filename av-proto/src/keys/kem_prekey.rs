//! The secrets of a device's KEM prekeys (`PROTOCOL.md` section 5). Without feature `pq` there is room for none.

use av_wire::bundle::{KEM_RECORD, KemPrekey, KemPrekeyKind, SignedKemPrekey};
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use rand_core::CryptoRng;

use super::Identity;
use crate::crypto::{CryptoError, KemSecret, Secret};
use crate::limits::{KEM_PREKEYS, ONE_TIME_KEM_PREKEYS};
use crate::record::codec::{CodecError, Writer};

/// The last-resort key, the one before it, and one-time keys; none on a device that lists no suite with a KEM.
pub(super) struct KemPrekeys {
    held: [Option<SecretKemPrekey>; KEM_PREKEYS],
}

struct SecretKemPrekey {
    kind: KemPrekeyKind,
    id: u32,
    created_at: u64,
    /// Under which signed prekey it was made: they die together.
    signed_id: u32,
    secret: KemSecret,
}

impl SecretKemPrekey {
    const LEN: usize = 1 + 4 + 8 + 4 + 64;

    fn sign<'b>(
        &self,
        identity: &Identity,
        room: &'b mut [u8; KEM_RECORD],
    ) -> Result<SignedKemPrekey<'b>, CryptoError> {
        *room = KemPrekey::write(self.kind, self.id, self.created_at, &self.secret.public());
        let parts: [&[u8]; 2] = [identity.device_id().as_bytes(), &room[..]];
        let signature = identity.signing().sign(SignaturePurpose::Prekey, &parts)?;
        Ok(SignedKemPrekey { record: room, signature })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u8(self.kind as u8)?;
        writer.u32(self.id)?;
        writer.u64(self.created_at)?;
        writer.u32(self.signed_id)?;
        writer.secret(self.secret.seed())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let kind = match reader.u8()? {
            2 => KemPrekeyKind::LastResort,
            3 => KemPrekeyKind::OneTime,
            _ => return Err(CodecError),
        };
        let (id, created_at, signed_id) = (reader.u32()?, reader.u64()?, reader.u32()?);
        let secret = KemSecret::from_seed(Secret::new(*reader.array()?)).ok_or(CodecError)?;
        Ok(Self { kind, id, created_at, signed_id, secret })
    }
}

impl KemPrekeys {
    /// Bytes of the largest encoding in a record.
    pub(super) const MAX_LEN: usize = 1 + KEM_PREKEYS * SecretKemPrekey::LEN;

    /// None.
    pub(super) const NONE: Self = Self { held: [const { None }; KEM_PREKEYS] };

    /// Whether this device has any.
    pub(super) fn is_in_use(&self) -> bool {
        self.last_resort().is_some()
    }

    /// Whether another one-time key would be kept.
    pub(super) fn wants_one_time(&self) -> bool {
        self.is_in_use() && self.one_time_len() != ONE_TIME_KEM_PREKEYS
    }

    /// Number of one-time keys that were not consumed.
    pub(super) fn one_time_len(&self) -> usize {
        self.held.iter().flatten().filter(|prekey| prekey.kind == KemPrekeyKind::OneTime).count()
    }

    /// The secret with this id, if it was not consumed or wiped.
    pub(super) fn secret(&self, id: u32) -> Option<&KemSecret> {
        self.held.iter().flatten().find(|prekey| prekey.id == id).map(|prekey| &prekey.secret)
    }

    /// The ids in use.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.held.iter().flatten().map(|prekey| prekey.id)
    }

    /// Makes a key; whether there was room for it.
    pub(super) fn add(
        &mut self,
        rng: &mut dyn CryptoRng,
        kind: KemPrekeyKind,
        id: u32,
        signed_id: u32,
        created_at: u64,
    ) -> bool {
        let Some(place) = self.held.iter_mut().find(|place| place.is_none()) else {
            return false;
        };
        *place = KemSecret::generate(rng).map(|secret| SecretKemPrekey {
            kind,
            id,
            created_at,
            signed_id,
            secret,
        });
        place.is_some()
    }

    /// Wipes the one-time key with this id.
    pub(super) fn consume(&mut self, id: u32) {
        self.wipe(|prekey| prekey.kind == KemPrekeyKind::OneTime && prekey.id == id);
    }

    /// Wipes all one-time keys.
    pub(super) fn wipe_one_time(&mut self) {
        self.wipe(|prekey| prekey.kind == KemPrekeyKind::OneTime);
    }

    /// Wipes what was made under a signed prekey that is gone.
    pub(super) fn expire(&mut self, signed_id: u32) {
        self.wipe(|prekey| prekey.signed_id == signed_id);
    }

    fn wipe(&mut self, is_over: impl Fn(&SecretKemPrekey) -> bool) {
        for place in &mut self.held {
            if place.as_ref().is_some_and(&is_over) {
                // Dropping the key in its place wipes it there.
                *place = None;
            }
        }
    }

    /// The current last-resort key, signed.
    pub(super) fn sign_last_resort<'b>(
        &self,
        identity: &Identity,
        room: &'b mut [[u8; KEM_RECORD]],
    ) -> Result<Option<SignedKemPrekey<'b>>, CryptoError> {
        let Some(prekey) = self.last_resort() else { return Ok(None) };
        let room = room.first_mut().ok_or(CryptoError)?;
        prekey.sign(identity, room).map(Some)
    }

    /// Calls `each` with the current last-resort key and every one-time key with an id above `published`.
    pub(super) fn for_each_unpublished<'b>(
        &self,
        identity: &Identity,
        published: u32,
        room: &'b mut [[u8; KEM_RECORD]],
        mut each: impl FnMut(SignedKemPrekey<'b>),
    ) -> Result<(), CryptoError> {
        let one_time = self.held.iter().flatten().filter(|prekey| prekey.kind == KemPrekeyKind::OneTime);
        let new = one_time.filter(|prekey| prekey.id > published);
        let mut rooms = room.iter_mut();
        for prekey in self.last_resort().into_iter().chain(new) {
            each(prekey.sign(identity, rooms.next().ok_or(CryptoError)?)?);
        }
        Ok(())
    }

    fn last_resort(&self) -> Option<&SecretKemPrekey> {
        let last_resort = self.held.iter().flatten().filter(|held| held.kind == KemPrekeyKind::LastResort);
        last_resort.max_by_key(|prekey| prekey.id)
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        let held = self.held.iter().flatten();
        writer.u8(u8::try_from(held.clone().count()).map_err(|_| CodecError)?)?;
        held.into_iter().try_for_each(|prekey| prekey.write(writer))
    }

    /// A build without KEM reads records without KEM keys; one that holds some is not for it.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut prekeys = Self::NONE;
        let count = reader.u8()?;
        if usize::from(count) > KEM_PREKEYS {
            return Err(CodecError);
        }
        for place in prekeys.held.iter_mut().take(count.into()) {
            *place = Some(SecretKemPrekey::read(reader)?);
        }
        Ok(prekeys)
    }
}
