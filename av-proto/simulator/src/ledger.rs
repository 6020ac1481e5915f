//! What was sent, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use av_proto::OutboxId;
use av_proto::wire::{DeviceId, MessageId};

/// A broken promise, with the steps that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    what: String,
    trace: Vec<String>,
}

impl Violation {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), trace: Vec::new() }
    }

    pub(crate) fn after(mut self, trace: impl IntoIterator<Item = String>) -> Self {
        if self.trace.is_empty() {
            self.trace.extend(trace);
        }
        self
    }

    /// The promise.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.trace.iter().try_for_each(|step| writeln!(f, "    {step}"))
    }
}

impl std::error::Error for Violation {}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The process died before the message was stored: it was never accepted.
    NotStored,
    /// It has to arrive.
    Owed,
    /// The application has it.
    Heard,
    /// Its sender, or its recipient, was told that it may be lost, or no process is left that could tell; which.
    Named(&'static str),
}

struct Sent {
    from: usize,
    /// The sender's number for it.
    id: OutboxId,
    to: DeviceId,
    payload: Vec<u8>,
    fate: Fate,
    /// The id under which it was offered.
    offered: Option<MessageId>,
}

/// The book of all messages of a run. A payload begins with its number, so each names itself.
#[derive(Default)]
pub struct Ledger {
    sent: Vec<Sent>,
    /// Which message a wire frame holds, by its nonce.
    by_nonce: BTreeMap<Vec<u8>, usize>,
    /// Nonces that left a device, with the bytes that they were in.
    on_wire: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Message keys that left a device.
    keys: BTreeSet<[u8; 32]>,
}

impl Ledger {
    /// A payload of this length at least, that names itself.
    pub(crate) fn payload(&self, len: usize) -> Vec<u8> {
        let number = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(len.max(4), u8::try_from(number % 251).unwrap_or(0));
        payload
    }

    pub(crate) fn sent(
        &mut self,
        from: usize,
        to: DeviceId,
        id: OutboxId,
        payload: Vec<u8>,
        nonce: Option<Vec<u8>>,
    ) -> usize {
        let number = self.sent.len();
        if let Some(nonce) = nonce {
            self.by_nonce.insert(nonce, number);
        }
        self.sent.push(Sent { from, id, to, payload, fate: Fate::NotStored, offered: None });
        number
    }

    /// The sender's store holds it now.
    pub(crate) fn stored(&mut self, number: usize) {
        if let Some(sent) = self.sent.get_mut(number).filter(|sent| sent.fate == Fate::NotStored) {
            sent.fate = Fate::Owed;
        }
    }

    pub(crate) fn number_of(&self, nonce: &[u8]) -> Option<usize> {
        self.by_nonce.get(nonce).copied()
    }

    pub(crate) fn fate(&self, number: usize) -> Option<Fate> {
        self.sent.get(number).map(|sent| sent.fate)
    }

    /// How many were sent.
    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whom a message was sent to.
    pub(crate) fn recipient(&self, number: usize) -> Option<DeviceId> {
        self.sent.get(number).map(|sent| sent.to)
    }

    /// A message that is still owed was named, or cannot be.
    pub(crate) fn named(&mut self, number: usize, why: &'static str) {
        if let Some(sent) = self.sent.get_mut(number).filter(|sent| sent.fate == Fate::Owed) {
            sent.fate = Fate::Named(why);
        }
    }

    /// The same of what a device calls by this number.
    pub(crate) fn named_by_sender(&mut self, from: usize, id: OutboxId, why: &'static str) {
        if let Some(number) = self.last_called(from, id) {
            self.named(number, why);
        }
    }

    /// What a device calls by this number. One whose store went back uses numbers again: the last counts.
    pub(crate) fn last_called(&self, from: usize, id: OutboxId) -> Option<usize> {
        self.sent.iter().rposition(|sent| sent.from == from && sent.id == id)
    }

    /// What a device sent, from this number on, and what it calls it, while it is owed.
    pub(crate) fn owed_by(&self, from: usize, first: usize) -> Vec<(usize, OutboxId)> {
        let sent = self.sent.iter().enumerate().skip(first);
        let owed = sent.filter(|(_, sent)| sent.from == from && sent.fate == Fate::Owed);
        owed.map(|(number, sent)| (number, sent.id)).collect()
    }

    /// A message is offered to an application.
    pub(crate) fn offered(
        &mut self,
        from: usize,
        to: DeviceId,
        id: MessageId,
        payload: &[u8],
    ) -> Result<usize, Violation> {
        let number = payload.first_chunk::<4>().map(|number| u32::from_be_bytes(*number) as usize);
        let found = number.and_then(|number| Some((number, self.sent.get_mut(number)?)));
        let Some((number, sent)) = found else {
            return Err(Violation::new("a message was delivered that nobody sent"));
        };
        if sent.from != from || sent.to != to || sent.payload != payload {
            return Err(Violation::new(format!(
                "message {number} was not sent like this: to, from or payload"
            )));
        }
        match sent.offered.replace(id) {
            Some(before) if before != id => {
                Err(Violation::new(format!("message {number} was delivered twice, under two ids")))
            }
            _ => Ok(number),
        }
    }

    pub(crate) fn heard(&mut self, number: usize) {
        if let Some(sent) = self.sent.get_mut(number) {
            sent.fate = Fate::Heard;
        }
    }

    /// A sealed message leaves a device. A message key is used once, unless its store came back from a backup.
    pub(crate) fn left(
        &mut self,
        nonce: &[u8],
        frame: &[u8],
        key: Option<[u8; 32]>,
        rolled_back: bool,
    ) -> Result<(), Violation> {
        match self.on_wire.insert(nonce.to_vec(), frame.to_vec()) {
            Some(before) if before == frame => return Ok(()),
            Some(_) => return Err(Violation::new("a nonce left in two different messages")),
            None => {}
        }
        let key = key.ok_or_else(|| Violation::new("a message left whose sealing was not seen"))?;
        if !self.keys.insert(key) && !rolled_back {
            return Err(Violation::new("a message key sealed two messages that left the device"));
        }
        Ok(())
    }

    /// A message that is owed and was not heard, of a sender and to a recipient that `counts`.
    pub(crate) fn owed(&self, counts: impl Fn(usize, &DeviceId) -> bool) -> Option<usize> {
        self.sent.iter().position(|sent| sent.fate == Fate::Owed && counts(sent.from, &sent.to))
    }

    /// How many messages met this fate.
    pub fn count(&self, is_it: impl Fn(Fate) -> bool) -> usize {
        self.sent.iter().filter(|sent| is_it(sent.fate)).count()
    }
}
