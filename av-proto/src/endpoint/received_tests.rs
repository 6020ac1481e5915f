use super::Received;
use crate::limits::{SEEN_FRAMES, SEEN_MESSAGES, UNRECEIPTED_PER_PEER};

fn id(number: usize) -> [u8; 8] {
    u64::try_from(number).expect("small").to_be_bytes()
}

/// A relay that lets nothing but receipts and questions through must not get a message delivered twice by them.
#[test]
fn no_number_of_other_frames_makes_a_message_forgotten() {
    let mut received = Received::new();
    received.see_message(id(0));
    (1..10 * SEEN_FRAMES).for_each(|number| received.see_frame(id(number)));
    assert!(received.has_seen_message(&id(0)) && received.has_seen(&id(0)));
    assert!(received.has_seen(&id(10 * SEEN_FRAMES - 1)), "the last frame");
    assert!(!received.has_seen(&id(1)), "the first, for which there was no room");
}

#[test]
fn more_messages_are_known_than_a_sender_can_send_again() {
    const { assert!(SEEN_MESSAGES > UNRECEIPTED_PER_PEER) };
    let mut received = Received::new();
    (0..=SEEN_MESSAGES).for_each(|number| received.see_message(id(number)));
    assert!(!received.has_seen(&id(0)));
    assert!((1..=SEEN_MESSAGES).all(|number| received.has_seen(&id(number))));
}
