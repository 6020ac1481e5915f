//! A tenant of several devices on a small relay of their own: who says what, and who believes it.

use std::collections::BTreeMap;

use av_wire::bundle::{Bundle, SignedPrekey};
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::grant::Grant;
use av_wire::message::message_id;
use av_wire::statement::{Statement, Verdict};
use av_wire::{DeviceId, InboxEpoch, RefusalCode, Role, TenantId, Unverified};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{EnrollOptions, Event, NOW, Output, Phase, RequestVerdict, Store, origin, store};
use crate::endpoint::{Channel, SendError, Standing};
use crate::{Endpoint, RecordKey, RecoveryKey, Seal, XChaCha20Poly1305};

type Device = Endpoint<XChaCha20Poly1305, 6, 4, 16, 4, 4_256>;

/// What the relay knows of a device.
#[derive(Default)]
struct Account {
    chain: Vec<u8>,
    bundle: Option<Bundle<'static>>,
    approver: Option<DeviceId>,
    /// Entries by their number, the first 1.
    inbox: Vec<Vec<u8>>,
    delivered: usize,
}

struct PostedStatement {
    issuer: DeviceId,
    serial: u64,
    signed: Vec<u8>,
    chain: Vec<u8>,
}

/// One device with its store and its line to the relay.
pub(super) struct Member {
    pub(super) endpoint: Box<Device>,
    seal: Seal,
    store: Store,
    pub(super) rng: ChaCha20Rng,
    pub(super) events: Vec<Event>,
    /// Who sent it, to whom another device of this owner sent it, and the text.
    pub(super) heard: Vec<(DeviceId, Option<DeviceId>, String)>,
    connected: bool,
    answers: Vec<Vec<u8>>,
}

/// The devices of a tenant, and the relay between them.
pub(super) struct Tenant {
    pub(super) members: Vec<Member>,
    accounts: BTreeMap<DeviceId, Account>,
    requests: BTreeMap<DeviceId, Vec<u8>>,
    statements: Vec<PostedStatement>,
    tenant_id: Option<TenantId>,
    pub(super) root: Option<RecoveryKey>,
    /// The relay passes no statement on.
    pub(super) withholds: bool,
}

fn bytes(frame: &ToDevice<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 8_192];
    av_wire::encode(frame, &mut buffer).expect("room").to_vec()
}

impl Tenant {
    /// Founded by member 0.
    pub(super) fn founded() -> Self {
        let mut tenant = Self {
            members: Vec::new(),
            accounts: BTreeMap::new(),
            requests: BTreeMap::new(),
            statements: Vec::new(),
            tenant_id: None,
            root: None,
            withholds: false,
        };
        let laptop = tenant.member();
        let Member { endpoint, rng, .. } = &mut tenant.members[laptop];
        tenant.root = Some(endpoint.found(NOW, rng, &origin(), None, "laptop").expect("an empty endpoint"));
        tenant.settle();
        assert_eq!(tenant.members[laptop].endpoint.phase(), Phase::Active);
        tenant
    }

    fn member(&mut self) -> usize {
        let seed = u8::try_from(self.members.len()).expect("few") + 1;
        self.members.push(Member {
            endpoint: Box::new(Device::new()),
            seal: Seal::new([seed; 32]),
            store: Store::new(),
            rng: ChaCha20Rng::from_seed([seed; 32]),
            events: Vec::new(),
            heard: Vec::new(),
            connected: false,
            answers: Vec::new(),
        });
        self.members.len() - 1
    }

    /// A further owner by the root's word alone.
    pub(super) fn owner_by_root(&mut self) -> usize {
        let index = self.member();
        let root = self.root.as_ref().expect("the root");
        let Member { endpoint, rng, .. } = &mut self.members[index];
        endpoint.found_by(NOW, rng, &origin(), None, "new laptop", root).expect("an empty endpoint");
        self.settle();
        assert_eq!(self.members[index].endpoint.phase(), Phase::Active);
        index
    }

    /// A device that `inviter` invites and approves.
    pub(super) fn enrolled(&mut self, inviter: usize, role: Role) -> usize {
        let index = self.member();
        let owner = &mut self.members[inviter];
        let invite = owner.endpoint.create_invite(NOW, &mut owner.rng, role, 600).expect("room");
        let inviter_id = owner.endpoint.device_id();
        self.settle();
        let options = EnrollOptions {
            origin: &origin(),
            link_key: None,
            inviter: inviter_id,
            role,
            name: "device",
            platform: "test",
        };
        let Member { endpoint, rng, .. } = &mut self.members[index];
        endpoint.enroll(NOW, rng, &invite, &options).expect("an empty endpoint");
        self.settle();
        let owner = &mut self.members[inviter];
        owner.endpoint.list_pending().expect("an owner");
        self.settle();
        let id = self.id(index);
        let owner = &mut self.members[inviter];
        let is_verified = |event: &Event| {
            matches!(event, Event::EnrollmentRequest(view)
                if view.device_id == id && view.verdict == RequestVerdict::TagVerified)
        };
        assert!(owner.events.iter().any(is_verified));
        owner.endpoint.approve(NOW, &mut owner.rng, &id).expect("a request that was shown");
        self.settle();
        assert_eq!(self.members[index].endpoint.phase(), Phase::Active);
        index
    }

