//! A device speaks only while it is active, and nobody learns why another is refused.

use av_tests::Outcome;
use av_tests::connection::{Connection, decode, unexpected};
use av_tests::device::{Device, random};
use av_tests::founder::Founder;
use av_tests::shared::SharedRelay;
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::statement::Verdict;
use av_wire::{DeviceId, Origin, RefusalCode, Role, TenantId};

/// A tenant with a device in each state of `PROTOCOL.md` section 4.
struct Tenant {
    founder: Founder,
    owner: Connection,
    active: Device,
    pending: Device,
    approved: Device,
    rejected: Device,
    suspended: Device,
    revoked: Device,
}

impl Tenant {
    fn new(origin: &str) -> Outcome<Self> {
        let founder = Founder::found(origin)?;
        let mut owner = founder.connect(origin)?;
        let [pending, approved, rejected] = requested(&founder, &mut owner, origin)?;
        founder.approve(&mut owner, approved.public())?;
        owner.must(&ToRelay::Reject { request: 5, device_id: rejected.id() })?;
        let mut tenant = Self {
            active: Device::new(Role::Agent)?,
            suspended: Device::new(Role::Agent)?,
            revoked: Device::new(Role::Agent)?,
            founder,
            owner,
            pending,
            approved,
            rejected,
        };
        for device in [&tenant.active, &tenant.suspended, &tenant.revoked] {
            tenant.founder.enroll(&mut tenant.owner, device)?;
        }
        tenant.post(Verdict::Suspended, tenant.suspended.id())?;
        tenant.post(Verdict::Revoked, tenant.revoked.id())?;
        Ok(tenant)
    }

    fn id(&self) -> TenantId {
        self.founder.tenant
    }

    fn post(&mut self, verdict: Verdict, subject: DeviceId) -> Outcome {
        self.founder.post(&mut self.owner, verdict, subject)
    }
}

/// Three devices that asked to enroll.
fn requested(founder: &Founder, owner: &mut Connection, origin: &str) -> Outcome<[Device; 3]> {
    let devices = [Device::new(Role::Agent)?, Device::new(Role::Agent)?, Device::new(Role::Agent)?];
    for device in &devices {
        let lookup = founder.invite(owner, Role::Agent, 600)?;
        let answer = Connection::open(origin)?.call(&device.request(&lookup)?.frame())?;
        let ToDevice::Pending { .. } = decode(&answer)? else {
            return Err(unexpected(&decode(&answer)?));
        };
    }
    Ok(devices)
}

/// The answer to an attempt to authenticate as `device`.
fn attempt(origin: &str, device: &Device, tenant: TenantId) -> Outcome<Vec<u8>> {
    let mut connection = Connection::open(origin)?;
    let frame = device.authentication(&connection, tenant)?;
    connection.call(&frame)
}

fn not_authorized(answer: &[u8]) -> Outcome<Vec<u8>> {
    match decode(answer)? {
        ToDevice::Error { request: 0, code: RefusalCode::NotAuthorized, .. } => Ok(answer.to_vec()),
        other => Err(unexpected(&other)),
    }
}

#[test]
fn only_an_active_device_is_let_in_and_every_refusal_reads_the_same() -> Outcome {
    let relay = SharedRelay::get()?;
    let origin = relay.origin();
    let tenant = Tenant::new(origin)?;
    let id = tenant.id();
    let stranger = Device::new(Role::Agent)?;
    let foreign = Founder::found(origin)?;
    let before = relay.inspect()?.digest(id)?;

    let mut answers = Vec::new();
    for device in [
        &stranger,
        &tenant.pending,
        &tenant.approved,
        &tenant.rejected,
        &tenant.suspended,
        &tenant.revoked,
        &foreign.device,
    ] {
        answers.push(not_authorized(&attempt(origin, device, id)?)?);
    }
    answers.push(not_authorized(&attempt(origin, &tenant.active, TenantId(random()?))?)?);

    // The right device with a signature that is not for this connection.
    let mut connection = Connection::open(origin)?;
    let elsewhere = Origin::parse("ws://127.0.0.1:1")?;
    for frame in [
        tenant.active.authentication_for(connection.nonce(), id, &elsewhere)?,
        tenant.active.authentication_for(&random()?, id, connection.origin())?,
    ] {
        answers.push(not_authorized(&connection.call(&frame)?)?);
        connection = Connection::open(origin)?;
    }

    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer, byte for byte");
    assert_eq!(relay.inspect()?.digest(id)?, before, "nothing changed");
    tenant.active.connect(origin, id).map(drop)
}

