//! What is stored is used only as the very set that one batch left, and a record only as this crate writes it.

use std::collections::BTreeSet;

use super::{Device, RecordKey, Side, Store, World};
use crate::SmallEndpoint;
use crate::endpoint::{RestoreError, rewrite_record};
use crate::record::codec::Writer;
use crate::record::{Head, RecordKind, Seal};

/// What became of these records in a fresh endpoint.
fn restored(device: &Device, store: &Store) -> Result<(), RestoreError> {
    let mut endpoint = Box::<SmallEndpoint>::default();
    for (key, sealed) in store {
        let key = RecordKey::from_bytes(key).expect("a key that was stored");
        endpoint.restore(super::NOW, &device.seal, key, sealed)?;
    }
    endpoint.resume()
}

/// A world in which the owner holds every kind of record: a frame waits, and so does a message.
pub(super) fn with_every_kind() -> World {
    let mut world = World::talking();
    world.owner.confirms = false;
    let (owner, agent) = (world.owner.id(), world.agent.id());
    world.agent.send(&owner, "waits for the application");
    world.settle();
    world.disconnect(Side::Owner);
    world.owner.send(&agent, "waits for the relay");
    let owner = &mut world.owner;
    owner.endpoint.grant_key(super::NOW, &mut owner.rng, 2, 86_400).expect("room");
    world.settle();
    let kinds: BTreeSet<u8> = world.owner.store.keys().map(|[kind, ..]| *kind).collect();
    assert_eq!(kinds.len(), RecordKind::ALL.len());
    world
}

/// The owner's store after each batch of a conversation.
fn history() -> (World, Vec<Store>) {
    let mut world = World::talking();
    let (owner, agent) = (world.owner.id(), world.agent.id());
    let mut stores = vec![world.owner.store.clone()];
    for round in 0..3 {
        world.owner.send(&agent, &format!("{round}"));
        while world.owner.step(&mut world.office) != super::Step::Idle {
            if stores.last() != Some(&world.owner.store) {
                stores.push(world.owner.store.clone());
            }
        }
        world.agent.send(&owner, &format!("{round}"));
        world.settle();
        stores.push(world.owner.store.clone());
    }
    assert!(stores.len() >= 6, "{}", stores.len());
    (world, stores)
}

#[test]
fn the_set_that_a_batch_left_is_taken_also_an_old_one() {
    let (world, stores) = history();
    for store in &stores {
        assert_eq!(restored(&world.owner, store), Ok(()));
    }
}

#[test]
fn one_record_of_another_batch_among_the_rest_is_damage() {
    let (world, stores) = history();
    let mut mixtures = 0;
    for store in &stores {
        for other in &stores {
            let keys: BTreeSet<_> = store.keys().chain(other.keys()).collect();
            for key in keys.into_iter().filter(|key| store.get(*key) != other.get(*key)) {
                let mut mixed = store.clone();
                match other.get(key) {
                    Some(sealed) => _ = mixed.insert(*key, sealed.clone()),
                    None => _ = mixed.remove(key),
                }
                assert_eq!(restored(&world.owner, &mixed), Err(RestoreError::Damaged), "{key:?}");
                mixtures += 1;
            }
        }
    }
    assert!(mixtures > 50, "{mixtures}");
}

#[test]
fn every_missing_record_is_damage() {
    let world = with_every_kind();
    assert_eq!(restored(&world.owner, &world.owner.store), Ok(()));
    for key in world.owner.store.keys() {
        let mut less = world.owner.store.clone();
        less.remove(key);
        assert_eq!(restored(&world.owner, &less), Err(RestoreError::Damaged), "{key:?}");
    }
}

#[test]
fn a_record_is_written_anew_with_another_mark_even_when_its_batch_failed() {
    let mut world = World::talking();
    let agent = world.agent.id();
    world.owner.send(&agent, "text");
    let mut marks = BTreeSet::new();
    let mut generations = BTreeSet::new();
    for _ in 0..3 {
        let Some(super::Output::Persist(mut persist)) = world.owner.endpoint.poll(super::NOW) else {
            panic!("a batch that was not stored is asked again");
        };
        let seal = &world.owner.seal;
        let mut heads = Vec::new();
        let written = persist.write(seal, &mut world.owner.rng, |change| {
            if let crate::RecordChange::Put(key, sealed) = change {
                let mut out = vec![0; sealed.len()];
                let record = seal.open(key, sealed, &mut out).expect("it opens");
                let reader = &mut av_wire::layout::Reader::new(record);
                heads.push((key.kind, Head::read(reader).expect("a head")));
            }
            Ok::<(), ()>(())
        });
        assert_eq!(written, Ok(()));
        assert!(heads.iter().any(|(kind, _)| *kind == RecordKind::Peer));
        assert_eq!(heads.last().map(|(kind, _)| *kind), Some(RecordKind::Meta));
        generations.extend(heads.iter().map(|(_, head)| head.generation));
        marks.extend(heads.iter().filter(|(kind, _)| *kind == RecordKind::Outbox).map(|(_, head)| head.mark));
    }
    assert_eq!((generations.len(), marks.len()), (3, 3));
    world.settle();
    world.owner.crash();
    world.disconnect(Side::Owner);
    world.connect(Side::Owner);
    world.settle();
    assert_eq!(world.agent.heard, ["text"]);
}

/// Reads a record's content and writes it again; `None` when it is no record's.
fn rewritten(key: RecordKey, record: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; record.len() + 64];
    let mut writer = Writer::new(&mut out);
    rewrite_record::<crate::XChaCha20Poly1305, 16>(key, record, &mut writer).ok()?;
    let len = writer.len();
    out.truncate(len);
    Some(out)
}

#[test]
fn every_changed_byte_of_a_record_is_an_error_or_another_value_written_alike() {
    let world = with_every_kind();
    let mut refused = 0;
    for (key, record) in world.owner.opened() {
        let key = RecordKey::from_bytes(&key).expect("a known kind");
        assert_eq!(rewritten(key, &record).as_ref(), Some(&record), "{key:?}");
        for index in 0..record.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = record.clone();
                changed[index] ^= change;
                match rewritten(key, &changed) {
                    None => refused += 1,
                    Some(again) => assert_eq!(again, changed, "{key:?}, byte {index}"),
                }
            }
            assert_eq!(rewritten(key, &record[..index]), None, "{key:?} cut to {index} bytes");
        }
        let longer: Vec<u8> = record.iter().copied().chain([0]).collect();
        assert_eq!(rewritten(key, &longer), None, "{key:?} with a byte more");
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn what_is_no_record_is_refused_through_the_front_door_too() {
    let world = with_every_kind();
    let seal = &world.owner.seal;
    let mut rng = <super::ChaCha20Rng as super::SeedableRng>::from_seed([3; 32]);
    for (bytes, record) in world.owner.opened() {
        let key = RecordKey::from_bytes(&bytes).expect("a known kind");
        for len in [0, 1, Head::LEN - 1, Head::LEN, record.len() - 1] {
            let mut buffer = vec![0; len + Seal::OVERHEAD];
            buffer[Seal::PREFIX..Seal::PREFIX + len].copy_from_slice(&record[..len]);
            let sealed = seal.seal_in_place(key, len, &mut rng, &mut buffer).expect("room").to_vec();
            let mut store = world.owner.store.clone();
            store.insert(bytes, sealed);
            assert_eq!(restored(&world.owner, &store), Err(RestoreError::Damaged), "{key:?}, {len} bytes");
        }
    }
}
