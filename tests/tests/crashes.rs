//! SIGKILL in the middle of a conversation, of the relay and of the agent: nothing acknowledged is lost, no answer
//! comes twice, and the order holds.

use av_tests::Outcome;
use av_tests::agent::Agent;
use av_tests::folder::Folder;
use av_tests::owner::Owner;
use av_tests::recorder::Recorder;
use av_tests::relay::{Relay, free_address};
use av_tests::wait::{DEADLINE, wait_until};

/// Lines of a conversation: more than an outbox holds.
const LINES: usize = 24;

fn lines() -> Vec<String> {
    (0..LINES).map(|number| format!("line {number:02} of the conversation")).collect()
}

/// Waits until the agent's handler was given this many messages.
fn handled(agent: &Agent, count: usize) -> Outcome {
    wait_until("the handler gets messages", DEADLINE, || Ok((agent.handled()?.len() >= count).then_some(())))
}

/// The answers in a chat's output.
fn answers(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.strip_prefix("scout: ")).collect()
}

/// Talks to the agent for [`LINES`] lines and calls `disturb` between them.
fn conversation(
    owner: &Owner,
    agent: &mut Agent,
    mut disturb: impl FnMut(usize, &mut Agent) -> Outcome,
) -> Outcome {
    let lines = lines();
    let mut chat = owner.spawn(&["chat", "scout", "--expect", &LINES.to_string()])?;
    for (number, line) in lines.iter().enumerate() {
        chat.write(&format!("{line}\n"))?;
        if number % 8 == 3 {
            // In the middle of it: some lines are answered, some are on their way.
            handled(agent, number.saturating_sub(2))?;
            disturb(number, agent)?;
        }
    }
    chat.close_stdin();
    let finished = chat.finish()?.success()?;
    let expected: Vec<String> = lines.iter().map(|line| line.to_uppercase()).collect();
    assert_eq!(answers(&finished.stdout), expected, "each answer once, in order");
    let mut handled = agent.handled()?;
    // A handler that was running when its agent was killed is run again: at least once, never out of order.
    // One whose agent died before it had written the message reads an empty one; it is run again, too.
    handled.retain(|line| !line.is_empty());
    handled.dedup();
    assert_eq!(handled, lines);
    Ok(())
}

#[test]
fn the_relay_is_killed_in_the_middle_of_a_conversation() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    conversation(&owner, &mut agent, |_, _| {
        relay.kill()?;
        relay.restart()
    })
}

#[test]
fn the_agent_is_killed_in_the_middle_of_a_conversation() -> Outcome {
    let folder = Folder::new()?;
    let relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    conversation(&owner, &mut agent, |_, agent| {
        agent.kill()?;
        agent.start()
    })
}

#[test]
fn the_network_fails_in_the_middle_of_a_conversation() -> Outcome {
    let folder = Folder::new()?;
    let address = free_address()?;
    let recorder = Recorder::start(address)?;
    let relay = Relay::start_at(&folder.join("relay"), address, &recorder.origin())?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    conversation(&owner, &mut agent, |_, _| {
        recorder.cut();
        Ok(())
    })
}

#[test]
fn an_owner_killed_before_the_answer_gets_it_the_next_time_once() -> Outcome {
    let folder = Folder::new()?;
    let relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    for number in 0..3 {
        agent.kill()?;
        let line = format!("question {number} before the lights go out");
        let mut chat = owner.spawn(&["chat", "scout", "--expect", "1"])?;
        chat.write(&format!("{line}\n"))?;
        chat.expect_line("(sent)")?;
        chat.kill()?;
        agent.start()?;
        let finished = owner.chat("scout", &[], 1)?;
        assert_eq!(answers(&finished.stdout), [line.to_uppercase()]);
    }
    assert_eq!(agent.handled()?.len(), 3);
    Ok(())
}
