//! Messages stay with their sender until the peer says that it has them.

use super::{Event, Side, World};
use crate::endpoint::control::kind;
use crate::endpoint::outbox::OutboxEntry;
use crate::endpoint::slot::Slot;
use crate::endpoint::{OutboxId, SendError};
use crate::limits::{AGAIN_AFTER, CHECK_AFTER, HAVE_DELAY};

/// Both have talked, and every receipt has come.
fn receipted() -> World {
    let mut world = World::talking();
    world.wait(2 * HAVE_DELAY);
    for device in [&mut world.owner, &mut world.agent] {
        device.events.clear();
        device.sent.clear();
    }
    world
}

fn waiting(world: &World) -> [usize; 2] {
    let (owner, agent) = (world.owner.id(), world.agent.id());
    [world.owner.endpoint.unreceipted(&agent), world.agent.endpoint.unreceipted(&owner)]
}

fn delivered(world: &mut World, side: Side) -> Vec<OutboxId> {
    let events = world.device(side).events.iter();
    events.filter_map(|event| if let Event::Delivered(id) = event { Some(*id) } else { None }).collect()
}

#[test]
fn an_accepted_message_is_kept_until_its_receipt_comes_within_a_minute() {
    let mut world = receipted();
    let agent = world.agent.id();
    let id = world.owner.endpoint.send(&mut world.owner.rng, &agent, b"kept").expect("room");
    world.settle();
    assert!(world.owner.has(&Event::Accepted(id)));
    assert_eq!((waiting(&world), world.owner.endpoint.outbox_len()), ([1, 0], 0));
    world.wait(HAVE_DELAY - 1);
    assert_eq!(delivered(&mut world, Side::Owner), []);
    world.wait(1);
    assert_eq!((waiting(&world), delivered(&mut world, Side::Owner)), ([0, 0], vec![id]));
}

#[test]
fn a_reply_brings_the_receipt_along() {
    let mut world = receipted();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.owner.send(&agent, "ping");
    world.settle();
    world.agent.send(&owner, "pong");
    world.settle();
    assert_eq!((delivered(&mut world, Side::Owner).len(), waiting(&world)), (1, [0, 1]));
    assert_eq!(world.agent.sent.iter().filter(|frame| frame[1] == 13).count(), 1, "one frame for both");
    assert_eq!(world.owner.heard, ["pong"]);
}

#[test]
fn two_devices_with_nothing_to_say_fall_silent() {
    let mut world = receipted();
    let agent = world.agent.id();
    world.owner.send(&agent, "ping");
    world.wait(2 * HAVE_DELAY);
    let messages = |world: &World| {
        let sent = world.owner.sent.iter().chain(&world.agent.sent);
        sent.filter(|frame| matches!(av_wire::decode(frame), Ok(super::ToRelay::Send { .. }))).count()
    };
    assert_eq!(messages(&world), 2, "a message and its receipt");
    world.wait(2 * CHECK_AFTER);
    assert_eq!(messages(&world), 2, "a receipt answers no receipt");
}

#[test]
fn a_lost_message_is_asked_for_and_comes_again_once_under_its_first_id() {
    let mut world = receipted();
    world.lose(Side::Owner, "lost");
    world.wait(CHECK_AFTER - 10_000);
    assert_eq!(world.agent.heard, [""; 0]);
    world.wait(20_000);
    assert_eq!(world.agent.heard, ["lost"]);
    world.wait(HAVE_DELAY);
    assert_eq!((waiting(&world), delivered(&mut world, Side::Owner).len()), ([0, 0], 1));
}

#[test]
fn a_gap_shows_with_the_next_receipt_and_is_filled_after_two_minutes() {
    let mut world = receipted();
    let agent = world.agent.id();
    world.lose(Side::Owner, "lost");
    world.wait(AGAIN_AFTER - HAVE_DELAY);
    world.owner.send(&agent, "next");
    world.wait(HAVE_DELAY);
    assert_eq!(world.agent.heard, ["next", "lost"]);
}

