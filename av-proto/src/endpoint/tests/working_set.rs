//! An owner with more peers than memory holds: the same conversation, whether they are lent or all in memory.

use crate::enroll::Certification;
use av_wire::chain::{Lineage, Provenance};
use std::collections::BTreeMap;

use av_wire::frame::ToDevice;
use av_wire::{DeviceId, RejectCode, Role};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::crowd::{AGENTS, Heard, LIMIT, Node, Tenant};
use super::{ConnectionError, Event, NOW, Output};
use crate::endpoint::peer::NewPeer;
use crate::endpoint::working_set::Vacancy;
use crate::endpoint::{Endpoint, EndpointError, LendError, PeerRecord, RestoreError, SendError, Standing};
use crate::keys::Identity;
use crate::record::{RecordKey, RecordKind};
use crate::{Aead, XChaCha20Poly1305};

/// Founding, enrollment and two conversations with a restart between them.
fn scenario<const PEERS: usize>() -> (Heard, usize) {
    let mut tenant = Tenant::<PEERS>::new(AGENTS);
    let mut heard = tenant.converse(7, 200);
    tenant.owner.restart().expect("what was stored");
    tenant.owner.connect();
    tenant.carry();
    heard.extend(tenant.converse(8, 200));
    assert_eq!(heard.iter().map(Vec::len).sum::<usize>(), 400, "each message is heard once");
    (heard, tenant.owner.lent)
}

#[test]
fn lent_peers_hear_and_say_what_peers_in_memory_do() {
    let (with_six, lent) = scenario::<6>();
    assert!(lent > 100, "{lent}");
    let (with_all, never) = scenario::<48>();
    assert_eq!(never, 0, "nobody has to be lent where there is room for all");
    assert_eq!(with_six, with_all);
}

/// Adds an agent that was never talked to.
fn add_stranger<const PEERS: usize>(
    endpoint: &mut Endpoint<XChaCha20Poly1305, PEERS, 16, 4, 2, 4_256>,
    vacancy: &Vacancy,
    rng: &mut ChaCha20Rng,
) {
    add_stranger_of_role(endpoint, vacancy, rng, Role::Agent);
}

fn add_stranger_of_role<const PEERS: usize>(
    endpoint: &mut Endpoint<XChaCha20Poly1305, PEERS, 16, 4, 2, 4_256>,
    vacancy: &Vacancy,
    rng: &mut ChaCha20Rng,
    role: Role,
) -> DeviceId {
    let identity = Identity::generate(rng, role, XChaCha20Poly1305::SUITE.alone(), 4_096);
    let by_root = Provenance { name: [0; 16], lineage: Lineage::new(), kept: None };
    let new = NewPeer {
        device: identity.public(),
        name: "stranger",
        standing: Standing::Active,
        certification: &Certification::new(by_root),
        psk: None,
    };
    endpoint.add_peer(vacancy, &new);
    *identity.device_id()
}

#[test]
fn ten_thousand_peers_are_kept_and_the_right_one_is_found() {
    let mut tenant = Tenant::<64>::new(AGENTS);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    while tenant.owner.directory.len() < 10_000 {
        for _ in 0..16 {
            let vacancy = tenant.owner.endpoint.vacancy(NOW).expect("room");
            add_stranger(&mut tenant.owner.endpoint, &vacancy, &mut rng);
        }
        tenant.owner.drain();
    }
    tenant.owner.restart().expect("what was stored");
    assert!(tenant.owner.directory.len() >= 10_000);
    assert_eq!(tenant.owner.endpoint.peers().count(), 64);
    tenant.owner.connect();
    let heard = tenant.converse(9, 100);
    assert_eq!(heard.iter().map(Vec::len).sum::<usize>(), 100);
    let peers: Vec<_> = tenant.owner.directory.keys().copied().collect();
    for peer in peers.iter().step_by(101) {
        tenant.owner.fetch(*peer).expect("an idle peer");
        assert!(tenant.owner.endpoint.peers().any(|view| view.device_id == *peer));
    }
}

