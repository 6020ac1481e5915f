//! An agent's device: enrolls with an invite, then takes messages and answers them.

use std::path::Path;

use av_proto::wire::{Origin, Role};
use av_proto::{EnrollOptions, InviteText, InviteUrl};

use crate::clock::Clock;
use crate::device::{Device, StoredDevice};
use crate::error::Error;
use crate::keystore::Unlock;
use crate::notice::{Message, Notice};
use crate::randomness::randomness;

/// A running agent's device.
pub struct Agent {
    device: Device,
}

impl Agent {
    /// Makes the device's keys and begins to enroll; an owner has to approve. The state must be empty.
    ///
    /// # Errors
    /// [`Error`]; a name that is too long is [`Error::Command`].
    pub fn enroll(mut stored: StoredDevice, invite: &InviteUrl, name: &str) -> Result<Self, Error> {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        let options = EnrollOptions {
            origin: &invite.origin,
            link_key: invite.link_key,
            inviter: invite.owner,
            role: Role::Agent,
            name,
            platform: &platform,
        };
        let now = Clock::new().now();
        stored.endpoint().enroll(now, &mut randomness()?, &invite.token, &options)?;
        Ok(Self { device: stored.start()? })
    }

    /// Goes on with the agent that a directory holds, from wherever it was.
    ///
    /// # Errors
    /// [`Error::Store`], or what [`Agent::start`] returns.
    pub fn open(directory: &Path, unlock: &Unlock) -> Result<Self, Error> {
        Self::start(StoredDevice::open(directory, unlock)?)
    }

    /// Goes on with a stored agent.
    ///
    /// # Errors
    /// [`Error::Command`] when it never began to enroll, [`Error::NotAgent`].
    pub fn start(mut stored: StoredDevice) -> Result<Self, Error> {
        match stored.endpoint().public().map(|public| public.role) {
            Some(Role::Owner) => Err(Error::NotAgent),
            Some(Role::Agent) | None => Ok(Self { device: stored.start()? }),
        }
    }

    /// The next message; `None` once the agent has stopped. Answer or confirm it: until then it is offered again
    /// after every restart.
    ///
    /// Cancel safe.
    pub async fn next_message(&mut self) -> Option<Message> {
        loop {
            match self.device.next().await? {
                Notice::Message(message) => return Some(message),
                Notice::Event(event) => tracing::info!(?event, "agent"),
                Notice::Disconnected(error) => tracing::warn!(%error, "not connected"),
            }
        }
    }

    /// What agents have in common with owners: messages, peers, what happens.
    pub fn device(&mut self) -> &mut Device {
        &mut self.device
    }

    /// Stops the device and waits until its state is closed.
    ///
    /// # Errors
    /// What made the device stop before: [`Error::Store`] when something could not be stored.
    pub async fn close(self) -> Result<(), Error> {
        self.device.close().await
    }
}

/// An invite as people pass it on: its URL, or its text and the relay's origin beside it.
///
/// # Errors
/// A sentence that says what to do.
pub fn read_invite(text: &str, relay: Option<&Origin>) -> Result<InviteUrl, String> {
    let text = text.trim();
    if text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("av1:")) {
        let invite = InviteUrl::parse(text).map_err(|error| error.to_string())?;
        return match relay {
            Some(relay) if *relay != invite.origin => {
                Err(format!("the invite is for {}, not for {relay}: leave out the relay", invite.origin))
            }
            _ => Ok(invite),
        };
    }
    let token = InviteText::parse(text).map_err(|error| error.to_string())?;
    let origin = relay.cloned().ok_or("this invite does not say at which relay: name the relay too")?;
    Ok(InviteUrl { token, origin, link_key: None, owner: None })
}
