//! One output of a device, one frame to it: where the promises that hold at every moment are checked.

use av_proto::wire::decode;
use av_proto::wire::frame::{ToDevice, ToRelay};
use av_proto::{ConnectionError, Event, OutboxId, RecordKind};

use super::{STORM, World};
use crate::device::{Device, Did, StoreMood};
use crate::ledger::{Fate, Violation};
use crate::relay::{Content, Down, to_bytes};
use crate::watch;

impl World {
    /// One output of a device; whether there was one.
    pub(super) fn poll(&mut self, index: usize, mood: StoreMood) -> Result<bool, Violation> {
        let clock = self.clock;
        let did = self.device(index)?.poll(clock, mood)?;
        if watch::pair_repeated() {
            return Err(Violation::new("a key and nonce sealed twice"));
        }
        match did {
            Did::Nothing => return Ok(false),
            Did::Timer => {}
            Did::Stored => self.committed(index)?,
            Did::StoreFailed => self.count("store failed"),
            Did::Died => {
                if mood == StoreMood::DiesAfter {
                    self.committed(index)?;
                }
                self.restart(index)?;
            }
            Did::Transmit(frame) => self.transmit(index, frame)?,
            Did::Told(event) => {
                self.note(format!("{index} says {event:?}"));
                if matches!(event, Event::MessageRejected { .. }) {
                    self.count("rejected");
                    self.note_rejection()?;
                }
                self.told(index, &event)?;
            }
            Did::Offered { from, id, payload } => {
                let sender = self.index_of(&from);
                let from = sender.ok_or_else(|| Violation::new("a message of an unknown device"))?;
                let device = self.device(index)?;
                if device.settled.contains(&id) {
                    return Err(Violation::new(format!("{id:?} was offered again after it was confirmed")));
                }
                let to = device.id.ok_or_else(|| Violation::new("a message before the enrollment"))?;
                let number = self.ledger.offered(from, to, id, &payload)?;
                self.note(format!("{index} is offered message {number} of {from}"));
                if let Some(waiting) = self.device(index)?.waiting.back_mut() {
                    waiting.number = number;
                }
            }
        }
        Ok(true)
    }

