//! How rude the network is: how often, in a thousand steps, each thing goes wrong.

/// In a thousand steps each; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// A connection breaks; what is in flight on it is lost from some frame on.
    pub disconnect: u32,
    /// A device's process dies between two outputs and restarts from its store.
    pub crash: u32,
    /// The store fails to commit a batch, or the process dies while it does.
    pub store_failure: u32,
    /// A device restarts from an older copy of its store.
    pub rollback: u32,
    /// The relay's database is restored from a backup: a new inbox epoch.
    pub epoch: u32,
    /// The relay holds a message back and files it later: messages come in another order.
    pub delay: u32,
    /// The relay loses a message that it said to be durable.
    pub withhold: u32,
    /// The relay files a message a second time, under another sequence.
    pub duplicate: u32,
    /// The relay changes a bit of a message.
    pub corrupt: u32,
    /// The relay makes up a frame: noise, or an old one of this or another device.
    pub inject: u32,
    /// The relay changes a request for enrollment, or a grant.
    pub tamper: u32,
    /// Time passes.
    pub clock: u32,
}

impl Manners {
    /// Nothing goes wrong.
    pub const KIND: Self = Self {
        disconnect: 0,
        crash: 0,
        store_failure: 0,
        rollback: 0,
        epoch: 0,
        delay: 0,
        withhold: 0,
        duplicate: 0,
        corrupt: 0,
        inject: 0,
        tamper: 0,
        clock: 5,
    };

    /// What happens to honest people: connections break, processes die, disks fail. Nothing may be lost.
    pub const FAULTY: Self = Self { disconnect: 15, crash: 15, store_failure: 30, clock: 20, ..Self::KIND };

    /// A relay that loses, delays, repeats and changes messages, inside frames that are as they should be.
    pub const HOSTILE: Self = Self { delay: 60, withhold: 10, duplicate: 30, corrupt: 20, ..Self::FAULTY };

    /// A relay that also makes up frames: it can tell a device that a message is safe, or number an inbox anew.
    pub const LYING: Self = Self { inject: 30, ..Self::HOSTILE };

    /// All of it, and stores that come back from a backup, on either side.
    pub const RUDE: Self = Self { rollback: 4, epoch: 3, ..Self::LYING };

    /// A relay that changes requests and grants; little else goes wrong, so that many come that far.
    pub const TAMPERING: Self = Self { tamper: 120, inject: 1, ..Self::FAULTY };
}
