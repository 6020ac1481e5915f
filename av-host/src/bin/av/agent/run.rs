//! `av agent run`: enroll, then hand each message to the handler and its answer back.

use std::collections::VecDeque;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use av_host::av_proto::wire::statement::Verdict;
use av_host::av_proto::{EndReason, Event, Phase, SendError};
use av_host::store::Store;
use av_host::{Agent, Error, Message, Notice, Peer, StoredDevice, read_invite};

use super::config::Config;
use super::handler::{Handler, Question, TRIES};
use crate::failure::{Failure, explain};
use crate::lock::{PASSPHRASE_VARIABLE, unlock};
use crate::session::interrupted;
use crate::terminal::{Escaped, say};
use crate::{Global, home};

pub(super) async fn run(config: Config, global: &Global) -> Result<(), Failure> {
    let handler = Handler::new(&config.exec, &config.directory, config.timeout)?;
    let mut agent = open(&config, global)?;
    let outcome = tokio::select! {
        outcome = serve(&mut agent, &handler, &config) => outcome,
        // The usual end of a service. A message under way is not confirmed, and offered again.
        () = interrupted() => Ok(()),
    };
    match agent.close().await {
        Ok(()) => outcome,
        Err(stopped) => Err(stopped.into()),
    }
}

/// The agent from wherever it was; on the first run it is made and begins to enroll.
fn open(config: &Config, global: &Global) -> Result<Agent, Failure> {
    let beside = key_file_beside(&config.state);
    let named = config.key_file.as_deref().or(global.key_file.as_deref());
    // An agent starts without anybody there to ask: a passphrase only if the environment has one.
    let key_file = named.or_else(|| std::env::var_os(PASSPHRASE_VARIABLE).is_none().then_some(&*beside));
    let exists = Store::exists(&config.state);
    // Before a passphrase is asked for, and long before the network.
    let invite = match (&config.invite, exists) {
        (Some(invite), false) => Some(
            read_invite(invite, config.relay.as_ref())
                .map_err(|error| Failure::usage(format!("invite: {error}")))?,
        ),
        (None, false) => {
            return Err(Failure::usage(
                "this agent is not enrolled yet: put invite = \"…\" into agent.toml, see av invite",
            ));
        }
        (_, true) => None,
    };
    let unlock = unlock(&config.state, key_file)?;
    let mut stored = if exists {
        StoredDevice::open(&config.state, &unlock)?
    } else {
        StoredDevice::create(&config.state, &unlock)?
    };
    if stored.endpoint().phase() != Phase::Empty {
        return Ok(Agent::start(stored)?);
    }
    // Either new, or a first run ended before its keys were stored.
    let invite = match (invite, &config.invite) {
        (Some(invite), _) => invite,
        (None, Some(invite)) => read_invite(invite, config.relay.as_ref())
            .map_err(|error| Failure::usage(format!("invite: {error}")))?,
        (None, None) => {
            return Err(Failure::usage("this agent is not enrolled yet: put invite = \"…\" into agent.toml"));
        }
    };
    let name = config.name.clone().unwrap_or_else(home::machine_name);
    Ok(Agent::enroll(stored, &invite, &name)?)
}

/// `state.key` beside `state`: where the key of an agent's state is when nobody says so.
fn key_file_beside(state: &Path) -> PathBuf {
    let mut name = state.file_name().unwrap_or_default().to_owned();
    name.push(".key");
    state.with_file_name(name)
}

type Answering<'h> = Pin<Box<dyn Future<Output = (Message, Option<Vec<u8>>)> + Send + 'h>>;

/// Messages one by one; what happens meanwhile is told at once.
struct Work<'h> {
    handler: &'h Handler,
    peers: Vec<Peer>,
    waiting: VecDeque<Message>,
    answering: Option<Answering<'h>>,
    /// An answer for which the outbox has no room, or the peer no session yet.
    unsent: Option<(Message, Vec<u8>)>,
    was_lost: bool,
    /// The relay does not let this agent in, or an owner revoked it; it ends with the connection.
    was_put_out: bool,
}

async fn serve(agent: &mut Agent, handler: &Handler, config: &Config) -> Result<(), Failure> {
    if let Some(identity) = agent.device().identity().await? {
        say!("name         {}", Escaped(&identity.name))?;
        say!("fingerprint  {}", identity.fingerprint.groups())?;
    }
    let mut work = Work {
        handler,
        peers: agent.device().peers().await?,
        waiting: VecDeque::new(),
        answering: None,
        unsent: None,
        was_lost: false,
        was_put_out: false,
    };
    loop {
        work.begin();
        // Both are cancel safe: a channel, and a future that is kept in `work`.
        tokio::select! {
            notice = agent.device().next() => match notice {
                Some(notice) => work.take(agent, notice, config).await?,
                None => return Err(Failure::failed("the device stopped")),
            },
            (message, answer) = pending_or(&mut work.answering) => {
                work.answering = None;
                work.finish(agent, message, answer).await?;
            }
        }
    }
}

