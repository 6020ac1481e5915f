//! What a device asks of the relay, and the answer.

use av_proto::wire::bundle::{Bundle, PrekeyKind};
use av_proto::wire::frame::{ToDevice, ToRelay};
use av_proto::wire::grant::Grant;
use av_proto::wire::message::message_id;
use av_proto::wire::statement::{Statement, Verdict};
use av_proto::wire::{DeviceId, DevicePublic, RefusalCode, Unverified, chain, decode};

use super::{Content, Relay};
use crate::ledger::Violation;

impl Relay {
    /// Takes in the next frame of a device; whether there was one.
    pub(crate) fn take(&mut self, line: usize) -> Result<bool, Violation> {
        let Some(frame) = self.lines.get_mut(line).and_then(|line| line.up.pop_front()) else {
            return Ok(false);
        };
        let decoded = decode(&frame).map_err(|_| Violation::new("a device sent a frame that is not AV/1"))?;
        let device = self.lines.get(line).and_then(|line| line.device);
        match decoded {
            ToRelay::Found { chain, bundle, .. } => {
                let cert = chain::Chain::new(chain).claimed().map_err(|_| Violation::new("Found: chain"))?;
                self.keep_prekey(cert.device_id(), bundle)?;
                self.tenant = Some(cert.tenant_id);
                self.founder = Some(cert.device_id());
                self.accounts.entry(cert.device_id()).or_default();
                self.certs.insert(cert.device_id(), chain.to_vec());
                self.answer(line, &ToDevice::Done { request: 0 })?;
            }
            ToRelay::Enroll { request } => {
                let device = DevicePublic::from_bytes(&request.device);
                let device = device.map_err(|_| Violation::new("Enroll: public keys"))?;
                self.keep_prekey(device.device_id(), request.bundle)?;
                self.enroll(line, &request.device, &frame)?;
            }
            ToRelay::Activate { device_id, signature, .. } => {
                self.accounts.entry(device_id).or_default();
                if let Some(founder) = self.founder {
                    // Repeated after a lost answer, it is the same activation.
                    let is_new = self.archive.iter().all(
                        |(_, content)| !matches!(content, Content::Activated { device, .. } if *device == device_id),
                    );
                    if is_new {
                        let content = Content::Activated { device: device_id, signature };
                        self.archive.push((founder, content.clone()));
                        self.staged.push((founder, content));
                    }
                }
                self.answer(line, &ToDevice::Done { request: 0 })?;
            }
            ToRelay::Authenticate { device_id, receive_window, .. } => {
                let account = self.accounts.entry(device_id).or_default();
                let (acknowledged, next) = (account.acknowledged, account.next + 1);
                if let Some(line) = self.lines.get_mut(line) {
                    line.device = Some(device_id);
                    line.authenticated = true;
                    line.cursor = acknowledged;
                    line.window = u64::from(receive_window.max(1));
                }
                let inbox_epoch = self.epoch;
                let welcome = ToDevice::Welcome { inbox_epoch, next_sequence: next, one_time_prekeys: 0 };
                self.answer(line, &welcome)?;
            }
            ToRelay::ListPending { request } => {
                let inviter = self.founder.ok_or_else(|| Violation::new("a list before the founding"))?;
                for frame in self.requests.clone().into_values() {
                    if let Ok(ToRelay::Enroll { request: enroll }) = decode(&frame) {
                        self.answer(
                            line,
                            &ToDevice::PendingDevice { request, inviter, enroll, late: false },
                        )?;
                    }
                }
                self.answer(line, &ToDevice::Done { request })?;
            }
            ToRelay::Approve { request, device_id, grant } => {
                self.requests.remove(&device_id);
                self.grants.insert(device_id, grant.to_vec());
                let decoded: Grant<'_> = decode(grant).map_err(|_| Violation::new("Approve: not a grant"))?;
                self.certs.insert(device_id, decoded.chain.to_vec());
                let grant = grant.to_vec();
                for other in 0..self.lines.len() {
                    if self.lines.get(other).is_some_and(|line| line.device == Some(device_id)) {
                        self.answer(other, &ToDevice::Granted { grant: grant[..].into() })?;
                    }
                }
                self.answer(line, &ToDevice::Done { request })?;
            }
            ToRelay::PostStatement { request, statement } => {
                let content =
                    Content::Statement { signed: statement.to_vec(), chain: self.chain_beside(statement)? };
                for to in self.accounts.keys() {
                    self.staged.push((*to, content.clone()));
                }
                self.answer(line, &ToDevice::Done { request })?;
            }
            ToRelay::CreateInvite { request, .. }
            | ToRelay::RevokeInvite { request, .. }
            | ToRelay::Reject { request, .. }
            | ToRelay::ListInvites { request } => self.answer(line, &ToDevice::Done { request })?,
            ToRelay::FetchCerts { request, device_id } => match self.certs.get(&device_id).cloned() {
                Some(chain) => self.answer(line, &ToDevice::Certs { request, chain: chain[..].into() })?,
                None => self.not_found(line, request)?,
            },
            ToRelay::PublishPrekeys { request, prekeys, .. } => {
                for prekey in prekeys.iter() {
                    // The first byte of a record is its kind, 1 the signed prekey.
                    let is_signed = prekey.record.first() == Some(&(PrekeyKind::Signed as u8));
                    if let Some(device) = device.filter(|_| is_signed) {
                        self.prekeys.insert(device, prekey);
                    }
                }
                self.answer(line, &ToDevice::Done { request })?;
            }
            ToRelay::FetchBundle { request, device_id, .. } => {
                match (self.certs.get(&device_id).cloned(), self.prekeys.get(&device_id).copied()) {
                    (Some(chain), Some(signed)) => {
                        let bundle = Bundle { signed, one_time: None, kem: None };
                        self.answer(line, &ToDevice::Bundle { request, chain: &chain, bundle })?;
                    }
                    _ => self.not_found(line, request)?,
                }
            }
            ToRelay::FetchStatements { request, .. } | ToRelay::Recertify { request, .. } => {
                self.not_found(line, request)?
            }
            ToRelay::Send { recipient, header_blob, ciphertext } => {
                let (sender, tenant) =
                    device.zip(self.tenant).ok_or_else(|| Violation::new("Send before Authenticate"))?;
                let message_id = message_id(&tenant, &sender, &recipient, header_blob, ciphertext);
                if self.accounts.entry(sender).or_default().sent.insert(message_id) {
                    let (header_blob, ciphertext) = (header_blob.to_vec(), ciphertext.to_vec());
                    let content = Content::Message { sender, header_blob, ciphertext, genuine: true };
                    self.archive.push((recipient, content.clone()));
                    self.staged.push((recipient, content));
                }
                self.answer(line, &ToDevice::Accepted { message_id })?;
            }
            ToRelay::Ack { inbox_epoch, sequence, .. } => {
                if let Some(account) = device.and_then(|id| self.accounts.get_mut(&id))
                    && inbox_epoch == self.epoch
                    && sequence <= account.next
                {
                    account.acknowledged = account.acknowledged.max(sequence);
                    account.entries.retain(|entry| entry.sequence > sequence);
                }
            }
            ToRelay::PostKeyGrant { .. } | ToRelay::FindKey { .. } | ToRelay::EnrollWithKey { .. } => {
                return Err(Violation::new("no device of these worlds has an API key"));
            }
            ToRelay::Ping => self.answer(line, &ToDevice::Pong)?,
            ToRelay::Pong => {}
        }
        Ok(true)
    }

