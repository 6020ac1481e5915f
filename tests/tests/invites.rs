//! Enrollment is closed: an invite lets one device ask, once, and every refusal reads the same.

use std::sync::Barrier;
use std::time::{SystemTime, UNIX_EPOCH};

use av_tests::Outcome;
use av_tests::connection::{Connection, decode, unexpected};
use av_tests::device::{Device, random};
use av_tests::founder::Founder;
use av_tests::shared::SharedRelay;
use av_tests::wait::{DEADLINE, wait_until};
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::{LookupHash, RefusalCode, Role};

/// Connections released at one invite together, and how often.
const RIVALS: usize = 100;
const ROUNDS: usize = 20;

/// Enrolls with this lookup over a connection of its own and gives the relay's answer.
fn enroll(origin: &str, device: &Device, lookup: &[u8; 32]) -> Outcome<Vec<u8>> {
    let request = device.request(lookup)?;
    Connection::open(origin)?.call(&request.frame())
}

/// The refusal that every invite that cannot be used must get, byte for byte.
fn refusal(answer: &[u8]) -> Outcome<Vec<u8>> {
    match decode(answer)? {
        ToDevice::Error { request: 0, code: RefusalCode::InviteRefused, retry_after: 0 } => {
            Ok(answer.to_vec())
        }
        other => Err(unexpected(&other)),
    }
}

/// The requests that the owner is shown: device id and whether it came too late.
fn pending(owner: &mut Connection) -> Outcome<Vec<(av_wire::DeviceId, bool)>> {
    owner.send(&ToRelay::ListPending { request: 9 })?;
    let mut devices = Vec::new();
    loop {
        let frame = owner.frame()?;
        match decode(&frame)? {
            ToDevice::PendingDevice { request: 9, enroll, late, .. } => {
                let device = av_wire::DevicePublic::from_bytes(&enroll.device)?;
                devices.push((device.device_id(), late));
            }
            ToDevice::Done { request: 9 } => return Ok(devices),
            other => return Err(unexpected(&other)),
        }
    }
}

/// When the invite with this hash expires, as the relay lists it.
fn expiry(owner: &mut Connection, hash: LookupHash) -> Outcome<u64> {
    owner.send(&ToRelay::ListInvites { request: 8 })?;
    let mut expiry = None;
    loop {
        let frame = owner.frame()?;
        match decode(&frame)? {
            ToDevice::Invite { request: 8, lookup_hash, expires_at, .. } => {
                expiry = expiry.or((lookup_hash == hash).then_some(expires_at));
            }
            ToDevice::Done { request: 8 } => return expiry.ok_or_else(|| "the invite is not listed".into()),
            other => return Err(unexpected(&other)),
        }
    }
}

#[test]
fn expired_used_revoked_and_unknown_invites_get_one_answer() -> Outcome {
    let relay = SharedRelay::get()?;
    let founder = Founder::found(relay.origin())?;
    let mut owner = founder.connect(relay.origin())?;

    let unknown = random()?;
    let used = founder.invite(&mut owner, Role::Agent, 600)?;
    let revoked = founder.invite(&mut owner, Role::Agent, 600)?;
    let expired = founder.invite(&mut owner, Role::Agent, 1)?;

    let first = enroll(relay.origin(), &Device::new(Role::Agent)?, &used)?;
    assert!(matches!(decode(&first)?, ToDevice::Pending { .. }), "the first use of an invite is taken");
    owner.must(&ToRelay::RevokeInvite { request: 4, lookup_hash: LookupHash::of(&revoked) })?;
    let expires_at = expiry(&mut owner, LookupHash::of(&expired))?;
    wait_until("the invite expires", DEADLINE, || {
        Ok((SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() > expires_at).then_some(()))
    })?;

    let mut answers = Vec::new();
    for lookup in [&unknown, &used, &revoked, &expired] {
        answers.push(refusal(&enroll(relay.origin(), &Device::new(Role::Agent)?, lookup)?)?);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer, byte for byte");
    Ok(())
}

#[test]
fn the_identical_request_gets_the_same_answer_and_another_is_kept_as_evidence() -> Outcome {
    let relay = SharedRelay::get()?;
    let founder = Founder::found(relay.origin())?;
    let mut owner = founder.connect(relay.origin())?;
    let lookup = founder.invite(&mut owner, Role::Agent, 600)?;
    let device = Device::new(Role::Agent)?;
    let request = device.request(&lookup)?;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(Connection::open(relay.origin())?.call(&request.frame())?);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "a device that crashed before it read the answer is not locked out");

    let thief = Device::new(Role::Agent)?;
    refusal(&enroll(relay.origin(), &thief, &lookup)?)?;
    refusal(&enroll(relay.origin(), &Device::new(Role::Agent)?, &lookup)?)?;
    let mut shown = pending(&mut owner)?;
    shown.sort_by_key(|(_, late)| *late);
    assert_eq!(shown, [(device.id(), false), (thief.id(), true)], "the owner sees that the token leaked");
    Ok(())
}

#[test]
fn a_hundred_devices_at_one_invite_make_one_pending_device() -> Outcome {
    let relay = SharedRelay::get()?;
    let founder = Founder::found(relay.origin())?;
    let mut owner = founder.connect(relay.origin())?;
    let mut lookups = Vec::new();
    for _ in 0..ROUNDS {
        lookups.push(founder.invite(&mut owner, Role::Agent, 600)?);
    }
    // Per round: whoever was taken, and every other answer.
    let barrier = Barrier::new(RIVALS);
    let rival = || -> Outcome<Vec<Vec<u8>>> {
        let mut answers = Vec::new();
        for lookup in &lookups {
            // Prepared before the barrier; a failure is reported behind it, or the others would wait for ever.
            let prepared = Device::new(Role::Agent)
                .and_then(|device| device.request(lookup))
                .and_then(|request| Ok((request, Connection::open(relay.origin())?)));
            barrier.wait();
            let (request, mut connection) = prepared?;
            answers.push(connection.call(&request.frame())?);
        }
        Ok(answers)
    };
    let rivals: Vec<Outcome<Vec<Vec<u8>>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..RIVALS).map(|_| scope.spawn(rival)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a rival panicked".into())))
            .collect()
    });
    let rivals = rivals.into_iter().collect::<Outcome<Vec<_>>>()?;

    let mut refusals = Vec::new();
    for round in 0..ROUNDS {
        let mut taken = 0;
        for answers in &rivals {
            let answer = answers.get(round).ok_or("a rival gave up")?;
            match decode(answer)? {
                ToDevice::Pending { .. } => taken += 1,
                _ => refusals.push(refusal(answer)?),
            }
        }
        assert_eq!(taken, 1, "round {round}");
    }
    assert_eq!(refusals.len(), ROUNDS * (RIVALS - 1));
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "every refusal is the same, byte for byte");

    let shown = pending(&mut owner)?;
    assert_eq!(shown.iter().filter(|(_, late)| !late).count(), ROUNDS, "one device an invite");
    assert_eq!(relay.inspect()?.count(founder.tenant, "devices")?, ROUNDS as i64 + 1, "and the founder's");
    Ok(())
}
