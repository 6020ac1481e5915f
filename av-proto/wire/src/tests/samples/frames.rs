//! A frame of every number.

use std::vec;
use std::vec::Vec;

use ed25519_dalek::Signer;

use super::{NOW, ORIGIN, Tenant, chain_of, encoded, leak, pattern};
use crate::bundle::{Bundle, KemPrekeyKind, PrekeyKind};
use crate::chain::Chain;
use crate::code::{RefusalCode, RejectCode};
use crate::enroll::EnrollTranscript;
use crate::frame::{Fate, LinkKind, Rejected, ToDevice, ToRelay};
use crate::frame::{authentication_message, founding_message};
use crate::labels::SignaturePurpose;
use crate::list::List;
use crate::public::Role;
use crate::signature::Signature;
use crate::statement::Verdict;
use crate::{InboxEpoch, LookupHash, MessageId, Origin};

impl Tenant {
    /// Every frame to the relay, each variant at least once.
    pub(in crate::tests) fn to_relay(&self) -> Vec<(&'static str, ToRelay<'static>)> {
        let (owner, agent, tenant_id) = (&self.owners[0], &self.agent, self.id());
        let origin = Origin::parse(ORIGIN).unwrap();
        let lookup_hash = LookupHash::of(&pattern(0x30));
        let transcript = self.enroll().transcript().unwrap().0;
        let chain_hash = self.grant().chain().hash();
        let authentication =
            authentication_message(LinkKind::Tls, &pattern(0xc0), &tenant_id, &agent.id(), &origin).unwrap();
        let founding = founding_message(&tenant_id, &origin, &owner.id()).unwrap();
        let rejected = vec![
            Rejected { sequence: 4, code: RejectCode::Unopened },
            Rejected { sequence: 500, code: RejectCode::UnknownSender },
        ];
        let kem_prekeys =
            vec![agent.kem_prekey(KemPrekeyKind::LastResort, 5), agent.kem_prekey(KemPrekeyKind::OneTime, 6)];
        let prekeys = vec![agent.prekey(PrekeyKind::Signed, 3), agent.prekey(PrekeyKind::OneTime, 4)];
        let (keyed, keyed_bundle) = (leak(self.keyed_chain()), leak(encoded(&agent.bundle())));
        let keyed_transcript =
            EnrollTranscript::with_key(&agent.public.to_bytes(), keyed_bundle, Chain::new(keyed)).unwrap();
        vec![
            (
                "ToRelay.Authenticate",
                ToRelay::Authenticate {
                    tenant_id,
                    device_id: agent.id(),
                    receive_window: 32,
                    ping_period: 30,
                    link: LinkKind::Tls,
                    signature: Signature(agent.secret.sign(&authentication).to_bytes()),
                },
            ),
            ("ToRelay.Enroll", ToRelay::Enroll { request: self.enroll() }),
            (
                "ToRelay.Activate",
                ToRelay::Activate {
                    tenant_id,
                    device_id: agent.id(),
                    signature: agent.sign(SignaturePurpose::Activate, &[&transcript, &chain_hash]),
                },
            ),
            (
                "ToRelay.Found",
                ToRelay::Found {
                    code: leak(vec![]),
                    chain: leak(chain_of(self.root.public(), &[self.root.certify(owner)])),
                    bundle: leak(encoded(&owner.bundle())),
                    signature: Signature(self.root.0.sign(&founding).to_bytes()),
                },
            ),
            (
                "ToRelay.CreateInvite",
                ToRelay::CreateInvite { request: 1, lookup_hash, role: Role::Agent, expires_in: 600 },
            ),
            ("ToRelay.ListInvites", ToRelay::ListInvites { request: 2 }),
            ("ToRelay.RevokeInvite", ToRelay::RevokeInvite { request: 3, lookup_hash }),
            ("ToRelay.ListPending", ToRelay::ListPending { request: 4 }),
            (
                "ToRelay.Approve",
                ToRelay::Approve { request: 5, device_id: agent.id(), grant: leak(encoded(&self.grant())) },
            ),
            ("ToRelay.Reject", ToRelay::Reject { request: 6, device_id: agent.id() }),
            (
                "ToRelay.PostStatement",
                ToRelay::PostStatement {
                    request: 7,
                    statement: leak(self.statement(Verdict::Suspended, &[])),
                },
            ),
            ("ToRelay.FetchCerts", ToRelay::FetchCerts { request: 8, device_id: agent.id() }),
            (
                "ToRelay.Send",
                ToRelay::Send {
                    recipient: owner.id(),
                    header_blob: leak(pattern::<82>(0x01).to_vec()),
                    ciphertext: leak(pattern::<48>(0xd0).to_vec()),
                },
            ),
            (
                "ToRelay.Ack/empty",
                ToRelay::Ack {
                    inbox_epoch: InboxEpoch(pattern(0xe0)),
                    sequence: 0,
                    rejected: List::new(&[]),
                },
            ),
            (
                "ToRelay.Ack",
                ToRelay::Ack {
                    inbox_epoch: InboxEpoch(pattern(0xe0)),
                    sequence: 70_000,
                    rejected: List::new(rejected.leak()),
                },
            ),
            (
                "ToRelay.PublishPrekeys",
                ToRelay::PublishPrekeys {
                    request: u32::MAX,
                    prekeys: List::new(prekeys.leak()),
                    kem_prekeys: List::new(&[]),
                },
            ),
            (
                "ToRelay.PublishPrekeys/kem",
                ToRelay::PublishPrekeys {
                    request: u32::MAX,
                    prekeys: List::new(&[]),
                    kem_prekeys: List::new(kem_prekeys.leak()),
                },
            ),
            (
                "ToRelay.FetchBundle",
                ToRelay::FetchBundle { request: 10, device_id: agent.id(), one_time: true },
            ),
            ("ToRelay.Ping", ToRelay::Ping),
            ("ToRelay.Pong", ToRelay::Pong),
            (
                "ToRelay.FetchStatements",
                ToRelay::FetchStatements { request: 11, issuer: owner.id(), after: 6 },
            ),
            ("ToRelay.Recertify", ToRelay::Recertify { request: 12, chain: leak(self.chain(2)) }),
            (
                "ToRelay.PostKeyGrant",
                ToRelay::PostKeyGrant { request: 13, key_grant: leak(self.signed_key_grant()) },
            ),
            ("ToRelay.FindKey", ToRelay::FindKey { tenant_id, key_id: self.key_grant().key_id() }),
            (
                "ToRelay.EnrollWithKey",
                ToRelay::EnrollWithKey {
                    chain: keyed,
                    bundle: keyed_bundle,
                    pop: agent.sign(SignaturePurpose::Enroll, &[&keyed_transcript.0]),
                },
            ),
        ]
    }

