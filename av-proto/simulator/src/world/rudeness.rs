//! What goes wrong: each is something that a disk, a network or a relay can do.

use av_proto::wire::DeviceId;
use av_proto::wire::frame::ToDevice;

use super::World;
use crate::choices::Choices;
use crate::device::StoreMood;
use crate::ledger::Violation;
use crate::manners::Manners;
use crate::relay::{Content, to_bytes};

/// Milliseconds by which the clock jumps: a moment, a ping, a prelude's ration, receipts, a session's last day.
const JUMPS: [u64; 6] = [200, 30_000, 61_000, 600_000, 3_600_000, 90_000_000];

#[derive(Clone, Copy, Debug)]
pub(super) enum Rude {
    Disconnect,
    Crash,
    StoreFailure,
    Rollback,
    Epoch,
    Delay,
    Release,
    Withhold,
    Duplicate,
    Corrupt,
    Inject,
    Tamper,
    Clock,
}

impl Rude {
    /// What these manners allow, and how often.
    pub(super) fn all(manners: &Manners) -> Vec<(Self, u32)> {
        let all = [
            (Self::Disconnect, manners.disconnect),
            (Self::Crash, manners.crash),
            (Self::StoreFailure, manners.store_failure),
            (Self::Rollback, manners.rollback),
            (Self::Epoch, manners.epoch),
            (Self::Delay, manners.delay),
            (Self::Release, manners.delay),
            (Self::Withhold, manners.withhold),
            (Self::Duplicate, manners.duplicate),
            (Self::Corrupt, manners.corrupt),
            (Self::Inject, manners.inject),
            (Self::Tamper, manners.tamper),
            (Self::Clock, manners.clock),
        ];
        all.into_iter().filter(|(_, weight)| *weight > 0).collect()
    }
}

impl World {
    pub(super) fn rude(
        &mut self,
        index: usize,
        rude: Rude,
        choices: &mut Choices<'_>,
    ) -> Result<(), Violation> {
        match rude {
            Rude::Disconnect => {
                let heard = choices.below(self.relay.in_flight_up(index) + 1);
                self.note(format!("{index} loses its connection"));
                self.count("disconnect");
                self.disconnect(index, heard)
            }
            Rude::Crash => self.restart(index),
            Rude::StoreFailure => {
                let moods = [StoreMood::Fails, StoreMood::DiesBefore, StoreMood::DiesAfter];
                self.poll(index, moods.get(choices.below(3)).copied().unwrap_or(StoreMood::Fails)).map(drop)
            }
            Rude::Rollback => self.roll_back(index, choices),
            Rude::Epoch => self.epoch(choices),
            Rude::Delay => {
                if let Some(place) = self.staged_message(choices) {
                    let held = self.relay.staged.remove(place);
                    self.relay.held.push(held);
                    self.count("delay");
                }
                Ok(())
            }
            Rude::Release => {
                if !self.relay.held.is_empty() {
                    let place = choices.below(self.relay.held.len());
                    let released = self.relay.held.remove(place);
                    self.relay.staged.push(released);
                }
                Ok(())
            }
            Rude::Withhold => {
                if let Some(place) = self.staged_message(choices) {
                    self.relay.staged.remove(place);
                    self.count("withhold");
                }
                Ok(())
            }
            Rude::Duplicate => {
                let archive = &self.relay.archive;
                let Some((to, Content::Message { sender, header_blob, ciphertext, .. })) =
                    archive.get(choices.below(archive.len())).cloned()
                else {
                    return Ok(());
                };
                // A copy that overtakes what it is a copy of is no forgery: it is the message.
                if !self.is_over(&to, &header_blob)? {
                    return Ok(());
                }
                self.count("duplicate");
                let copy = Content::Message { sender, header_blob, ciphertext, genuine: false };
                self.relay.staged.push((to, copy));
                Ok(())
            }
            Rude::Corrupt => self.corrupt(choices),
            Rude::Inject => self.inject(index, choices),
            Rude::Tamper => {
                self.tamper(choices);
                Ok(())
            }
            Rude::Clock => {
                self.clock += choices.one_of(&JUMPS).copied().unwrap_or(0);
                self.ring()
            }
        }
    }

    /// Calls every device whose timer is due.
    pub(super) fn ring(&mut self) -> Result<(), Violation> {
        let clock = self.clock;
        for device in &mut self.devices {
            let now = device.now(clock);
            if device.timer.is_some_and(|at| at <= now.uptime) {
                device.timer = None;
                device.machine.tick(now, &mut device.rng);
            }
        }
        Ok(())
    }

