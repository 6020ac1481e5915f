//! What happens to the agent, in order, as bytes in a file: step(1) ‖ length(u16) ‖ bytes.

/// File in the emulator's working directory.
pub const FILE: &core::ffi::CStr = c"agent.script";

/// Bytes of the longest step: a frame.
pub const LONGEST: usize = 4_224;

/// Bytes of a step's head.
pub const HEAD: usize = 3;

/// Messages that the owner says, and the agent answers, each by a Diffie-Hellman step of both.
pub const MESSAGES: u32 = 4;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The invite's text, and in front of it the 16 bytes of the inviting owner's id.
    Enroll = 1,
    /// A fresh connection.
    Connect = 2,
    /// A frame from the relay.
    Frame = 3,
    /// Power fails.
    Restart = 4,
}

impl Step {
    /// The step of a head, and the bytes behind it.
    pub fn from_head([step, high, low]: [u8; HEAD]) -> Option<(Self, usize)> {
        let known = [Self::Enroll, Self::Connect, Self::Frame, Self::Restart];
        let step = known.into_iter().find(|known| *known as u8 == step)?;
        Some((step, usize::from(u16::from_be_bytes([high, low]))))
    }

    /// The head of a step.
    pub fn head(self, len: usize) -> Option<[u8; HEAD]> {
        let [high, low] = u16::try_from(len).ok()?.to_be_bytes();
        Some([self as u8, high, low])
    }
}
