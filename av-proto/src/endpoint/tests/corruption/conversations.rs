//! Conversations in which a device receives every frame, and every kind of message.

use av_wire::frame::{Fate, ToDevice};
use av_wire::statement::Verdict;
use av_wire::{LookupHash, MessageId, RefusalCode, Role};

use super::film::{self, Film};
use crate::endpoint::tests::sessions::encoded;
use crate::endpoint::tests::suites::{LARGE, Pair, connect};
use crate::endpoint::tests::tenant::Tenant;
use crate::endpoint::tests::{NOW, Side, World};
use crate::limits::{ANSWER_AFTER, CHECK_AFTER, HAVE_DELAY};

/// All of them.
pub(super) fn film() -> Film {
    film::of(|| {
        enrolled_and_receipted();
        lost_and_asked_for();
        several_owners();
        with_an_api_key();
        with_a_kem();
        without_consequence();
    })
}

fn enrolled_and_receipted() {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.owner.send(&agent, "21 degrees?");
    world.settle();
    world.agent.send(&owner, "19 degrees.");
    world.wait(2 * HAVE_DELAY);
    world.lose(Side::Owner, "lost");
    world.wait(CHECK_AFTER + HAVE_DELAY);
    for (device, peer) in [(Side::Owner, agent), (Side::Agent, owner)] {
        world.device(device).endpoint.start_session(&peer, true).expect("a peer");
        world.settle();
    }
}

fn lost_and_asked_for() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.wait(2 * HAVE_DELAY);
    for number in 0..17 {
        world.lose(Side::Owner, &format!("lost {number}"));
    }
    world.owner.send(&agent, "after the gap");
    world.wait(2 * ANSWER_AFTER + 2 * HAVE_DELAY);
}

fn several_owners() {
    let mut tenant = Tenant::founded();
    let agent = tenant.enrolled(0, Role::Agent);
    let second = tenant.enrolled(0, Role::Owner);
    let below = tenant.enrolled(second, Role::Agent);
    let spare = tenant.enrolled(0, Role::Agent);
    tenant.meet(second, agent);
    tenant.send(0, agent, "warmer, please").expect("a peer");
    tenant.send(second, agent, "colder, please").expect("a peer");
    tenant.state(0, agent, Verdict::Suspended);
    tenant.state(0, agent, Verdict::Resumed);
    tenant.send(0, agent, "as before").expect("a peer");
    // What the relay keeps to itself is fetched.
    tenant.withholds = true;
    tenant.state(0, agent, Verdict::Suspended);
    tenant.state(0, spare, Verdict::Revoked);
    tenant.withholds = false;
    tenant.state(0, agent, Verdict::Resumed);
    let third = tenant.owner_by_root();
    tenant.meet(third, agent);
    tenant.meet(third, 0);
    tenant.meet(third, second);
    tenant.state_as_root(third, 0, Verdict::Revoked, &[second]);
    let agent_id = tenant.id(agent);
    tenant.members[second].endpoint.recertify(NOW, &agent_id).expect("a peer without certificate");
    tenant.settle();
    assert!(tenant.talks(second, below, "still here"));
    assert!(tenant.talks(second, agent, "so am I"));
    let keys = [Some([5; 32]), Some([6; 32])];
    tenant.members[second].endpoint.announce_link_keys(NOW, keys[0], keys[1]).expect("an owner");
    tenant.settle();
}

fn with_an_api_key() {
    let mut tenant = Tenant::founded();
    let key = tenant.key(0, 2);
    let agent = tenant.agent(&key);
    assert!(tenant.talks(agent, 0, "21 degrees"));
}

fn with_a_kem() {
    let mut pair = Pair::<LARGE, LARGE>::talking();
    let (owner, agent) = (pair.owner.id(), pair.agent.id());
    for one_time in [true, false] {
        pair.owner.endpoint.start_session(&agent, one_time).expect("a peer");
        pair.settle();
        pair.agent.endpoint.start_session(&owner, one_time).expect("a peer");
        pair.settle();
        for _ in 0..2 {
            pair.owner.send(&agent, "ping");
            pair.settle();
            pair.agent.send(&owner, "pong");
            pair.settle();
        }
    }
    pair.agent.crash();
    connect(&mut pair.agent, &mut pair.office);
    pair.settle();
}

/// Frames of which honest devices and relays have little use.
fn without_consequence() {
    let mut world = World::talking();
    let agent = world.agent.id();
    let message_id = MessageId([7; 16]);
    let lookup_hash = LookupHash([7; 32]);
    world.owner.send(&agent, "a message");
    world.owner.drain(&mut world.office);
    let owner = &world.owner.endpoint;
    let sent = owner.outbox.iter().find_map(|slot| slot.get()?.about.message_id()).expect("a message");
    let frames = [
        ToDevice::Refused { message_id: sent, code: RefusalCode::TooLarge },
        ToDevice::Invite {
            request: 9,
            lookup_hash,
            role: Role::Agent,
            expires_at: NOW.wall,
            consumed: false,
        },
        ToDevice::Status { message_id, fate: Fate::Expired },
        ToDevice::EnrollmentWaiting,
        ToDevice::Ping,
        ToDevice::Pong,
        ToDevice::Moved,
        ToDevice::Error { request: 0, code: RefusalCode::Superseded, retry_after: 0 },
        ToDevice::Error { request: 9, code: RefusalCode::NotFound, retry_after: 0 },
    ];
    for frame in frames {
        // Some end the connection.
        let _ = world.receive(Side::Owner, &encoded(&frame));
        world.disconnect(Side::Owner);
        world.connect(Side::Owner);
        world.settle();
    }
}