#[test]
fn nothing_but_enrollment_is_heard_before_authentication() -> Outcome {
    let relay = SharedRelay::get()?;
    let origin = relay.origin();
    let tenant = Tenant::new(origin)?;
    let before = relay.inspect()?.digest(tenant.id())?;
    let device_id = tenant.active.id();
    let (header, body) = (random::<82>()?, random::<48>()?);
    for frame in [
        ToRelay::ListPending { request: 1 },
        ToRelay::FetchBundle { request: 1, device_id, one_time: true },
        ToRelay::FetchCerts { request: 1, device_id },
        ToRelay::Reject { request: 1, device_id: tenant.pending.id() },
        ToRelay::Send { recipient: device_id, header_blob: header[..].into(), ciphertext: body[..].into() },
    ] {
        let mut connection = Connection::open(origin)?;
        connection.send(&frame)?;
        connection.end()?;
    }
    assert_eq!(relay.inspect()?.digest(tenant.id())?, before);
    Ok(())
}

#[test]
fn an_agent_is_no_owner() -> Outcome {
    let relay = SharedRelay::get()?;
    let tenant = Tenant::new(relay.origin())?;
    let before = relay.inspect()?.digest(tenant.id())?;
    let foreign = Founder::found(relay.origin())?.statement(Verdict::Revoked, tenant.active.id())?;
    let chain = tenant.founder.certify(tenant.pending.public())?;
    let lookup_hash = av_wire::LookupHash(random()?);
    for frame in [
        ToRelay::CreateInvite { request: 1, lookup_hash, role: Role::Agent, expires_in: 60 },
        ToRelay::ListInvites { request: 1 },
        ToRelay::ListPending { request: 1 },
        ToRelay::Reject { request: 1, device_id: tenant.pending.id() },
        ToRelay::Approve { request: 1, device_id: tenant.pending.id(), grant: chain.as_slice() },
        ToRelay::PostStatement { request: 1, statement: foreign.as_slice() },
    ] {
        let mut agent = tenant.active.connect(relay.origin(), tenant.id())?;
        let answer = agent.call(&frame)?;
        let ToDevice::Error { code: RefusalCode::NotAuthorized, .. } = decode(&answer)? else {
            return Err(format!("{frame:?}: {:?}", decode(&answer)?).into());
        };
    }
    assert_eq!(relay.inspect()?.digest(tenant.id())?, before);
    Ok(())
}

/// The relay's answer to a message from `sender` to `recipient`.
fn message(connection: &mut Connection, recipient: DeviceId, body: &[u8]) -> Outcome<Vec<u8>> {
    // Type and suite as AV/1 has them; the rest is noise to whoever has no key.
    let header = [[1, 1].as_slice(), &random::<80>()?].concat();
    connection.call(&ToRelay::Send { recipient, header_blob: header.as_slice(), ciphertext: body })
}

#[test]
fn whoever_cannot_be_written_to_is_unavailable_for_all_the_same_reasons() -> Outcome {
    let relay = SharedRelay::get()?;
    let tenant = Tenant::new(relay.origin())?;
    let foreign = Tenant::new(relay.origin())?;
    let mut sender = tenant.active.connect(relay.origin(), tenant.id())?;
    let before = (relay.inspect()?.digest(tenant.id())?, relay.inspect()?.digest(foreign.id())?);
    let stranger = Device::new(Role::Agent)?;
    for recipient in [
        &stranger,
        &tenant.pending,
        &tenant.rejected,
        &tenant.suspended,
        &tenant.revoked,
        &foreign.active,
        &foreign.founder.device,
    ] {
        let answer = message(&mut sender, recipient.id(), &random::<64>()?)?;
        let ToDevice::Refused { code: RefusalCode::RecipientUnavailable, .. } = decode(&answer)? else {
            return Err(unexpected(&decode(&answer)?));
        };
    }
    let after = (relay.inspect()?.digest(tenant.id())?, relay.inspect()?.digest(foreign.id())?);
    assert_eq!(after, before, "nothing was stored");
    Ok(())
}