    fn roll_back(&mut self, index: usize, choices: &mut Choices<'_>) -> Result<(), Violation> {
        if choices.chance(500) {
            let sent = self.ledger.len();
            self.device(index)?.back_up(sent);
            return Ok(());
        }
        let device = self.device(index)?;
        let backup = choices.below(device.backups());
        let inbox = device.inbox()?;
        let Some(first) = device.roll_back(backup) else { return Ok(()) };
        self.note(format!("{index} comes back from a backup"));
        self.count("rollback");
        // A device cannot name what its disk no longer knows of: what it sent, and what it took and nobody heard yet.
        for (number, _) in self.ledger.owed_by(index, first) {
            self.ledger.named(number, "its sender's store forgot it");
        }
        inbox.into_iter().for_each(|number| self.ledger.named(number, "its recipient's store forgot it"));
        self.restart(index)
    }

    fn epoch(&mut self, choices: &mut Choices<'_>) -> Result<(), Violation> {
        if choices.chance(500) || !self.relay.restore_backup() {
            self.relay.back_up();
            return Ok(());
        }
        self.note("the relay's database comes back from a backup");
        self.count("epoch");
        for index in 0..self.devices.len() {
            self.disconnect(index, 0)?;
        }
        Ok(())
    }

    fn corrupt(&mut self, choices: &mut Choices<'_>) -> Result<(), Violation> {
        let Some(place) = self.staged_message(choices) else { return Ok(()) };
        let Some((to, content)) = self.relay.staged.get(place).cloned() else { return Ok(()) };
        let Content::Message { sender, mut header_blob, mut ciphertext, .. } = content.clone() else {
            return Ok(());
        };
        let bytes = if choices.chance(500) { &mut header_blob } else { &mut ciphertext };
        let (byte, bit) = (choices.below(bytes.len()), choices.below(8));
        if let Some(byte) = bytes.get_mut(byte) {
            *byte ^= 1 << bit;
        }
        let forged = Content::Message { sender, header_blob, ciphertext, genuine: false };
        self.count("corrupt");
        if choices.chance(500) {
            // In place of the message, not beside it.
            self.relay.staged.remove(place);
        }
        self.relay.staged.insert(place, (to, forged));
        Ok(())
    }

    fn inject(&mut self, index: usize, choices: &mut Choices<'_>) -> Result<(), Violation> {
        let frame = match choices.below(6) {
            4 | 5 => {
                if self.relay.garble(index, choices.below(256), choices.below(8)) {
                    self.count("garble");
                }
                return Ok(());
            }
            0 => {
                let len = choices.below(64);
                choices.noise(len)
            }
            1 => to_bytes(&ToDevice::Done { request: u32::try_from(choices.below(256)).unwrap_or(0) })?,
            2 => {
                let sequence = choices.below(64) as u64;
                let (Some(sender), Some((_, Content::Message { header_blob, ciphertext, .. }))) = (
                    self.devices.get(choices.below(self.devices.len())).and_then(|device| device.id),
                    self.relay.archive.get(choices.below(self.relay.archive.len())),
                ) else {
                    return Ok(());
                };
                to_bytes(&ToDevice::Deliver {
                    sequence,
                    previous: sequence.saturating_sub(1),
                    sender,
                    header_blob: header_blob[..].into(),
                    ciphertext: ciphertext[..].into(),
                    received_at: 0,
                })?
            }
            _ => to_bytes(&ToDevice::Statement {
                sequence: 1,
                previous: 0,
                statement: choices.noise(80)[..].into(),
                chain: &choices.noise(80),
            })?,
        };
        self.count("inject");
        self.relay.inject(index, frame);
        Ok(())
    }

    /// Whether a copy of this message can only be a replay: its recipient took it in for good.
    fn is_over(&self, to: &DeviceId, header_blob: &[u8]) -> Result<bool, Violation> {
        let nonce = super::passing::nonce(header_blob)?;
        let recipient = self.devices.iter().find(|device| device.id == Some(*to));
        let has_forgotten = recipient.is_none_or(|device| device.rolled_back);
        let is_it = |content: &Content| matches!(content, Content::Message { header_blob: other, .. } if other == header_blob);
        let waits = self.relay.unacknowledged(to).any(|entry| is_it(&entry.content));
        Ok(self.over.contains(nonce) && !self.rejected.contains(nonce) && !has_forgotten && !waits)
    }

    /// A staged message, by choice.
    fn staged_message(&self, choices: &mut Choices<'_>) -> Option<usize> {
        let staged = self.relay.staged.iter().enumerate();
        let is_message = |content: &Content| matches!(content, Content::Message { genuine: true, .. });
        let places: Vec<usize> =
            staged.filter(|(_, (_, content))| is_message(content)).map(|(place, _)| place).collect();
        choices.one_of(&places).copied()
    }
}
