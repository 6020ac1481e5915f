//! What goes wrong, and when: before the n-th thing that a device does or takes in.

use av_proto::testing::Side;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is lost, with every frame that is under way on it.
    Disconnect,
    /// Power is lost: a cold restart from the sealed records.
    Restart,
}

impl Fault {
    pub const ALL: [Self; 2] = [Self::Disconnect, Self::Restart];
}

/// At most one fault that waits for its turn.
pub struct Faults {
    waiting: Option<(Side, u8, Fault)>,
}

impl Faults {
    pub const fn none() -> Self {
        Self { waiting: None }
    }

    /// Strikes in place of this turn of the device, counted from 0: a frame that comes in, a batch to store, a frame
    /// to send, a message to deliver.
    pub const fn at(side: Side, turn: u8, fault: Fault) -> Self {
        Self { waiting: Some((side, turn, fault)) }
    }

    /// A device's turn has come: what strikes in its place.
    pub fn strike(&mut self, side: Side) -> Option<Fault> {
        match &mut self.waiting {
            Some((whose, 0, fault)) if *whose == side => {
                let fault = *fault;
                self.waiting = None;
                Some(fault)
            }
            Some((whose, turns, _)) if *whose == side => {
                *turns -= 1;
                None
            }
            Some(_) | None => None,
        }
    }

    /// Whether the fault has struck.
    pub const fn have_struck(&self) -> bool {
        self.waiting.is_none()
    }
}
