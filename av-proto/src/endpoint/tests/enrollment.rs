//! Enrollment with everything that must not work: the owner's device decides, not the relay.

use av_wire::frame::{ToDevice, ToRelay};
use av_wire::grant::Grant;
use av_wire::{DeviceId, Role};

use super::{Channel, Device, EnrollOptions, Event, MINUTE, NOW, Phase, RequestVerdict, Side, World, origin};
use crate::Now;
use crate::endpoint::{ApproveError, EndReason, EndpointError};

/// What the owner makes of a request whose bytes are changed by `change` on the way.
fn verdict_of_changed(change: impl FnOnce(&mut Vec<u8>)) -> (World, RequestVerdict) {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let mut request = enroll_frame(&world.agent);
    change(&mut request);
    let verdict = show(&mut world, &request, false);
    (world, verdict.expect("a verdict"))
}

fn enroll_frame(device: &Device) -> Vec<u8> {
    let is_enroll = |frame: &&Vec<u8>| matches!(av_wire::decode(frame), Ok(ToRelay::Enroll { .. }));
    device.sent.iter().find(is_enroll).expect("it enrolled").clone()
}

/// Shows the owner a request as the relay would; the owner's verdict.
fn show(world: &mut World, enroll: &[u8], late: bool) -> Option<RequestVerdict> {
    let inviter = world.owner.id();
    show_from(world, enroll, late, inviter)
}

fn show_from(world: &mut World, enroll: &[u8], late: bool, inviter: DeviceId) -> Option<RequestVerdict> {
    world.owner.events.clear();
    world.owner.endpoint.list_pending().expect("an owner");
    world.owner.drain(&mut world.office);
    let listed = world.owner.sent.last().expect("the call went out").clone();
    let Ok(ToRelay::ListPending { request }) = av_wire::decode(&listed) else { panic!("a list call") };
    let Ok(ToRelay::Enroll { request: enroll }) = av_wire::decode(enroll) else { panic!("an enrollment") };
    let mut buffer = vec![0; 4_096];
    let frame = ToDevice::PendingDevice { request, inviter, enroll, late };
    let frame = av_wire::encode(&frame, &mut buffer).expect("room").to_vec();
    world.receive(Side::Owner, &frame).expect("an allowed frame");
    // The post office's own answer is not wanted here.
    world.office.disconnect(Side::Owner);
    world.owner.drain_unheard();
    let mut done = [0; 16];
    let done = av_wire::encode(&ToDevice::Done { request }, &mut done).expect("room").to_vec();
    world.receive(Side::Owner, &done).expect("an allowed frame");
    world.owner.drain_unheard();
    world.connect(Side::Owner);
    world.settle();
    world.owner.events.iter().find_map(|event| match event {
        Event::EnrollmentRequest(view) => Some(view.verdict),
        _ => None,
    })
}

#[test]
fn a_changed_tag_is_an_attack_and_burns_the_invite() {
    let (mut world, verdict) = verdict_of_changed(|frame| *frame.last_mut().expect("bytes") ^= 1);
    assert_eq!(verdict, RequestVerdict::Attack);
    let genuine = enroll_frame(&world.agent);
    let again = show(&mut world, &genuine, false);
    assert_eq!(again, Some(RequestVerdict::NotOpen), "burnt: not even the genuine request is taken");
    let device = world.agent.id();
    let result = world.owner.endpoint.approve(NOW, &mut world.owner.rng, &device);
    assert_eq!(result, Err(ApproveError::NoSuchRequest));
}

#[test]
fn another_role_than_the_invites_is_an_attack() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Owner);
    assert_eq!(world.verdict().map(|(_, verdict)| verdict), Some(RequestVerdict::Attack));
}

#[test]
fn a_second_device_with_the_token_shows_that_it_leaked_and_neither_is_approved() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let first = world.request().expect("the first verifies");
    let second = second_request(&world, &invite);
    assert_eq!(show(&mut world, &second, true), Some(RequestVerdict::TokenLeaked { approved: false }));
    let result = world.owner.endpoint.approve(NOW, &mut world.owner.rng, &first);
    assert_eq!(result, Err(ApproveError::NoSuchRequest));
    world.owner.crash();
    world.connect(Side::Owner);
    world.settle();
    let genuine = enroll_frame(&world.agent);
    assert_eq!(
        show(&mut world, &genuine, false),
        Some(RequestVerdict::TokenLeaked { approved: false }),
        "a restart does not forget it"
    );
}

