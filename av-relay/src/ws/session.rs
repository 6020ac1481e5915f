//! An authenticated device's connection: its calls come in, its inbox goes out.

use std::pin::Pin;

use av_wire::RefusalCode;
use av_wire::frame::ToDevice;
use av_wire::ids::MessageId;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::deliveries::Deliveries;
use super::end::End;
use super::handshake::{Authenticated, log};
use super::heartbeat::Heartbeat;
use super::socket::Socket;
use crate::bus::{CloseReason, Line, Presence};
use crate::drain::Drain;
use crate::limits::MAX_UNANSWERED;
use crate::service::{Actor, Refusal, Relay};
use crate::store::{Entry, EntryContent};

/// What the commit of a message or an acknowledgement brings.
pub(super) enum Settled {
    Sent(MessageId, Result<(), Refusal>),
    Acknowledged(u64, Result<bool, Refusal>),
}

/// A message or an acknowledgement on its way to the database.
pub(super) type Unanswered = Pin<Box<dyn Future<Output = Settled> + Send>>;

/// A session and all it holds.
pub(super) struct Session<'a> {
    pub(super) relay: &'a Relay,
    pub(super) socket: &'a mut Socket,
    pub(super) actor: Actor,
    pub(super) deliveries: Deliveries,
    pub(super) unanswered: FuturesUnordered<Unanswered>,
    line: Line,
    heartbeat: Heartbeat,
    enrollments: u64,
}

/// Serves the device until the connection ends, and says why it does.
pub(super) async fn run(
    relay: &Relay,
    socket: &mut Socket,
    drain: &mut Drain,
    authenticated: Authenticated,
) -> End {
    let Authenticated { actor, receive_window, ping_period } = authenticated;
    let line = relay.bus().register(actor.tenant, actor.device, Presence::Authenticated);
    let welcome = match relay.welcome(&actor).await {
        Ok(welcome) => welcome,
        Err(refusal) => {
            log(&refusal);
            return End::from(&refusal);
        }
    };
    let mut session = Session {
        relay,
        socket,
        actor,
        deliveries: Deliveries::new(&welcome, receive_window),
        unanswered: FuturesUnordered::new(),
        line,
        heartbeat: Heartbeat::new(ping_period),
        enrollments: 0,
    };
    let greeting = ToDevice::Welcome {
        inbox_epoch: welcome.inbox.epoch,
        next_sequence: welcome.inbox.next_sequence,
        one_time_prekeys: welcome.one_time_prekeys,
    };
    if let Err(end) = session.socket.send(&greeting).await {
        return end;
    }
    loop {
        if let Err(end) = session.step(drain).await {
            return end;
        }
    }
}

impl Session<'_> {
    /// Delivers what there is room for, then takes one thing that happens.
    async fn step(&mut self, drain: &mut Drain) -> Result<(), End> {
        self.signals().await?;
        self.deliver().await?;
        tokio::select! {
            frame = self.socket.receive(), if self.unanswered.len() < MAX_UNANSWERED => {
                self.heartbeat.heard();
                self.call(&frame?).await
            }
            Some(settled) = self.unanswered.next() => self.settled(settled).await,
            () = self.line.changed() => Ok(()),
            () = self.heartbeat.due() => {
                self.heartbeat.next()?;
                self.socket.send(&ToDevice::Ping).await
            }
            () = drain.started() => Err(End::Moved),
        }
    }

    /// Looks at the bus before the database is asked, so that what comes in meanwhile signals again.
    async fn signals(&mut self) -> Result<(), End> {
        let signals = self.line.see();
        self.check_close()?;
        if signals.wakes > 0 {
            self.deliveries.wake();
        }
        if signals.enrollments != self.enrollments {
            self.enrollments = signals.enrollments;
            self.socket.send(&ToDevice::EnrollmentWaiting).await?;
        }
        Ok(())
    }

    /// Whether the connection is to end.
    fn check_close(&self) -> Result<(), End> {
        match self.line.close_reason() {
            Some(CloseReason::Superseded) => Err(End::Refused(RefusalCode::Superseded, 0)),
            Some(CloseReason::NotAuthorized) => Err(End::Refused(RefusalCode::NotAuthorized, 0)),
            None => Ok(()),
        }
    }

    async fn deliver(&mut self) -> Result<(), End> {
        let Some((cursor, wanted)) = self.deliveries.wanted() else { return Ok(()) };
        let page = self.relay.entries_after(&self.actor, cursor, wanted).await.map_err(|refusal| {
            log(&refusal);
            End::from(&refusal)
        })?;
        self.deliveries.read(page.is_full);
        for entry in &page.entries {
            // Writing takes as long as the device takes to read, and it may be shut out meanwhile.
            self.check_close()?;
            let previous = self.deliveries.deliver(entry.sequence);
            self.socket.send(&frame(entry, previous)).await?;
        }
        Ok(())
    }
}

fn frame(entry: &Entry, previous: u64) -> ToDevice<'_> {
    let sequence = entry.sequence;
    match &entry.content {
        EntryContent::Message { sender, header_blob, ciphertext, received_at } => ToDevice::Deliver {
            sequence,
            previous,
            sender: *sender,
            header_blob,
            ciphertext,
            received_at: *received_at,
        },
        EntryContent::Statement(posted) => {
            ToDevice::Statement { sequence, previous, statement: &posted.signed, chain: &posted.chain }
        }
        EntryContent::Recertified(chain) => ToDevice::Recertified { sequence, previous, chain },
        EntryContent::KeyUsed(chain) => ToDevice::KeyUsed { sequence, previous, chain },
        EntryContent::Activated { device, signature } => {
            ToDevice::Activated { sequence, previous, device_id: *device, signature: *signature }
        }
    }
}
