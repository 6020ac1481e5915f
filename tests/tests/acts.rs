//! The main job, act by act, with the real programs.

use av_tests::Outcome;
use av_tests::agent::{Agent, fingerprint};
use av_tests::folder::Folder;
use av_tests::owner::Owner;
use av_tests::recorder::Recorder;
use av_tests::relay::{Relay, free_address};
use av_tests::wait::{DEADLINE, wait_until};

/// Exit status of a device that was put out.
const REFUSED: i32 = 3;

#[test]
fn act_1_the_relay_makes_its_own_cluster_and_keeps_it_to_itself() -> Outcome {
    let folder = Folder::new()?;
    let mut relay = Relay::start(&folder.join("relay"))?;
    let lines = relay.process()?.lines();
    assert_eq!(lines, [format!("ready {}", relay.origin())], "one line on stdout");
    // No TCP, forced row-level security on every table, durable commits: or this fails.
    let facts = relay.inspect()?.facts()?;
    assert!(facts.major >= 15 && facts.tables >= 10, "{facts:?}");
    Ok(())
}

#[test]
fn act_2_an_agent_is_invited_enrolls_is_approved_and_confirmed() -> Outcome {
    let folder = Folder::new()?;
    let relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::new(&folder, "scout", &owner.invite(&[])?.url)?;
    let shown = agent.enroll()?;
    agent.process()?.expect_line("waiting for approval")?;

    // Nobody is approved by a script that does not name the device.
    assert_ne!(owner.run(&["approve"])?.status, 0);
    let wrong = shown.split(' ').rev().collect::<Vec<_>>().join(" ");
    assert_ne!(owner.run(&["approve", "--fingerprint", &wrong])?.status, 0);
    assert!(owner.run(&["peers"])?.stdout.starts_with("No peers"));

    let approved = owner.approve(&shown)?;
    assert_eq!(fingerprint(&approved.stdout)?, shown, "the owner is shown the device's own fingerprint");
    approved.line("scout")?;
    approved.line("invite tag verified")?;
    agent.process()?.expect_line("approved by")?;
    agent.process()?.expect_line("connected")?;
    owner.chat("scout", &["are you there?"], 1)?.line("ARE YOU THERE?")?;
    let peers = owner.run(&["peers"])?.success()?;
    assert!(peers.line("scout")?.contains("active, confirmed"), "{peers:#?}");
    assert_eq!(fingerprint(&peers.stdout)?, shown);
    Ok(())
}

#[test]
fn act_3_nothing_is_lost_and_nothing_comes_twice_when_the_agent_is_killed() -> Outcome {
    let folder = Folder::new()?;
    let address = free_address()?;
    let recorder = Recorder::start(address)?;
    let relay = Relay::start_at(&folder.join("relay"), address, &recorder.origin())?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    let (tenant, mut database) = (recorder.tenant()?, relay.inspect()?);
    let mut sent = vec!["are you there?".to_owned()];
    let mut chats = vec![owner.chat("scout", &["are you there?"], 1)?];
    let before = database.accepted(tenant)?;
    for round in 0..4 {
        agent.kill()?;
        let lines = [
            format!("message {round}a while you were away"),
            format!("message {round}b while you were away"),
        ];
        // It may be given answers to earlier messages, too.
        chats.push(owner.chat("scout", &lines.each_ref().map(String::as_str), 0)?);
        sent.extend(lines);
        agent.start()?;
        // Killed before its answers are accepted, the agent would rightly start the handler again.
        let wanted = before + 2 * (i64::try_from(sent.len())? - 1);
        wait_until("the answers are accepted", DEADLINE, || {
            Ok((database.accepted(tenant)? >= wanted).then_some(()))
        })?;
    }
    assert_eq!(agent.handled()?, sent, "each once, in order");
    let seen = chats.iter().map(|chat| answers(&chat.stdout).len()).sum::<usize>();
    chats.push(owner.chat("scout", &[], sent.len() - seen)?);
    let got: Vec<&str> = chats.iter().flat_map(|chat| answers(&chat.stdout)).collect();
    let expected: Vec<String> = sent.iter().map(|line| line.to_uppercase()).collect();
    assert_eq!(got, expected, "each answer once, in order");
    Ok(())
}

/// The agent's answers in what `av chat` printed.
fn answers(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.strip_prefix("scout: ")).collect()
}

#[test]
fn act_5_a_revoked_agent_is_put_out_at_once_and_stays_out() -> Outcome {
    let folder = Folder::new()?;
    let relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    let other = Agent::enrolled(&folder, "ranger", &owner)?;
    owner.run(&["revoke", "scout"])?.success()?;
    agent.take()?.finish()?.with_status(REFUSED)?;
    agent.start()?;
    agent.take()?.finish()?.with_status(REFUSED)?;
    owner.try_chat("scout", &["can you hear me?"], 0)?.with_status(REFUSED)?;
    assert_ne!(owner.run(&["resume", "scout"])?.status, 0, "revoked is final");
    assert!(owner.run(&["peers"])?.stdout.contains("revoked"));
    // The rest of the tenant goes on.
    owner.chat("ranger", &["still with us?"], 1)?.line("STILL WITH US?")?;
    drop(other);
    Ok(())
}

#[test]
fn a_suspended_agent_goes_on_when_it_is_resumed() -> Outcome {
    let folder = Folder::new()?;
    let relay = Relay::start(&folder.join("relay"))?;
    let owner = Owner::found(&folder, "alice", relay.origin())?;
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    owner.run(&["suspend", "scout"])?.success()?;
    agent.take()?.finish()?.with_status(REFUSED)?;
    owner.try_chat("scout", &["can you hear me?"], 0)?.with_status(REFUSED)?;
    owner.run(&["resume", "scout"])?.success()?;
    agent.start()?;
    agent.process()?.expect_line("connected")?;
    owner.chat("scout", &["welcome back"], 1)?.line("WELCOME BACK").map(drop)
}
