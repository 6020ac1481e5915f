//! What devices received in real conversations, with the state they were in, to be received again on copies.

use std::cell::RefCell;
use std::collections::BTreeMap;

use av_wire::frame::ToDevice;
use av_wire::{DeviceId, MessageId};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::endpoint::calls::Call;
use crate::endpoint::control::kind;
use crate::endpoint::entries::Entry;
use crate::endpoint::history::History;
use crate::endpoint::introduce::Introduction;
use crate::endpoint::link::Link;
use crate::endpoint::slot::{Held, Slot};
use crate::endpoint::{ConnectionError, Event, Output};
use crate::ratchet::HeaderBlob;
use crate::record::Seal;
use crate::wire::bundle::{Bundle, KemPrekeyKind};
use crate::wire::layout::Reader;
use crate::{Endpoint, Now, RecordKey, XChaCha20Poly1305};

thread_local! {
    /// While a film is made: what it holds.
    static ROLLING: RefCell<Option<Film>> = const { RefCell::new(None) };
}

/// One shot of each kind of frame.
pub(super) type Film = BTreeMap<String, Box<dyn Shot>>;

/// Records in the clear.
pub(super) type Records = BTreeMap<[u8; RecordKey::LEN], Vec<u8>>;

/// A frame, and the device that received it.
pub(super) trait Shot {
    fn frame(&self) -> &[u8];
    /// A copy of the device.
    fn stage(&self) -> Box<dyn Stage>;
}

/// A copy of a device.
pub(super) trait Stage {
    /// All records, in the clear.
    fn records(&mut self) -> Records;
    /// Receives a frame.
    fn received(&mut self, frame: &[u8]) -> Result<(), ConnectionError>;
    /// Receives a frame, and does what is asked for.
    fn receive(&mut self, frame: &[u8]) -> Reception;
}

/// What came of a frame.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reception {
    pub(super) result: Result<(), ConnectionError>,
    pub(super) events: Vec<Event>,
    /// From whom, copied to whom, under which id, and what.
    pub(super) delivered: Vec<(DeviceId, Option<DeviceId>, MessageId, Vec<u8>)>,
    /// Afterwards.
    pub(super) records: Records,
}

/// Films what the devices of these conversations receive.
pub(super) fn of(conversations: impl FnOnce()) -> Film {
    ROLLING.with_borrow_mut(|rolling| *rolling = Some(Film::new()));
    conversations();
    ROLLING.with_borrow_mut(Option::take).expect("a film")
}

/// A device is about to receive a frame: kept when a film is made and holds none of its kind yet.
pub(in crate::endpoint::tests) fn shoot<
    const PEERS: usize,
    const SKIP: usize,
    const OUTBOX: usize,
    const INBOX: usize,
    const BODY: usize,
>(
    endpoint: &mut Endpoint<XChaCha20Poly1305, PEERS, SKIP, OUTBOX, INBOX, BODY>,
    now: Now,
    frame: &[u8],
) {
    ROLLING.with_borrow_mut(|rolling| {
        let Some(film) = rolling else { return };
        let mut shot = Take::of(endpoint, now, frame);
        let Some(name) = shot.name() else { return };
        film.entry(name).or_insert_with(|| {
            shot.come_to_rest();
            Box::new(shot)
        });
    });
}

type Copy<const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize> =
    Endpoint<XChaCha20Poly1305, PEERS, SKIP, OUTBOX, INBOX, BODY>;

/// A device as it was: its records, sealed, and what is not stored.
struct Take<const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
{
    now: Now,
    frame: Vec<u8>,
    records: Vec<(RecordKey, Vec<u8>)>,
    link: Option<Link>,
    calls: heapless::Vec<Call, 4>,
    /// Of each outbox entry: went out on this connection, was accepted.
    sent: Vec<(bool, Option<u64>)>,
    /// Whether each frame that did not open was asked for.
    asked: Vec<bool>,
    /// A relay welcomed it before.
    was_welcome: bool,
}

struct Played<
    const PEERS: usize,
    const SKIP: usize,
    const OUTBOX: usize,
    const INBOX: usize,
    const BODY: usize,
> {
    now: Now,
    endpoint: Box<Copy<PEERS, SKIP, OUTBOX, INBOX, BODY>>,
}

const SEAL: [u8; 32] = [0x5e; 32];