    /// Every frame to a device, each variant at least once.
    pub(in crate::tests) fn to_device(&self) -> Vec<(&'static str, ToDevice<'static>)> {
        let (owner, agent) = (&self.owners[0], &self.agent);
        let message_id = MessageId(pattern(0x11));
        let without_one_time = Bundle { one_time: None, ..agent.bundle() };
        let bundle = |bundle| ToDevice::Bundle { request: 10, chain: leak(self.chain(2)), bundle };
        vec![
            ("ToDevice.Challenge", ToDevice::Challenge { nonce: pattern(0xc0), server_time: NOW }),
            (
                "ToDevice.Welcome",
                ToDevice::Welcome {
                    inbox_epoch: InboxEpoch(pattern(0xe0)),
                    next_sequence: 1,
                    one_time_prekeys: 100,
                },
            ),
            ("ToDevice.Pending", ToDevice::Pending { tenant_id: self.id() }),
            ("ToDevice.Granted", ToDevice::Granted { grant: leak(encoded(&self.grant())) }),
            ("ToDevice.Done", ToDevice::Done { request: 0 }),
            (
                "ToDevice.Error",
                ToDevice::Error { request: 0, code: RefusalCode::RateLimited, retry_after: 3_600 },
            ),
            (
                "ToDevice.Invite",
                ToDevice::Invite {
                    request: 2,
                    lookup_hash: LookupHash::of(&pattern(0x30)),
                    role: Role::Owner,
                    expires_at: NOW + 600,
                    consumed: true,
                },
            ),
            (
                "ToDevice.PendingDevice",
                ToDevice::PendingDevice {
                    request: 4,
                    inviter: owner.id(),
                    enroll: self.enroll(),
                    late: false,
                },
            ),
            ("ToDevice.Certs", ToDevice::Certs { request: 8, chain: leak(self.chain(4)) }),
            ("ToDevice.Accepted", ToDevice::Accepted { message_id }),
            ("ToDevice.Refused", ToDevice::Refused { message_id, code: RefusalCode::TooLarge }),
            (
                "ToDevice.Deliver",
                ToDevice::Deliver {
                    sequence: 5,
                    previous: 3,
                    sender: agent.id(),
                    header_blob: leak(pattern::<82>(0x01).to_vec()),
                    ciphertext: leak(pattern::<48>(0xd0).to_vec()),
                    received_at: NOW,
                },
            ),
            (
                "ToDevice.Statement",
                ToDevice::Statement {
                    sequence: 6,
                    previous: 5,
                    statement: leak(self.statement(Verdict::Revoked, &pattern::<32>(0xf0))),
                    chain: leak(self.chain(2)),
                },
            ),
            (
                "ToDevice.Activated",
                ToDevice::Activated {
                    sequence: 7,
                    previous: 6,
                    device_id: agent.id(),
                    signature: Signature(pattern(0x80)),
                },
            ),
            ("ToDevice.Status", ToDevice::Status { message_id, fate: Fate::Expired }),
            ("ToDevice.Bundle", bundle(agent.bundle())),
            ("ToDevice.Bundle/last", bundle(without_one_time)),
            ("ToDevice.Bundle/kem", bundle(agent.bundle_with_kem())),
            ("ToDevice.EnrollmentWaiting", ToDevice::EnrollmentWaiting),
            ("ToDevice.Moved", ToDevice::Moved),
            ("ToDevice.Ping", ToDevice::Ping),
            ("ToDevice.Pong", ToDevice::Pong),
            (
                "ToDevice.Posted",
                ToDevice::Posted {
                    request: 11,
                    statement: leak(self.statement(Verdict::Suspended, &[])),
                    chain: leak(vec![]),
                },
            ),
            (
                "ToDevice.Recertified",
                ToDevice::Recertified { sequence: 8, previous: 7, chain: leak(self.kept_chain()) },
            ),
            ("ToDevice.Key", ToDevice::Key { chain: leak(self.key_chain()) }),
            (
                "ToDevice.KeyUsed",
                ToDevice::KeyUsed { sequence: 9, previous: 8, chain: leak(self.keyed_chain()) },
            ),
        ]
    }
}
