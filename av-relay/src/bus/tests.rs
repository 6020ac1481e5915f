use std::sync::Arc;

use av_wire::ids::{DeviceId, TenantId};

use super::{Bus, CloseReason, Presence, Signals};
use crate::testing::soon;

const TENANT: TenantId = TenantId([1; 16]);
const DEVICE: DeviceId = DeviceId([2; 16]);

#[tokio::test]
async fn signals_between_two_looks_are_not_lost() {
    let bus = Arc::new(Bus::default());
    let mut line = bus.register(TENANT, DEVICE, Presence::Authenticated);
    bus.wake(&TENANT, &DEVICE);
    bus.announce_enrollment(&TENANT, &DEVICE);
    bus.wake(&TENANT, &DEVICE);
    soon(line.changed()).await;
    assert_eq!(line.see(), Signals { wakes: 2, enrollments: 1, close: None });
}

#[tokio::test]
async fn the_newest_connection_wins_and_the_older_one_leaves_it_alone() {
    let bus = Arc::new(Bus::default());
    let mut older = bus.register(TENANT, DEVICE, Presence::Authenticated);
    let mut newer = bus.register(TENANT, DEVICE, Presence::Authenticated);
    soon(older.changed()).await;
    assert_eq!(older.see().close, Some(CloseReason::Superseded));
    drop(older);
    bus.close(&TENANT, &DEVICE);
    soon(newer.changed()).await;
    assert_eq!(newer.see().close, Some(CloseReason::NotAuthorized));
    drop(newer);
    assert!(bus.lines().is_empty());
}

#[test]
fn whoever_asks_to_be_let_in_does_not_displace_who_is_in() {
    let bus = Arc::new(Bus::default());
    let mut inside = bus.register(TENANT, DEVICE, Presence::Authenticated);
    let mut outside = bus.register(TENANT, DEVICE, Presence::Enrolling);
    assert_eq!(inside.see().close, None);
    bus.announce_enrollment(&TENANT, &DEVICE);
    assert_eq!((inside.see().enrollments, outside.see().enrollments), (1, 0));
}
