//! A hostile relay hands a device every message but the genuine one: nothing is delivered, nothing changes, and the
//! genuine message still opens.

use av_proto::Event;
use av_tests::Outcome;
use av_tests::client::{Client, Unsent};
use av_tests::connection::decode;
use av_tests::device::random;
use av_tests::shared::SharedRelay;
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::statement::Verdict;
use av_wire::{DeviceId, InboxEpoch};

/// The epoch of inboxes that these tests make up.
const EPOCH: InboxEpoch = InboxEpoch([7; 16]);

/// A message as a relay hands it out.
#[derive(Clone)]
struct Message {
    sender: DeviceId,
    header_blob: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Message {
    fn deliver(&self, sequence: u64) -> ToDevice<'_> {
        ToDevice::Deliver {
            sequence,
            previous: sequence - 1,
            sender: self.sender,
            header_blob: self.header_blob.as_slice(),
            ciphertext: self.ciphertext.as_slice(),
            received_at: 0,
        }
    }

    /// This message with one bit changed, for each of its bytes.
    fn tampered(&self) -> impl Iterator<Item = Self> + '_ {
        (0..self.header_blob.len() + self.ciphertext.len()).map(|index| {
            let mut message = self.clone();
            let parts = message.header_blob.iter_mut().chain(&mut message.ciphertext);
            // Another bit from byte to byte, so that all eight are tried.
            parts.skip(index).take(1).for_each(|byte| *byte ^= 1 << (index % 8));
            message
        })
    }
}

/// An owner, and an agent cut off from the relay at the moment when this message was sent to it.
fn message_in_flight(payload: &[u8]) -> Outcome<(SharedRelay, Client, Client, Message)> {
    let relay = SharedRelay::get()?;
    let mut owner = Client::found(relay.origin(), "owner")?;
    let mut agent = owner.new_agent("agent")?;
    let message = send(&mut owner, &mut agent, payload)?;
    agent.connect_by_hand(EPOCH, 1)?;
    Ok((relay, owner, agent, message))
}

/// Sends over the relay and takes the message off the recipient's wire, before its endpoint sees it.
fn send(from: &mut Client, to: &mut Client, payload: &[u8]) -> Outcome<Message> {
    from.send(&to.id()?, payload)?;
    from.await_event("the message is accepted", |event| matches!(event, Event::Accepted(_)).then_some(()))?;
    loop {
        let frame = to.next_frame()?;
        if let ToDevice::Deliver { sender, header_blob, ciphertext, .. } = decode(&frame)? {
            return Ok(Message {
                sender,
                header_blob: header_blob.to_vec(),
                ciphertext: ciphertext.to_vec(),
            });
        }
        to.feed(&frame)?.map_err(|error| format!("{error:?}"))?;
    }
}

/// The device refuses the message: an event says so, none is delivered, and no record but the cursor changes.
fn refuses(device: &mut Client, message: &Message, sequence: u64, what: &str) -> Outcome {
    let before = device.records_but_cursor()?;
    device.take_events();
    device.feed_frame(&message.deliver(sequence))?;
    assert!(device.delivered.is_empty(), "{what}: delivered");
    let events = device.take_events();
    assert!(events.iter().any(|event| matches!(event, Event::MessageRejected { .. })), "{what}: {events:?}");
    assert!(device.records_but_cursor()? == before, "{what}: a record changed");
    Ok(())
}

/// The device takes the message.
fn takes(device: &mut Client, message: &Message, sequence: u64, payload: &[u8]) -> Outcome {
    device.feed_frame(&message.deliver(sequence))?;
    let delivered = device.delivered.pop_front().ok_or("the genuine message was not delivered")?;
    assert_eq!((delivered.from, delivered.payload.as_slice()), (message.sender, payload));
    device.confirm(&delivered)
}

#[test]
fn a_message_with_any_bit_changed_is_refused_and_the_genuine_one_still_opens() -> Outcome {
    let (_relay, _owner, mut agent, message) = message_in_flight(b"genuine")?;
    let mut sequence = 0;
    for tampered in message.tampered() {
        sequence += 1;
        refuses(&mut agent, &tampered, sequence, &format!("byte {sequence}"))?;
    }
    assert!(sequence > 100, "header and body were tampered with");
    takes(&mut agent, &message, sequence + 1, b"genuine")
}

