//! One step: what happens next, by choice.

use super::World;
use super::rudeness::Rude;
use crate::choices::Choices;
use crate::device::StoreMood;
use crate::ledger::Violation;
use crate::watch;

/// What an honest world does all day.
const CALM: [Calm; 6] = [Calm::Poll, Calm::Up, Calm::Down, Calm::Say, Calm::Hear, Calm::Connect];

#[derive(Clone, Copy, Debug)]
enum Calm {
    Poll,
    Up,
    Down,
    Say,
    Hear,
    Connect,
}

impl Calm {
    /// In a thousand seeded steps.
    const fn weight(self) -> u32 {
        match self {
            Self::Poll => 350,
            Self::Up | Self::Down => 150,
            Self::Say => 70,
            Self::Hear => 100,
            Self::Connect => 60,
        }
    }
}

impl World {
    /// One thing happens, and what must hold at any moment is checked.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn step(&mut self, choices: &mut Choices<'_>) -> Result<(), Violation> {
        let index = choices.below(self.devices.len());
        let stepped = match self.choose(choices) {
            Ok(calm) => self.calm(index, calm, choices),
            Err(rude) => self.rude(index, rude, choices),
        };
        let stepped = stepped.and_then(|()| self.check_peers());
        stepped.map_err(|violation| violation.after(self.trace.iter().cloned()))
    }

    /// A calm thing, or a rude one.
    fn choose(&self, choices: &mut Choices<'_>) -> Result<Calm, Rude> {
        let rude: Vec<(Rude, u32)> = Rude::all(&self.manners);
        if let Choices::Bytes(_) = choices {
            let drawn = choices.below(CALM.len() + rude.len());
            let calm = CALM.get(drawn).copied();
            let rude = drawn.checked_sub(CALM.len()).and_then(|drawn| rude.get(drawn));
            return rude.map_or(Ok(calm.unwrap_or(Calm::Poll)), |(rude, _)| Err(*rude));
        }
        let weights = CALM.map(|calm| (Ok(calm), calm.weight())).into_iter();
        let weights: Vec<_> =
            weights.chain(rude.into_iter().map(|(rude, weight)| (Err(rude), weight))).collect();
        let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut drawn = u32::try_from(choices.below(sum as usize)).unwrap_or(0);
        for (chosen, weight) in weights {
            match drawn.checked_sub(weight) {
                Some(rest) => drawn = rest,
                None => return chosen,
            }
        }
        Ok(Calm::Poll)
    }

    fn calm(&mut self, index: usize, calm: Calm, choices: &mut Choices<'_>) -> Result<(), Violation> {
        match calm {
            Calm::Poll => self.poll(index, StoreMood::Works).map(drop),
            Calm::Up => self.relay.take(index).map(drop),
            Calm::Down => {
                // What the relay took in lies there a while, so that it can be rude to it.
                if choices.chance(300) {
                    self.relay.commit();
                }
                self.deliver(index).map(drop)
            }
            Calm::Say => self.say(index, choices),
            Calm::Hear => self.hear(index, choices.chance(300)),
            Calm::Connect if !self.relay.is_open(index) => self.connect(index),
            Calm::Connect => self.poll(index, StoreMood::Works).map(drop),
        }
    }

    /// The application sends a message, short, or now and then as long as a microcontroller takes.
    pub(super) fn say(&mut self, index: usize, choices: &mut Choices<'_>) -> Result<(), Violation> {
        if index == 0 && self.check_active().is_err() {
            return self.list_pending().or(Ok(()));
        }
        let peers = self.device(index)?.machine.peer_ids();
        let Some(peer) = choices.one_of(&peers).copied() else { return Ok(()) };
        let len = if choices.chance(20) { 3_500 } else { choices.below(120) };
        let payload = self.ledger.payload(len);
        let device = self.device(index)?;
        let Ok(id) = device.machine.send(&mut device.rng, &peer, &payload) else { return Ok(()) };
        self.book(index, peer, id, payload).map(drop)
    }

    /// The application takes a message that was offered, and answers it or not.
    pub(super) fn hear(&mut self, index: usize, answers: bool) -> Result<(), Violation> {
        let payload = self.ledger.payload(16);
        let device = self.device(index)?;
        let Some(waiting) = device.waiting.pop_front() else { return Ok(()) };
        let sent = answers.then(|| device.machine.answer(&mut device.rng, &waiting.ticket, &payload));
        let answer = sent.and_then(Result::ok);
        if answer.is_none() {
            let confirmed = device.machine.confirm(&waiting.ticket);
            confirmed.map_err(|error| Violation::new(format!("a fresh ticket: {error}")))?;
        }
        device.unsettled.push(waiting.id);
        self.ledger.heard(waiting.number);
        self.note(format!("{index} hears message {}", waiting.number));
        self.count("heard");
        answer.map_or(Ok(()), |id| self.book(index, waiting.from, id, payload).map(drop))
    }

    /// Books a message that was sent, and returns its number.
    pub(super) fn book(
        &mut self,
        index: usize,
        to: av_proto::wire::DeviceId,
        id: av_proto::OutboxId,
        payload: Vec<u8>,
    ) -> Result<usize, Violation> {
        let number = self.ledger.sent(index, to, id, payload, watch::last_body_nonce());
        self.note(format!("{index} sends message {number}"));
        self.count("sent");
        self.device(index)?.unstored.push(number);
        Ok(number)
    }
}