#[test]
fn a_message_reaches_its_recipient_and_nobody_else() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut tenant = Tenant::new(relay.origin())?;
    let bystander = Device::new(Role::Agent)?;
    tenant.founder.enroll(&mut tenant.owner, &bystander)?;
    let mut sender = tenant.active.connect(relay.origin(), tenant.id())?;
    let body = random::<64>()?;
    let recipient = tenant.founder.device.id();
    let answer = message(&mut sender, recipient, &body)?;
    let ToDevice::Accepted { message_id } = decode(&answer)? else {
        return Err(unexpected(&decode(&answer)?));
    };
    loop {
        let entry = tenant.owner.entry()?;
        if let ToDevice::Deliver { sender, header_blob, ciphertext, .. } = decode(&entry)? {
            assert_eq!(sender, tenant.active.id());
            assert_eq!(ciphertext[..], body);
            let id = av_wire::message::message_id(&tenant.id(), &sender, &recipient, header_blob, ciphertext);
            assert_eq!(id, message_id);
            break;
        }
    }
    // What a bystander gets next is what was sent to it later: the other message is not in its inbox.
    let later = random::<64>()?;
    let answer = message(&mut sender, bystander.id(), &later)?;
    let ToDevice::Accepted { .. } = decode(&answer)? else {
        return Err(unexpected(&decode(&answer)?));
    };
    let mut bystander = bystander.connect(relay.origin(), tenant.id())?;
    loop {
        if let ToDevice::Deliver { ciphertext, .. } = decode(&bystander.entry()?)? {
            assert_eq!(ciphertext[..], later);
            return Ok(());
        }
    }
}

#[test]
fn the_same_message_twice_is_one_message() -> Outcome {
    let relay = SharedRelay::get()?;
    let tenant = Tenant::new(relay.origin())?;
    let header = [[1, 1].as_slice(), &random::<80>()?].concat();
    let body = random::<64>()?;
    let frame = ToRelay::Send {
        recipient: tenant.founder.device.id(),
        header_blob: header.as_slice(),
        ciphertext: body[..].into(),
    };
    let messages = relay.inspect()?.count(tenant.id(), "messages")?;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(tenant.active.connect(relay.origin(), tenant.id())?.call(&frame)?);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same id is accepted again and again");
    assert_eq!(relay.inspect()?.count(tenant.id(), "messages")?, messages + 1);
    Ok(())
}

#[test]
fn a_suspended_or_revoked_device_is_cut_off_at_once() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut tenant = Tenant::new(relay.origin())?;
    let subject = tenant.active.id();
    for verdict in [Verdict::Suspended, Verdict::Revoked] {
        let mut connection = tenant.active.connect(relay.origin(), tenant.id())?;
        tenant.post(verdict, subject)?;
        let (refusal, _) = connection.end()?;
        assert_eq!(refusal, Some(RefusalCode::NotAuthorized), "{verdict:?}");
        not_authorized(&attempt(relay.origin(), &tenant.active, tenant.id())?)?;
        if verdict == Verdict::Suspended {
            tenant.post(Verdict::Resumed, subject)?;
        }
    }
    Ok(())
}

#[test]
fn revoked_is_final() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut tenant = Tenant::new(relay.origin())?;
    let subject = tenant.revoked.id();
    for verdict in [Verdict::Resumed, Verdict::Suspended] {
        // The relay may refuse the statement or pass it on; the device stays out either way.
        let statement = tenant.founder.statement(verdict, subject)?;
        tenant.owner.call(&ToRelay::PostStatement { request: 6, statement: statement.as_slice() })?;
        not_authorized(&attempt(relay.origin(), &tenant.revoked, tenant.id())?)?;
    }
    Ok(())
}

#[test]
fn the_newest_connection_of_a_device_wins() -> Outcome {
    let relay = SharedRelay::get()?;
    let founder = Founder::found(relay.origin())?;
    let mut older = founder.connect(relay.origin())?;
    let mut newer = founder.connect(relay.origin())?;
    let (refusal, _) = older.end()?;
    assert_eq!(refusal, Some(RefusalCode::Superseded));
    founder.invite(&mut newer, Role::Agent, 600).map(drop)
}
