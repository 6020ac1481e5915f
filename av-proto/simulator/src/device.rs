//! A device of the simulation: its endpoint, its store, and an application that keeps what it heard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use av_proto::wire::{DeviceId, MessageId};
use av_proto::{Event, Now, Output, PersistError, RecordChange, RecordKey, RecordKind, Seal, Ticket};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::ledger::Violation;
use crate::machine::{Capacity, Machine};

/// Bytes before the content of a stored record: generation and mark.
const HEAD: usize = 16;

/// Sealed records by their key.
pub type Store = BTreeMap<[u8; RecordKey::LEN], Vec<u8>>;

/// How a store takes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreMood {
    Works,
    /// It reports an error in the middle of the batch.
    Fails,
    /// The process dies before the commit.
    DiesBefore,
    /// The process dies after the commit, before it could say so.
    DiesAfter,
}

/// What one output was.
#[derive(Debug)]
pub(crate) enum Did {
    Nothing,
    Stored,
    StoreFailed,
    Died,
    Transmit(Vec<u8>),
    Offered { from: DeviceId, id: MessageId, payload: Vec<u8> },
    Told(Event),
    Timer,
}

/// A message that waits for the application.
pub(crate) struct Waiting {
    pub(crate) ticket: Ticket,
    pub(crate) from: DeviceId,
    pub(crate) id: MessageId,
    pub(crate) number: usize,
}

/// A copy of a device's disk, and what was settled in it.
struct Backup {
    store: Store,
    settled: BTreeSet<MessageId>,
    /// The first message that is not in it.
    sent: usize,
}

/// One simulated device.
pub struct Device {
    pub(crate) machine: Box<dyn Machine>,
    capacity: Capacity,
    seed: u64,
    pub(crate) rng: ChaCha20Rng,
    seal: Seal,
    store: Store,
    backups: VecDeque<Backup>,
    /// When the process began, in ms of the world's clock.
    boot: u64,
    pub(crate) timer: Option<u64>,
    pub(crate) waiting: VecDeque<Waiting>,
    /// Sent, and not in the store yet.
    pub(crate) unstored: Vec<usize>,
    /// Confirmed, and the store does not know yet.
    pub(crate) unsettled: Vec<MessageId>,
    /// Confirmed, and the store knows: never offered again.
    pub(crate) settled: BTreeSet<MessageId>,
    pub(crate) rolled_back: bool,
    pub(crate) id: Option<DeviceId>,
}

impl Device {
    pub(crate) fn new(seed: u64, capacity: Capacity) -> Self {
        let mut key = [0x11; 32];
        key.split_at_mut(8).0.copy_from_slice(&seed.to_be_bytes());
        Self {
            machine: capacity.machine(),
            capacity,
            seed,
            // Its own generator, and never rolled back: what the operating system gives is not in the store.
            rng: ChaCha20Rng::seed_from_u64(seed),
            seal: Seal::new(key),
            store: Store::new(),
            backups: VecDeque::new(),
            boot: 0,
            timer: None,
            waiting: VecDeque::new(),
            unstored: Vec::new(),
            unsettled: Vec::new(),
            settled: BTreeSet::new(),
            rolled_back: false,
            id: None,
        }
    }

    /// Another device with this one's store, and a generator of its own.
    pub(crate) fn fork(&self, clock: u64) -> Result<Self, Violation> {
        let mut fork = Self::new(self.seed, self.capacity);
        fork.rng = ChaCha20Rng::seed_from_u64(!self.seed);
        fork.store = self.store.clone();
        fork.settled = self.settled.clone();
        fork.id = self.id;
        fork.restart(clock)?;
        fork.back_up(0);
        Ok(fork)
    }

    pub(crate) const fn now(&self, clock: u64) -> Now {
        const WALL: u64 = 1_800_000_000;
        Now { uptime: clock.saturating_sub(self.boot), wall: WALL + clock / 1_000 }
    }

    /// Does what the next output asks; frames, messages and events are the caller's to pass on.
    pub(crate) fn poll(&mut self, clock: u64, mood: StoreMood) -> Result<Did, Violation> {
        let now = self.now(clock);
        let did = match self.machine.poll(now) {
            None => return Ok(Did::Nothing),
            Some(Output::Transmit(frame)) => Did::Transmit(frame.to_vec()),
            Some(Output::Event(event)) => Did::Told(event),
            Some(Output::Timer(at)) => {
                self.timer = Some(at);
                Did::Timer
            }
            Some(Output::Deliver(delivery)) => {
                let (from, id, payload) = (delivery.from, delivery.message_id, delivery.payload.to_vec());
                // The number is known once the ledger has seen the payload.
                self.waiting.push_back(Waiting { ticket: delivery.ticket, from, id, number: usize::MAX });
                Did::Offered { from, id, payload }
            }
            Some(Output::Persist(mut persist)) => {
                let mut batch = self.store.clone();
                let mut changes = 0;
                let written = persist.write(&self.seal, &mut self.rng, |change| {
                    changes += 1;
                    if mood == StoreMood::Fails && changes > 1 {
                        return Err(());
                    }
                    match change {
                        RecordChange::Put(key, sealed) => batch.insert(key.to_bytes(), sealed.to_vec()),
                        RecordChange::Delete(key) => batch.remove(&key.to_bytes()),
                    };
                    Ok(())
                });
                match (written, mood) {
                    (Err(PersistError::Bug), _) => {
                        return Err(Violation::new("a record is longer than its maximum"));
                    }
                    (Err(PersistError::Store(())), _) | (Ok(()), StoreMood::Fails) => Did::StoreFailed,
                    (Ok(()), StoreMood::DiesBefore) => Did::Died,
                    (Ok(()), StoreMood::DiesAfter) => {
                        self.store = batch;
                        Did::Died
                    }
                    (Ok(()), StoreMood::Works) => {
                        self.store = batch;
                        persist.stored();
                        Did::Stored
                    }
                }
            }
        };
        Ok(did)
    }

