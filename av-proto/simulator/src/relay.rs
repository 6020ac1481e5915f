//! The relay as the devices see it: inboxes with sequences and cursors, idempotent sends, epochs, connections.
//!
//! It verifies nothing: what has to be refused, the devices refuse by themselves.

mod calls;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use av_proto::wire::bundle::SignedPrekey;
use av_proto::wire::encode;
use av_proto::wire::frame::ToDevice;
use av_proto::wire::limits::MAX_FRAME;
use av_proto::wire::{DeviceId, InboxEpoch, MessageId, Signature, TenantId};

use crate::ledger::Violation;

/// What an inbox entry holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Message { sender: DeviceId, header_blob: Vec<u8>, ciphertext: Vec<u8>, genuine: bool },
    Statement { signed: Vec<u8>, chain: Vec<u8> },
    Activated { device: DeviceId, signature: Signature },
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) content: Content,
}

/// An inbox.
#[derive(Clone, Default)]
struct Account {
    entries: Vec<Entry>,
    next: u64,
    acknowledged: u64,
    /// Idempotency: what this device sent.
    sent: BTreeSet<MessageId>,
}

/// A copy of the database.
#[derive(Clone)]
struct Backup {
    accounts: BTreeMap<DeviceId, Account>,
    prekeys: BTreeMap<DeviceId, SignedPrekey>,
}

/// One connection, by the number of the device at its other end.
#[derive(Default)]
struct Line {
    open: bool,
    device: Option<DeviceId>,
    authenticated: bool,
    /// The last entry that went out on this connection.
    cursor: u64,
    window: u64,
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Down>,
}

/// A frame under way to a device.
pub(crate) struct Down {
    pub(crate) frame: Vec<u8>,
    /// The entry in it, if the relay took it from the inbox.
    pub(crate) content: Option<Content>,
    /// The relay made it up.
    pub(crate) made_up: bool,
}

/// The relay of one tenant, and what is in flight to and from it.
pub struct Relay {
    tenant: Option<TenantId>,
    founder: Option<DeviceId>,
    epoch: InboxEpoch,
    nonces: u64,
    accounts: BTreeMap<DeviceId, Account>,
    requests: BTreeMap<DeviceId, Vec<u8>>,
    grants: BTreeMap<DeviceId, Vec<u8>>,
    certs: BTreeMap<DeviceId, Vec<u8>>,
    /// Signed prekeys; one-time prekeys are never left.
    prekeys: BTreeMap<DeviceId, SignedPrekey>,
    lines: Vec<Line>,
    /// Taken, and not yet given a sequence.
    pub(crate) staged: Vec<(DeviceId, Content)>,
    /// Held back.
    pub(crate) held: Vec<(DeviceId, Content)>,
    /// Every message that was ever taken, to be played back.
    pub(crate) archive: Vec<(DeviceId, Content)>,
    backup: Option<Backup>,
}

impl Relay {
    pub(crate) fn new(devices: usize) -> Self {
        Self {
            tenant: None,
            founder: None,
            epoch: InboxEpoch([1; 16]),
            nonces: 0,
            accounts: BTreeMap::new(),
            requests: BTreeMap::new(),
            grants: BTreeMap::new(),
            certs: BTreeMap::new(),
            prekeys: BTreeMap::new(),
            lines: (0..devices).map(|_| Line::default()).collect(),
            staged: Vec::new(),
            held: Vec::new(),
            archive: Vec::new(),
            backup: None,
        }
    }

    pub(crate) fn is_open(&self, line: usize) -> bool {
        self.lines.get(line).is_some_and(|line| line.open)
    }

    /// A device connects; the challenge is its first frame.
    pub(crate) fn open(&mut self, line: usize) -> Result<(), Violation> {
        self.nonces += 1;
        let mut nonce = [0x5a; 32];
        nonce.split_at_mut(8).0.copy_from_slice(&self.nonces.to_be_bytes());
        if let Some(line) = self.lines.get_mut(line) {
            *line = Line { open: true, ..Line::default() };
        }
        self.answer(line, &ToDevice::Challenge { nonce, server_time: 0 })
    }

    /// A connection breaks: its first `heard` frames still reach the relay, the rest is lost.
    pub(crate) fn close(&mut self, line: usize, heard: usize) -> Result<(), Violation> {
        for _ in 0..heard {
            self.take(line)?;
        }
        if let Some(line) = self.lines.get_mut(line) {
            *line = Line::default();
        }
        Ok(())
    }

    /// A frame leaves a device.
    pub(crate) fn send(&mut self, line: usize, frame: Vec<u8>) {
        if let Some(line) = self.lines.get_mut(line).filter(|line| line.open) {
            line.up.push_back(frame);
        }
    }

    pub(crate) fn in_flight_up(&self, line: usize) -> usize {
        self.lines.get(line).map_or(0, |line| line.up.len())
    }

    /// Entries that this device has not acknowledged.
    pub(crate) fn unacknowledged(&self, device: &DeviceId) -> impl Iterator<Item = &Entry> {
        self.accounts.get(device).into_iter().flat_map(|account| &account.entries)
    }

