//! A hand-made tenant: its root, its founding owner, and whatever that owner signs.

use av_wire::cert::DeviceCert;
use av_wire::chain::{Chain, MAX_CHAIN_BYTES};
use av_wire::frame::{ToDevice, ToRelay, founding_message};
use av_wire::grant::Grant;
use av_wire::labels::SignaturePurpose;
use av_wire::signature::{SignedKind, Unverified};
use av_wire::statement::{Statement, Verdict};
use av_wire::{DeviceId, DevicePublic, List, LookupHash, Role, Signature, TenantId};
use ed25519_dalek::{Signer, SigningKey};

use crate::Outcome;
use crate::connection::{Connection, decode, unexpected};
use crate::device::{Device, ISSUED_AT, encoded, random, sign};

/// A tenant's founder: the root and the first owner's device.
pub struct Founder {
    root: SigningKey,
    /// The founding owner's device.
    pub device: Device,
    /// The tenant.
    pub tenant: TenantId,
    /// The device's chain.
    pub chain: Vec<u8>,
    serial: u64,
}

impl Founder {
    /// Founds a tenant at a relay in `dev` mode.
    ///
    /// # Errors
    /// When the relay refuses.
    pub fn found(origin: &str) -> Outcome<Self> {
        let root = SigningKey::from_bytes(&random()?);
        let device = Device::new(Role::Owner)?;
        let tenant = TenantId::of_root(&root.verifying_key().to_bytes());
        let cert = certificate(&root, tenant, device.public(), DeviceId::ROOT)?;
        let mut buffer = [0; MAX_CHAIN_BYTES];
        let chain = Chain::prepend(&root.verifying_key().to_bytes(), &cert, None, &mut buffer)?.to_vec();
        let founder = Self { root, device, tenant, chain, serial: 0 };
        let mut connection = Connection::open(origin)?;
        let bundle = encoded(&founder.device.bundle()?)?;
        let message = founding_message(&tenant, connection.origin(), &founder.device.id())?;
        connection.must(&ToRelay::Found {
            code: [].as_slice(),
            chain: founder.chain.as_slice(),
            bundle: bundle.as_slice(),
            signature: Signature(founder.root.sign(&message).to_bytes()),
        })?;
        Ok(founder)
    }

    /// Opens an authenticated connection of the founding device.
    ///
    /// # Errors
    /// When the relay does not welcome it.
    pub fn connect(&self, origin: &str) -> Outcome<Connection> {
        self.device.connect(origin, self.tenant)
    }

    /// Registers an invite and gives its lookup value.
    ///
    /// # Errors
    /// When the relay refuses.
    pub fn invite(&self, connection: &mut Connection, role: Role, seconds: u32) -> Outcome<[u8; 32]> {
        let lookup = random()?;
        connection.must(&ToRelay::CreateInvite {
            request: 1,
            lookup_hash: LookupHash::of(&lookup),
            role,
            expires_in: seconds,
        })?;
        Ok(lookup)
    }

    /// The chain that certifies `device` under the founding owner.
    ///
    /// # Errors
    /// Never for a device of this harness.
    pub fn certify(&self, device: &DevicePublic) -> Outcome<Vec<u8>> {
        let cert = certificate(&self.device.identity, self.tenant, device, self.device.id())?;
        let mut buffer = [0; MAX_CHAIN_BYTES];
        let root = self.root.verifying_key().to_bytes();
        Ok(Chain::prepend(&root, &cert, Some(Chain::new(&self.chain)), &mut buffer)?.to_vec())
    }

    /// The chain that certifies `device` under `owner`, which the founding owner certifies.
    ///
    /// # Errors
    /// Never for devices of this harness.
    pub fn certify_by(&self, owner: &Device, device: &DevicePublic) -> Outcome<Vec<u8>> {
        let issuers = self.certify(owner.public())?;
        let cert = certificate(&owner.identity, self.tenant, device, owner.id())?;
        let mut buffer = [0; MAX_CHAIN_BYTES];
        let root = self.root.verifying_key().to_bytes();
        Ok(Chain::prepend(&root, &cert, Some(Chain::new(&issuers)), &mut buffer)?.to_vec())
    }

    /// Approves a pending device; its grant's tag is random, which the relay cannot know.
    ///
    /// # Errors
    /// When the relay refuses.
    pub fn approve(&self, connection: &mut Connection, device: &DevicePublic) -> Outcome<Vec<u8>> {
        let chain = self.certify(device)?;
        let origin = connection.origin().clone();
        let grant = encoded(&Grant {
            chain: chain.as_slice(),
            origin: origin.as_str(),
            link_key: [0; 32],
            next_link_key: [0; 32],
            serials: List::new(&[]),
            tag: random()?,
        })?;
        connection.must(&ToRelay::Approve {
            request: 2,
            device_id: device.device_id(),
            grant: grant.as_slice(),
        })?;
        Ok(chain)
    }

    /// Enrolls, approves and activates a device.
    ///
    /// # Errors
    /// When the relay refuses any of it.
    pub fn enroll(&self, owner: &mut Connection, device: &Device) -> Outcome {
        let lookup = self.invite(owner, device.public().role, 600)?;
        let request = device.request(&lookup)?;
        let mut connection = Connection::open(owner.origin().as_str())?;
        let answer = connection.call(&request.frame())?;
        let ToDevice::Pending { .. } = decode(&answer)? else {
            return Err(unexpected(&decode(&answer)?));
        };
        let chain = self.approve(owner, device.public())?;
        let answer = connection.frame()?;
        let ToDevice::Granted { .. } = decode(&answer)? else {
            return Err(unexpected(&decode(&answer)?));
        };
        device.activate(&mut connection, self.tenant, &request, &chain)
    }

    /// The next signed statement of the founding owner about `subject`.
    ///
    /// # Errors
    /// Never for a statement without kept certificates.
    pub fn statement(&mut self, verdict: Verdict, subject: DeviceId) -> Outcome<Vec<u8>> {
        self.serial += 1;
        let statement = Statement {
            verdict,
            tenant_id: self.tenant,
            subject,
            issuer: self.device.id(),
            serial: self.serial,
            issued_at: ISSUED_AT,
            keep: &[],
            link_keys: None,
        };
        let body = statement.body()?;
        let signature = self.device.sign(statement.kind().purpose(), &[&body])?;
        encoded(&Unverified { kind: statement.kind(), body: body.as_slice(), signature })
    }

    /// Posts the next statement about `subject`.
    ///
    /// # Errors
    /// When the relay refuses.
    pub fn post(&mut self, connection: &mut Connection, verdict: Verdict, subject: DeviceId) -> Outcome {
        let statement = self.statement(verdict, subject)?;
        connection.must(&ToRelay::PostStatement { request: 3, statement: statement.as_slice() })
    }
}

/// A signed certificate for `device`.
fn certificate(
    key: &SigningKey,
    tenant: TenantId,
    device: &DevicePublic,
    issuer: DeviceId,
) -> Outcome<Vec<u8>> {
    let body = DeviceCert { tenant_id: tenant, device: *device, issued_at: ISSUED_AT, issuer }.to_bytes();
    let signature = sign(key, SignaturePurpose::Cert, &[&body])?;
    encoded(&Unverified { kind: SignedKind::Cert, body: body.as_slice(), signature })
}
