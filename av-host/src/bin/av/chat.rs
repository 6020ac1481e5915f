//! `av chat`: typed lines go out, what comes is printed. Works on a terminal and in a pipe.

use std::time::Duration;

use av_host::av_proto::wire::DeviceId;
use av_host::av_proto::{Event, OutboxId, SendError, Standing};
use av_host::{Error, Message, Notice, Owner, Peer};
use clap::Args;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader, Split};
use tokio::time::Instant;

use crate::Global;
use crate::failure::{Failure, explain};
use crate::peer;
use crate::session::{finish, interrupted, open, refusal};
use crate::terminal::{Escaped, hint, say};

/// Send lines, and print what comes
#[derive(Args)]
#[command(
    after_help = "Examples:\n  av chat thermostat\n  echo 'how warm is it?' | av chat thermostat --expect 1 --linger 30\n\nAt the end of the input it waits until the relay has accepted every line. A line `(sent)` says that one was."
)]
pub(crate) struct Chat {
    /// After the input ends, wait up to this many seconds for messages
    #[arg(long, value_name = "SECONDS")]
    linger: Option<u64>,
    /// After the input ends, wait until so many messages have come
    #[arg(long, value_name = "N", default_value_t = 0)]
    expect: usize,
    /// Name, or beginning of the id or fingerprint; may be left out when there is only one
    peer: Option<String>,
}

impl Chat {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let stored = open(global)?;
        let peers = stored.peers();
        let to = self.recipient(&peers)?.device_id;
        let mut owner = Owner::start(stored)?;
        let mut conversation = Conversation {
            to,
            peers,
            unsent: None,
            was_held: false,
            on_the_way: Vec::new(),
            received: 0,
            input_ended: false,
            refused: None,
            was_lost: false,
        };
        let outcome = tokio::select! {
            outcome = self.converse(&mut owner, &mut conversation) => Some(outcome),
            () = interrupted() => None,
        };
        let outcome = outcome.unwrap_or_else(|| conversation.interrupted());
        finish(owner, outcome).await
    }

    fn recipient<'p>(&self, peers: &'p [Peer]) -> Result<&'p Peer, Failure> {
        if let Some(wanted) = &self.peer {
            let found = peer::find(peers, wanted)?;
            // Said before anybody types: nothing would go out.
            return match found.standing {
                Standing::Approved | Standing::Active => Ok(found),
                Standing::Suspended => Err(Failure::refused(format!(
                    "{} is suspended: av resume lets it in again",
                    Escaped(&found.name)
                ))),
                Standing::Uncertified => Err(Failure::refused(format!(
                    "{} was certified by an owner that is revoked: an owner has to certify it anew",
                    Escaped(&found.name)
                ))),
                Standing::Revoked => Err(Failure::refused(format!(
                    "{} is revoked for good: a new invite is the only way back",
                    Escaped(&found.name)
                ))),
            };
        }
        let mut writable =
            peers.iter().filter(|peer| matches!(peer.standing, Standing::Approved | Standing::Active));
        match (writable.next(), writable.next()) {
            (Some(peer), None) => Ok(peer),
            (None, _) => Err(Failure::usage("there is nobody to talk to yet: av invite, then av approve")),
            (Some(_), Some(_)) => Err(Failure::usage("there are several peers: name one, see av peers")),
        }
    }

    async fn converse(&self, owner: &mut Owner, conversation: &mut Conversation) -> Result<(), Failure> {
        let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
        let mut deadline = None;
        loop {
            conversation.send_what_is_unsent(owner).await?;
            // An empty outbox is not enough: that the last line was accepted may still have to be told.
            if conversation.input_ended
                && conversation.unsent.is_none()
                && conversation.on_the_way.is_empty()
                && owner.device().outbox_len().await? == 0
            {
                if let Some(refusal) = conversation.refused.take() {
                    return Err(refusal);
                }
                let enough = conversation.received >= self.expect;
                match self.linger {
                    Some(seconds) if deadline.is_none() => {
                        deadline = Some(Instant::now() + Duration::from_secs(seconds));
                    }
                    None if enough => return Ok(()),
                    _ => {}
                }
                if enough && self.expect > 0 {
                    return Ok(());
                }
            }
            // A line that waits to be sent holds back the next: its sender should see that nothing moves.
            let wants_line = !conversation.input_ended && conversation.unsent.is_none();
            let over = deadline.unwrap_or_else(Instant::now);
            // Each branch is cancel safe: `next_segment` keeps what it has read, the others are channels and timers.
            tokio::select! {
                line = next_line(&mut lines), if wants_line => conversation.typed(line?),
                notice = owner.device().next() => match notice {
                    Some(notice) => conversation.take(owner, notice).await?,
                    None => return Err(Failure::failed("the device stopped")),
                },
                () = tokio::time::sleep_until(over), if deadline.is_some() => {
                    return if conversation.received >= self.expect {
                        Ok(())
                    } else {
                        Err(Failure::failed(format!(
                            "{} of {} messages came in time", conversation.received, self.expect
                        )))
                    };
                }
            }
        }
    }
}