    /// Keeps the signed prekey of a bundle.
    fn keep_prekey(&mut self, device: DeviceId, bundle: &[u8]) -> Result<(), Violation> {
        let bundle: Bundle = decode(bundle).map_err(|_| Violation::new("a bundle that is not AV/1"))?;
        self.prekeys.entry(device).or_insert(bundle.signed);
        Ok(())
    }

    /// The chain that gives a statement's issuer a say: the subject's for a revocation, else the issuer's.
    fn chain_beside(&self, signed: &[u8]) -> Result<Vec<u8>, Violation> {
        let malformed = |_| Violation::new("PostStatement: not a statement");
        let object = Unverified::decode(signed).map_err(malformed)?;
        let statement = Statement::from_unverified(&object).map_err(malformed)?;
        let whose = if statement.verdict == Verdict::Revoked { statement.subject } else { statement.issuer };
        Ok(self.certs.get(&whose).cloned().unwrap_or_default())
    }

    /// A request waits; who was approved gets the grant again.
    fn enroll(&mut self, line: usize, device: &[u8; 74], frame: &[u8]) -> Result<(), Violation> {
        let device = DevicePublic::from_bytes(device).map_err(|_| Violation::new("Enroll: public keys"))?;
        let id = device.device_id();
        if let Some(line) = self.lines.get_mut(line) {
            line.device = Some(id);
        }
        if let Some(grant) = self.grants.get(&id).cloned() {
            return self.answer(line, &ToDevice::Granted { grant: grant[..].into() });
        }
        self.requests.insert(id, frame.to_vec());
        let tenant_id = self.tenant.ok_or_else(|| Violation::new("a request before the founding"))?;
        self.answer(line, &ToDevice::Pending { tenant_id })
    }

    fn not_found(&mut self, line: usize, request: u32) -> Result<(), Violation> {
        self.answer(line, &ToDevice::Error { request, code: RefusalCode::NotFound, retry_after: 0 })
    }
}
