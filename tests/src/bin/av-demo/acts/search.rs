//! Act 4: the relay's rows are shown, and everything it stored and everything on the wire is searched.

use av_tests::Outcome;
use av_tests::blindness::{self, Canaries};
use av_wire::Role;

use crate::acts::enroll::AGENT;
use crate::page::{Page, conversation, shorten};
use crate::world::World;

const WAITING: &str = "nobody but you can read this line";

pub(crate) fn play(page: &mut Page, world: &mut World) -> Outcome {
    page.act(4, "What the relay knows")?;
    waiting_message(page, world)?;
    keys(world)?;

    let secrets = world.secrets.clone();
    let cluster = world.cluster()?;
    let clean = blindness::search(&cluster, world.recorder(), &secrets)?;
    page.command(
        &format!("search for {} secrets: messages, invite, both devices' keys", secrets.len()),
        &[
            format!(
                "in {} files of the cluster, write-ahead log too: {} MB",
                clean.files,
                clean.file_bytes >> 20
            ),
            format!("and in {} kB recorded on the wire, unmasked too", clean.wire_bytes >> 10),
            "raw, hex, base64 and base64url".to_owned(),
        ],
        &[found(&clean.found)],
    )?;
    if !clean.found.is_empty() {
        return Err(format!("the relay learned a secret: {:#?}", clean.found).into());
    }

    let canaries = Canaries::plant(&mut world.database()?, world.tenant()?, &world.recorder().origin())?;
    let shown = blindness::search(&cluster, world.recorder(), &canaries.secrets())?;
    let places = canaries.places(&shown.found)?;
    page.command(
        "plant a canary in a column, in the log and on the wire,",
        &["and search for them in the same way"],
        &places.map(|place| format!("found in {place}")),
    )
}

/// A message that waits while the agent is away, so that there is a row to show.
fn waiting_message(page: &mut Page, world: &mut World) -> Outcome {
    world.agent()?.kill()?;
    world.note(WAITING)?;
    let finished = world.owner().chat(AGENT, &[WAITING], 0)?;
    let (tenant, mut database) = (world.tenant()?, world.database()?);
    let messages = database.messages(tenant, Role::Agent)?;
    let [message] = messages.as_slice() else {
        return Err(format!("{} messages wait instead of one", messages.len()).into());
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    page.command(
        &format!("owner$ av chat {AGENT}   (the agent is away)"),
        &conversation(&[WAITING], &finished.stdout),
        &[
            format!("header_blob {}", shorten(&hex(&message.header_blob), 24, 4)),
            format!("ciphertext  {}", shorten(&hex(&message.ciphertext), 24, 4)),
        ],
    )
}

/// Opens both devices' states and takes their keys, while nobody runs on them.
fn keys(world: &mut World) -> Outcome {
    let owner = world.owner().clone();
    world.secrets.extend(blindness::secrets_of_state("owner", owner.home(), owner.key_file())?);
    let (state, key_file) = (world.agent()?.state(), world.agent()?.key_file());
    world.secrets.extend(blindness::secrets_of_state("agent", &state, &key_file)?);
    // The agent goes on, and the owner takes its answer, so that nothing waits when it is revoked.
    world.agent()?.start()?;
    owner.chat(AGENT, &[], 1).map(drop)
}

fn found(found: &[av_tests::search::Found]) -> String {
    match found {
        [] => "none of them, nowhere".to_owned(),
        [first, ..] => format!("FOUND: {} as {} in {}", first.secret, first.spelling, first.place),
    }
}