impl<const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize>
    Take<PEERS, SKIP, OUTBOX, INBOX, BODY>
{
    fn of(endpoint: &mut Copy<PEERS, SKIP, OUTBOX, INBOX, BODY>, now: Now, frame: &[u8]) -> Self {
        let mut records = Vec::new();
        let mut rng = ChaCha20Rng::from_seed([0x5e; 32]);
        endpoint.each_record(|key, content| {
            // Which batch wrote it is not looked at before `resume`, which a copy does without.
            let mut record = vec![0; Seal::PREFIX];
            record.extend_from_slice(&[[0; 7].as_slice(), &[1], &[0; 8], content].concat());
            let len = record.len() - Seal::PREFIX;
            record.resize(record.len() + Seal::OVERHEAD, 0);
            let sealed = Seal::new(SEAL).seal_in_place(key, len, &mut rng, &mut record).expect("room");
            records.push((key, sealed.to_vec()));
        });
        let sent = endpoint.outbox.iter().filter_map(Slot::get);
        let unopened = endpoint.meta.get().map(|meta| meta.unopened.iter().map(|unopened| unopened.asked));
        Self {
            now,
            frame: frame.to_vec(),
            records,
            link: endpoint.link.get().cloned(),
            calls: endpoint.calls.clone(),
            sent: sent.map(|entry| (entry.transmitted, entry.accepted)).collect(),
            asked: unopened.into_iter().flatten().collect(),
            was_welcome: endpoint.meta.get().is_some_and(|meta| meta.inbox_epoch.is_some()),
        }
    }

    fn copy(&self) -> Box<Copy<PEERS, SKIP, OUTBOX, INBOX, BODY>> {
        let mut copy: Box<Copy<PEERS, SKIP, OUTBOX, INBOX, BODY>> = Box::default();
        for (key, sealed) in &self.records {
            copy.restore(self.now, &Seal::new(SEAL), *key, sealed).expect("a record of this device");
        }
        copy.link = self.link.clone().map_or(Held::Empty, Held::Full);
        copy.calls = self.calls.clone();
        for (entry, sent) in copy.outbox.iter_mut().filter_map(Slot::get_mut).zip(&self.sent) {
            (entry.transmitted, entry.accepted) = *sent;
        }
        let unopened = copy.meta.get_mut().into_iter().flat_map(|meta| &mut meta.unopened);
        unopened.zip(&self.asked).for_each(|(unopened, asked)| unopened.asked = *asked);
        copy
    }

    /// What is due over a restart is done before the frame comes: it is not the frame's doing.
    fn come_to_rest(&mut self) {
        let mut ping = [0; 8];
        let ping = av_wire::encode(&ToDevice::Ping, &mut ping).expect("room");
        let mut played = Played { now: self.now, endpoint: self.copy() };
        loop {
            let before = played.records();
            if played.receive(ping).records == before {
                break;
            }
        }
        *self = Self::of(&mut played.endpoint, self.now, &self.frame);
    }

    /// What kind of frame it is, and of a message what it holds; `None` when this device does not take it in.
    fn name(&self) -> Option<String> {
        let frame: ToDevice<'_> = av_wire::decode(&self.frame).ok()?;
        let debug = format!("{frame:?}");
        let number = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_string();
        Some(match frame {
            ToDevice::Deliver { sequence, previous, sender, header_blob, ciphertext, .. } => {
                let entry = Entry { sequence, previous };
                format!("{number} {}", self.message(entry, &sender, header_blob, ciphertext)?)
            }
            ToDevice::Bundle { chain, bundle, .. } => {
                format!("{number}{}{}", if chain.is_empty() { "" } else { " with chain" }, prekeys(&bundle))
            }
            ToDevice::Statement { statement, .. } | ToDevice::Posted { statement, .. } => {
                // A signed object: an array of three, and its kind.
                format!("{number} {}", statement[1])
            }
            ToDevice::Done { request } | ToDevice::Error { request, .. } => {
                format!("{number}{}", if request == 0 { " of the connection" } else { "" })
            }
            ToDevice::Certs { .. } if self.is_in_vain() => format!("{number} in vain"),
            ToDevice::Welcome { .. } if self.was_welcome => format!("{number} again"),
            _ => number,
        })
    }

    /// The relay gives what does not help.
    fn is_in_vain(&self) -> bool {
        let mut played = Played { now: self.now, endpoint: self.copy() };
        let before = played.records();
        played.receive(&self.frame).records == before
    }

    fn message(
        &self,
        entry: Entry,
        sender: &DeviceId,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) -> Option<String> {
        let mut copy = self.copy();
        if entry.sequence <= copy.taken() {
            return None;
        }
        let known = copy.peer_index(sender);
        let index = match known {
            Some(index) => index,
            None => match copy.introduced(self.now, entry, sender, header_blob) {
                Introduction::Peer(index) => index,
                Introduction::Awaited | Introduction::Unknown => return None,
            },
        };
        let opened = copy.open(self.now, index, header_blob, ciphertext).ok()?;
        let mut name = kind_name(opened.kind).to_string();
        if opened.kind == kind::HAVE {
            let mut reader = Reader::new(&copy.scratch[..opened.len]);
            History::read(&mut reader).ok()?;
            if let Some(behind) = reader.rest().first() {
                name = format!("{name} and {}", kind_name(*behind));
            }
        }
        let prelude = HeaderBlob::parse(header_blob).ok()?.prelude;
        if let Some(prelude) = prelude {
            let by = if prelude.initiator.len() == DeviceId::LEN { "id" } else { "chain" };
            let kem = if prelude.kem_key.is_some() { ", KEM" } else { "" };
            let one_time = if prelude.one_time_prekey.is_some() { ", one-time" } else { "" };
            name = format!("first message by {by}, mode {}{one_time}{kem}", prelude.mode);
        }
        Some(name)
    }
}

