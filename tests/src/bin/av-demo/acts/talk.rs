//! Act 3: messages both ways, one of them to an agent that is offline, which is then killed.

use av_tests::Outcome;
use av_tests::wait::{DEADLINE, wait_until};
use av_wire::Role;

use crate::acts::enroll::AGENT;
use crate::page::{Page, conversation};
use crate::world::World;

const OFFLINE: [&str; 2] = ["the gate code is four-seven-one-one", "meet me at the old mill at nine"];
const LATER: &str = "and bring the blue folder with you";

pub(crate) fn play(page: &mut Page, world: &mut World) -> Outcome {
    page.act(3, "Messages both ways; the agent is killed and restarted")?;
    world.agent()?.kill()?;
    for message in OFFLINE {
        world.note(message)?;
    }
    let finished = world.owner().chat(AGENT, &OFFLINE, 0)?;
    let (tenant, mut database) = (world.tenant()?, world.database()?);
    let waiting = database.messages(tenant, Role::Agent)?;
    let mut stored = vec![format!("messages  {} wait for the agent", waiting.len())];
    for message in &waiting {
        stored.push(format!(
            "          header {} B, body {} B",
            message.header_blob.len(),
            message.ciphertext.len()
        ));
    }
    page.command::<&str, &str>("kill -9 (the agent)", &[], &[])?;
    page.command(&format!("owner$ av chat {AGENT}"), &conversation(&OFFLINE, &finished.stdout), &stored)?;

    world.agent()?.start()?;
    handled(world)?;
    // The answers go the other way: the owner is offline, so now they wait.
    let owner_waits = "SELECT count(*)::text FROM av.messages WHERE recipient IN \
                       (SELECT device_id FROM av.devices WHERE role = 1)";
    world.await_value(owner_waits, "2")?;
    page.command(
        "agent$ av agent run agent.toml",
        &OFFLINE.map(|line| format!("its handler is given: {line}")),
        &["messages  2 wait for the owner: the answers"],
    )?;

    world.agent()?.kill()?;
    world.note(LATER)?;
    let mut chat = world.owner().spawn(&["chat", AGENT, "--expect", "3"])?;
    chat.write(&format!("{LATER}\n"))?;
    chat.close_stdin();
    for answer in OFFLINE {
        chat.expect_line(&answer.to_uppercase())?;
    }
    world.agent()?.start()?;
    chat.expect_line(&LATER.to_uppercase())?;
    let finished = chat.finish()?.success()?;
    handled(world)?;
    world.await_value("SELECT count(*)::text FROM av.messages", "0")?;
    page.command::<&str, &str>("kill -9 (the agent), and started again during this conversation", &[], &[])?;
    page.command(
        &format!("owner$ av chat {AGENT}"),
        &conversation(&[LATER], &finished.stdout),
        &["messages  none: all delivered"],
    )?;
    let noted: Vec<String> = world.sent.iter().map(|line| format!("  {line}")).collect();
    page.command(
        "all that the agent's handler was given, in order:",
        &noted,
        &["nothing lost, nothing twice"],
    )
}

/// Waits until the agent's handler was given every message, and checks that it was given each once and in order.
fn handled(world: &mut World) -> Outcome {
    let sent = world.sent.clone();
    let agent = world.agent()?;
    wait_until("the handler gets every message", DEADLINE, || {
        Ok((agent.handled()?.len() >= sent.len()).then_some(()))
    })?;
    let handled = agent.handled()?;
    if handled == sent { Ok(()) } else { Err(format!("sent {sent:?}, handled {handled:?}").into()) }
}
