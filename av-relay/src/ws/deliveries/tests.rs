use av_wire::ids::InboxEpoch;

use super::{BATCH, Deliveries, MAX_WINDOW};
use crate::service::Welcome;
use crate::store::InboxState;

fn deliveries(acknowledged: u64, window: u16) -> Deliveries {
    let inbox = InboxState { epoch: InboxEpoch([0; 16]), next_sequence: acknowledged + 1, acknowledged };
    Deliveries::new(&Welcome { inbox, one_time_prekeys: 0 }, window)
}

#[test]
fn delivery_goes_on_from_the_last_acknowledged() {
    let mut deliveries = deliveries(7, 10);
    assert_eq!(deliveries.wanted(), Some((7, 10)));
    assert_eq!(deliveries.deliver(8), 7);
    // A number that expired is skipped, and the next entry names the one before it.
    assert_eq!(deliveries.deliver(10), 8);
}

#[test]
fn no_more_goes_out_than_the_window_holds() {
    let mut deliveries = deliveries(0, 2);
    assert_eq!(deliveries.wanted(), Some((0, 2)));
    deliveries.deliver(1);
    deliveries.deliver(2);
    deliveries.read(true);
    assert_eq!(deliveries.wanted(), None);
    deliveries.acknowledged(1);
    assert_eq!(deliveries.wanted(), Some((2, 1)));
}

#[test]
fn an_empty_inbox_is_asked_once_a_wake() {
    let mut deliveries = deliveries(0, 5);
    deliveries.read(false);
    assert_eq!(deliveries.wanted(), None);
    deliveries.wake();
    assert_eq!(deliveries.wanted(), Some((0, 5)));
}

#[test]
fn what_an_earlier_connection_delivered_is_not_delivered_again() {
    let mut deliveries = deliveries(0, 5);
    deliveries.deliver(1);
    deliveries.acknowledged(4);
    assert_eq!(deliveries.wanted(), Some((4, 5)));
}

#[test]
fn windows_have_bounds() {
    assert_eq!(deliveries(0, 0).wanted(), Some((0, 1)));
    let mut wide = deliveries(0, u16::MAX);
    for sequence in 1..=u64::from(MAX_WINDOW) {
        assert!(wide.wanted().is_some_and(|(_, wanted)| wanted <= BATCH));
        wide.deliver(sequence);
    }
    assert_eq!(wide.wanted(), None);
}
