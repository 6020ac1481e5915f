//! A device of the tests: endpoint, store, application and line to the post office.

use std::collections::{BTreeMap, BTreeSet};

use av_wire::frame::ToRelay;
use av_wire::{DeviceId, MessageId};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::NOW;
use crate::endpoint::{Event, Output, Persist, PersistError, Ticket};
use crate::testing::{NoisePipe, PostOffice, Side};
use crate::{Endpoint, Now, RecordChange, RecordKey, RecordKind, Seal, XChaCha20Poly1305};

/// What a store holds: sealed records by key.
pub(super) type Store = BTreeMap<[u8; RecordKey::LEN], Vec<u8>>;

/// [`SmallEndpoint`](crate::SmallEndpoint)'s bytes for a frame.
pub(super) const SMALL: usize = 4_256;

/// A device with its store; the endpoint can be thrown away and restored at any time.
pub(super) struct Device<const BODY: usize = SMALL> {
    pub(super) side: Side,
    pub(super) endpoint: Box<Endpoint<XChaCha20Poly1305, 2, 16, 4, 2, BODY>>,
    pub(super) seal: Seal,
    pub(super) store: Store,
    pub(super) rng: ChaCha20Rng,
    pub(super) events: Vec<Event>,
    /// Payloads that the application heard, in order. It keeps the ids durably, so a message that is offered again
    /// after a crash is heard once.
    pub(super) heard: Vec<String>,
    pub(super) ids: BTreeSet<MessageId>,
    /// Messages offered and not confirmed yet.
    pub(super) tickets: Vec<(Ticket, MessageId, String)>,
    /// Every frame that left.
    pub(super) sent: Vec<Vec<u8>>,
    /// Confirm at once.
    pub(super) confirms: bool,
    /// The Noise link of the present connection, where there is one.
    pub(super) pipe: Option<NoisePipe>,
    pub(super) now: Now,
    /// The relay takes its messages, and passes none on.
    pub(super) loses: bool,
}

/// One output of a device, for a test that wants to stop between two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Idle,
    Stored,
    Sent,
    Offered,
    Other,
}

impl<const BODY: usize> Device<BODY> {
    pub(super) fn new(side: Side, seed: u8) -> Self {
        Self {
            side,
            endpoint: Box::default(),
            seal: Seal::new([seed; 32]),
            store: Store::new(),
            rng: ChaCha20Rng::from_seed([seed; 32]),
            events: Vec::new(),
            heard: Vec::new(),
            ids: BTreeSet::new(),
            tickets: Vec::new(),
            sent: Vec::new(),
            confirms: true,
            pipe: None,
            now: NOW,
            loses: false,
        }
    }

    /// The process dies; the next one begins with what was stored.
    pub(super) fn crash(&mut self) {
        self.endpoint.reset();
        self.tickets.clear();
        for (key, sealed) in &self.store {
            let key = RecordKey::from_bytes(key).expect("a key that was stored");
            self.endpoint.restore(self.now, &self.seal, key, sealed).expect("a record that was stored");
        }
        self.endpoint.resume().expect("records that fit together");
    }

    /// Does what one output asks.
    pub(super) fn step(&mut self, office: &mut PostOffice) -> Step {
        match self.endpoint.poll(self.now) {
            None => Step::Idle,
            Some(Output::Persist(persist)) => {
                store(persist, &self.seal, &mut self.rng, &mut self.store);
                Step::Stored
            }
            Some(Output::Transmit(frame)) => {
                self.sent.push(frame.to_vec());
                if self.loses && matches!(av_wire::decode(frame), Ok(ToRelay::Send { .. })) {
                    return Step::Sent;
                }
                let arrived = self.pipe.as_mut().map(|pipe| pipe.to_relay(frame).expect("an open link"));
                office
                    .accept(self.side, arrived.as_deref().unwrap_or(frame))
                    .expect("the post office has room");
                Step::Sent
            }
            Some(Output::Deliver(delivery)) => {
                let text = core::str::from_utf8(delivery.payload).expect("tests send text").to_string();
                self.tickets.push((delivery.ticket, delivery.message_id, text));
                if self.confirms {
                    self.confirm_all();
                }
                Step::Offered
            }
            Some(Output::Event(event)) => {
                self.events.push(event);
                Step::Other
            }
            Some(Output::Timer(_)) => Step::Other,
        }
    }

    pub(super) fn confirm_all(&mut self) {
        for (ticket, id, text) in self.tickets.drain(..) {
            self.endpoint.confirm(&ticket).expect("a fresh ticket");
            if self.ids.insert(id) {
                self.heard.push(text);
            }
        }
    }

    pub(super) fn drain(&mut self, office: &mut PostOffice) {
        while self.step(office) != Step::Idle {}
    }

    /// Drains; frames go nowhere.
    pub(super) fn drain_unheard(&mut self) {
        loop {
            match self.endpoint.poll(self.now) {
                None => return,
                Some(Output::Persist(persist)) => store(persist, &self.seal, &mut self.rng, &mut self.store),
                Some(Output::Event(event)) => self.events.push(event),
                Some(Output::Transmit(frame)) => self.sent.push(frame.to_vec()),
                Some(Output::Timer(_)) => {}
                Some(Output::Deliver(_)) => panic!("nothing to deliver here"),
            }
        }
    }

    /// Drains while the relay loses what is sent.
    pub(super) fn drain_lost(&mut self) {
        let mut nowhere = PostOffice::new();
        while self.step(&mut nowhere) != Step::Idle {}
    }

    pub(super) fn id(&self) -> DeviceId {
        self.endpoint.device_id().expect("a device")
    }

    pub(super) fn send(&mut self, to: &DeviceId, text: &str) {
        self.endpoint.send(&mut self.rng, to, text.as_bytes()).expect("room in the outbox");
    }

    pub(super) fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    /// What is stored, opened, without the inbox cursor.
    pub(super) fn records(&self) -> BTreeMap<[u8; 3], Vec<u8>> {
        opened_records(&self.seal, &self.store)
    }

    /// What is stored, opened.
    pub(super) fn opened(&self) -> BTreeMap<[u8; 3], Vec<u8>> {
        opened(&self.seal, &self.store)
    }
}

pub(super) fn opened(seal: &Seal, store: &Store) -> BTreeMap<[u8; 3], Vec<u8>> {
    let open = |(key, sealed): (&[u8; 3], &Vec<u8>)| {
        let mut out = vec![0; sealed.len()];
        let record = RecordKey::from_bytes(key).expect("a known kind");
        let opened = seal.open(record, sealed, &mut out).expect("it opens").to_vec();
        (*key, opened)
    };
    store.iter().map(open).collect()
}

/// What is stored, opened, without the inbox cursor.
pub(super) fn opened_records(seal: &Seal, store: &Store) -> BTreeMap<[u8; 3], Vec<u8>> {
    let mut records = opened(seal, store);
    records.retain(|[kind, ..], _| *kind != RecordKind::Meta as u8);
    records
}

pub(super) fn store(mut persist: Persist<'_>, seal: &Seal, rng: &mut ChaCha20Rng, store: &mut Store) {
    let written = persist.write(seal, rng, |change| {
        match change {
            RecordChange::Put(key, sealed) => store.insert(key.to_bytes(), sealed.to_vec()),
            RecordChange::Delete(key) => store.remove(&key.to_bytes()),
        };
        Ok::<(), ()>(())
    });
    assert_eq!(written, Ok::<(), PersistError<()>>(()));
    persist.stored();
}