    /// What the store took in is durable: the messages sent, which the caller books, and the confirmations.
    pub(crate) fn committed(&mut self) -> Vec<usize> {
        self.settled.extend(self.unsettled.drain(..));
        std::mem::take(&mut self.unstored)
    }

    /// The process dies and begins again with what the store holds.
    pub(crate) fn restart(&mut self, clock: u64) -> Result<(), Violation> {
        self.machine.forget();
        self.waiting.clear();
        self.unstored.clear();
        self.unsettled.clear();
        self.timer = None;
        self.boot = clock;
        let now = self.now(clock);
        for (key, sealed) in &self.store {
            let key = RecordKey::from_bytes(key).ok_or_else(|| Violation::new("a record of no kind"))?;
            let restored = self.machine.restore(now, &self.seal, key, sealed);
            restored.map_err(|error| Violation::new(format!("a stored record: {error}")))?;
        }
        self.machine.resume().map_err(|error| Violation::new(format!("the stored records: {error}")))
    }

    /// Copies the disk; the oldest of four copies goes. `sent` messages were sent by now.
    pub(crate) fn back_up(&mut self, sent: usize) {
        if self.backups.len() == 4 {
            self.backups.pop_front();
        }
        let sent = self.unstored.first().copied().unwrap_or(sent);
        self.backups.push_back(Backup { store: self.store.clone(), settled: self.settled.clone(), sent });
    }

    pub(crate) fn backups(&self) -> usize {
        self.backups.len()
    }

    /// The disk is as it was at that copy; returns the first message that is not in it.
    pub(crate) fn roll_back(&mut self, backup: usize) -> Option<usize> {
        let backup = self.backups.get(backup)?;
        self.store = backup.store.clone();
        self.settled = backup.settled.clone();
        self.rolled_back = true;
        Some(backup.sent)
    }

    /// The numbers of the messages in the stored inbox: each begins its payload.
    pub(crate) fn inbox(&self) -> Result<Vec<usize>, Violation> {
        // Sequence, sender, id, no copy's recipient, length.
        const PAYLOAD: usize = HEAD + 8 + 16 + 16 + 1 + 2;
        let records = self.stored()?.into_iter();
        let entries = records.filter(|(key, _)| key.first() == Some(&(RecordKind::Inbox as u8)));
        let number = |record: Vec<u8>| record.get(PAYLOAD..)?.first_chunk().copied();
        let numbers = entries.filter_map(|(_, record)| number(record));
        Ok(numbers.map(|number| u32::from_be_bytes(number) as usize).collect())
    }

    /// What the stored outbox calls its entries.
    pub(crate) fn outbox(&self) -> Result<BTreeSet<u64>, Violation> {
        let records = self.stored()?.into_iter();
        let entries = records.filter(|(key, _)| key.first() == Some(&(RecordKind::Outbox as u8)));
        let id = |record: Vec<u8>| record.get(HEAD..)?.first_chunk().copied();
        Ok(entries.filter_map(|(_, record)| id(record)).map(u64::from_be_bytes).collect())
    }

    /// Every record in memory, in the clear.
    pub(crate) fn records(&mut self) -> BTreeMap<[u8; 3], Vec<u8>> {
        self.machine.records().into_iter().map(|(key, record)| (key.to_bytes(), record)).collect()
    }

    /// Every record in the store, opened.
    pub(crate) fn stored(&self) -> Result<BTreeMap<[u8; 3], Vec<u8>>, Violation> {
        let mut stored = BTreeMap::new();
        for (bytes, sealed) in &self.store {
            let key = RecordKey::from_bytes(bytes).ok_or_else(|| Violation::new("a record of no kind"))?;
            let mut out = vec![0; sealed.len()];
            let record = self.seal.open(key, sealed, &mut out);
            let record = record.map_err(|_| Violation::new("a stored record does not open"))?;
            stored.insert(*bytes, record.to_vec());
        }
        Ok(stored)
    }

    /// The store holds exactly what memory holds; asked of a device that has nothing left to say.
    pub(crate) fn check_store(&mut self) -> Result<(), Violation> {
        let stored = self.stored()?;
        let memory = self.records();
        let keys: BTreeSet<_> = stored.keys().chain(memory.keys()).copied().collect();
        let is_same = |key: &[u8; 3]| {
            let content = stored.get(key).and_then(|record| record.get(HEAD..));
            without_age(key, content) == without_age(key, memory.get(key).map(Vec::as_slice))
        };
        match keys.into_iter().find(|key| !is_same(key)) {
            Some(key) => Err(Violation::new(format!("record {key:?} differs between memory and store"))),
            None => Ok(()),
        }
    }
}

/// The age of the prekeys counts on in memory, and is stored now and then: two u64 behind two u32.
fn without_age<'r>(key: &[u8; 3], record: Option<&'r [u8]>) -> Option<(&'r [u8], &'r [u8])> {
    const AGE: std::ops::Range<usize> = 8..24;
    let record = record?;
    if key.first() != Some(&(RecordKind::Prekeys as u8)) {
        return Some((record, &[]));
    }
    Some((record.get(..AGE.start)?, record.get(AGE.end..)?))
}