    pub(super) fn id(&self, index: usize) -> DeviceId {
        self.members[index].endpoint.device_id().expect("a device")
    }

    pub(super) fn meet(&mut self, one: usize, other: usize) {
        let other = self.id(other);
        self.members[one].endpoint.meet(&other).expect("room for a call");
        self.settle();
    }

    pub(super) fn state(&mut self, by: usize, subject: usize, verdict: Verdict) {
        let subject = self.id(subject);
        self.members[by].endpoint.state(NOW, &subject, verdict).expect("a peer");
        self.settle();
    }

    /// Through the connection of `by`.
    pub(super) fn state_as_root(&mut self, by: usize, subject: usize, verdict: Verdict, keep: &[usize]) {
        let subject = self.id(subject);
        let keep: Vec<_> = keep.iter().map(|kept| self.id(*kept)).collect();
        let root = self.root.as_ref().expect("the root");
        let result = self.members[by].endpoint.state_as_root(NOW, root, &subject, verdict, &keep);
        result.expect("an owner, and peers");
        self.settle();
    }

    pub(super) fn send(&mut self, from: usize, to: usize, text: &str) -> Result<(), SendError> {
        let to = self.id(to);
        let Member { endpoint, rng, .. } = &mut self.members[from];
        endpoint.send(rng, &to, text.as_bytes())?;
        self.settle();
        Ok(())
    }

    /// Whether `text` goes from one to the other and is heard there.
    pub(super) fn talks(&mut self, from: usize, to: usize, text: &str) -> bool {
        let heard = (self.id(from), None, text.to_string());
        self.send(from, to, text).is_ok() && self.members[to].heard.contains(&heard)
    }

    pub(super) fn standing(&self, at: usize, of: usize) -> Option<Standing> {
        let id = self.id(of);
        let mut peers = self.members[at].endpoint.peers();
        peers.find(|peer| peer.device_id == id).map(|peer| peer.standing)
    }

    pub(super) fn has(&self, index: usize, event: &Event) -> bool {
        self.members[index].events.contains(event)
    }

    /// The process dies and begins again with what was stored.
    pub(super) fn restart(&mut self, index: usize) {
        self.reopen(index);
        self.settle();
    }

    /// The same, not connected.
    pub(super) fn reopen(&mut self, index: usize) {
        let member = &mut self.members[index];
        *member.endpoint = Device::new();
        member.connected = false;
        for (key, sealed) in &member.store {
            let key = RecordKey::from_bytes(key).expect("a key that was stored");
            member.endpoint.restore(NOW, &member.seal, key, sealed).expect("a record that was stored");
        }
        member.endpoint.resume().expect("records that fit together");
    }

    /// Runs until nothing is left to do; every device is connected.
    pub(super) fn settle(&mut self) {
        for index in 0..self.members.len() {
            if !self.members[index].connected && self.members[index].endpoint.phase() != Phase::Empty {
                self.connect(index);
            }
        }
        while (0..self.members.len()).any(|index| self.drain(index) | self.pass(index)) {}
    }

    pub(super) fn connect(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.answers = vec![bytes(&ToDevice::Challenge { nonce: [9; 32], server_time: 0 })];
        member.endpoint.connected(Channel::Plain).expect("loopback");
        member.connected = true;
    }

    fn drain(&mut self, index: usize) -> bool {
        let mut worked = false;
        loop {
            let member = &mut self.members[index];
            let frame = match member.endpoint.poll(NOW) {
                None => return worked,
                Some(Output::Persist(persist)) => {
                    store(persist, &member.seal, &mut member.rng, &mut member.store);
                    None
                }
                Some(Output::Transmit(frame)) => Some(frame.to_vec()),
                Some(Output::Deliver(delivery)) => {
                    let text = core::str::from_utf8(delivery.payload).expect("tests send text").to_string();
                    member.heard.push((delivery.from, delivery.copied_to, text));
                    let ticket = delivery.ticket;
                    member.endpoint.confirm(&ticket).expect("a fresh ticket");
                    None
                }
                Some(Output::Event(event)) => {
                    member.events.push(event);
                    None
                }
                Some(Output::Timer(_)) => None,
            };
            worked = true;
            if let Some(frame) = frame {
                self.accept(index, &frame);
            }
        }
    }

