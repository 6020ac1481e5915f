//! Link keys that owners announce, and that every device goes by (`PROTOCOL.md` section 4.5).

use av_wire::statement::{AnnouncedKeys, Statement, Verdict};
use av_wire::{Origin, Role};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::tenant::Tenant;
use super::{Event, NOW, origin};
use crate::Now;
use crate::endpoint::{Channel, ConnectionError, EndpointError};
use crate::enroll::sign_statement;
use crate::link::LinkSecret;
use crate::testing::NoisePipe;

fn secret(seed: u8) -> LinkSecret {
    LinkSecret::from_bytes(&[seed; 32])
}

fn key(seed: u8) -> Option<[u8; 32]> {
    Some(*secret(seed).public())
}

fn after(seconds: u64) -> Now {
    Now { wall: NOW.wall + seconds, ..NOW }
}

/// An owner, its second device, and an agent of the first.
fn tenant() -> (Tenant, [usize; 3]) {
    let mut tenant = Tenant::founded();
    let agent = tenant.enrolled(0, Role::Agent);
    let second = tenant.enrolled(0, Role::Owner);
    (tenant, [0, second, agent])
}

fn announce(tenant: &mut Tenant, by: usize, now: Now, current: u8, next: Option<u8>) {
    let next = next.and_then(key);
    tenant.members[by].endpoint.announce_link_keys(now, key(current), next).expect("an owner");
    tenant.settle();
}

/// Whether a device goes by this link key. It is not connected afterwards.
fn goes_by(tenant: &mut Tenant, index: usize, seed: u8) -> bool {
    let rng = &mut ChaCha20Rng::from_seed([seed; 32]);
    let pipe = NoisePipe::open(rng, &origin(), secret(seed).public(), &secret(seed)).expect("its own key");
    tenant.members[index].endpoint.connected(Channel::Noise(pipe.device())).is_ok()
}

#[test]
fn every_device_goes_by_the_keys_that_an_owner_announced() {
    let (mut tenant, devices) = tenant();
    announce(&mut tenant, devices[1], NOW, 5, Some(6));
    for device in devices {
        assert_eq!(tenant.has(device, &Event::LinkKeys), device != devices[1], "who said it knows");
        tenant.reopen(device);
        assert!(goes_by(&mut tenant, device, 5) && goes_by(&mut tenant, device, 6), "also after a restart");
        assert!(!goes_by(&mut tenant, device, 7));
        let plain = tenant.members[device].endpoint.connected(Channel::Plain);
        assert_eq!(plain, Err(ConnectionError::Insecure), "who knows a link key speaks on the link");
    }
    let agent = &mut tenant.members[devices[2]].endpoint;
    assert_eq!(agent.announce_link_keys(NOW, key(7), None), Err(EndpointError::NotOwner));
}

#[test]
fn a_changeover_ends_with_the_new_key_alone() {
    let (mut tenant, [first, second, agent]) = tenant();
    announce(&mut tenant, first, NOW, 5, Some(6));
    // The other owner's clock is behind: what it says later still counts.
    announce(&mut tenant, second, Now { wall: NOW.wall - 3_600, ..NOW }, 6, None);
    for device in [first, second, agent] {
        assert!(!goes_by(&mut tenant, device, 5) && goes_by(&mut tenant, device, 6));
    }
}

#[test]
fn an_announcement_that_the_relay_held_back_does_not_take_the_place_of_a_newer_one() {
    let (mut tenant, [first, second, agent]) = tenant();
    tenant.withholds = true;
    announce(&mut tenant, second, after(50), 5, None);
    tenant.withholds = false;
    announce(&mut tenant, first, after(100), 6, None);
    assert!(tenant.has(agent, &Event::LinkKeys));
    let events = tenant.members[agent].events.len();
    // The gap shows with the next statement, and the old one is fetched.
    announce(&mut tenant, second, after(100), 6, None);
    assert!(!tenant.members[agent].events[events..].contains(&Event::LinkKeys));
    assert!(!tenant.has(agent, &Event::StatementsMissing(tenant.id(second))), "it was given, and counted");
    for device in [first, agent] {
        assert!(goes_by(&mut tenant, device, 6) && !goes_by(&mut tenant, device, 5));
    }
}

#[test]
fn what_is_said_of_another_relay_is_counted_and_changes_nothing() {
    let (mut tenant, [first, second, agent]) = tenant();
    let elsewhere = Origin::parse("wss://elsewhere.example").expect("an origin");
    let said = Statement {
        verdict: Verdict::LinkKeys,
        tenant_id: tenant.members[first].endpoint.tenant_id().expect("a member"),
        subject: elsewhere.subject(),
        issuer: tenant.id(first),
        serial: 1,
        issued_at: NOW.wall + 1,
        keep: &[],
        link_keys: Some(AnnouncedKeys { current: *secret(5).public(), next: [0; 32] }),
    };
    let mut buffer = [0; 512];
    let owner = tenant.members[first].endpoint.device.get().expect("a device");
    let signed = sign_statement(owner.identity.signing(), &said, &mut buffer).expect("room").to_vec();
    let (issuer, chain) = (tenant.id(first), tenant.chain(&tenant.id(first)));
    tenant.pass_on(&issuer, &signed, &chain);
    tenant.settle();
    for device in [second, agent] {
        assert!(!tenant.has(device, &Event::LinkKeys));
        let serials = &tenant.members[device].endpoint.meta.get().expect("a member").serials;
        assert_eq!(serials.last(&issuer), 1);
        assert!(!goes_by(&mut tenant, device, 5));
    }
}
