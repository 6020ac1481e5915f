//! The secrets of a device's prekeys (`PROTOCOL.md` section 5).

use av_wire::Suites;
use av_wire::bundle::{Bundle, KEM_RECORD, KemPrekeyKind, Prekey, PrekeyKind, SignedKemPrekey, SignedPrekey};
use av_wire::labels::SignaturePurpose;
use av_wire::layout::Reader;
use rand_core::CryptoRng;

use super::Identity;
use super::kem_prekey::KemPrekeys;
use crate::Now;
use crate::crypto::{AgreementSecret, CryptoError, KemSecret};
use crate::limits::{PREKEY_IDS_PASSED_OVER, PREKEY_RECKONING, PREKEY_ROTATION};
use crate::record::codec::{CodecError, ReadRecord, Writer};

/// One signed prekey, the one before it, and up to `ONE_TIME` one-time prekeys; with a KEM, the same of its keys. Ids
/// count up from 1 over all kinds and are never used again.
pub struct Prekeys<const ONE_TIME: usize> {
    current: SecretPrekey,
    previous: Option<SecretPrekey>,
    one_time: [Option<SecretPrekey>; ONE_TIME],
    kem: KemPrekeys,
    next_id: u32,
    /// The greatest id that the relay has confirmed.
    published: u32,
    /// Whether the relay has confirmed the current ones in this run. Not stored: a store that went back between two runs
    /// says of older ones that they are published.
    is_confirmed: bool,
    age: Age,
    renewal: Renewal,
}

/// Whether all published prekeys are to be replaced. Not stored: storage goes back between two runs, and one run
/// believes once that it did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Renewal {
    NotAsked,
    Due,
    Done,
}

/// How long the current signed prekey has been in use, by this device's own reckoning: what it was running, and by its
/// clock, if it has one, what it was switched off.
struct Age {
    /// Milliseconds up to `stored`.
    stored: u64,
    /// Wall time at that moment, s; 0 without a clock.
    wall: u64,
    /// Uptime up to which `stored` counts; none before the first reckoning of this run.
    uptime: Option<u64>,
}

impl Age {
    const fn new(wall: u64) -> Self {
        Self { stored: 0, wall, uptime: None }
    }

    /// Counts up to now; whether so much has passed that it has to be stored.
    fn reckon(&mut self, now: Now) -> bool {
        let Some(uptime) = self.uptime else {
            if self.wall > 0 && now.wall > self.wall {
                let off = now.wall.saturating_sub(self.wall).saturating_mul(1_000);
                self.stored = self.stored.saturating_add(off);
            }
            (self.wall, self.uptime) = (now.wall, Some(now.uptime));
            return false;
        };
        let passed = now.uptime.saturating_sub(uptime);
        if passed < PREKEY_RECKONING {
            return false;
        }
        self.stored = self.stored.saturating_add(passed);
        (self.wall, self.uptime) = (now.wall, Some(now.uptime));
        true
    }
}

/// A prekey's secret with what its record says.
struct SecretPrekey {
    id: u32,
    created_at: u64,
    /// Under which signed prekey a one-time key was made: they die together. A signed prekey's own id.
    signed_id: u32,
    secret: AgreementSecret,
}

impl SecretPrekey {
    const LEN: usize = 4 + 8 + 4 + 32 + 32;

    fn generate(rng: &mut dyn CryptoRng, id: u32, signed_id: u32, created_at: u64) -> Self {
        Self { id, created_at, signed_id, secret: AgreementSecret::generate(rng) }
    }

    fn sign(&self, kind: PrekeyKind, identity: &Identity) -> Result<SignedPrekey, CryptoError> {
        let key = *self.secret.public();
        let record = Prekey { kind, id: self.id, created_at: self.created_at, key }.to_bytes();
        let parts: [&[u8]; 2] = [identity.device_id().as_bytes(), &record];
        Ok(SignedPrekey { record, signature: identity.signing().sign(SignaturePurpose::Prekey, &parts)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u32(self.id)?;
        writer.u64(self.created_at)?;
        writer.u32(self.signed_id)?;
        writer.secret(self.secret.expose())?;
        writer.bytes(self.secret.public())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            id: reader.u32()?,
            created_at: reader.u64()?,
            signed_id: reader.u32()?,
            secret: AgreementSecret::from_parts(reader.array()?, reader.array()?),
        })
    }
}