#[test]
fn a_truncated_or_lengthened_message_is_refused() -> Outcome {
    let (_relay, _owner, mut agent, message) = message_in_flight(b"genuine")?;
    let mut sequence = 0;
    for length in 0..message.header_blob.len() {
        sequence += 1;
        let header_blob = message.header_blob[..length].to_vec();
        refuses(
            &mut agent,
            &Message { header_blob, ..message.clone() },
            sequence,
            &format!("{length} of header"),
        )?;
    }
    for length in (0..message.ciphertext.len()).step_by(7) {
        sequence += 1;
        let ciphertext = message.ciphertext[..length].to_vec();
        refuses(
            &mut agent,
            &Message { ciphertext, ..message.clone() },
            sequence,
            &format!("{length} of body"),
        )?;
    }
    // The same bytes, cut in another place: the relay's two columns are authenticated as two.
    let mut moved = message.clone();
    moved.header_blob.push(moved.ciphertext.remove(0));
    refuses(&mut agent, &moved, sequence + 1, "a byte moved from body to header")?;
    let lengthened =
        Message { ciphertext: [message.ciphertext.as_slice(), &[0]].concat(), ..message.clone() };
    refuses(&mut agent, &lengthened, sequence + 2, "a byte more")?;
    takes(&mut agent, &message, sequence + 3, b"genuine")
}

#[test]
fn a_replayed_message_is_never_delivered_twice() -> Outcome {
    let (_relay, mut owner, mut agent, message) = message_in_flight(b"once")?;
    takes(&mut agent, &message, 1, b"once")?;
    // At once, after a restart, and after the conversation went on.
    refuses_replay(&mut agent, &message, 2)?;
    let mut agent = agent.restarted()?;
    agent.connect_by_hand(EPOCH, 3)?;
    refuses_replay(&mut agent, &message, 3)?;
    let mut later = Vec::new();
    for number in 0..5_u8 {
        owner.send(&agent.id()?, &[number])?;
        later.push(number);
    }
    refuses_replay(&mut agent, &message, 4)
}

/// As [`refuses`], but a duplicate may also be passed over without a word.
fn refuses_replay(device: &mut Client, message: &Message, sequence: u64) -> Outcome {
    let before = device.records_but_cursor()?;
    device.feed_frame(&message.deliver(sequence))?;
    assert!(device.delivered.is_empty(), "delivered twice");
    assert!(device.records_but_cursor()? == before, "a record changed");
    Ok(())
}

#[test]
fn a_message_for_another_device_or_from_another_sender_is_refused() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut owner = Client::found(relay.origin(), "owner")?;
    let mut first = owner.new_agent("first")?;
    let mut second = owner.new_agent("second")?;
    let for_first = send(&mut owner, &mut first, b"for the first")?;
    let for_second = send(&mut owner, &mut second, b"for the second")?;
    let to_owner = send(&mut first, &mut owner, b"for the owner")?;
    for device in [&mut first, &mut second, &mut owner] {
        device.connect_by_hand(EPOCH, 1)?;
    }

    let own = owner.id()?;
    refuses(&mut second, &for_first, 1, "a sibling's message")?;
    refuses(&mut first, &for_second, 1, "a sibling's message")?;
    refuses(&mut first, &to_owner, 2, "its own message back")?;
    let claimed = Message { sender: second.id()?, ..to_owner.clone() };
    refuses(&mut owner, &claimed, 1, "under a sibling's name")?;
    refuses(&mut owner, &Message { sender: own, ..to_owner.clone() }, 2, "under its own name")?;
    refuses(
        &mut owner,
        &Message { sender: DeviceId(random()?), ..to_owner.clone() },
        3,
        "under a stranger's name",
    )?;

    takes(&mut first, &for_first, 3, b"for the first")?;
    takes(&mut second, &for_second, 2, b"for the second")?;
    takes(&mut owner, &to_owner, 4, b"for the owner")
}

