//! What is stored before the relay has heard of anything.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking when it does not come")]

use std::path::Path;

use av_host::av_proto::wire::Origin;
use av_host::av_proto::{EndpointError, Phase};
use av_host::{Error, Owner, StoredDevice, Unlock};

/// Nobody listens on port 1; the device keeps trying.
fn nowhere() -> Origin {
    Origin::parse("ws://127.0.0.1:1").unwrap()
}

fn reopen(state: &Path, unlock: &Unlock) -> StoredDevice {
    StoredDevice::open(state, unlock).unwrap()
}

#[tokio::test]
async fn a_founding_that_nobody_answers_is_stored_with_its_keys() {
    let directory = tempfile::tempdir().unwrap();
    let (state, unlock) = (directory.path().join("state"), Unlock::KeyFile(directory.path().join("key")));
    let stored = StoredDevice::create(&state, &unlock).unwrap();
    let mut kept = String::new();
    let mut owner = Owner::found(stored, &nowhere(), None, "laptop", |key| {
        kept = key.reveal(str::to_owned);
        Ok::<(), Error>(())
    })
    .unwrap();
    assert!(kept.starts_with("avr1-"), "{kept}");
    let identity = owner.device().identity().await.unwrap().unwrap();
    owner.close().await.unwrap();

    let mut stored = reopen(&state, &unlock);
    assert_eq!(stored.endpoint().phase(), Phase::Founding);
    assert_eq!(stored.endpoint().fingerprint(), Some(identity.fingerprint));
    assert_eq!(stored.endpoint().origin(), Some(&nowhere()));

    // The key that was shown is nowhere in the state.
    let raw = std::fs::read(state.join("state.redb")).unwrap();
    let text = kept.trim_start_matches("avr1-").as_bytes();
    assert!(!raw.windows(text.len()).any(|window| window == text));
}

#[tokio::test]
async fn a_recovery_key_that_nobody_could_keep_makes_no_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let (state, unlock) = (directory.path().join("state"), Unlock::KeyFile(directory.path().join("key")));
    let stored = StoredDevice::create(&state, &unlock).unwrap();
    let refused = Owner::found(stored, &nowhere(), None, "laptop", |_| Err(Error::Stopped));
    assert!(matches!(refused.map(|_| ()), Err(Error::Stopped)));
    assert_eq!(reopen(&state, &unlock).endpoint().phase(), Phase::Empty);
}

#[tokio::test]
async fn commands_before_their_time_are_refused_and_the_device_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (state, unlock) = (directory.path().join("state"), Unlock::KeyFile(directory.path().join("key")));
    let stored = StoredDevice::create(&state, &unlock).unwrap();
    let mut owner = Owner::found(stored, &nowhere(), None, "laptop", |_| Ok::<(), Error>(())).unwrap();
    let refused = owner.list_pending().await;
    assert!(matches!(refused, Err(Error::Command(EndpointError::NotActive))), "{refused:?}");
    assert_eq!(owner.device().phase().await.unwrap(), Phase::Founding);
    owner.close().await.unwrap();
}