/// What goes to all owners, and the copies for them, must not depend on who was talked with last.
#[test]
fn owners_stay_in_memory_before_agents_do() {
    let mut tenant = Tenant::<64>::new(AGENTS);
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let vacancy = tenant.owner.endpoint.vacancy(NOW).expect("room");
    let id = add_stranger_of_role(&mut tenant.owner.endpoint, &vacancy, &mut rng, Role::Owner);
    for _ in 0..20 {
        for _ in 0..16 {
            let vacancy = tenant.owner.endpoint.vacancy(NOW).expect("room");
            add_stranger(&mut tenant.owner.endpoint, &vacancy, &mut rng);
        }
        tenant.owner.drain();
    }
    for _ in 0..2 {
        assert!(tenant.owner.endpoint.peers().any(|view| view.device_id == id));
        tenant.owner.restart().expect("what was stored");
    }
}

/// What the owner stores, opened, but for the counters.
fn records<const PEERS: usize>(owner: &Node<PEERS>) -> BTreeMap<[u8; 3], Vec<u8>> {
    let open = |(key, sealed): (&[u8; 3], &Vec<u8>)| {
        let mut out = vec![0; sealed.len()];
        let place = RecordKey::from_bytes(key).expect("a known kind");
        (*key, owner.seal.open(place, sealed, &mut out).expect("it opens").to_vec())
    };
    let others = owner.store.iter().filter(|([kind, ..], _)| *kind != RecordKind::Meta as u8);
    others.map(open).collect()
}

#[test]
fn an_input_about_an_absent_peer_changes_nothing() {
    let mut tenant = Tenant::<6>::new(12);
    let owner = &mut tenant.owner;
    let in_memory: Vec<_> = owner.endpoint.peers().map(|peer| peer.device_id).collect();
    let absent = *owner.directory.keys().find(|peer| !in_memory.contains(peer)).expect("twelve do not fit");
    let (store, before) = (owner.store.clone(), records(owner));
    let need = SendError::NeedPeer(absent);
    assert_eq!(owner.endpoint.send(&mut owner.rng, &absent, b"text").map(|_| ()), Err(need));
    let verdict = av_wire::statement::Verdict::Revoked;
    assert_eq!(owner.endpoint.state(NOW, &absent, verdict), Err(EndpointError::NeedPeer(absent)));
    let frame = ToDevice::Deliver {
        sequence: 5,
        previous: 4,
        sender: absent,
        header_blob: &[1; 90],
        ciphertext: &[2; 90],
        received_at: 0,
    };
    let mut buffer = vec![0; 4_224];
    let frame = av_wire::encode(&frame, &mut buffer).expect("room").to_vec();
    for _ in 0..2 {
        let received = owner.endpoint.receive(NOW, &mut owner.rng, &frame);
        assert_eq!(received, Err(ConnectionError::NeedPeer(absent)));
        assert!(!matches!(owner.endpoint.poll(NOW), Some(Output::Persist(_))));
    }
    assert!(owner.store == store);
    owner.receive_bytes(&frame);
    assert!(owner.events.contains(&Event::MessageRejected { from: absent, code: RejectCode::Unopened }));
    let gaps = owner.events.iter().filter(|event| matches!(event, Event::InboxGap { .. })).count();
    assert_eq!(gaps, 1, "told once, with the frame that was taken");
    assert!(records(owner) == before, "once lent, it is rejected as any other");
}

#[test]
fn a_peer_without_a_record_is_unknown() {
    let mut tenant = Tenant::<6>::new(8);
    let owner = &mut tenant.owner;
    let nobody = DeviceId([7; 16]);
    assert_eq!(
        owner.endpoint.send(&mut owner.rng, &nobody, b"text").map(|_| ()),
        Err(SendError::NeedPeer(nobody))
    );
    owner.fetch(nobody).expect("nothing to lend");
    assert_eq!(
        owner.endpoint.send(&mut owner.rng, &nobody, b"text").map(|_| ()),
        Err(SendError::UnknownPeer)
    );
}

