//! What is sent: by how many, to whom, and how the relay takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use av_tests::Outcome;
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::{DeviceId, TenantId};
use tokio::task::{JoinHandle, JoinSet};

use crate::client::{Client, put};
use crate::world::{Device, Tenant, World, random};

/// Bytes of a message's two parts: what av-proto makes of 1 KiB, nearly.
pub(crate) const HEADER_BLOB: usize = 64;
pub(crate) const CIPHERTEXT: usize = 1_024;
/// Entries that a receiver takes ahead of its acknowledgements.
const RECEIVE_WINDOW: u16 = 256;
/// Messages after which "all to one" means another one: an inbox takes 10,000.
const ONE: usize = 8_192;
/// For what was accepted to be delivered.
const DRAIN: Duration = Duration::from_secs(60);

/// Who sends how much at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Unanswered messages of each.
    pub(crate) window: usize,
    /// All to one receiver, or to all in turn.
    pub(crate) to_one: bool,
    /// The receivers are connected, and acknowledge.
    pub(crate) online: bool,
}

/// Whose turn it is to receive.
#[derive(Debug, Default)]
pub(crate) struct Turn(AtomicUsize);

impl Turn {
    pub(crate) fn next(&self, load: Load, receivers: usize) -> usize {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        (if load.to_one { turn / ONE } else { turn }) % receivers
    }
}

/// Connected senders, and receivers where the load wants them.
pub(crate) struct Players {
    load: Load,
    tenant: TenantId,
    senders: Vec<Client>,
    receivers: Arc<[DeviceId]>,
    turn: Arc<Turn>,
    delivered: Arc<AtomicU64>,
    accepted: u64,
    listening: Vec<JoinHandle<Outcome>>,
}

impl Players {
    /// The tenant's first devices send, the others receive.
    pub(crate) async fn connect(world: &World, tenant: &Tenant, load: Load, senders: usize) -> Outcome<Self> {
        let (sending, receiving) = tenant.devices.split_at(senders);
        let delivered = Arc::new(AtomicU64::new(0));
        let mut players = Self {
            load,
            tenant: tenant.id,
            senders: Vec::new(),
            receivers: receiving.iter().map(|device| device.id).collect(),
            turn: Arc::default(),
            delivered: Arc::clone(&delivered),
            accepted: 0,
            listening: Vec::new(),
        };
        for device in sending.iter().take(load.connections) {
            players.senders.push(Client::connect(world.origin(), &tenant.id, device, 1, None).await?);
        }
        if load.online {
            for device in receiving {
                let client =
                    Client::connect(world.origin(), &tenant.id, device, RECEIVE_WINDOW, None).await?;
                let listening = listen(client, Arc::clone(device), Arc::clone(&delivered));
                players.listening.push(tokio::spawn(listening));
            }
        }
        Ok(players)
    }

    /// Sends for this long. Messages in a second: accepted within the time; or, with receivers, accepted within the
    /// time and delivered by whatever time that took.
    pub(crate) async fn round(&mut self, time: Duration) -> Outcome<f64> {
        let start = Instant::now();
        let end = start + time;
        let mut senders = JoinSet::new();
        for client in self.senders.drain(..) {
            let sender = Sender {
                client,
                load: self.load,
                receivers: Arc::clone(&self.receivers),
                turn: Arc::clone(&self.turn),
            };
            senders.spawn(sender.run(end));
        }
        let (mut in_time, mut all) = (0, 0);
        while let Some(sent) = senders.join_next().await {
            let (client, accepted, late) = sent??;
            self.senders.push(client);
            in_time += accepted;
            all += accepted + late;
        }
        self.accepted += all;
        if !self.load.online {
            return Ok(rate(in_time, time));
        }
        while self.delivered.load(Ordering::Relaxed) < self.accepted {
            if let Some(ended) = self.listening.iter().position(JoinHandle::is_finished) {
                self.listening.swap_remove(ended).await??;
            }
            if start.elapsed() > time + DRAIN {
                return Err(format!("{} accepted, {:?} delivered", self.accepted, self.delivered).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(rate(all, start.elapsed()))
    }

    /// Waits until the database has every acknowledgement.
    pub(crate) async fn settled(&self, world: &World) -> Outcome {
        if !self.load.online {
            return Ok(());
        }
        let mut client = world.connect("av_app").await?;
        let tx = client.transaction().await?;
        let tenant = self.tenant.as_bytes().as_slice();
        tx.execute("SELECT set_config('app.tenant_id', encode($1::bytea, 'hex'), true)", &[&tenant]).await?;
        let left = "SELECT count(*) FROM av.inboxes WHERE acknowledged < next_sequence - 1";
        let start = Instant::now();
        while tx.query_one(left, &[]).await?.try_get::<_, i64>(0)? > 0 {
            if start.elapsed() > DRAIN {
                return Err("not everything was acknowledged".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Players {
    fn drop(&mut self) {
        for listening in &self.listening {
            listening.abort();
        }
    }
}

/// So many in so long, in a second.
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
    let count = count as f64;
    count / time.as_secs_f64()
}

/// One connection that sends.
struct Sender {
    client: Client,
    load: Load,
    receivers: Arc<[DeviceId]>,
    turn: Arc<Turn>,
}

impl Sender {
    /// Keeps the window full until `end`, then waits for the last answers: how many came in time, and how many late.
    async fn run(mut self, end: Instant) -> Outcome<(Client, u64, u64)> {
        let (mut in_time, mut late) = (0, 0);
        let mut ciphertext: [u8; CIPHERTEXT] = random()?;
        let mut number = 0_u64;
        let mut unanswered = 0;
        let mut missing = self.load.window;
        loop {
            let mut bytes = Vec::new();
            for _ in 0..missing {
                number += 1;
                if let Some(place) = ciphertext.first_chunk_mut() {
                    *place = number.to_be_bytes();
                }
                let turn = self.turn.next(self.load, self.receivers.len());
                let recipient = *self.receivers.get(turn).ok_or("nobody receives")?;
                let header_blob: &[u8] = &[1; HEADER_BLOB];
                put(&mut bytes, &ToRelay::Send { recipient, header_blob, ciphertext: &ciphertext })?;
            }
            self.client.write(&bytes).await?;
            unanswered += missing;
            if unanswered == 0 {
                return Ok((self.client, in_time, late));
            }
            self.client.read().await?;
            let mut accepted = 0;
            while let Some(frame) = self.client.received_frame()? {
                match av_wire::decode(frame)? {
                    ToDevice::Accepted { .. } => accepted += 1,
                    ToDevice::Ping => {}
                    other => return Err(format!("not accepted: {other:?}").into()),
                }
            }
            unanswered -= accepted;
            let is_time = Instant::now() < end;
            *(if is_time { &mut in_time } else { &mut late }) += u64::try_from(accepted)?;
            missing = if is_time { accepted } else { 0 };
        }
    }
}

/// Takes what comes, and acknowledges the last of what came together.
async fn listen(mut client: Client, device: Arc<Device>, delivered: Arc<AtomicU64>) -> Outcome {
    loop {
        client.read().await?;
        let (mut last, mut count) = (None, 0);
        while let Some(frame) = client.received_frame()? {
            if let ToDevice::Deliver { sequence, .. } = av_wire::decode(frame)? {
                (last, count) = (Some(sequence), count + 1);
            }
        }
        if let Some(sequence) = last {
            let rejected = av_wire::List::new(&[]);
            client.send(&ToRelay::Ack { inbox_epoch: device.epoch, sequence, rejected }).await?;
            delivered.fetch_add(count, Ordering::Relaxed);
        }
    }
}
