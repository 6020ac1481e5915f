//! Random schedules against a model without cryptography: it says of every message whether it opens, and why not.

use std::collections::VecDeque;
use std::format;
use std::string::String;
use std::vec::Vec;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::Rng;

use super::{Message, Party, pair};
use crate::crypto::XChaCha20Poly1305;
use crate::limits::PAST_CHAINS;
use crate::ratchet::RatchetError;
use crate::test_support::rng;

const SKIP: usize = 6;
const SCHEDULES: u64 = 100;
const STEPS: usize = 120;

/// A message with what the model may know of it.
struct Sent {
    message: Message,
    body: String,
    /// The sender's chain, counted from 1.
    chain: u32,
    number: u32,
    previous: u32,
}

/// One side of the ratchet as numbers.
#[derive(Default)]
struct Model {
    /// The sending chain and the messages in it; a new one is begun when a step is due.
    sending: (u32, u32),
    previous: u32,
    step_is_due: bool,
    /// The receiving chain and its next number.
    receiving: (u32, u32),
    /// Past receiving chains and their lengths, the newest last.
    past: VecDeque<(u32, u32)>,
    skipped: VecDeque<(u32, u32)>,
}

impl Model {
    fn send(&mut self) -> (u32, u32, u32) {
        if self.step_is_due {
            self.previous = self.sending.1;
            self.sending = (self.sending.0 + 1, 0);
            self.step_is_due = false;
        }
        let number = self.sending.1;
        self.sending.1 += 1;
        (self.sending.0, number, self.previous)
    }

    fn receive(&mut self, sent: &Sent) -> Result<(), RatchetError> {
        let (chain, next) = self.receiving;
        if sent.chain == chain {
            if sent.number < next {
                return self.use_skipped(sent);
            }
            Self::check(sent.number - next)?;
            self.skip(chain, next..sent.number);
            self.receiving.1 = sent.number + 1;
            return Ok(());
        }
        if sent.chain == chain + 1 && !self.step_is_due {
            Self::check(sent.previous - next + sent.number)?;
            if chain > 0 {
                if self.past.len() == PAST_CHAINS {
                    let given_up = self.past.pop_front().map(|(chain, _)| chain);
                    self.skipped.retain(|(chain, _)| Some(*chain) != given_up);
                }
                self.past.push_back((chain, sent.previous));
                self.skip(chain, next..sent.previous);
            }
            self.skip(chain + 1, 0..sent.number);
            self.receiving = (chain + 1, sent.number + 1);
            self.step_is_due = true;
            return Ok(());
        }
        if self.past.iter().any(|(past, _)| *past == sent.chain) {
            return self.use_skipped(sent);
        }
        Err(RatchetError::Unopened)
    }

    fn check(missing: u32) -> Result<(), RatchetError> {
        if usize::try_from(missing).expect("small") <= SKIP {
            Ok(())
        } else {
            Err(RatchetError::TooManySkipped)
        }
    }

    fn skip(&mut self, chain: u32, numbers: core::ops::Range<u32>) {
        for number in numbers {
            if self.skipped.len() == SKIP {
                self.skipped.pop_front();
            }
            self.skipped.push_back((chain, number));
        }
    }

    fn use_skipped(&mut self, sent: &Sent) -> Result<(), RatchetError> {
        let key = (sent.chain, sent.number);
        let index = self.skipped.iter().position(|skipped| *skipped == key).ok_or(RatchetError::Spent)?;
        self.skipped.remove(index);
        Ok(())
    }
}

struct Side {
    party: Party<XChaCha20Poly1305, SKIP>,
    model: Model,
    /// What the network holds for this side.
    mailbox: Vec<Sent>,
    delivered: Vec<String>,
}

fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u32()).expect("32 bits") % bound
}

fn send(from: &mut Side, to: &mut Side, body: String) {
    let message = from.party.send(body.as_bytes());
    let (chain, number, previous) = from.model.send();
    to.mailbox.push(Sent { message, body, chain, number, previous });
}

/// Takes a message from the mailbox, now and then leaving it there to come again.
fn deliver(side: &mut Side, rng: &mut ChaCha20Rng, seed: u64) {
    if side.mailbox.is_empty() {
        return;
    }
    // Mostly in order, often enough not.
    let index = if below(rng, 3) == 0 { below(rng, side.mailbox.len()) } else { 0 };
    let before = side.party.record();
    let sent = &side.mailbox[index];
    let expected = side.model.receive(sent).map(|()| sent.body.clone().into_bytes());
    let result = side.party.receive(&sent.message);
    assert_eq!(result, expected, "seed {seed}, chain {}, number {}", sent.chain, sent.number);
    match result {
        Ok(_) => {
            assert!(!side.delivered.contains(&sent.body), "seed {seed}: delivered twice");
            side.delivered.push(sent.body.clone());
        }
        Err(_) => {
            assert!(side.party.record() == before, "seed {seed}: a rejected message changed the session")
        }
    }
    if below(rng, 6) > 0 {
        side.mailbox.remove(index);
    }
}

#[test]
fn random_schedules_go_as_the_model_says() {
    let (mut delivered, mut sent) = (0, 0);
    for seed in 0..SCHEDULES {
        let mut rng = rng(seed);
        let (a, b) = pair::<XChaCha20Poly1305, SKIP>(1_000 + seed);
        let side = |party, model| Side { party, model, mailbox: Vec::new(), delivered: Vec::new() };
        // The first message is sent and opened.
        let mut a = side(a, Model { sending: (1, 1), ..Model::default() });
        let mut b = side(b, Model { receiving: (1, 1), step_is_due: true, ..Model::default() });
        for step in 0..STEPS {
            match below(&mut rng, 9) {
                0 | 1 => send(&mut a, &mut b, format!("a {step}")),
                2 | 3 => send(&mut b, &mut a, format!("b {step}")),
                4 | 5 => deliver(&mut a, &mut rng, seed),
                6 | 7 => deliver(&mut b, &mut rng, seed),
                _ => {
                    // Loss, and a restart.
                    let side = if below(&mut rng, 2) == 0 { &mut a } else { &mut b };
                    if !side.mailbox.is_empty() {
                        let index = below(&mut rng, side.mailbox.len());
                        side.mailbox.remove(index);
                    }
                    side.party.restart();
                }
            }
        }
        delivered += a.delivered.len() + b.delivered.len();
        sent += usize::try_from(a.model.sending.0 + b.model.sending.0).expect("small");
    }
    // The schedules do what they are for: many messages open, over many chains.
    assert!(delivered > 3_000 && sent > 800, "{delivered} messages delivered in {sent} chains");
}