#[test]
fn an_older_version_and_another_peers_record_are_not_lent() {
    let mut tenant = Tenant::<6>::new(12);
    let in_memory: Vec<_> = tenant.owner.endpoint.peers().map(|peer| peer.device_id).collect();
    let mut absent = tenant.owner.directory.keys().copied().filter(|peer| !in_memory.contains(peer));
    let (first, second) = (absent.next().expect("one"), absent.next().expect("another"));
    let owner = &mut tenant.owner;
    let record = owner.directory[&first];
    let sealed = owner.store[&record.key().to_bytes()].clone();
    owner.send(first, b"changes its record");
    assert_ne!(record, owner.directory[&first]);
    // Sent home: its message has to be receipted first.
    tenant.carry();
    tenant.wait_for_receipts();
    let owner = &mut tenant.owner;
    let newer = owner.directory[&first];
    for peer in in_memory {
        owner.fetch(peer).expect("an idle peer");
    }
    assert!(owner.endpoint.peers().all(|peer| peer.device_id != first), "it was sent home");
    let damaged = Err(LendError::Record(RestoreError::Damaged));
    assert_eq!(owner.endpoint.lend(NOW, &owner.seal, &newer, &sealed), damaged, "an older version");
    let other = PeerRecord { device_id: second, ..newer };
    let sealed = owner.store[&newer.key().to_bytes()].clone();
    assert_eq!(owner.endpoint.lend(NOW, &owner.seal, &other, &sealed), damaged, "another peer's");
    assert_eq!(owner.endpoint.lend(NOW, &owner.seal, &newer, &sealed), Ok(()));
}

#[test]
fn whoever_a_message_waits_for_stays_in_memory_also_over_a_restart() {
    let mut tenant = Tenant::<6>::new(12);
    let owner = &mut tenant.owner;
    owner.endpoint.disconnected();
    let everybody: Vec<_> = owner.directory.keys().copied().collect();
    let awaited = everybody[11];
    owner.send(awaited, b"waits");
    for peer in &everybody {
        owner.fetch(*peer).expect("an idle peer");
        assert!(owner.endpoint.peers().any(|view| view.device_id == awaited));
    }
    owner.restart().expect("what was stored");
    assert!(owner.endpoint.peers().any(|view| view.device_id == awaited));
}

#[test]
fn with_no_more_peers_allowed_an_approval_says_so_and_changes_nothing() {
    let mut tenant = Tenant::<6>::new(8);
    let owner = &mut tenant.owner;
    owner.endpoint.keep_peers(8);
    assert!(owner.endpoint.vacancy(NOW).is_none(), "eight there may be, eight there are");
    owner.endpoint.keep_peers(9);
    let vacancy = owner.endpoint.vacancy(NOW).expect("one more");
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    add_stranger(&mut owner.endpoint, &vacancy, &mut rng);
    owner.drain();
    assert!(owner.endpoint.vacancy(NOW).is_none());
    owner.endpoint.keep_peers(10);
    owner.restart().expect("what was stored");
    assert_eq!(owner.directory.len(), 9);
}

#[test]
fn peers_before_the_outbox_are_told() {
    let mut tenant = Tenant::<6>::new(12);
    let owner = &mut tenant.owner;
    owner.endpoint.disconnected();
    let everybody: Vec<_> = owner.directory.iter().map(|(peer, record)| (*peer, record.index)).collect();
    let (last, _) = everybody.into_iter().max_by_key(|(_, index)| *index).expect("twelve");
    owner.send(last, b"waits");
    let mut endpoint = Box::<Endpoint<XChaCha20Poly1305, 6, 16, 4, 2, 4_256>>::default();
    endpoint.keep_peers(LIMIT);
    for (key, sealed) in &owner.store {
        let key = RecordKey::from_bytes(key).expect("a known kind");
        endpoint.restore(NOW, &owner.seal, key, sealed).expect("a record");
    }
    assert_eq!(endpoint.resume(), Err(RestoreError::PeersFirst));
}
