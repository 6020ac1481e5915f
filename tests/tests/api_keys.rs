//! An agent that nobody approves by hand: with an owner's API key it is let in and talks, until the key is closed.

use av_proto::{EndReason, Event};
use av_tests::Outcome;
use av_tests::client::Client;
use av_tests::shared::SharedRelay;
use av_wire::DeviceId;
use av_wire::statement::Verdict;

fn confirmed(client: &mut Client, with: DeviceId) -> Outcome {
    client.await_event("the session is confirmed", |event| {
        matches!(event, Event::PeerConfirmed(peer) if *peer == with).then_some(())
    })
}

fn session_begins(agent: &mut Client, owner: DeviceId) -> Outcome {
    agent.await_event("a session begins", |event| {
        matches!(event, Event::SessionStarted { peer, .. } if *peer == owner).then_some(())
    })
}

fn heard(client: &mut Client, from: DeviceId, text: &[u8]) -> Outcome {
    while client.delivered.is_empty() {
        let frame = client.next_frame()?;
        client.feed(&frame)?.map_err(|error| format!("{error:?}"))?;
    }
    let delivered = client.delivered.pop_front().ok_or("a message")?;
    assert_eq!((delivered.from, delivered.payload.as_slice()), (from, text));
    client.confirm(&delivered)
}

fn refused(client: &mut Client) -> Outcome {
    client.await_event("the relay refuses", |event| {
        matches!(event, Event::EnrollmentEnded(EndReason::InviteRefused)).then_some(())
    })
}

#[test]
fn an_agent_enrolls_with_a_key_and_talks_with_its_owner_until_others_are_refused() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut owner = Client::found(relay.origin(), "laptop")?;
    let owner_id = owner.id()?;
    let key = owner.grant_key(2)?;
    let text = key.to_string();

    let mut agent = Client::begin_with_key(relay.origin(), &text)?;
    let agent_id = agent.id()?;
    // The agent is let in, fetches the owner's prekeys, and says hello.
    session_begins(&mut agent, owner_id)?;
    owner.await_event("the owner hears of it", |event| {
        matches!(event, Event::KeyUsed { key: used, device } if *used == key.key_id() && *device == agent_id)
            .then_some(())
    })?;
    confirmed(&mut owner, agent_id)?;
    confirmed(&mut agent, owner_id)?;
    agent.send(&owner_id, b"21 degrees")?;
    heard(&mut owner, agent_id, b"21 degrees")?;
    owner.send(&agent_id, b"warmer, please")?;
    heard(&mut agent, owner_id, b"warmer, please")?;

    let mut second = Client::begin_with_key(relay.origin(), &text)?;
    let second_id = second.id()?;
    session_begins(&mut second, owner_id)?;
    confirmed(&mut owner, second_id)?;
    // As many as it may.
    refused(&mut Client::begin_with_key(relay.origin(), &text)?)?;

    let now = owner.now()?;
    owner.endpoint().close_key(now, &key.key_id())?;
    owner.drain()?;
    let subject = key.key_id().as_issuer();
    owner.await_event("the key is closed", |event| {
        (*event == Event::StatementPosted(subject, Verdict::Revoked)).then_some(())
    })?;
    refused(&mut Client::begin_with_key(relay.origin(), &text)?)?;
    agent.send(&owner_id, b"I am kept")?;
    heard(&mut owner, agent_id, b"I am kept")
}
