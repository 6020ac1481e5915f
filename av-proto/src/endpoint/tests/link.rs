//! Connections over the Noise link, and those that a device refuses (`PROTOCOL.md` section 9).

use av_wire::frame::{LinkKind, ToDevice, ToRelay, authentication_message};
use av_wire::{Origin, Role};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{
    Channel, ConnectionError, Device, EnrollOptions, Event, NOW, Output, Phase, Side, World, origin,
};
use crate::endpoint::EndReason;
use crate::link::LinkSecret;
use crate::testing::NoisePipe;

fn secret(seed: u8) -> LinkSecret {
    LinkSecret::from_bytes(&[seed; 32])
}

fn over_noise() -> World {
    World::founded_over(51, 52, Some(secret(5))).talk()
}

/// An enrolling device that was set up for this origin and link key.
fn enrolling(origin: &str, link_key: Option<[u8; 32]>) -> Device {
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    let mut device = <Device>::new(Side::Agent, 53);
    let options = EnrollOptions {
        origin: &Origin::parse(origin).expect("an origin"),
        link_key,
        inviter: None,
        role: Role::Agent,
        name: "thermostat",
        platform: "test",
    };
    device.endpoint.enroll(NOW, &mut device.rng, &invite, &options).expect("an empty endpoint");
    device
}

fn pipe(origin: &str, secret: &LinkSecret) -> NoisePipe {
    let origin = Origin::parse(origin).expect("an origin");
    NoisePipe::open(&mut ChaCha20Rng::from_seed([54; 32]), &origin, secret.public(), secret)
        .expect("its own key")
}

#[test]
fn the_whole_job_is_done_over_the_noise_link() {
    let mut world = over_noise();
    let agent = world.agent.id();
    world.owner.send(&agent, "how warm is it?");
    world.settle();
    assert_eq!(world.agent.heard, ["how warm is it?"]);

    // What the device signed to be let in is bound to this very link and origin.
    let is_authenticate =
        |frame: &&Vec<u8>| matches!(av_wire::decode(frame), Ok(ToRelay::Authenticate { .. }));
    let frame = world.agent.sent.iter().find(is_authenticate).expect("it authenticated");
    let Ok(ToRelay::Authenticate { tenant_id, device_id, link, signature, .. }) = av_wire::decode(frame)
    else {
        panic!("an Authenticate")
    };
    assert_eq!(link, LinkKind::Noise);
    let channel = world.agent.pipe.as_ref().expect("a link").device().channel();
    let message =
        authentication_message(link, channel, &tenant_id, &device_id, &origin()).expect("an origin");
    let key = world.agent.endpoint.public().expect("a device").identity_key;
    assert_eq!(av_wire::signature::verify_message(&key, &message, &signature), Ok(()));

    // And again after a restart, with the link key from the record.
    world.disconnect(Side::Agent);
    world.agent.crash();
    world.connect(Side::Agent);
    world.settle();
    world.owner.send(&agent, "still there?");
    world.settle();
    assert_eq!(world.agent.heard, ["how warm is it?", "still there?"]);
}

#[test]
fn a_nonce_inside_the_noise_link_is_refused() {
    let mut world = over_noise();
    world.disconnect(Side::Agent);
    world.agent.sent.clear();
    world.connect(Side::Agent);
    let mut buffer = [0; 64];
    let mut nonce = [0; 32];
    nonce[31] = 1;
    let challenge = ToDevice::Challenge { nonce, server_time: 0 };
    let challenge = av_wire::encode(&challenge, &mut buffer).expect("room");
    assert_eq!(world.receive(Side::Agent, challenge), Err(ConnectionError::Violation));
    world.agent.drain(&mut world.office);
    assert!(world.agent.sent.is_empty(), "nothing was signed");
}

