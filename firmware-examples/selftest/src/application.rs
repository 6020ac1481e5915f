//! What runs on top of a device: it counts what it said and heard, and keeps the count in the device's own store,
//! so that a restart takes both back to the same point.

use av_proto::testing::Side;
use heapless::Vec;

use crate::{Failure, require};

/// Bytes of the longest message that the self-test sends.
const LONGEST: usize = 1_200;
/// Messages a side: their numbers are the bits of a u128.
const MESSAGES: u32 = u128::BITS;

/// Text of a message.
pub type Text = Vec<u8, LONGEST>;

/// One bit a message.
#[derive(Clone, Copy, Default)]
struct Journal {
    said: u128,
    heard: u128,
}

/// One side of the conversation.
pub struct Application {
    side: Side,
    now: Journal,
    stored: Journal,
}

impl Application {
    pub fn new(side: Side) -> Self {
        Self { side, now: Journal::default(), stored: Journal::default() }
    }

    /// The number of the next message to say.
    pub fn next(&self) -> u32 {
        self.stored.said.trailing_ones()
    }

    /// It was given to the device.
    pub fn said(&mut self, number: u32) {
        self.now.said |= 1 << number;
    }

    /// Whether what was said is stored: otherwise it is to be said again.
    pub fn has_said(&self, number: u32) -> bool {
        self.stored.said & 1 << number != 0
    }

    /// The device delivered a message.
    ///
    /// # Errors
    /// [`Failure`] when it is not the other side's, byte for byte, or was heard before.
    pub fn hear(&mut self, text: &[u8]) -> Result<(), Failure> {
        let number = text.first().map_or(MESSAGES, |first| u32::from(*first));
        require(number < MESSAGES, "a message came with a number that nobody gave")?;
        require(text == message(other(self.side), number)?, "a message came with another text")?;
        require(self.now.heard & 1 << number == 0, "a message came twice")?;
        self.now.heard |= 1 << number;
        Ok(())
    }

    /// Whether all that `said` holds is heard and stored, and nothing else.
    pub fn heard_all_of(&self, said: &Self) -> bool {
        self.stored.heard == said.stored.said
    }

    /// Messages that were said.
    pub fn count(&self) -> u32 {
        self.stored.said.count_ones()
    }

    /// The device's batch is stored, and this with it.
    pub fn stored(&mut self) {
        self.stored = self.now;
    }

    /// Power failed.
    pub fn restart(&mut self) {
        self.now = self.stored;
    }
}

pub const fn other(side: Side) -> Side {
    match side {
        Side::Owner => Side::Agent,
        Side::Agent => Side::Owner,
    }
}

/// The n-th message of a side: its number and a pattern, of a length between 1 and [`LONGEST`].
///
/// # Errors
/// [`Failure`] for a number that is too great.
pub fn message(side: Side, number: u32) -> Result<Text, Failure> {
    let first = u8::try_from(number).map_err(|_| Failure("a number too great for one byte"))?;
    let step = if side == Side::Owner { 7 } else { 11 };
    let length = 1 + usize::from(first) * 173 % LONGEST;
    Ok(core::iter::successors(Some(first), |byte| Some(byte.wrapping_add(step))).take(length).collect())
}