    pub(crate) const fn epoch(&self) -> InboxEpoch {
        self.epoch
    }

    /// A copy of the database, for [`Self::restore_backup`].
    pub(crate) fn back_up(&mut self) {
        self.backup = Some(Backup { accounts: self.accounts.clone(), prekeys: self.prekeys.clone() });
    }

    /// The database is restored: all connections end, cursors begin anew, what was filed since is gone.
    pub(crate) fn restore_backup(&mut self) -> bool {
        let Some(backup) = self.backup.clone() else { return false };
        (self.accounts, self.prekeys) = (backup.accounts, backup.prekeys);
        for account in self.accounts.values_mut() {
            account.acknowledged = 0;
        }
        let [first, ..] = &mut self.epoch.0;
        *first = first.wrapping_add(1);
        for line in &mut self.lines {
            *line = Line::default();
        }
        true
    }

    /// Gives sequences to what is staged.
    pub(crate) fn commit(&mut self) {
        for (to, content) in std::mem::take(&mut self.staged) {
            let account = self.accounts.entry(to).or_default();
            account.next += 1;
            account.entries.push(Entry { sequence: account.next, content });
        }
    }

    /// The same database, and nothing in flight.
    pub(crate) fn fork(&self) -> Self {
        Self {
            tenant: self.tenant,
            founder: self.founder,
            epoch: self.epoch,
            nonces: self.nonces,
            accounts: self.accounts.clone(),
            requests: self.requests.clone(),
            grants: self.grants.clone(),
            certs: self.certs.clone(),
            prekeys: self.prekeys.clone(),
            lines: self.lines.iter().map(|_| Line::default()).collect(),
            staged: self.staged.clone(),
            held: self.held.clone(),
            archive: self.archive.clone(),
            backup: self.backup.clone(),
        }
    }

    /// Changes a bit of the next answer to a device; whether there was one.
    pub(crate) fn garble(&mut self, line: usize, byte: usize, bit: usize) -> bool {
        let Some(down) = self.lines.get_mut(line).and_then(|line| line.down.front_mut()) else {
            return false;
        };
        let place = byte % down.frame.len().max(1);
        down.frame.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
        down.made_up = true;
        true
    }

    /// Puts back what was fetched, to be fetched next.
    pub(crate) fn put_back(&mut self, line: usize, down: Down) {
        if let Some(line) = self.lines.get_mut(line) {
            line.down.push_front(down);
        }
    }

    /// Puts a frame that the relay made up behind what is in flight.
    pub(crate) fn inject(&mut self, line: usize, frame: Vec<u8>) {
        if let Some(line) = self.lines.get_mut(line).filter(|line| line.open) {
            line.down.push_back(Down { frame, content: None, made_up: true });
        }
    }

    /// The next frame for a device.
    pub(crate) fn fetch(&mut self, line: usize) -> Result<Option<Down>, Violation> {
        let Some(place) = self.lines.get_mut(line) else { return Ok(None) };
        if let Some(down) = place.down.pop_front() {
            return Ok(Some(down));
        }
        let Some(account) =
            place.device.filter(|_| place.authenticated).and_then(|id| self.accounts.get(&id))
        else {
            return Ok(None);
        };
        let under_way = account.entries.iter().filter(|entry| entry.sequence <= place.cursor).count() as u64;
        let next = account.entries.iter().find(|entry| entry.sequence > place.cursor);
        let Some(entry) = next.filter(|_| under_way < place.window) else { return Ok(None) };
        let (sequence, previous) = (entry.sequence, place.cursor);
        let content = entry.content.clone();
        place.cursor = sequence;
        let frame = match &content {
            Content::Message { sender, header_blob, ciphertext, .. } => to_bytes(&ToDevice::Deliver {
                sequence,
                previous,
                sender: *sender,
                header_blob: header_blob[..].into(),
                ciphertext: ciphertext[..].into(),
                received_at: 0,
            }),
            Content::Statement { signed, chain } => {
                to_bytes(&ToDevice::Statement { sequence, previous, statement: signed, chain })
            }
            Content::Activated { device, signature } => to_bytes(&ToDevice::Activated {
                sequence,
                previous,
                device_id: *device,
                signature: *signature,
            }),
        }?;
        Ok(Some(Down { frame, content: Some(content), made_up: false }))
    }

    fn answer(&mut self, line: usize, frame: &ToDevice<'_>) -> Result<(), Violation> {
        let frame = to_bytes(frame)?;
        if let Some(line) = self.lines.get_mut(line) {
            line.down.push_back(Down { frame, content: None, made_up: false });
        }
        Ok(())
    }
}

pub(crate) fn to_bytes(frame: &ToDevice<'_>) -> Result<Vec<u8>, Violation> {
    let mut buffer = vec![0; MAX_FRAME];
    let len = encode(frame, &mut buffer).map_err(|_| Violation::new("the relay's frame is too long"))?.len();
    buffer.truncate(len);
    Ok(buffer)
}
