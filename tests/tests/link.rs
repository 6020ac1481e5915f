//! The main job with a relay on a network: by the Noise link, with the real programs.

use av_tests::Outcome;
use av_tests::agent::Agent;
use av_tests::folder::Folder;
use av_tests::owner::Owner;
use av_tests::recorder::{Recorder, Recording};
use av_tests::relay::{Relay, free_address};
use av_wire::frame::ToRelay;

#[test]
fn the_main_job_by_the_link_shows_nobody_on_the_way_a_frame() -> Outcome {
    let folder = Folder::new()?;
    let address = free_address()?;
    let recorder = Recorder::start(address)?;
    let mut relay = Relay::start_at(&folder.join("relay"), address, &recorder.origin_on_a_network())?;
    let [key, _] = relay.link_keys()?;

    let owner = Owner::new(&folder, "alice")?;
    let init = ["init", "--name", "alice", "--relay", relay.origin()];
    let refused = owner.run(&init)?;
    assert_ne!(refused.status, 0);
    assert!(refused.stderr.contains("without its link key"), "{refused:#?}");
    let another = "A".repeat(43);
    let refused = owner.run(&[&init[..], &["--link-key", &another]].concat())?;
    assert_ne!(refused.status, 0);
    assert!(refused.stderr.contains("does not hold the relay's link key"), "{refused:#?}");
    owner.run(&[&init[..], &["--link-key", &key]].concat())?.success()?;

    let invite = owner.invite(&[])?;
    assert!(invite.url.contains(&format!("&key={key}")), "{invite:?}");
    let mut agent = Agent::enrolled(&folder, "scout", &owner)?;
    owner.chat("scout", &["are you there?"], 1)?.line("ARE YOU THERE?")?;
    relay.kill()?;
    relay.restart()?;
    owner.chat("scout", &["and now?"], 1)?.line("AND NOW?")?;
    agent.kill()?;

    let messages: Vec<_> = recorder.recordings().iter().flat_map(Recording::frames_to_relay).collect();
    assert!(messages.len() > 20, "the recorder saw it all: {} messages", messages.len());
    for message in &messages {
        assert!(av_wire::decode::<ToRelay<'_>>(message).is_err(), "a frame in the open: {message:?}");
    }
    Ok(())
}
