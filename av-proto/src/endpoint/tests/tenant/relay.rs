//! The relay between a tenant's devices: it verifies nothing, and keeps what it is given.

use av_wire::bundle::{Bundle, SignedPrekey};
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::grant::Grant;
use av_wire::key_grant::KeyGrant;
use av_wire::message::message_id;
use av_wire::statement::{Statement, Verdict};
use av_wire::{DeviceId, InboxEpoch, KeyId, RefusalCode, Unverified};

use super::{Chains, PostedStatement, Tenant, bytes};

impl Tenant {
    pub(in crate::endpoint::tests) fn answer(&mut self, index: usize, frame: &ToDevice<'_>) {
        self.members[index].answers.push(bytes(frame));
    }

    pub(in crate::endpoint::tests) fn entry<'f>(
        &mut self,
        to: &DeviceId,
        frame: impl FnOnce(u64) -> ToDevice<'f>,
    ) {
        let inbox = &mut self.accounts.entry(*to).or_default().inbox;
        let sequence = inbox.len() as u64 + 1;
        inbox.push(bytes(&frame(sequence)));
    }

    /// A statement for everybody but its issuer; what a relay that lies makes of it as well.
    pub(in crate::endpoint::tests) fn pass_on(&mut self, issuer: &DeviceId, signed: &[u8], chain: &[u8]) {
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

    /// Tells an owner that a device enrolled with its key.
    pub(in crate::endpoint::tests) fn use_key(&mut self, owner: &DeviceId, chain: &[u8]) {
        self.entry(owner, |sequence| ToDevice::KeyUsed { sequence, previous: sequence - 1, chain });
    }

    /// A message as the relay says it came.
    pub(in crate::endpoint::tests) fn deliver(
        &mut self,
        sender: &DeviceId,
        to: &DeviceId,
        header_blob: &[u8],
        ciphertext: &[u8],
    ) {
        let sender = *sender;
        self.entry(to, |sequence| ToDevice::Deliver {
            sequence,
            previous: sequence - 1,
            sender,
            header_blob,
            ciphertext,
            received_at: 0,
        });
    }

    /// A chain with the revocations that keep a certificate of it.
    pub(in crate::endpoint::tests) fn chain(&self, device: &DeviceId) -> Vec<u8> {
        let mut chain = self.accounts.get(device).map(|account| account.chain.clone()).unwrap_or_default();
        if let Some((owner, key_grant)) = self.keys.get(&KeyId(device.0)) {
            let owner = self.chain(owner);
            let root = Chain::new(&owner).claimed_root().expect("a chain");
            let mut buffer = [0; MAX_CHAIN_BYTES];
            let prepended = Chain::prepend(&root, key_grant, Some(Chain::new(&owner)), &mut buffer);
            chain = prepended.expect("room").to_vec();
        }
        for posted in &self.statements {
            let mut buffer = [0; MAX_CHAIN_BYTES];
            if let Ok(Some(kept)) = Chain::new(&chain).keep(&posted.signed, &mut buffer) {
                chain = kept.to_vec();
            }
        }
        chain
    }

    pub(in crate::endpoint::tests) fn accept(&mut self, index: usize, frame: &[u8]) {
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
                if self.keeps_approvals_open {
                    self.open_approvals.push(request);
                } else {
                    self.answer(index, &ToDevice::Done { request });
                }
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
            ToRelay::FetchCerts { request, device_id } if self.chains == Chains::Given => {
                self.chains_asked += 1;
                let chain = self.chain(&device_id);
                self.answer(index, &ToDevice::Certs { request, chain: &chain });
            }
            ToRelay::FetchCerts { request, .. } => {
                self.chains_asked += 1;
                let code = RefusalCode::NotFound;
                if self.chains == Chains::NotFound {
                    self.answer(index, &ToDevice::Error { request, code, retry_after: 0 });
                }
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
            ToRelay::PostKeyGrant { request, key_grant } => {
                let object = Unverified::decode(key_grant).expect("a signed object");
                let key = KeyGrant::from_unverified(&object).expect("a key's grant").key_id();
                self.keys.insert(key, (own, key_grant.to_vec()));
                self.answer(index, &ToDevice::Done { request });
            }
            ToRelay::FindKey { key_id, .. } => {
                let chain = self.chain(&key_id.as_issuer());
                self.answer(index, &ToDevice::Key { chain: &chain });
            }
            ToRelay::EnrollWithKey { chain, bundle, .. } => {
                self.asked_with_key += 1;
                let claimed = Chain::new(chain).claimed_key().expect("a chain").expect("a key");
                let account = self.accounts.entry(own).or_default();
                let is_new = account.chain.is_empty();
                (account.chain, account.bundle) = (chain.to_vec(), without_kem(bundle));
                if is_new && !self.hides_use {
                    self.use_key(&claimed.issuer, chain);
                }
                if !core::mem::take(&mut self.loses_answer) {
                    self.answer(index, &ToDevice::Done { request: 0 });
                }
            }
            ToRelay::Send { recipient, header_blob, ciphertext } => {
                self.deliver(&own, &recipient, header_blob, ciphertext);
                let tenant = self.tenant_id.expect("founded");
                let message_id = message_id(&tenant, &own, &recipient, header_blob, ciphertext);
                self.answer(index, &ToDevice::Accepted { message_id });
            }
            ToRelay::Ack { sequence, .. } => {
                let account = self.accounts.get_mut(&own).expect("a device");
                account.acknowledged = usize::try_from(sequence).expect("few");
            }
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