#[test]
fn a_second_device_after_the_approval_offers_the_revocation() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let first = world.request().expect("the first verifies");
    let second = second_request(&world, &invite);
    world.approve(&first);
    assert_eq!(show(&mut world, &second, true), Some(RequestVerdict::TokenLeaked { approved: true }));
    assert_eq!(world.agent.endpoint.phase(), Phase::Active, "offered, not made");
}

/// The request of another device with the same token.
fn second_request(world: &World, invite: &crate::InviteText) -> Vec<u8> {
    let mut thief = <Device>::new(Side::Agent, 77);
    let origin = origin();
    let options = EnrollOptions {
        origin: &origin,
        link_key: None,
        inviter: world.owner.endpoint.device_id(),
        role: Role::Agent,
        name: "thermostat",
        platform: "test",
    };
    thief.endpoint.enroll(NOW, &mut thief.rng, invite, &options).expect("an empty endpoint");
    let mut office = crate::testing::PostOffice::new();
    office.connect(Side::Agent, [1; 32]).expect("room");
    thief.endpoint.connected(Channel::Plain).expect("loopback");
    let challenge = office.fetch(Side::Agent).expect("the challenge");
    thief.endpoint.receive(NOW, &mut thief.rng, &challenge).expect("a challenge");
    loop {
        match thief.endpoint.poll(NOW).expect("the request follows") {
            crate::Output::Persist(persist) => {
                super::store(persist, &thief.seal, &mut thief.rng, &mut thief.store);
            }
            crate::Output::Transmit(frame) => return frame.to_vec(),
            _ => {}
        }
    }
}

#[test]
fn an_invite_is_not_approved_after_its_time() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let device = world.request().expect("in time");
    let late = Now { wall: NOW.wall + u64::from(10 * MINUTE) + 1, ..NOW };
    let result = world.owner.endpoint.approve(late, &mut world.owner.rng, &device);
    assert_eq!(result, Err(ApproveError::InviteOver));
    assert_eq!(world.owner.endpoint.approve(NOW, &mut world.owner.rng, &device), Ok(()), "nothing changed");
}

#[test]
fn a_revoked_peer_makes_room_for_another() {
    let mut world = World::talking();
    for seed in 20..24 {
        let former = world.agent.id();
        world.owner.endpoint.state(NOW, &former, av_wire::statement::Verdict::Revoked).expect("a peer");
        world.settle();
        world.office.replace_agent();
        world.agent = Device::new(Side::Agent, seed);
        let invite = world.invite(Role::Agent);
        world.enroll(&invite, Role::Agent);
        let device = world.request().expect("a verified request");
        world.approve(&device);
        assert_eq!(
            world.agent.endpoint.phase(),
            Phase::Active,
            "{seed}: this endpoint has room for two peers"
        );
    }
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.owner.send(&agent, "hello");
    world.settle();
    world.agent.send(&owner, "here");
    world.settle();
    assert_eq!((world.agent.heard, world.owner.heard), (vec!["hello".into()], vec!["here".into()]));
}

#[test]
fn an_invite_of_another_owner_device_is_approved_there() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let request = enroll_frame(&world.agent);
    let other = DeviceId([5; 16]);
    assert_eq!(show_from(&mut world, &request, false, other), Some(RequestVerdict::InvitedElsewhere(other)));
}

/// A grant as the owner made it, and the world up to its arrival at the agent.
fn granted() -> (World, Vec<u8>) {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let device = world.request().expect("a verified request");
    world.disconnect(Side::Agent);
    world.approve(&device);
    let is_approve = |frame: &&Vec<u8>| matches!(av_wire::decode(frame), Ok(ToRelay::Approve { .. }));
    let approve = world.owner.sent.iter().find(is_approve).expect("it approved").clone();
    let Ok(ToRelay::Approve { grant, .. }) = av_wire::decode(&approve) else { panic!("an approval") };
    (world, grant.to_vec())
}

/// Gives the agent a grant as the relay would; whether it took it.
fn takes(world: &mut World, grant: &[u8]) -> bool {
    let before = world.agent.records();
    world.agent.crash();
    world.agent.endpoint.connected(Channel::Plain).expect("loopback");
    let mut buffer = vec![0; 4_096];
    let challenge = ToDevice::Challenge { nonce: [3; 32], server_time: 0 };
    let challenge = av_wire::encode(&challenge, &mut buffer).expect("room").to_vec();
    world.receive(Side::Agent, &challenge).expect("a challenge");
    world.agent.drain_unheard();
    let granted = av_wire::encode(&ToDevice::Granted { grant }, &mut buffer).expect("room").to_vec();
    world.agent.events.clear();
    world.receive(Side::Agent, &granted).expect("an allowed frame");
    world.agent.drain_unheard();
    let refused = world.agent.has(&Event::EnrollmentEnded(EndReason::GrantInvalid));
    assert_eq!(refused, world.agent.records() == before, "a refused grant changes nothing");
    assert_eq!(refused, world.agent.endpoint.phase() == Phase::Enrolling);
    !refused
}