async fn pending_or(answering: &mut Option<Answering<'_>>) -> (Message, Option<Vec<u8>>) {
    match answering {
        Some(answering) => answering.await,
        None => std::future::pending().await,
    }
}

impl<'h> Work<'h> {
    /// Starts the handler on the next message, if it is free.
    fn begin(&mut self) {
        if self.answering.is_some() || self.unsent.is_some() {
            return;
        }
        if let Some(message) = self.waiting.pop_front() {
            let handler = self.handler;
            let name = self.name_of(&message);
            self.answering = Some(Box::pin(async move {
                let question = Question {
                    from: message.from,
                    from_name: &name,
                    id: message.id,
                    payload: &message.payload,
                };
                let answer = handler.answer(&question).await;
                (message, answer)
            }));
        }
    }

    fn name_of(&self, message: &Message) -> String {
        let known = self.peers.iter().find(|peer| peer.device_id == message.from);
        known.map_or_else(|| message.from.to_string(), |peer| peer.name.clone())
    }

    async fn finish(
        &mut self,
        agent: &mut Agent,
        message: Message,
        answer: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        match answer {
            Some(answer) if !answer.is_empty() => self.send(agent, message, answer).await,
            Some(_) => Ok(agent.device().confirm(&message).await?),
            None => {
                say!("gave up on message {} after {TRIES} tries", message.id)?;
                Ok(agent.device().confirm(&message).await?)
            }
        }
    }

    /// Answer and confirmation are one commit: a crash before it starts the handler again, a crash after it does not.
    async fn send(&mut self, agent: &mut Agent, message: Message, answer: Vec<u8>) -> Result<(), Failure> {
        match agent.device().answer(&message, answer.clone()).await {
            Ok(_) => Ok(()),
            Err(Error::Send(SendError::OutboxFull | SendError::NotReady)) => {
                self.unsent = Some((message, answer));
                Ok(())
            }
            Err(Error::Send(error)) => {
                tracing::error!(id = %message.id, "its answer cannot be sent: {error}");
                Ok(agent.device().confirm(&message).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn take(&mut self, agent: &mut Agent, notice: Notice, config: &Config) -> Result<(), Failure> {
        match notice {
            Notice::Message(message) => {
                self.was_put_out = false;
                self.waiting.push_back(message);
            }
            Notice::Event(event) => self.tell(agent, event, config).await?,
            Notice::Disconnected(_) if self.was_put_out => {
                return Err(Failure::refused(
                    "the relay does not let this agent in: its owner revoked it, or suspended it. After a revocation \
                     it needs a new invite and a new state; after a suspension, start it again once it is resumed",
                ));
            }
            Notice::Disconnected(error) => {
                // Said once: it keeps trying.
                if !self.was_lost {
                    say!("disconnected: {error}; trying again")?;
                }
                self.was_lost = true;
            }
        }
        if let Some((message, answer)) = self.unsent.take() {
            self.send(agent, message, answer).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, agent: &mut Agent, event: Event, config: &Config) -> Result<(), Failure> {
        match event {
            Event::EnrollmentPending => say!("waiting for approval")?,
            Event::EnrollmentGranted { owner } => say!("approved by {}", owner.groups())?,
            Event::EnrollmentActive => say!("enrolled")?,
            Event::EnrollmentEnded(reason) => return Err(ended(reason, config)),
            Event::Authenticated => {
                say!("connected")?;
                (self.was_lost, self.was_put_out) = (false, false);
                self.peers = agent.device().peers().await?;
            }
            Event::NotAuthorized | Event::OwnStanding(Verdict::Revoked) => self.was_put_out = true,
            Event::Superseded => {
                return Err(Failure::failed(
                    "another process runs as this agent, from a copy of its state; end one of them",
                ));
            }
            Event::PeerStanding(..) | Event::PeerActive(_) => self.peers = agent.device().peers().await?,
            Event::Refused(_, code) => tracing::error!("an answer was not taken: {}", explain(code)),
            event => tracing::debug!(?event, "agent"),
        }
        Ok(())
    }
}

fn ended(reason: EndReason, config: &Config) -> Failure {
    let anew = format!(
        "remove {}, which no owner ever approved, and start again with a new invite",
        config.state.display()
    );
    Failure::refused(match reason {
        EndReason::InviteRefused => {
            format!("the invite is unknown, expired, used or withdrawn. Ask for a new one, {anew}")
        }
        EndReason::GrantInvalid => format!(
            "an approval came that is not from the owner who made the invite, or not for this agent and relay: it was \
             refused. Ask the owner; then {anew}"
        ),
        EndReason::LinkKeyDiffers => format!(
            "the owner approved this agent for a relay with another link key: someone stands between this agent and \
             its relay. Its keys were wiped. Ask the owner for an invite URL; then {anew}"
        ),
        EndReason::FoundingRefused(code) => explain(code).to_owned(),
        EndReason::NotAuthorized => {
            format!("an owner rejected or revoked this agent. Ask for a new invite, {anew}")
        }
    })
}