/// The next line's bytes: a message need not be text.
async fn next_line<R: AsyncBufRead + Unpin>(lines: &mut Split<R>) -> Result<Option<Vec<u8>>, Failure> {
    let line = lines.next_segment().await;
    let mut line = line.map_err(|error| Failure::failed(format!("cannot read the input: {error}")))?;
    if let Some(line) = &mut line {
        line.pop_if(|last| *last == b'\r');
    }
    Ok(line)
}

struct Conversation {
    to: DeviceId,
    peers: Vec<Peer>,
    /// A line that could not be sent yet. It is not stored: the outbox is full, or there is no session.
    unsent: Option<Vec<u8>>,
    /// Messages that the relay has not accepted yet.
    on_the_way: Vec<OutboxId>,
    received: usize,
    input_ended: bool,
    refused: Option<Failure>,
    was_lost: bool,
    /// Whether it was said that a line has to wait.
    was_held: bool,
}

impl Conversation {
    fn typed(&mut self, line: Option<Vec<u8>>) {
        match line {
            Some(line) if line.is_empty() => {}
            Some(line) => self.unsent = Some(line),
            None => self.input_ended = true,
        }
    }

    /// What was sent is stored, and goes out next time. A line that had to wait is not: it is given back.
    fn interrupted(&self) -> Result<(), Failure> {
        match &self.unsent {
            None => Ok(()),
            Some(line) => Err(Failure::failed(format!(
                "interrupted; this line was not sent, nor any behind it: {}",
                Escaped(&String::from_utf8_lossy(line))
            ))),
        }
    }

    async fn send_what_is_unsent(&mut self, owner: &mut Owner) -> Result<(), Failure> {
        let Some(line) = &self.unsent else { return Ok(()) };
        match owner.device().send(self.to, line.clone()).await {
            Ok(id) => self.on_the_way.push(id),
            // Both end by themselves: when the relay accepts, or when the peer's first message comes.
            Err(Error::Send(error @ (SendError::OutboxFull | SendError::NotReady))) => {
                // While the relay takes messages, a full outbox is a matter of milliseconds.
                if !self.was_held && (self.was_lost || error == SendError::NotReady) {
                    self.was_held = true;
                    hint!("what you type now is held back and not stored yet: {error}");
                }
                return Ok(());
            }
            Err(Error::Send(SendError::TooLong)) => {
                self.refused = Some(Failure::failed("a line was too long and was not sent: split it"));
                hint!("not sent, longer than the peer takes: {} bytes", line.len());
            }
            Err(Error::Send(error @ SendError::PeerNotActive)) => return Err(Failure::refused(error)),
            Err(error) => return Err(error.into()),
        }
        self.unsent = None;
        Ok(())
    }

    async fn take(&mut self, owner: &mut Owner, notice: Notice) -> Result<(), Failure> {
        match notice {
            Notice::Message(message) => {
                self.print(&message)?;
                // After it is on the screen: a crash in between shows it twice rather than never.
                owner.device().confirm(&message).await?;
                self.received += 1;
            }
            // The receipt may come where the relay's word was lost.
            Notice::Event(Event::Accepted(id) | Event::Delivered(id)) => {
                if let Some(index) = self.on_the_way.iter().position(|waiting| *waiting == id) {
                    self.on_the_way.swap_remove(index);
                    say!("(sent)")?;
                }
            }
            Notice::Event(Event::Refused(id, code)) => {
                self.on_the_way.retain(|waiting| *waiting != id);
                hint!("not delivered: {}", explain(code));
                self.refused = Some(Failure::refused_with("a message was not taken", code));
            }
            Notice::Event(Event::Diverged(device)) => {
                hint!("{device} ran on an old copy of its state: what it received since then is lost to it");
            }
            Notice::Event(Event::Authenticated) => (self.was_lost, self.was_held) = (false, false),
            Notice::Event(Event::PeerActive(_) | Event::PeerStanding(..)) => {
                self.peers = owner.device().peers().await?;
            }
            Notice::Event(event) => refusal(&event)?,
            // Said once: it keeps trying, and what is typed meanwhile is kept.
            Notice::Disconnected(error) if !self.was_lost => {
                self.was_lost = true;
                hint!("{error}; trying again, and what you type is kept");
            }
            Notice::Disconnected(_) => {}
        }
        Ok(())
    }

    /// Every line under the sender's name, so that no line can pass for somebody else's.
    fn print(&self, message: &Message) -> Result<(), Failure> {
        let known = self.peers.iter().find(|peer| peer.device_id == message.from);
        let name = known.map_or_else(|| message.from.to_string(), |peer| peer.name.clone());
        let text = String::from_utf8_lossy(&message.payload);
        for line in text.strip_suffix('\n').unwrap_or(&text).split('\n') {
            say!("{}: {}", Escaped(&name), Escaped(line))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
