//! Every secret is written as one: what a test searches for is all there is.

use super::World;
use super::records::with_every_kind;
use crate::endpoint::slot::Slot;
use crate::record::{RecordKey, RecordKind};
use crate::testing::secrets_in_record;

#[test]
fn the_secrets_of_every_record_are_marked() {
    let world = World::talking();
    let mut counts = std::collections::BTreeMap::new();
    for device in [&world.owner, &world.agent] {
        for (key, record) in device.records() {
            let key = RecordKey::from_bytes(&key).expect("a known kind");
            secrets_in_record::<crate::XChaCha20Poly1305, 16>(key, &record, &mut |secret| {
                assert_eq!(secret.len(), 32);
                assert!(secret.iter().any(|byte| *byte != 0));
                *counts.entry(key.kind).or_insert(0) += 1;
            })
            .expect("it rewrites");
        }
    }
    assert_eq!(counts[&RecordKind::Identity], 4, "a signing seed and an agreement secret each");
    assert_eq!(counts[&RecordKind::Prekeys], 18, "a signed prekey and eight one-time prekeys each");
    assert_eq!(counts[&RecordKind::Invite], 4, "the invite's four keys");
    assert!(counts[&RecordKind::Peer] >= 10, "session keys: {counts:?}");
}

#[test]
fn a_reset_leaves_nothing_behind() {
    let mut world = with_every_kind();
    let endpoint = &mut world.owner.endpoint;
    endpoint.scratch.fill(7);
    assert!(endpoint.peers().next().is_some() && endpoint.outbox_len() > 0);
    endpoint.reset();
    assert!(
        endpoint.device.get().is_none() && endpoint.meta.get().is_none() && endpoint.prekeys.get().is_none()
    );
    assert!(endpoint.peers.iter().all(Slot::is_empty) && endpoint.invites.iter().all(Slot::is_empty));
    assert!(endpoint.keys.iter().all(Slot::is_empty) && endpoint.inbox.iter().all(Slot::is_empty));
    assert!(endpoint.outbox.iter().all(Slot::is_empty) && endpoint.calls.is_empty());
    assert!(endpoint.scratch.iter().all(|byte| *byte == 0));
    assert!(endpoint.poll(super::NOW).is_none());
}