fn prekeys(bundle: &Bundle<'_>) -> String {
    let one_time = if bundle.one_time.is_some() { ", one-time" } else { "" };
    let kem = bundle.kem.map(|kem| kem.record[0] == KemPrekeyKind::LastResort as u8);
    let kem = match kem {
        Some(true) => ", last-resort KEM",
        Some(false) => ", one-time KEM",
        None => "",
    };
    format!("{one_time}{kem}")
}

fn kind_name(kind: u8) -> &'static str {
    match kind {
        kind::APPLICATION => "application",
        kind::HELLO => "hello",
        kind::HAVE => "have",
        kind::CHECK => "check",
        kind::RESYNC => "resync",
        kind::AGAIN => "again",
        kind::GONE => "gone",
        kind::SERIALS => "serials",
        kind::COPY => "copy",
        _ => "unknown",
    }
}

impl<const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize> Shot
    for Take<PEERS, SKIP, OUTBOX, INBOX, BODY>
{
    fn frame(&self) -> &[u8] {
        &self.frame
    }

    fn stage(&self) -> Box<dyn Stage> {
        Box::new(Played { now: self.now, endpoint: self.copy() })
    }
}

impl<const PEERS: usize, const SKIP: usize, const OUTBOX: usize, const INBOX: usize, const BODY: usize> Stage
    for Played<PEERS, SKIP, OUTBOX, INBOX, BODY>
{
    fn records(&mut self) -> Records {
        let mut records = Records::new();
        self.endpoint.each_record(|key, content| {
            records.insert(key.to_bytes(), content.to_vec());
        });
        records
    }

    fn received(&mut self, frame: &[u8]) -> Result<(), ConnectionError> {
        let mut rng = ChaCha20Rng::from_seed([0x7e; 32]);
        self.endpoint.receive(self.now, &mut rng, frame)
    }

    fn receive(&mut self, frame: &[u8]) -> Reception {
        let result = self.received(frame);
        if result.is_err() {
            self.endpoint.disconnected();
        }
        let (mut events, mut delivered) = (Vec::new(), Vec::new());
        loop {
            match self.endpoint.poll(self.now) {
                None => break,
                // Written nowhere: what a copy would be given new marks for is not what the frame changed.
                Some(Output::Persist(persist)) => persist.records.mark_stored(),
                Some(Output::Event(event)) => events.push(event),
                Some(Output::Deliver(delivery)) => delivered.push((
                    delivery.from,
                    delivery.copied_to,
                    delivery.message_id,
                    delivery.payload.to_vec(),
                )),
                Some(Output::Transmit(_) | Output::Timer(_)) => {}
            }
        }
        Reception { result, events, delivered, records: self.records() }
    }
}
