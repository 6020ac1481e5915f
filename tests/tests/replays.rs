//! Whatever was recorded on the wire is of no use to whoever plays it back.

use av_tests::Outcome;
use av_tests::connection::{Connection, decode};
use av_tests::device::{Device, random};
use av_tests::folder::Folder;
use av_tests::founder::Founder;
use av_tests::recorder::Recorder;
use av_tests::relay::{Relay, free_address};
use av_wire::frame::{ToDevice, ToRelay};
use av_wire::statement::Verdict;
use av_wire::{RefusalCode, Role};

#[test]
fn a_recorded_connection_played_back_changes_nothing_and_lets_nobody_in() -> Outcome {
    let folder = Folder::new()?;
    let address = free_address()?;
    let recorder = Recorder::start(address)?;
    let relay = Relay::start_at(&folder.join("relay"), address, &recorder.origin())?;
    let origin = relay.origin();

    // All that a tenant does in its life.
    let mut founder = Founder::found(origin)?;
    let mut owner = founder.connect(origin)?;
    let agent = Device::new(Role::Agent)?;
    founder.enroll(&mut owner, &agent)?;
    let mut talking = agent.connect(origin, founder.tenant)?;
    let header = [[1, 1].as_slice(), &random::<80>()?].concat();
    let body = random::<64>()?;
    talking.call(&ToRelay::Send {
        recipient: founder.device.id(),
        header_blob: header.as_slice(),
        ciphertext: body[..].into(),
    })?;
    founder.post(&mut owner, Verdict::Suspended, agent.id())?;
    founder.post(&mut owner, Verdict::Resumed, agent.id())?;
    drop((owner, talking));

    let recordings = recorder.recordings();
    let before = relay.inspect()?.digest(founder.tenant)?;
    let mut kinds = [0; 4];
    for recording in &recordings {
        for frame in recording.frames_to_relay() {
            let mut connection = Connection::open(origin)?;
            connection.send_bytes(&frame)?;
            match av_wire::decode(&frame)? {
                // The same answer as the first time, for a device that did not get it; nothing new happens.
                ToRelay::Found { .. } | ToRelay::Activate { .. } => {
                    kinds[0] += 1;
                    assert!(matches!(decode(&connection.frame()?)?, ToDevice::Done { .. }));
                }
                ToRelay::Enroll { .. } => {
                    kinds[1] += 1;
                    assert!(matches!(decode(&connection.frame()?)?, ToDevice::Granted { .. }));
                }
                // A signature over another connection's challenge.
                ToRelay::Authenticate { .. } => {
                    kinds[2] += 1;
                    assert_eq!(connection.end()?.0, Some(RefusalCode::NotAuthorized));
                }
                // Everything else needs an authenticated connection.
                _ => {
                    kinds[3] += 1;
                    connection.end()?;
                }
            }
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "every kind was played back: {kinds:?}");

    // And whole connections, in their order.
    for recording in &recordings {
        let mut connection = Connection::open(origin)?;
        for frame in recording.frames_to_relay() {
            // The relay may have hung up already.
            let _ = connection.send_bytes(&frame);
        }
        connection.abandon();
    }
    founder.connect(origin)?;
    assert_eq!(relay.inspect()?.digest(founder.tenant)?, before);
    Ok(())
}

#[test]
fn a_statement_counts_once_and_in_its_order() -> Outcome {
    let folder = Folder::new()?;
    let relay = Relay::start(&folder.join("relay"))?;
    let mut founder = Founder::found(relay.origin())?;
    let mut owner = founder.connect(relay.origin())?;
    let agent = Device::new(Role::Agent)?;
    founder.enroll(&mut owner, &agent)?;
    let suspension = founder.statement(Verdict::Suspended, agent.id())?;
    let resumption = founder.statement(Verdict::Resumed, agent.id())?;
    let mut post = |statement: &[u8]| -> Outcome<bool> {
        let answer = owner.call(&ToRelay::PostStatement { request: 4, statement })?;
        Ok(matches!(decode(&answer)?, ToDevice::Done { .. }))
    };
    assert!(!post(&resumption)?, "a serial was left out");
    assert!(post(&suspension)?);
    assert!(post(&resumption)?);
    // The old suspension again: answered as before or refused, and the agent stays in.
    post(&suspension)?;
    agent.connect(relay.origin(), founder.tenant).map(drop)
}