    fn committed(&mut self, index: usize) -> Result<(), Violation> {
        self.count("stored");
        for number in self.device(index)?.committed() {
            self.ledger.stored(number);
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, index: usize) -> Result<(), Violation> {
        self.note(format!("{index} dies and restarts"));
        self.count("crash");
        // What left the outbox in the last batch may have been given up for room, and the process that would tell died.
        // What a receipt took out is with its recipient, and is heard or counts as lost by a roll-back there.
        let kept = self.device(index)?.outbox()?;
        for (number, id) in self.ledger.owed_by(index, 0) {
            if !kept.contains(&id.number()) && !self.is_with_recipient(number)? {
                self.ledger.named(number, "its sender died before it could tell");
            }
        }
        self.relay.close(index, 0)?;
        let clock = self.clock;
        self.device(index)?.restart(clock)
    }

    /// A device believes that a message is with its recipient: so it must be. Only one whose store went back seals in
    /// places that it does not know to be taken, and may take the receipt of what it forgot for that of another message.
    pub(super) fn told_delivered(&mut self, index: usize, id: OutboxId) -> Result<(), Violation> {
        let Some(number) = self.ledger.last_called(index, id) else { return Ok(()) };
        if self.ledger.fate(number) != Some(Fate::Owed) || self.is_with_recipient(number)? {
            return Ok(());
        }
        if !self.device(index)?.rolled_back {
            return Err(Violation::new(format!("message {number} was said to be delivered, and is not")));
        }
        self.ledger.named(number, "its sender's store went back, and its place had been used");
        self.count("receipt of another");
        Ok(())
    }

    /// Whether a message lies in its recipient's store, for an application that has yet to hear it.
    fn is_with_recipient(&self, number: usize) -> Result<bool, Violation> {
        let recipient = self.ledger.recipient(number).and_then(|to| self.index_of(&to));
        let inbox = recipient.and_then(|index| self.devices.get(index)).map(Device::inbox).transpose()?;
        Ok(inbox.is_some_and(|inbox| inbox.contains(&number)))
    }

    pub(super) fn transmit(&mut self, index: usize, frame: Vec<u8>) -> Result<(), Violation> {
        let name = match decode(&frame) {
            Ok(ToRelay::Send { header_blob, .. }) => {
                let nonce = nonce(header_blob)?.to_vec();
                let rolled_back = self.device(index)?.rolled_back;
                self.ledger.left(&nonce, &frame, watch::body_key(&nonce), rolled_back)?;
                let number = self.ledger.number_of(&nonce);
                number.map_or_else(|| "a control".to_string(), |number| format!("message {number}"))
            }
            Ok(ToRelay::Ack { inbox_epoch, sequence, .. }) => {
                if inbox_epoch == self.relay.epoch() {
                    self.check_acknowledged(index, sequence)?;
                }
                format!("Ack {sequence}")
            }
            Ok(ToRelay::Ping) => "Ping".to_string(),
            Ok(ToRelay::Enroll { .. }) => "Enroll".to_string(),
            Ok(_) => "a call".to_string(),
            Err(_) => return Err(Violation::new("a device made a frame that is not AV/1")),
        };
        // A device that nobody approves asks again on every connection, and is at rest.
        if name != "Ping" && name != "Enroll" {
            self.count("frame");
        }
        if name != "Ping" {
            self.note(format!("{index} transmits {name}"));
        }
        self.sample(true, &frame);
        self.note_enrollment(&frame)?;
        self.relay.send(index, frame);
        Ok(())
    }

    /// Whatever is acknowledged, the application has, or it was rejected.
    fn check_acknowledged(&mut self, index: usize, sequence: u64) -> Result<(), Violation> {
        let is_exempt = self.may_miss_entries(index);
        let Some(id) = self.devices.get(index).and_then(|device| device.id) else { return Ok(()) };
        for entry in self.relay.unacknowledged(&id).filter(|entry| entry.sequence <= sequence) {
            let Content::Message { header_blob, genuine: true, .. } = &entry.content else { continue };
            let nonce = nonce(header_blob)?;
            let number = self.ledger.number_of(nonce);
            let owed = number.filter(|number| self.ledger.fate(*number) == Some(Fate::Owed));
            if let Some(number) = owed.filter(|_| !is_exempt && !self.rejected.contains(nonce)) {
                return Err(Violation::new(format!("message {number} was acknowledged and is not stored")));
            }
            // A device that was lied to about a sequence acknowledges what it never saw.
            if !is_exempt {
                self.over.insert(nonce.to_vec());
            }
        }
        Ok(())
    }

    /// Whether a device acknowledged what it does not know of: its store went back, or the relay lied about a sequence.
    fn may_miss_entries(&self, index: usize) -> bool {
        let is_old = self.devices.get(index).is_some_and(|device| device.rolled_back);
        is_old || self.deceived.get(index).copied().unwrap_or(false)
    }

    /// Drains a device whose store works.
    pub(super) fn drain(&mut self, index: usize) -> Result<bool, Violation> {
        for outputs in 0..STORM {
            if !self.poll(index, StoreMood::Works)? {
                return Ok(outputs > 0);
            }
        }
        Err(Violation::new(format!("device {index} does not fall silent")))
    }

    /// Passes the next frame to a device; whether there was one.
    pub(super) fn deliver(&mut self, index: usize) -> Result<bool, Violation> {
        let Some(down) = self.relay.fetch(index)? else { return Ok(false) };
        let down = self.passed_on(index, down)?;
        let is_forged = down.made_up || self.is_forged(index, &down);
        let is_tampered = self.is_tampered(&down.frame)?;
        // What a batch that waits for its commit would change is not the frame's doing, nor what time has made due.
        let before = if is_forged || is_tampered {
            self.drain(index)?;
            self.ping(index)?;
            self.drain(index)?;
            Some(self.device(index)?.records())
        } else {
            None
        };
        if !self.relay.is_open(index) {
            return Ok(true);
        }
        let clock = self.clock;
        let device = self.device(index)?;
        let now = device.now(clock);
        let received = device.machine.receive(now, &mut device.rng, &down.frame);
        if !matches!(decode(&down.frame), Ok(ToDevice::Pong)) {
            self.note(format!("{index} receives {}: {received:?}", describe(&down)));
        }
        if !down.made_up {
            self.sample(false, &down.frame);
        }
        if let Some(before) = before {
            self.check_forged(index, &down, received, &before)?;
        }
        if is_tampered {
            self.in_hand_tampered = true;
            self.drain(index)?;
            self.in_hand_tampered = false;
        }
        self.judge(index, &down, received)
    }

    /// Whether a message is a forgery or a replay. A copy of what a device took in before its store came back from a
    /// backup is the message again.
    fn is_forged(&self, index: usize, down: &Down) -> bool {
        let Some(Content::Message { sender, header_blob, ciphertext, genuine: false }) = &down.content else {
            return false;
        };
        let is_copy = |content: &Content| {
            matches!(content, Content::Message { sender: from, header_blob: header, ciphertext: body, .. }
                if from == sender && header == header_blob && body == ciphertext)
        };
        let has_forgotten = self.devices.get(index).is_some_and(|device| device.rolled_back);
        !has_forgotten || !self.relay.archive.iter().any(|(_, content)| is_copy(content))
    }

    /// The relay asks whether the device is there: a frame that says nothing.
    fn ping(&mut self, index: usize) -> Result<(), Violation> {
        let clock = self.clock;
        let device = self.device(index)?;
        let now = device.now(clock);
        // Without a connection there is nobody to ask.
        let _ = device.machine.receive(now, &mut device.rng, &to_bytes(&ToDevice::Ping)?);
        Ok(())
    }

    /// An honest relay breaks no rule; from any other a device may part.
    fn judge(
        &mut self,
        index: usize,
        down: &Down,
        received: Result<(), ConnectionError>,
    ) -> Result<bool, Violation> {
        if let Err(error) = received {
            if self.manners.inject == 0 {
                return Err(Violation::new(format!("device {index} parts from an honest relay: {error}")));
            }
            self.count("parted");
            self.disconnect(index, 0)?;
            return Ok(true);
        }
        if let Some(Content::Message { header_blob, genuine: true, .. }) = &down.content {
            self.in_hand = Some(nonce(header_blob)?.to_vec());
            self.drain(index)?;
            self.in_hand = None;
        }
        Ok(true)
    }

    /// The genuine message in hand was rejected: an honest network gives no reason to. It is still owed.
    fn note_rejection(&mut self) -> Result<(), Violation> {
        let Some(nonce) = self.in_hand.take() else { return Ok(()) };
        if let Some(number) = self.ledger.number_of(&nonce)
            && self.manners.delay == 0
            && self.ledger.fate(number) == Some(Fate::Owed)
        {
            return Err(Violation::new(format!("message {number} was rejected")));
        }
        self.rejected.insert(nonce);
        Ok(())
    }

    /// What was forged changes no record but the counters, in which the cursor and the rejections stand.
    fn check_forged(
        &mut self,
        index: usize,
        down: &Down,
        received: Result<(), ConnectionError>,
        before: &std::collections::BTreeMap<[u8; 3], Vec<u8>>,
    ) -> Result<(), Violation> {
        self.count("forged");
        if down.made_up {
            if received.is_ok() {
                // It may have been believed: a relay can say that it took a message, or number the inbox anew.
                if let Some(deceived) = self.deceived.get_mut(index) {
                    *deceived = true;
                }
            }
            return Ok(());
        }
        let after = self.device(index)?.records();
        // An entry shows a gap in the inbox whatever is in it, and the prekeys are replaced on that.
        let may_miss_entries = self.may_miss_entries(index);
        let is_kept = |key: &[u8; 3]| {
            let is = |kind: RecordKind| key.first() == Some(&(kind as u8));
            !(is(RecordKind::Meta) || is(RecordKind::Prekeys) && may_miss_entries)
        };
        let differs = before
            .iter()
            .chain(&after)
            .map(|(key, _)| key)
            .find(|key| is_kept(key) && before.get(*key) != after.get(*key));
        match differs {
            Some(key) => Err(Violation::new(format!("a forged message changed record {key:?}"))),
            None => Ok(()),
        }
    }
}

fn describe(down: &Down) -> &'static str {
    match &down.content {
        _ if down.made_up => "a frame that the relay made up",
        Some(Content::Message { genuine: true, .. }) => "a message",
        Some(Content::Message { genuine: false, .. }) => "a forged or repeated message",
        Some(Content::Statement { .. }) => "a statement",
        Some(Content::Activated { .. }) => "an activation",
        None => "an answer",
    }
}

/// The nonce in a header blob: it stands before the sealed header, which ends the blob.
pub(super) fn nonce(header_blob: &[u8]) -> Result<&[u8], Violation> {
    let blob = av_proto::ratchet::HeaderBlob::parse(header_blob);
    blob.map(|blob| blob.nonce).map_err(|_| Violation::new("a device sent a header blob that is none"))
}