#[test]
fn a_message_that_came_is_not_delivered_when_it_comes_again() {
    let mut world = receipted();
    let agent = world.agent.id();
    world.owner.send(&agent, "once");
    world.settle();
    // Its receipt is lost.
    world.agent.loses = true;
    world.wait(HAVE_DELAY);
    world.agent.loses = false;
    assert!(world.agent.endpoint.take_outbox(|entry| entry.is_control()).is_some());
    let place = world.owner.endpoint.outbox.iter().position(|slot| !slot.is_empty()).expect("it waits");
    world.owner.endpoint.send_again(&mut world.owner.rng, place).expect("it fits");
    world.agent.confirms = false;
    world.wait(2 * HAVE_DELAY);
    assert_eq!((&world.agent.heard[..], world.agent.tickets.len()), (&["once".to_string()][..], 0));
    assert_eq!(waiting(&world), [0, 0]);
}

#[test]
fn a_full_outbox_gives_up_the_oldest_that_the_relay_has_and_nothing_that_it_has_not() {
    let mut world = receipted();
    let agent = world.agent.id();
    let send = |world: &mut World, text: &[u8]| world.owner.endpoint.send(&mut world.owner.rng, &agent, text);
    let first = send(&mut world, b"1").expect("room");
    world.settle();
    world.disconnect(Side::Owner);
    send(&mut world, b"2").expect("room");
    send(&mut world, b"3").expect("room");
    send(&mut world, b"4").expect("the first makes room");
    world.owner.drain_lost();
    assert!(world.owner.has(&Event::Unreceipted(first)));
    let before = world.owner.records();
    assert_eq!(send(&mut world, b"5"), Err(SendError::OutboxFull), "no other is with the relay");
    world.owner.drain_lost();
    assert!(world.owner.records() == before);
    world.connect(Side::Owner);
    world.wait(HAVE_DELAY);
    assert_eq!(world.agent.heard, ["1", "2", "3", "4"]);
    assert_eq!(waiting(&world), [0, 0]);
}

/// Both outboxes are full of messages that the other does not have: the entry that is kept for controls lets checks and
/// receipts out.
#[test]
fn two_full_outboxes_do_not_wait_for_each_other() {
    let mut world = receipted();
    for text in ["1", "2", "3", "4"] {
        world.lose(Side::Owner, text);
        world.lose(Side::Agent, text);
    }
    assert_eq!(waiting(&world), [3, 3], "the fourth took the place of the first");
    world.wait(2 * CHECK_AFTER);
    assert_eq!(waiting(&world), [0, 0]);
}

#[test]
fn what_waits_for_its_receipt_goes_out_again_after_a_restart_and_is_heard_once() {
    let mut world = receipted();
    let agent = world.agent.id();
    world.owner.send(&agent, "before the crash");
    world.settle();
    world.owner.crash();
    world.disconnect(Side::Owner);
    world.connect(Side::Owner);
    world.wait(HAVE_DELAY);
    assert_eq!(world.agent.heard, ["before the crash"]);
    assert_eq!(waiting(&world), [0, 0]);
}

#[test]
fn a_receipt_that_was_owed_over_a_restart_goes_out_at_once() {
    let mut world = receipted();
    let agent = world.agent.id();
    world.owner.send(&agent, "x");
    world.settle();
    world.agent.crash();
    world.disconnect(Side::Agent);
    world.connect(Side::Agent);
    world.settle();
    assert_eq!(delivered(&mut world, Side::Owner).len(), 1);
}

/// A relay that holds receipts back makes their sender ask for them for days; that must not make room for the message.
#[test]
fn no_number_of_controls_makes_a_message_new() {
    let mut world = receipted();
    let agent = world.agent.id();
    world.owner.send(&agent, "once");
    world.settle();
    assert_eq!(world.agent.heard, ["once"]);
    world.agent.loses = true;
    for _ in 0..70 {
        let owner = &mut world.owner;
        assert!(owner.endpoint.send_control(&mut owner.rng, &agent, kind::CHECK, &[]));
        world.settle();
    }
    let owner = &mut world.owner;
    let is_kept =
        |slot: &Slot<OutboxEntry<_>>| slot.get().is_some_and(|entry| entry.is_unreceipted_by(&agent));
    let place = owner.endpoint.outbox.iter().position(is_kept).expect("no receipt came");
    owner.endpoint.send_again(&mut owner.rng, place).expect("room");
    world.agent.confirms = false;
    world.settle();
    assert!(world.agent.tickets.is_empty(), "it is not offered a second time");
}
