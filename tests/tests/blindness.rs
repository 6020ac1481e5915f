//! The relay never sees plaintext: all of its files and all of the wire are searched, and the search is shown to find.

use av_tests::Outcome;
use av_tests::agent::Agent;
use av_tests::blindness::{Canaries, search, secrets_of_invite, secrets_of_state};
use av_tests::database::{Cluster, Database};
use av_tests::folder::Folder;
use av_tests::owner::Owner;
use av_tests::recorder::Recorder;
use av_tests::relay::{Relay, free_address};
use av_tests::search::{Search, Secret};
use av_wire::Role;

const MESSAGES: [&str; 3] = [
    "the gate code is four-seven-one-one",
    "a second line, for the ratchet",
    "read while nobody else was there",
];

/// Names long enough to be searched for.
const OWNER: &str = "alice of the old mill";
const AGENT: &str = "scout-of-the-north";
const WAITING: &str = "and this one waits for the agent";

/// A text, and its halves: a part of it is a leak too.
fn in_pieces(name: &str, text: &str) -> Outcome<[Secret; 3]> {
    let (first, second) = text.as_bytes().split_at(text.len() / 2);
    Ok([
        Secret::new(name, text.as_bytes())?,
        Secret::new(&format!("{name}, first half"), first)?,
        Secret::new(&format!("{name}, second half"), second)?,
    ])
}

#[test]
fn no_secret_is_in_a_file_on_the_wire_or_in_a_log_and_canaries_are() -> Outcome {
    let folder = Folder::new()?;
    let address = free_address()?;
    let recorder = Recorder::start(address)?;
    let mut relay = Relay::start_at(&folder.join("relay"), address, &recorder.origin())?;
    let owner = Owner::new(&folder, OWNER)?;
    let recovery = folder.join("recovery.txt");
    let file = recovery.display().to_string();
    owner.run(&["init", "--relay", relay.origin(), "--name", OWNER, "--recovery-file", &file])?.success()?;
    let invite = owner.invite(&[])?;
    let mut agent = Agent::new(&folder, AGENT, &invite.url)?;
    let fingerprint = agent.enroll()?;

    // Keys that live for a moment only: those of the invite, before anybody wipes them.
    let mut secrets = secrets_of_invite(&invite.text)?;
    secrets.push(Secret::new("recovery key", std::fs::read_to_string(&recovery)?.trim().as_bytes())?);
    owner.approve(&fingerprint)?;
    agent.process()?.expect_line("connected")?;
    let mut agent_log = Vec::new();
    for line in MESSAGES {
        owner.chat(AGENT, &[line], 1)?.line(&line.to_uppercase())?;
        secrets.extend(in_pieces("message", line)?);
        secrets.extend(in_pieces("answer", &line.to_uppercase())?);
        // The keys of this moment, before the ratchet moves on.
        agent_log.extend(agent.process()?.log());
        agent.kill()?;
        secrets.extend(secrets_of_state("agent", &agent.state(), &agent.key_file())?);
        secrets.extend(secrets_of_state("owner", owner.home(), owner.key_file())?);
        agent.start()?;
        agent.process()?.expect_line("connected")?;
    }
    // One that waits.
    agent.kill()?;
    owner.chat(AGENT, &[WAITING], 0)?;
    secrets.extend(in_pieces("waiting message", WAITING)?);
    for name in [OWNER, AGENT] {
        secrets.push(Secret::new("name", name.as_bytes())?);
    }
    assert!(secrets.len() > 60, "{} secrets", secrets.len());

    let cluster = Cluster::find(relay.data())?;
    let clean = search(&cluster, &recorder, &secrets)?;
    assert!(clean.found.is_empty(), "{:#?}", clean.found);
    assert!(clean.files > 300 && clean.file_bytes > 20 << 20 && clean.wire_bytes > 10_000, "{clean:#?}");
    let logs = [relay.process()?.log(), agent_log].concat().join("\n");
    assert!(!logs.is_empty());
    let leaked = Search::new(&secrets)?.in_stream("logs", logs.as_bytes())?;
    assert!(leaked.is_empty(), "{leaked:#?}");

    // The search sees what is there: the waiting message's ciphertext, in its table and on the wire,
    let tenant = recorder.tenant()?;
    let waiting = Database::connect(&cluster)?.messages(tenant, Role::Agent)?;
    let [waiting] = waiting.as_slice() else { return Err(format!("{} messages wait", waiting.len()).into()) };
    let stored =
        [Secret::new("ciphertext", &waiting.ciphertext)?, Secret::new("header", &waiting.header_blob)?];
    let shown = search(&cluster, &recorder, &stored)?;
    for secret in &stored {
        for place in ["/base/", "/pg_wal/", "unmasked"] {
            let is_there = |found: &&av_tests::search::Found| {
                found.secret == secret.name() && found.place.contains(place)
            };
            assert!(
                shown.found.iter().any(|found| is_there(&found)),
                "{} in {place}: {shown:#?}",
                secret.name()
            );
        }
    }
    // and canaries where a secret could have leaked.
    let canaries = Canaries::plant(&mut Database::connect(&cluster)?, tenant, &recorder.origin())?;
    let shown = search(&cluster, &recorder, &canaries.secrets())?;
    canaries.places(&shown.found).map(drop)
}
