//! A founded tenant, and the steps that a test takes in it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use av_wire::RejectCode;
use av_wire::cert::DeviceCert;
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::enroll::EnrollRequest;
use av_wire::frame::founding_message;
use av_wire::ids::{DeviceId, InboxEpoch, LookupHash, Origin, TenantId};
use av_wire::public::Role;
use av_wire::signature::{Signature, SignedKind};
use av_wire::statement::Verdict;
use ed25519_dalek::{Signer, SigningKey};

use super::device::{random, signed_object, statement_by};
use super::{TestCluster, TestDevice, shared};
use crate::service::{Actor, Enrollment, Refusal};
use crate::{Founding, Relay, store::Store};

/// What devices call the relay of the tests.
pub(crate) const ORIGIN: &str = "ws://127.0.0.1:7460";

/// A relay on the shared cluster. The cluster lives for as long as somebody holds it.
pub(crate) async fn relay() -> (Arc<TestCluster>, Relay) {
    relay_as(Origin::parse(ORIGIN).unwrap(), Founding::Open).await
}

/// The same under another origin, or one that founds nobody.
pub(crate) async fn relay_as(origin: Origin, founding: Founding) -> (Arc<TestCluster>, Relay) {
    let cluster = tokio::task::spawn_blocking(shared).await.unwrap();
    let relay = known_as(origin, founding, &cluster).await;
    (cluster, relay)
}

/// A relay on this cluster.
pub(crate) async fn relay_on(cluster: &TestCluster) -> Relay {
    known_as(Origin::parse(ORIGIN).unwrap(), Founding::Open, cluster).await
}

async fn known_as(origin: Origin, founding: Founding, cluster: &TestCluster) -> Relay {
    let store = Store::open(&cluster.endpoint).await.unwrap();
    Relay::new(store, origin, founding)
}

/// A tenant with its founder.
pub(crate) struct Tenant {
    pub(crate) root: SigningKey,
    pub(crate) id: TenantId,
    pub(crate) owner: TestDevice,
    pub(crate) relay: Relay,
}

impl Tenant {
    /// A tenant's keys and its founder's chain; no relay has heard of it.
    pub(crate) fn unknown(relay: &Relay) -> Self {
        let root = SigningKey::from_bytes(&random());
        let root_key = root.verifying_key().to_bytes();
        let id = TenantId::of_root(&root_key);
        let mut owner = TestDevice::new(Role::Owner);
        owner.chain = certify_by_root(&root, id, &owner);
        Self { root, id, owner, relay: relay.clone() }
    }

    pub(crate) async fn founded(relay: &Relay) -> Self {
        let tenant = Self::unknown(relay);
        tenant.found(&tenant.owner, relay.origin().as_str()).await.unwrap();
        tenant
    }

    /// Founds the tenant with this founder, signed for this origin.
    pub(crate) async fn found(&self, founder: &TestDevice, origin: &str) -> Result<(), Refusal> {
        let message = founding_message(&self.id, &Origin::parse(origin).unwrap(), &founder.id()).unwrap();
        let signature = Signature(self.root.sign(&message).to_bytes());
        self.relay.found(&[], &founder.chain, &founder.bundle(), &signature).await
    }

    pub(crate) fn actor(&self, device: &TestDevice) -> Actor {
        Actor { tenant: self.id, device: device.id() }
    }

    pub(crate) fn founder(&self) -> Actor {
        self.actor(&self.owner)
    }

    /// A registered invite's lookup value.
    pub(crate) async fn invite(&self, role: Role) -> [u8; 32] {
        let lookup = random();
        let hash = LookupHash::of(&lookup);
        self.relay.create_invite(&self.founder(), &hash, role, 600).await.unwrap();
        lookup
    }

    /// An API key that the founder granted, for so many agents.
    pub(crate) async fn api_key(&self, most: u16) -> SigningKey {
        let key = SigningKey::from_bytes(&random());
        let grant = self.owner.key_grant(self.id, &key, most, in_an_hour());
        self.relay.post_key_grant(&self.founder(), &grant).await.unwrap();
        key
    }

    /// Sends an enrollment request as it came off the wire.
    pub(crate) async fn enroll(&self, request: &[u8]) -> Result<Enrollment, Refusal> {
        enroll(&self.relay, request).await
    }

    /// A device that waits for its approval, and its request.
    pub(crate) async fn pending(&self, role: Role) -> (TestDevice, Vec<u8>) {
        let device = TestDevice::new(role);
        let request = device.request(&self.invite(role).await);
        self.enroll(&request).await.unwrap();
        (device, request)
    }

    /// A device with a grant that it has not taken up, and its request.
    pub(crate) async fn approved(&self, role: Role) -> (TestDevice, Vec<u8>) {
        let (mut device, request) = self.pending(role).await;
        device.chain = self.owner.certify(self.id, &device.public);
        let grant = TestDevice::grant(&device.chain);
        self.relay.approve(&self.founder(), &device.id(), &grant).await.unwrap();
        (device, request)
    }

    /// A device that is in.
    pub(crate) async fn active(&self, role: Role) -> TestDevice {
        let (device, request) = self.approved(role).await;
        let signature = device.activation(&request, &device.chain);
        self.relay.activate(&self.id, &device.id(), &signature).await.unwrap();
        device
    }

    /// Posts a statement of the founder.
    pub(crate) async fn state(
        &self,
        verdict: Verdict,
        subject: DeviceId,
        serial: u64,
    ) -> Result<(), Refusal> {
        let signed = self.owner.statement(self.id, verdict, subject, serial);
        self.relay.post_statement(&self.founder(), &signed).await
    }

    /// A statement of the root.
    pub(crate) fn statement_of_root(&self, verdict: Verdict, subject: DeviceId, serial: u64) -> Vec<u8> {
        statement_by(&self.root, DeviceId::ROOT, self.id, verdict, subject, serial)
    }

    /// Sends a message of these bytes.
    pub(crate) async fn send(&self, from: &TestDevice, to: &TestDevice, body: &[u8]) -> Result<(), Refusal> {
        self.relay.send(&self.actor(from), &to.id(), b"header", body).await?.stored().await
    }

    /// Acknowledges everything up to this number.
    pub(crate) async fn acknowledge(
        &self,
        device: &TestDevice,
        epoch: &InboxEpoch,
        sequence: u64,
        rejected: &[(u64, RejectCode)],
    ) -> bool {
        let acknowledging =
            self.relay.acknowledge(&self.actor(device), epoch, sequence, rejected.to_vec()).await;
        acknowledging.unwrap().taken().await.unwrap()
    }
}

/// Seconds since 1970 by the relay's clock.
pub(crate) fn in_an_hour() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3_600
}

pub(crate) async fn enroll(relay: &Relay, request: &[u8]) -> Result<Enrollment, Refusal> {
    let decoded: EnrollRequest<'_> = av_wire::decode(request).unwrap();
    relay.enroll(&decoded, request).await
}

/// The chain by which the root certifies a device.
pub(crate) fn certify_by_root(root: &SigningKey, tenant_id: TenantId, device: &TestDevice) -> Vec<u8> {
    let cert =
        DeviceCert { tenant_id, device: device.public, issued_at: 1_800_000_000, issuer: DeviceId::ROOT };
    let signed = signed_object(root, SignedKind::Cert, &cert.to_bytes());
    let mut buffer = [0; MAX_CHAIN_BYTES];
    Chain::prepend(&root.verifying_key().to_bytes(), &signed, None, &mut buffer).unwrap().to_vec()
}
