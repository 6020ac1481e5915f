//! Limits: the sizes that other sizes are made of add up.

use std::vec;

use super::samples::{Device, Tenant, encoded};
use crate::bundle::{KemPrekeyKind, PrekeyKind};
use crate::chain::MAX_CHAIN_BYTES;
use crate::code::RejectCode;
use crate::frame::{Rejected, ToDevice, ToRelay};
use crate::grant::{Grant, OwnerSerial};
use crate::limits::{
    DELIVER_OVERHEAD, MAX_BUNDLE, MAX_FRAME, MAX_KEM_PREKEYS_PER_CALL, MAX_ORIGIN, MAX_OWNERS,
    MAX_PREKEYS_PER_CALL, MAX_REJECTED, MAX_SIGNED_BODY, MIN_MAX_MESSAGE,
};
use crate::list::List;
use crate::public::Role;
use crate::statement::Statement;
use crate::{DeviceId, EncodeError, InboxEpoch};

#[test]
fn a_deliver_frame_is_at_most_its_overhead_larger_than_the_message() {
    let (header, body) = (vec![1; 300], vec![2; 60_000]);
    let deliver = ToDevice::Deliver {
        sequence: u64::MAX,
        previous: u64::MAX,
        sender: DeviceId([0xff; 16]),
        header_blob: (&header[..]),
        ciphertext: (&body[..]),
        received_at: u64::MAX,
    };
    let overhead = encoded(&deliver).len() - header.len() - body.len();
    assert!(overhead <= DELIVER_OVERHEAD, "{overhead}");
    assert!(overhead + 16 > DELIVER_OVERHEAD, "rounded up by less than an AEAD tag: {overhead}");
}

#[test]
fn a_revocation_that_keeps_all_it_may_fits_under_a_signature() {
    const { assert!(Statement::MAX_LEN == 1_091 && Statement::MAX_LEN <= MAX_SIGNED_BODY) };
}

#[test]
fn bundles_and_first_flights_fit() {
    // Bundles with KEM keys come to devices with the smallest frames too, with the longest chain.
    const { assert!(MAX_BUNDLE + MAX_CHAIN_BYTES + 16 <= MIN_MAX_MESSAGE as usize) };
    // A prelude with the longest chain leaves most of the smallest frame to the body.
    let tenant = Tenant::new();
    let prelude = encoded(&tenant.prelude(tenant.chain(4), Some(u32::MAX)));
    assert!(prelude.len() + DELIVER_OVERHEAD + 98 < usize::try_from(MIN_MAX_MESSAGE).unwrap() / 2);
}

#[test]
fn the_fullest_calls_fit_into_a_frame() {
    let device = Device::new(1, Role::Agent);
    let prekeys = vec![device.prekey(PrekeyKind::OneTime, u32::MAX); MAX_PREKEYS_PER_CALL];
    let kem_prekeys = vec![device.kem_prekey(KemPrekeyKind::OneTime, u32::MAX); MAX_KEM_PREKEYS_PER_CALL];
    let publish = ToRelay::PublishPrekeys {
        request: u32::MAX,
        prekeys: List::new(&prekeys),
        kem_prekeys: List::new(&kem_prekeys),
    };
    assert!(encoded(&publish).len() <= MAX_FRAME);

    let rejected = [Rejected { sequence: u64::MAX, code: RejectCode::Unopened }; MAX_REJECTED];
    let ack =
        ToRelay::Ack { inbox_epoch: InboxEpoch([0; 16]), sequence: u64::MAX, rejected: List::new(&rejected) };
    assert!(encoded(&ack).len() <= 256);

    let tenant = Tenant::new();
    let serials = [OwnerSerial { owner: DeviceId([9; 16]), serial: u64::MAX }; MAX_OWNERS];
    let (chain, origin) = (vec![7; MAX_CHAIN_BYTES], "a".repeat(MAX_ORIGIN));
    let grant =
        Grant { chain: (&chain[..]), origin: &origin, serials: List::new(&serials), ..tenant.grant() };
    assert!(encoded(&grant).len() <= 3_072, "a grant fits into the smallest device's buffer");
    let statement = vec![7; Statement::MAX_SIGNED_LEN];
    let stated =
        ToDevice::Statement { sequence: u64::MAX, previous: u64::MAX, statement: &statement, chain: &chain };
    let smallest = usize::try_from(MIN_MAX_MESSAGE).unwrap();
    assert!(encoded(&stated).len() <= smallest, "and so does a statement with its chain");
}

#[test]
fn an_encoder_says_when_the_buffer_is_too_small() {
    for (_, frame) in Tenant::new().to_relay() {
        let full = encoded(&frame);
        for len in [0, full.len() / 2, full.len() - 1] {
            assert_eq!(crate::encode(&frame, &mut vec![0; len]), Err(EncodeError));
        }
        assert_eq!(crate::encode(&frame, &mut vec![0; full.len()]).unwrap(), full);
    }
}

#[test]
fn a_list_reads_back_item_by_item() {
    let items = [1_u32, 500, 70_000];
    let bytes = encoded(&List::new(&items));
    let read: List<'_, u32> = crate::decode(&bytes).unwrap();
    assert!(read.iter().eq(items));
    assert_eq!((read.len(), read.is_empty()), (3, false));
    assert_eq!(read, List::new(&items));
    assert_ne!(read, List::new(&items[..2]));
    let none: List<'_, u32> = crate::decode(&[0x80]).unwrap();
    assert!(none.is_empty() && none.iter().next().is_none());
}
