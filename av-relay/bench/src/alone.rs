//! PostgreSQL alone: the same statements for the same messages, as many at once, without connections, frames and
//! signatures around them. Each writer has one transaction at a time, as the relay's have.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use av_relay::bare::{Acknowledgement, Bare, MAX_BATCH, Message, WRITERS};
use av_tests::Outcome;
use av_wire::ids::MessageId;
use av_wire::{DeviceId, TenantId};
use futures_util::{StreamExt, TryStreamExt, future, stream};
use tokio::task::JoinSet;

use crate::load::{CIPHERTEXT, HEADER_BLOB, Load, Turn, rate};
use crate::world::{Device, Tenant, World, random};

/// Entries in one read: as `av-relay/src/ws/deliveries.rs`.
const PAGE: u16 = 64;
/// Of each writer at one time. Two cores are busy with that, and the cluster has no connections for more beside the relay.
const READS: usize = 2;

/// One writer, and the inboxes that are its.
struct Writer {
    bare: Bare,
    load: Load,
    tenant: TenantId,
    senders: Vec<DeviceId>,
    receivers: Vec<Arc<Device>>,
    /// Messages of one batch.
    batch: usize,
    turn: Turn,
    /// Up to where each inbox was read.
    cursors: HashMap<DeviceId, u64>,
}

/// Messages in a second, as [`Players::round`](crate::load::Players::round) counts them.
pub(crate) async fn round(
    bare: &Bare,
    world: &World,
    tenant: &Tenant,
    (load, senders): (Load, usize),
    time: Duration,
) -> Outcome<f64> {
    let at_once = load.connections * load.window;
    let writers = if load.to_one { 1 } else { WRITERS.min(at_once) };
    let cursors = cursors(world, tenant).await?;
    let (sending, receiving) = tenant.devices.split_at(senders);
    let start = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..writers {
        let receivers = receiving.iter().skip(number).step_by(writers).map(Arc::clone).collect();
        let writer = Writer {
            bare: bare.clone(),
            load,
            tenant: tenant.id,
            senders: sending.iter().take(load.connections).map(|device| device.id).collect(),
            receivers,
            batch: MAX_BATCH.min(at_once / writers),
            turn: Turn::default(),
            cursors: cursors.clone(),
        };
        running.spawn(writer.run(start + time));
    }
    let (mut in_time, mut all) = (0, 0);
    while let Some(written) = running.join_next().await {
        let (writer_in_time, writer_all) = written??;
        in_time += writer_in_time;
        all += writer_all;
    }
    Ok(if load.online { rate(all, start.elapsed()) } else { rate(in_time, time) })
}

/// Where each inbox stands, nothing waiting.
async fn cursors(world: &World, tenant: &Tenant) -> Outcome<HashMap<DeviceId, u64>> {
    let mut client = world.connect("av_app").await?;
    let tx = client.transaction().await?;
    let id = tenant.id.as_bytes().as_slice();
    tx.execute("SELECT set_config('app.tenant_id', encode($1::bytea, 'hex'), true)", &[&id]).await?;
    let rows = tx.query("SELECT device_id, acknowledged FROM av.inboxes", &[]).await?;
    let cursor = |row: &tokio_postgres::Row| {
        let device: [u8; DeviceId::LEN] = row.try_get::<_, &[u8]>(0)?.try_into()?;
        Ok((DeviceId(device), u64::try_from(row.try_get::<_, i64>(1)?)?))
    };
    rows.iter().map(cursor).collect()
}

impl Writer {
    /// Writes until `end`: messages within the time, and all. With receivers, the batch before is read meanwhile, and
    /// the one before that acknowledged in the same transaction.
    async fn run(mut self, end: Instant) -> Outcome<(u64, u64)> {
        let (mut in_time, mut all) = (0, 0);
        let mut to_read = BTreeSet::new();
        let mut to_acknowledge = Vec::new();
        let mut ciphertext: [u8; CIPHERTEXT] = random()?;
        loop {
            let goes_on = Instant::now() < end;
            if !goes_on && to_read.is_empty() && to_acknowledge.is_empty() {
                return Ok((in_time, all));
            }
            let ids = if goes_on { self.ids()? } else { Vec::new() };
            if let (Some(place), Some((id, ..))) = (ciphertext.first_chunk_mut(), ids.first()) {
                *place = id.0;
            }
            let message = |(id, sender, recipient): &(MessageId, DeviceId, DeviceId)| Message {
                id: *id,
                sender: *sender,
                recipient: *recipient,
                header_blob: &[1; HEADER_BLOB],
                ciphertext: &ciphertext,
            };
            let messages: Vec<Message<'_>> = ids.iter().map(message).collect();
            let write = async {
                if messages.is_empty() && to_acknowledge.is_empty() {
                    return Ok(());
                }
                self.bare.write(&self.tenant, &messages, &to_acknowledge).await
            };
            let read = stream::iter(to_read).map(|device| self.read(device)).buffer_unordered(READS);
            let (written, read) = future::join(write, read.try_collect::<Vec<_>>()).await;
            written?;
            let count = u64::try_from(messages.len())?;
            all += count;
            if Instant::now() < end {
                in_time += count;
            }
            to_acknowledge = read?.into_iter().flatten().collect();
            self.cursors.extend(to_acknowledge.iter().map(|read| (read.device, read.sequence)));
            to_read = if self.load.online {
                messages.iter().map(|message| message.recipient).collect()
            } else {
                BTreeSet::new()
            };
        }
    }

    /// A batch's ids, senders and recipients.
    fn ids(&self) -> Outcome<Vec<(MessageId, DeviceId, DeviceId)>> {
        let senders = self.senders.iter().cycle();
        let message = |sender: &DeviceId| {
            let turn = self.turn.next(self.load, self.receivers.len());
            let recipient = self.receivers.get(turn).ok_or("nobody receives")?.id;
            Ok((MessageId(random()?), *sender, recipient))
        };
        senders.take(self.batch).map(message).collect()
    }

    /// Reads an inbox to its end, and gives what acknowledges that; `None` when the read before brought it already.
    async fn read(&self, device: DeviceId) -> Outcome<Option<Acknowledgement>> {
        let epoch =
            self.receivers.iter().find(|receiver| receiver.id == device).ok_or("not its inbox")?.epoch;
        let cursor = self.cursors.get(&device).copied().unwrap_or_default();
        let mut sequence = cursor;
        loop {
            let (last, is_full) = self.bare.read(&self.tenant, &device, sequence, PAGE).await?;
            sequence = last.unwrap_or(sequence);
            if !is_full {
                return Ok((sequence > cursor).then_some(Acknowledgement { device, epoch, sequence }));
            }
        }
    }
}