#[test]
fn a_pending_device_is_nobody_to_the_owner() -> Outcome {
    let (_relay, mut owner, agent, message) = message_in_flight(b"genuine")?;
    let pending = Client::enroll(&owner.invite()?, "pending")?;
    let requests = owner.requests()?;
    assert!(requests.iter().any(|request| pending.id().is_ok_and(|id| id == request.device_id)));
    owner.connect_by_hand(EPOCH, 1)?;
    refuses(&mut owner, &Message { sender: pending.id()?, ..message.clone() }, 1, "from a pending device")?;
    drop(agent);
    Ok(())
}

#[test]
fn a_suspended_peer_is_not_heard_until_it_is_resumed() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut owner = Client::found(relay.origin(), "owner")?;
    let mut agent = owner.new_agent("agent")?;
    let message = send(&mut agent, &mut owner, b"genuine")?;
    owner.state(&agent.id()?, Verdict::Suspended)?;
    let suspended = owner.restarted()?;
    let mut hostile = suspended.restarted()?;
    hostile.connect_by_hand(EPOCH, 1)?;
    refuses(&mut hostile, &message, 1, "from a suspended device")?;

    // On the same records: resumed, the genuine message opens.
    hostile.state(&agent.id()?, Verdict::Resumed)?;
    takes(&mut hostile, &message, 2, b"genuine")
}

#[test]
fn a_revoked_peer_is_never_heard_again() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut owner = Client::found(relay.origin(), "owner")?;
    let mut agent = owner.new_agent("agent")?;
    let message = send(&mut agent, &mut owner, b"genuine")?;
    owner.state(&agent.id()?, Verdict::Revoked)?;
    let mut hostile = owner.restarted()?;
    hostile.connect_by_hand(EPOCH, 1)?;
    refuses(&mut hostile, &message, 1, "from a revoked device")?;
    assert!(
        hostile.state(&agent.id()?, Verdict::Resumed).is_err() || {
            hostile.feed_frame(&message.deliver(2))?;
            hostile.delivered.is_empty()
        }
    );
    Ok(())
}

#[test]
fn nothing_leaves_before_it_is_stored() -> Outcome {
    let (_relay, _owner, mut agent, message) = message_in_flight(b"question")?;
    agent.unsent.clear();
    takes(&mut agent, &message, 1, b"question")?;
    agent.send(&message.sender, b"answer")?;
    let is_message = |frame: &[u8]| matches!(av_wire::decode(frame), Ok(ToRelay::Send { .. }));
    let sent = agent.unsent.iter().find(|unsent| is_message(&unsent.frame)).ok_or("nothing was sent")?;
    // A crash in the moment when it left: the same bytes leave again, so no key is used for two messages.
    let mut after = agent.restarted_at(sent)?;
    after.connect_by_hand(EPOCH, 2)?;
    let again: Vec<_> = after.unsent.iter().filter(|unsent| is_message(&unsent.frame)).collect();
    assert_eq!(again.len(), 1);
    assert!(again[0].frame == sent.frame, "other bytes under the same key");
    Ok(())
}

#[test]
fn nothing_is_acknowledged_before_the_application_has_it() -> Outcome {
    let (_relay, _owner, mut agent, message) = message_in_flight(b"question")?;
    agent.unsent.clear();
    agent.feed_frame(&message.deliver(1))?;
    let first = agent.delivered.pop_front().ok_or("nothing was delivered")?;
    let is_ack =
        |unsent: &&Unsent| matches!(av_wire::decode(&unsent.frame), Ok(ToRelay::Ack { sequence: 1, .. }));
    assert!(!agent.unsent.iter().any(|unsent| is_ack(&unsent)), "the relay would delete it now");
    // A crash before the application is done: the same message is offered again.
    let mut crashed = agent.restarted()?;
    crashed.drain()?;
    let again = crashed.delivered.pop_front().ok_or("the message is lost")?;
    assert_eq!((again.message_id, again.payload.as_slice()), (first.message_id, b"question".as_slice()));

    agent.confirm(&first)?;
    let acknowledged = agent.unsent.iter().find(is_ack).ok_or("it is never acknowledged")?;
    // A crash in the moment when that left: it is not offered twice.
    let mut after = agent.restarted_at(acknowledged)?;
    after.drain()?;
    assert!(after.delivered.is_empty(), "offered again after it was confirmed");
    Ok(())
}