fn reencoded(grant: &Grant<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 4_096];
    av_wire::encode(grant, &mut buffer).expect("room").to_vec()
}

#[test]
fn a_grant_is_taken_only_as_the_owner_made_it() {
    let (mut world, genuine) = granted();
    let grant: Grant<'_> = av_wire::decode(&genuine).expect("a grant");

    let other_origin = Grant { origin: "ws://127.0.0.1:9999", ..grant };
    assert!(!takes(&mut world, &reencoded(&other_origin)), "another origin");
    let other_link_key = Grant { link_key: [7; 32], ..grant };
    assert!(!takes(&mut world, &reencoded(&other_link_key)), "another link key, not under its tag");
    let announced = Grant { next_link_key: [7; 32], ..grant };
    assert!(!takes(&mut world, &reencoded(&announced)), "another successor of the link key");

    let (_, foreign) = granted_elsewhere();
    let foreign: Grant<'_> = av_wire::decode(&foreign).expect("a grant");
    assert!(!takes(&mut world, &reencoded(&Grant { chain: foreign.chain, ..grant })), "another chain");
    assert!(!takes(&mut world, &reencoded(&foreign)), "a grant for other keys");

    for index in 0..genuine.len() {
        let mut changed = genuine.clone();
        changed[index] ^= 1;
        assert!(!takes(&mut world, &changed), "byte {index}");
    }
    assert!(takes(&mut world, &genuine), "the genuine grant is still taken");
}

/// A grant of another tenant for another device.
fn granted_elsewhere() -> (World, Vec<u8>) {
    let mut world = World::founded_with(41, 42);
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let device = world.request().expect("a verified request");
    world.approve(&device);
    let is_approve = |frame: &&Vec<u8>| matches!(av_wire::decode(frame), Ok(ToRelay::Approve { .. }));
    let approve = world.owner.sent.iter().find(is_approve).expect("it approved").clone();
    let Ok(ToRelay::Approve { grant, .. }) = av_wire::decode(&approve) else { panic!("an approval") };
    let grant = grant.to_vec();
    (world, grant)
}

#[test]
fn a_grant_from_another_owner_than_the_inviting_one_is_refused() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    let origin = origin();
    let agent = &mut world.agent;
    let options = EnrollOptions {
        origin: &origin,
        link_key: None,
        inviter: Some(DeviceId([8; 16])),
        role: Role::Agent,
        name: "thermostat",
        platform: "test",
    };
    agent.endpoint.enroll(NOW, &mut agent.rng, &invite, &options).expect("an empty endpoint");
    world.connect(Side::Agent);
    world.settle();
    let device = world.request().expect("a verified request");
    world.approve(&device);
    assert!(world.agent.has(&Event::EnrollmentEnded(EndReason::GrantInvalid)));
    assert_eq!(world.agent.endpoint.phase(), Phase::Enrolling);
}

#[test]
fn only_an_owner_invites_and_only_an_empty_endpoint_begins() {
    let mut world = World::talking();
    let agent = &mut world.agent;
    assert_eq!(
        agent.endpoint.create_invite(NOW, &mut agent.rng, Role::Agent, MINUTE).map(|_| ()),
        Err(EndpointError::NotOwner)
    );
    let origin = origin();
    assert!(agent.endpoint.found(NOW, &mut agent.rng, &origin, None, "x").is_err());
    let mut fresh = <Device>::new(Side::Owner, 9);
    for name in ["", "a\nb", "a\u{202e}b", "a\u{200b}b", "a name of more than forty bytes is not taken"] {
        assert!(fresh.endpoint.found(NOW, &mut fresh.rng, &origin, None, name).is_err(), "{name:?}");
    }
}

#[test]
fn a_revoked_device_is_no_device_again_whatever_invite_it_has() {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    world.enroll(&invite, Role::Agent);
    let agent = world.agent.id();
    let meta = world.owner.endpoint.meta.edit().expect("active");
    assert!(meta.revoked.add(&agent, &DeviceId::ROOT));
    assert_eq!(world.verdict(), Some((agent, RequestVerdict::NotOpen)));
    let owner = &mut world.owner;
    assert_eq!(owner.endpoint.approve(NOW, &mut owner.rng, &agent), Err(ApproveError::NoSuchRequest));
}