impl<const ONE_TIME: usize> Prekeys<ONE_TIME> {
    /// Bytes of the largest encoding in a record.
    pub const MAX_LEN: usize =
        4 + 4 + 8 + 8 + (1 + ONE_TIME) * (1 + SecretPrekey::LEN) + SecretPrekey::LEN + KemPrekeys::MAX_LEN;

    /// One signed prekey, one one-time prekey and, if one of `suites` has a KEM, a last-resort KEM prekey, as an
    /// enrollment shows them. `created_at` is in seconds since 1970, 0 without a clock.
    pub fn generate(rng: &mut dyn CryptoRng, suites: Suites, created_at: u64) -> Self {
        const { assert!(ONE_TIME >= 1, "an enrollment shows a one-time prekey") }
        let current = SecretPrekey::generate(rng, 1, 1, created_at);
        let mut one_time = [const { None }; ONE_TIME];
        if let Some(slot) = one_time.first_mut() {
            *slot = Some(SecretPrekey::generate(rng, 2, 1, created_at));
        }
        let mut kem = KemPrekeys::NONE;
        let has_kem = suites.has_kem() && kem.add(rng, KemPrekeyKind::LastResort, 3, 1, created_at);
        // These go to the relay with the enrollment.
        let published = if has_kem { 3 } else { 2 };
        Self {
            current,
            previous: None,
            one_time,
            kem,
            next_id: published + 1,
            published,
            is_confirmed: true,
            age: Age::new(created_at),
            renewal: Renewal::NotAsked,
        }
    }