#[test]
fn a_device_speaks_only_on_a_connection_as_it_was_set_up_for() {
    const LOOPBACK: &str = "ws://127.0.0.1:7460";
    const ABROAD: &str = "ws://relay.example:7460";
    const TLS: &str = "wss://relay.example";
    let (relay, other) = (secret(5), secret(6));
    let key = Some(*relay.public());
    let insecure = Err(ConnectionError::Insecure);
    for (origin, link_key, plain, tls, noise) in [
        (LOOPBACK, None, Ok(()), insecure, insecure),
        (ABROAD, None, insecure, insecure, insecure),
        (TLS, None, insecure, Ok(()), insecure),
        ("wss://127.0.0.1", None, insecure, Ok(()), insecure),
        (LOOPBACK, key, insecure, insecure, Ok(())),
        (ABROAD, key, insecure, insecure, Ok(())),
        (TLS, key, insecure, Ok(()), Ok(())),
    ] {
        let mut device = enrolling(origin, link_key);
        let (right, wrong) = (pipe(origin, &relay), pipe(origin, &other));
        for (channel, expected) in [
            (Channel::Plain, plain),
            (Channel::Tls, tls),
            (Channel::Noise(right.device()), noise),
            (Channel::Noise(wrong.device()), insecure),
        ] {
            assert_eq!(device.endpoint.connected(channel), expected, "{origin} {link_key:?}");
            // A refused connection is none: nothing is taken from it.
            let mut buffer = [0; 64];
            let ping = av_wire::encode(&ToDevice::Ping, &mut buffer).expect("room");
            let received = device.endpoint.receive(NOW, &mut device.rng, ping);
            assert_eq!(received.is_ok(), expected.is_ok());
        }
    }
    let mut empty = <Device>::new(Side::Agent, 55);
    assert_eq!(empty.endpoint.connected(Channel::Plain), insecure, "nobody to speak for");
}

#[test]
fn a_connection_from_before_an_enrollment_does_not_serve_it() {
    let mut device = enrolling("ws://127.0.0.1:7460", None);
    assert_eq!(device.endpoint.connected(Channel::Plain), Ok(()));
    let mut world = World::founded();
    let invite = world.invite(Role::Agent);
    let options = EnrollOptions {
        origin: &origin(),
        link_key: Some(*secret(5).public()),
        inviter: None,
        role: Role::Agent,
        name: "thermostat",
        platform: "test",
    };
    device.endpoint.enroll(NOW, &mut device.rng, &invite, &options).expect("a request replaces another");
    let mut buffer = [0; 64];
    let challenge = ToDevice::Challenge { nonce: [1; 32], server_time: 0 };
    let challenge = av_wire::encode(&challenge, &mut buffer).expect("room");
    let received = device.endpoint.receive(NOW, &mut device.rng, challenge);
    assert_eq!(received, Err(ConnectionError::Violation));
}

#[test]
fn a_genuine_grant_with_another_link_key_ends_enrollment_and_wipes_the_device() {
    let mut world = World::founded_over(51, 52, Some(secret(5)));
    let invite = world.invite(Role::Agent);
    // On first contact someone else's key was taken, and they pass everything on.
    world.link = Some(secret(6));
    world.enroll(&invite, Role::Agent);
    let device = world.request().expect("a verified request");
    world.agent.sent.clear();
    world.approve(&device);
    assert!(world.agent.has(&Event::EnrollmentEnded(EndReason::LinkKeyDiffers)));
    assert_eq!(world.agent.endpoint.phase(), Phase::Empty);
    assert!(world.agent.store.is_empty(), "identity, request and link key are gone");
    assert!(world.agent.sent.is_empty(), "nothing more was said");
    world.agent.crash();
    assert_eq!(world.agent.endpoint.phase(), Phase::Empty);
}

#[test]
fn a_device_without_a_link_key_takes_the_one_of_its_grant() {
    let mut world = World::founded_over(51, 52, Some(secret(5)));
    let invite = world.invite(Role::Agent);
    world.link = None;
    world.enroll(&invite, Role::Agent);
    let device = world.request().expect("a verified request");
    world.approve(&device);
    assert_eq!(world.agent.endpoint.phase(), Phase::Active);
    world.disconnect(Side::Agent);
    world.agent.crash();
    assert!(world.agent.endpoint.link_keys().eq([secret(5).public()]));
    assert_eq!(world.agent.endpoint.connected(Channel::Plain), Err(ConnectionError::Insecure));
    assert!(!matches!(world.agent.endpoint.poll(NOW), Some(Output::Transmit(_))));
    world.link = Some(secret(5));
    world.connect(Side::Agent);
    world.settle();
    assert!(world.agent.has(&Event::Authenticated));
}
