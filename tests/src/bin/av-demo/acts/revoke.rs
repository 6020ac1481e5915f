//! Act 5: the owner revokes the agent.

use av_tests::Outcome;

use crate::acts::enroll::AGENT;
use crate::page::Page;
use crate::world::World;

const LATE: &str = "one more thing";
/// The exit status of a device that the relay or an owner put out.
const REFUSED: i32 = 3;

pub(crate) fn play(page: &mut Page, world: &mut World) -> Outcome {
    page.act(5, "The owner revokes the agent")?;
    let before = world.agent()?.process()?.lines().len();
    let finished = world.owner().run(&["revoke", AGENT])?.success()?;
    let lines: Vec<&str> = finished.stdout.lines().collect();
    world.await_value("SELECT count(*)::text FROM av.devices WHERE status = 'revoked'", "1")?;
    page.command(
        &format!("owner$ av revoke {AGENT}"),
        &lines,
        &["devices   the agent is revoked, for good", "statements 1: signed by alice's device"],
    )?;
    let ended = world.agent()?.take()?.finish()?.with_status(REFUSED)?;
    let last: Vec<&str> =
        ended.stdout.lines().skip(before).chain(ended.stderr.lines().rev().take(1)).collect();
    page.command("agent$ (its connection closes at once)", &last, &["its inbox is closed to it"])?;

    world.agent()?.start()?;
    let again = world.agent()?.take()?.finish()?.with_status(REFUSED)?;
    let said: Vec<&str> = again.stdout.lines().chain(again.stderr.lines().rev().take(1)).collect();
    page.command("agent$ av agent run agent.toml", &said, &["nothing: refused"])?;

    let refused = world.owner().try_chat(AGENT, &[LATE], 0)?.with_status(REFUSED)?;
    let mut said = vec![format!("> {LATE}")];
    said.extend(refused.stderr.lines().rev().take(1).map(str::to_owned));
    page.command(&format!("owner$ av chat {AGENT}"), &said, &["nothing"])
}