    /// The current signed prekey, the one-time prekey with the least id and the current last-resort KEM prekey, signed.
    /// `room` is where the KEM prekey's record is written; a device without needs none.
    ///
    /// # Errors
    /// [`CryptoError`] for too little room.
    pub fn bundle<'b>(
        &self,
        identity: &Identity,
        room: &'b mut [[u8; KEM_RECORD]],
    ) -> Result<Bundle<'b>, CryptoError> {
        let one_time = self.one_time.iter().flatten().min_by_key(|prekey| prekey.id);
        Ok(Bundle {
            signed: self.current.sign(PrekeyKind::Signed, identity)?,
            one_time: one_time.map(|prekey| prekey.sign(PrekeyKind::OneTime, identity)).transpose()?,
            kem: self.kem.sign_last_resort(identity, room)?,
        })
    }

    /// The signed prekey with this id, if it is the current one or the one before.
    pub fn signed_secret(&self, id: u32) -> Option<&AgreementSecret> {
        let mut signed = core::iter::once(&self.current).chain(&self.previous);
        signed.find(|prekey| prekey.id == id).map(|prekey| &prekey.secret)
    }

    /// The one-time prekey with this id, if it was not consumed.
    pub fn one_time_secret(&self, id: u32) -> Option<&AgreementSecret> {
        self.one_time.iter().flatten().find(|prekey| prekey.id == id).map(|prekey| &prekey.secret)
    }

    /// The KEM prekey with this id, if it is a one-time one that was not consumed, the last-resort one or the one
    /// before.
    pub fn kem_secret(&self, id: u32) -> Option<&KemSecret> {
        self.kem.secret(id)
    }

    /// Wipes the KEM prekey with this id if it is a one-time one.
    pub fn consume_kem(&mut self, id: u32) {
        self.kem.consume(id);
    }

    /// Wipes the one-time prekey with this id; whether there was one.
    pub fn consume_one_time(&mut self, id: u32) -> bool {
        self.wipe_one_time(|prekey| prekey.id == id)
    }

    /// Number of one-time prekeys, those of the KEM among them, that were not consumed.
    pub fn one_time_len(&self) -> usize {
        self.one_time.iter().flatten().count() + self.kem.one_time_len()
    }

    /// Makes another one-time prekey and returns it signed, to be published; `None` when all places are taken or
    /// the ids are used up, whatever the relay asks for.
    ///
    /// # Errors
    /// [`CryptoError`], which no prekey causes; nothing is then added.
    pub fn add_one_time(
        &mut self,
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        created_at: u64,
    ) -> Result<Option<SignedPrekey>, CryptoError> {
        let following = self.next_id.checked_add(1);
        let (Some(slot), Some(following)) = (self.one_time.iter_mut().find(|slot| slot.is_none()), following)
        else {
            return Ok(None);
        };
        let prekey = SecretPrekey::generate(rng, self.next_id, self.current.id, created_at);
        let signed = prekey.sign(PrekeyKind::OneTime, identity)?;
        *slot = Some(prekey);
        self.next_id = following;
        Ok(Some(signed))
    }

    /// Makes another one-time KEM prekey; whether one was wanted.
    fn add_one_time_kem(&mut self, rng: &mut dyn CryptoRng, created_at: u64) -> bool {
        let Some(following) = self.next_id.checked_add(1).filter(|_| self.kem.wants_one_time()) else {
            return false;
        };
        let is_added = self.kem.add(rng, KemPrekeyKind::OneTime, self.next_id, self.current.id, created_at);
        if is_added {
            self.next_id = following;
        }
        is_added
    }

    /// Does what time and use have made due: rotates the signed prekey weekly, or now if all are to be replaced, and
    /// fills the free places for one-time prekeys. Whether anything changed that has to be stored.
    ///
    /// # Errors
    /// [`CryptoError`], which no prekey causes.
    pub fn maintain(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        identity: &Identity,
    ) -> Result<bool, CryptoError> {
        let mut changed = self.age.reckon(now);
        if self.renewal == Renewal::Due {
            self.renewal = Renewal::Done;
            self.publish_anew();
            // By chance, or a second time back to the same copy would give other keys the same ids.
            let passed_over = PREKEY_IDS_PASSED_OVER | (rng.next_u32() % PREKEY_IDS_PASSED_OVER);
            self.next_id = self.next_id.checked_add(passed_over).unwrap_or(self.next_id);
            self.age.stored = PREKEY_ROTATION;
        }
        if self.age.stored >= PREKEY_ROTATION && self.rotate(rng, now.wall) {
            self.age = Age { stored: 0, wall: now.wall, uptime: Some(now.uptime) };
            changed = true;
        }
        while self.add_one_time(rng, identity, now.wall)?.is_some() {
            changed = true;
        }
        while self.add_one_time_kem(rng, now.wall) {
            changed = true;
        }
        Ok(changed)
    }

    /// This device's storage went back, or the relay's: prekeys may be published, and ids in use, that it knows nothing
    /// of. [`Self::maintain`] replaces them all, under ids above those; once between two starts, for it is the relay that
    /// says so.
    pub fn replace_all(&mut self) {
        if self.renewal == Renewal::NotAsked {
            self.renewal = Renewal::Due;
        }
    }

    /// The relay forgot what was published: one-time prekeys that it may have handed out already are given up, and
    /// the rest goes to it again.
    pub fn publish_anew(&mut self) {
        self.wipe_one_time(|_| true);
        self.kem.wipe_one_time();
        self.published = 0;
    }

    /// The greatest id that was given out, if the relay has not confirmed all up to there, or nothing in this run.
    pub fn unpublished(&self) -> Option<u32> {
        let last = self.next_id.saturating_sub(1);
        (!self.is_confirmed || self.published < last).then_some(last)
    }

    /// The relay confirmed all ids up to this one; whether that has to be stored.
    pub fn confirm_published(&mut self, last: u32) -> bool {
        self.is_confirmed = true;
        let is_news = self.published < last;
        self.published = self.published.max(last);
        is_news
    }

    /// Calls `each` with the current signed prekey and every one-time prekey that the relay has not confirmed.
    ///
    /// # Errors
    /// [`CryptoError`], which no prekey causes.
    pub fn for_each_unpublished(
        &self,
        identity: &Identity,
        mut each: impl FnMut(SignedPrekey),
    ) -> Result<(), CryptoError> {
        each(self.current.sign(PrekeyKind::Signed, identity)?);
        for prekey in self.one_time.iter().flatten().filter(|prekey| prekey.id > self.published) {
            each(prekey.sign(PrekeyKind::OneTime, identity)?);
        }
        Ok(())
    }

    /// The same of the KEM prekeys: the current last-resort one, and every one-time one that the relay has not
    /// confirmed. Their records are written into `room`.
    ///
    /// # Errors
    /// [`CryptoError`] for too little room.
    pub fn for_each_unpublished_kem<'b>(
        &self,
        identity: &Identity,
        room: &'b mut [[u8; KEM_RECORD]],
        each: impl FnMut(SignedKemPrekey<'b>),
    ) -> Result<(), CryptoError> {
        self.kem.for_each_unpublished(identity, self.published, room, each)
    }

    /// Makes a new signed prekey, and a new last-resort KEM prekey with it. The current one is kept for messages on their way; the one before it is wiped, and
    /// with it the one-time prekeys made under it. `false`, and nothing changed, when the ids are used up.
    pub fn rotate(&mut self, rng: &mut dyn CryptoRng, created_at: u64) -> bool {
        let Some(kem_id) = self.next_id.checked_add(1) else {
            return false;
        };
        let Some(following) = kem_id.checked_add(self.kem.is_in_use().into()) else {
            return false;
        };
        let next = SecretPrekey::generate(rng, self.next_id, self.next_id, created_at);
        let replaced = SecretPrekey { secret: self.current.secret.duplicate(), ..self.current };
        if let Some(expired) = self.previous.as_ref().map(|prekey| prekey.id) {
            self.wipe_one_time(|prekey| prekey.signed_id == expired);
            self.kem.expire(expired);
        }
        if self.kem.is_in_use() {
            self.kem.add(rng, KemPrekeyKind::LastResort, kem_id, next.id, created_at);
        }
        self.previous = Some(replaced);
        self.current = next;
        self.next_id = following;
        true
    }

    fn wipe_one_time(&mut self, mut is_over: impl FnMut(&SecretPrekey) -> bool) -> bool {
        let before = self.one_time_len();
        for slot in &mut self.one_time {
            if slot.as_ref().is_some_and(&mut is_over) {
                // Dropping the key in its place wipes it there.
                *slot = None;
            }
        }
        self.one_time_len() < before
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.u32(self.next_id)?;
        writer.u32(self.published)?;
        writer.u64(self.age.stored)?;
        writer.u64(self.age.wall)?;
        self.current.write(writer)?;
        for prekey in core::iter::once(&self.previous).chain(&self.one_time) {
            writer.flag(prekey.is_some())?;
            prekey.as_ref().map_or(Ok(()), |prekey| prekey.write(writer))?;
        }
        self.kem.write(writer)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let optional = |reader: &mut Reader<'_>| -> Result<_, CodecError> {
            if reader.flag()? { SecretPrekey::read(reader).map(Some) } else { Ok(None) }
        };
        let (next_id, published) = (reader.u32()?, reader.u32()?);
        let age = Age { stored: reader.u64()?, wall: reader.u64()?, uptime: None };
        let current = SecretPrekey::read(reader)?;
        let previous = optional(reader)?;
        let mut one_time = [const { None }; ONE_TIME];
        for slot in &mut one_time {
            *slot = optional(reader)?;
        }
        let kem = KemPrekeys::read(reader)?;
        let x25519 = core::iter::once(&current).chain(&previous).chain(one_time.iter().flatten());
        let is_given_out = x25519.map(|prekey| prekey.id).chain(kem.ids()).all(|id| id < next_id);
        if published >= next_id || !is_given_out {
            return Err(CodecError);
        }
        let renewal = Renewal::NotAsked;
        Ok(Self { current, previous, one_time, kem, next_id, published, is_confirmed: false, age, renewal })
    }
}
