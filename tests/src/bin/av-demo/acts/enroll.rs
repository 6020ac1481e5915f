//! Act 2: a tenant is founded, an agent invited, enrolled and approved, and a first message confirmed.

use av_tests::Outcome;
use av_tests::agent::Agent;
use av_tests::blindness;
use av_tests::wait::{DEADLINE, wait_until};

use crate::page::{Page, conversation, shorten};
use crate::world::World;

/// The agent of the five acts, and the message that confirms its session.
pub(crate) const AGENT: &str = "scout";
const FIRST: &str = "are you there, scout?";

pub(crate) fn play(page: &mut Page, world: &mut World) -> Outcome {
    page.act(2, "An agent enrolls by invitation, and only by it")?;
    found(page, world)?;
    let fingerprint = invite(page, world)?;
    approve(page, world, &fingerprint)?;
    first_message(page, world)
}

fn found(page: &mut Page, world: &mut World) -> Outcome {
    let (origin, file) = (world.recorder().origin(), "recovery.txt");
    let arguments = ["init", "--relay", &origin, "--name", "alice", "--recovery-file", file];
    let finished = world.owner().run(&arguments)?.success()?;
    let text = std::fs::read_to_string(world.folder().join(file))?;
    world.keep_secret("the recovery key's text", text.trim().as_bytes())?;
    let stored = [
        "tenants   1: the root's public key".to_owned(),
        "devices   1: owner, active; public keys only".to_owned(),
        format!("prekeys   {}: public keys, signed", world.value("SELECT count(*)::text FROM av.prekeys")?),
    ];
    let output: Vec<&str> = finished.stdout.lines().collect();
    page.command(&format!("owner$ av {}", arguments.join(" ")), &output, &stored)
}

fn invite(page: &mut Page, world: &mut World) -> Outcome<String> {
    let invite = world.owner().invite(&[])?;
    world.secrets.extend(blindness::secrets_of_invite(&invite.text)?);
    let hash = world.value("SELECT encode(lookup_hash, 'hex') FROM av.invites")?;
    page.command(
        "owner$ av invite",
        &[shorten(&invite.url, 30, 12), shorten(&invite.text, 8, 4)],
        &[
            format!("invites   1: hash {}", shorten(&hash, 8, 4)),
            "          the token stays with the two".to_owned(),
        ],
    )?;
    let mut agent = Agent::new(world.folder(), AGENT, &invite.url)?;
    let fingerprint = agent.enroll()?;
    agent.process()?.expect_line("waiting for approval")?;
    let lines = agent.process()?.lines();
    world.agents.push(agent);
    world.await_value("SELECT count(*)::text FROM av.devices WHERE status = 'pending'", "1")?;
    let size = world.value("SELECT octet_length(request)::text FROM av.invites")?;
    page.command(
        "agent$ av agent run agent.toml",
        &lines,
        &[
            "devices   2: the agent is pending".to_owned(),
            format!("request   {size} bytes, the name in it sealed"),
        ],
    )?;
    Ok(fingerprint)
}

fn approve(page: &mut Page, world: &mut World, fingerprint: &str) -> Outcome {
    let finished = world.owner().approve(fingerprint)?;
    let lines: Vec<&str> = finished.stdout.lines().collect();
    world.agent()?.process()?.expect_line("approved by")?;
    world.await_value("SELECT count(*)::text FROM av.devices WHERE status = 'active'", "2")?;
    page.command(
        &format!("owner$ av approve --wait --fingerprint \"{}\"", shorten(fingerprint, 6, 0)),
        &lines,
        &["devices   2: both active", "          the agent's certificate, signed by alice's device"],
    )
}

fn first_message(page: &mut Page, world: &mut World) -> Outcome {
    world.note(FIRST)?;
    let finished = world.owner().chat(AGENT, &[FIRST], 1)?;
    world.await_value("SELECT count(*)::text FROM av.messages", "0")?;
    let counted = world.value("SELECT messages::text FROM av.conversations")?;
    page.command(
        &format!("owner$ av chat {AGENT}"),
        &conversation(&[FIRST], &finished.stdout),
        &[
            format!("conversations 1: {counted} messages counted"),
            "messages  none: delivered, so deleted".to_owned(),
        ],
    )?;
    let peers = world.owner().run(&["peers"])?.success()?;
    peers.line("confirmed")?;
    let lines: Vec<&str> = peers.stdout.lines().collect();
    page.command("owner$ av peers", &lines, &["(nothing: the state is the owner's own)"])
}

/// Enrolls one more agent, for a conversation after the acts, and gives its name.
pub(crate) fn another(world: &mut World) -> Outcome<&'static str> {
    const NAME: &str = "ranger";
    let agent = Agent::enrolled(world.folder(), NAME, world.owner())?;
    world.agents.push(agent);
    let owner = world.owner().clone();
    wait_until("the owner knows the new agent", DEADLINE, || {
        let peers = owner.run(&["peers"])?.success()?;
        Ok(peers.line(NAME).is_ok().then_some(()))
    })?;
    Ok(NAME)
}