    fn pass(&mut self, index: usize) -> bool {
        let frame = if self.members[index].answers.is_empty() {
            let member = &self.members[index];
            let account = member.endpoint.device_id().and_then(|id| self.accounts.get_mut(&id));
            let Some(account) = account.filter(|_| member.endpoint.is_authenticated()) else { return false };
            let Some(frame) = account.inbox.get(account.delivered).cloned() else { return false };
            account.delivered += 1;
            frame
        } else {
            self.members[index].answers.remove(0)
        };
        let Member { endpoint, rng, .. } = &mut self.members[index];
        let result = endpoint.receive(NOW, rng, &frame);
        assert_eq!(result, Ok(()), "member {index}: {frame:02x?}");
        true
    }

    fn answer(&mut self, index: usize, frame: &ToDevice<'_>) {
        self.members[index].answers.push(bytes(frame));
    }

    fn entry<'f>(&mut self, to: &DeviceId, frame: impl FnOnce(u64) -> ToDevice<'f>) {
        let inbox = &mut self.accounts.entry(*to).or_default().inbox;
        let sequence = inbox.len() as u64 + 1;
        inbox.push(bytes(&frame(sequence)));
    }

    /// A statement for everybody but its issuer; what a relay that lies makes of it as well.
    pub(super) fn pass_on(&mut self, issuer: &DeviceId, signed: &[u8], chain: &[u8]) {
        let everybody: Vec<_> = self.accounts.keys().copied().filter(|id| id != issuer).collect();
        for to in everybody {
            self.entry(&to, |sequence| ToDevice::Statement {
                sequence,
                previous: sequence - 1,
                statement: signed,
                chain,
            });
        }
    }

    /// A chain with the revocations that keep a certificate of it.
    pub(super) fn chain(&self, device: &DeviceId) -> Vec<u8> {
        let mut chain = self.accounts.get(device).map(|account| account.chain.clone()).unwrap_or_default();
        for posted in &self.statements {
            let mut buffer = [0; MAX_CHAIN_BYTES];
            if let Ok(Some(kept)) = Chain::new(&chain).keep(&posted.signed, &mut buffer) {
                chain = kept.to_vec();
            }
        }
        chain
    }

    /// A statement as it was posted.
    pub(super) fn posted(&self, index: usize) -> (Vec<u8>, Vec<u8>) {
        let posted = &self.statements[index];
        (posted.signed.clone(), posted.chain.clone())
    }

    /// What a device stored, opened, without the inbox cursor.
    pub(super) fn records(&self, index: usize) -> BTreeMap<[u8; 3], Vec<u8>> {
        super::opened_records(&self.members[index].seal, &self.members[index].store)
    }

    fn accept(&mut self, index: usize, frame: &[u8]) {
        let own = self.id(index);
        match av_wire::decode(frame).expect("a frame") {
            ToRelay::Found { chain, bundle, .. } => {
                self.tenant_id = Some(Chain::new(chain).claimed().expect("a chain").tenant_id);
                let account = self.accounts.entry(own).or_default();
                account.chain = chain.to_vec();
                account.bundle = without_kem(bundle);
                self.answer(index, &ToDevice::Done { request: 0 });
            }
            ToRelay::Enroll { request } => {
                let waits = self.accounts.get(&own).is_none_or(|account| account.chain.is_empty());
                assert!(waits, "enrolled once");
                self.accounts.entry(own).or_default().bundle = without_kem(request.bundle);
                self.requests.insert(own, frame.to_vec());
                let tenant_id = self.tenant_id.expect("founded");
                self.answer(index, &ToDevice::Pending { tenant_id });
            }
            ToRelay::Activate { signature, .. } => {
                let approver = self.accounts[&own].approver.expect("approved");
                self.entry(&approver, |sequence| ToDevice::Activated {
                    sequence,
                    previous: sequence - 1,
                    device_id: own,
                    signature,
                });
                self.answer(index, &ToDevice::Done { request: 0 });
            }
            ToRelay::Authenticate { .. } => {
                let next_sequence = self.accounts[&own].inbox.len() as u64 + 1;
                let inbox_epoch = InboxEpoch([1; 16]);
                self.answer(index, &ToDevice::Welcome { inbox_epoch, next_sequence, one_time_prekeys: 0 });
            }
            ToRelay::CreateInvite { request, .. } => self.answer(index, &ToDevice::Done { request }),
            ToRelay::ListPending { request } => {
                for waiting in self.requests.clone().into_values() {
                    let Ok(ToRelay::Enroll { request: enroll }) = av_wire::decode(&waiting) else { panic!() };
                    self.answer(
                        index,
                        &ToDevice::PendingDevice { request, inviter: own, enroll, late: false },
                    );
                }
                self.answer(index, &ToDevice::Done { request });
            }
            ToRelay::Approve { request, device_id, grant } => {
                self.requests.remove(&device_id);
                let decoded: Grant<'_> = av_wire::decode(grant).expect("a grant");
                let account = self.accounts.entry(device_id).or_default();
                (account.chain, account.approver) = (decoded.chain.to_vec(), Some(own));
                let to = (0..self.members.len()).find(|to| self.id(*to) == device_id).expect("a member");
                self.answer(to, &ToDevice::Granted { grant });
                self.answer(index, &ToDevice::Done { request });
            }
            ToRelay::PostStatement { request, statement } => {
                let object = Unverified::decode(statement).expect("a signed object");
                let said = Statement::from_unverified(&object).expect("a statement");
                let whose = if said.verdict == Verdict::Revoked { said.subject } else { said.issuer };
                let (signed, chain) = (statement.to_vec(), self.chain(&whose));
                if !self.withholds {
                    self.pass_on(&said.issuer, &signed, &chain);
                }
                let (issuer, serial) = (said.issuer, said.serial);
                self.statements.push(PostedStatement { issuer, serial, signed, chain });
                self.answer(index, &ToDevice::Done { request });
            }
            ToRelay::FetchStatements { request, issuer, after } => {
                let is_wanted = |posted: &&PostedStatement| posted.issuer == issuer && posted.serial > after;
                let wanted = self.statements.iter().filter(is_wanted).filter(|_| !self.withholds);
                let frames: Vec<_> = wanted
                    .map(|posted| {
                        let (statement, chain) = (&posted.signed[..], &posted.chain[..]);
                        bytes(&ToDevice::Posted { request, statement, chain })
                    })
                    .collect();
                self.members[index].answers.extend(frames);
                self.answer(index, &ToDevice::Done { request });
            }
            ToRelay::FetchCerts { request, device_id } => {
                let chain = self.chain(&device_id);
                self.answer(index, &ToDevice::Certs { request, chain: &chain });
            }
            ToRelay::FetchBundle { request, device_id, .. } => {
                let chain = self.chain(&device_id);
                let bundle = self.accounts.get(&device_id).and_then(|account| account.bundle);
                match bundle {
                    Some(bundle) => {
                        let bundle = Bundle { one_time: None, ..bundle };
                        self.answer(index, &ToDevice::Bundle { request, chain: &chain, bundle });
                    }
                    None => {
                        let code = RefusalCode::NotFound;
                        self.answer(index, &ToDevice::Error { request, code, retry_after: 0 });
                    }
                }
            }
            ToRelay::PublishPrekeys { request, prekeys, .. } => {
                let signed: Option<SignedPrekey> = prekeys.iter().find(|key| key.record[0] == 1);
                let bundle = self.accounts.get_mut(&own).and_then(|account| account.bundle.as_mut());
                if let (Some(bundle), Some(signed)) = (bundle, signed) {
                    bundle.signed = signed;
                }
                self.answer(index, &ToDevice::Done { request });
            }
            ToRelay::Recertify { request, chain } => {
                let device = Chain::new(chain).claimed().expect("a chain").device_id();
                self.accounts.get_mut(&device).expect("a device").chain = chain.to_vec();
                self.entry(&device, |sequence| ToDevice::Recertified {
                    sequence,
                    previous: sequence - 1,
                    chain,
                });
                self.answer(index, &ToDevice::Done { request });
            }
            ToRelay::Send { recipient, header_blob, ciphertext } => {
                self.entry(&recipient, |sequence| ToDevice::Deliver {
                    sequence,
                    previous: sequence - 1,
                    sender: own,
                    header_blob,
                    ciphertext,
                    received_at: 0,
                });
                let tenant = self.tenant_id.expect("founded");
                let message_id = message_id(&tenant, &own, &recipient, header_blob, ciphertext);
                self.answer(index, &ToDevice::Accepted { message_id });
            }
            ToRelay::Ack { .. } => {}
            ToRelay::Ping => self.answer(index, &ToDevice::Pong),
            other => panic!("{other:?}"),
        }
    }
}

/// The tenant's devices speak suites without a KEM.
fn without_kem(bundle: &[u8]) -> Option<Bundle<'static>> {
    let Bundle { signed, one_time, kem } = Bundle::decode(bundle).ok()?;
    kem.is_none().then_some(Bundle { signed, one_time, kem: None })
}
