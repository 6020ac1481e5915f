//! The Noise link between a device and the relay's stand-in, as buffers.

use av_link::limits::TAG;
use av_link::{Initiator, LinkError, LinkSecret, Transport, respond};
use av_wire::Origin;
use rand_core::CryptoRng;

use super::{FRAME, Frame};

/// Both ends of an open Noise link: what goes in at one comes out at the other, sealed in between.
pub struct NoisePipe {
    device: Transport,
    relay: Transport,
}

impl NoisePipe {
    /// Plays the handshake of a device that knows `link_key` with the relay that holds `secret`.
    ///
    /// # Errors
    /// [`LinkError::Rejected`] when that is not its key.
    pub fn open(
        rng: &mut dyn CryptoRng,
        origin: &Origin,
        link_key: &[u8; 32],
        secret: &LinkSecret,
    ) -> Result<Self, LinkError> {
        let (initiator, message) = Initiator::start(rng, origin, link_key)?;
        let (relay, answer) = respond(rng, origin, secret, &message)?;
        Ok(Self { device: initiator.finish(&answer)?, relay })
    }

    /// The device's end, for its endpoint.
    pub const fn device(&self) -> &Transport {
        &self.device
    }

    /// The device's frame as the relay has it.
    ///
    /// # Errors
    /// [`LinkError::Length`] for a frame of more than [`FRAME`] bytes.
    pub fn to_relay(&mut self, frame: &[u8]) -> Result<Frame, LinkError> {
        pass(&mut self.device, &mut self.relay, frame)
    }

    /// The relay's frame as the device has it.
    ///
    /// # Errors
    /// [`LinkError::Length`] for a frame of more than [`FRAME`] bytes.
    pub fn to_device(&mut self, frame: &[u8]) -> Result<Frame, LinkError> {
        pass(&mut self.relay, &mut self.device, frame)
    }
}

fn pass(from: &mut Transport, to: &mut Transport, frame: &[u8]) -> Result<Frame, LinkError> {
    let mut buffer = [0; FRAME + TAG];
    buffer.get_mut(..frame.len()).ok_or(LinkError::Length)?.copy_from_slice(frame);
    let sealed = from.seal(&mut buffer, frame.len())?.len();
    let message = buffer.get_mut(..sealed).ok_or(LinkError::Length)?;
    Frame::from_slice(to.open(message)?).map_err(|_| LinkError::Length)
}
