//! Sizes and the end of the nonces.

use super::{link, sealed};
use crate::LinkError;
use crate::limits::{MAX_MESSAGE, MAX_MESSAGES, MAX_TEXT, TAG};

#[test]
fn a_message_has_at_most_65_535_bytes() {
    let (mut device, mut relay) = link();
    let mut buffer = vec![1; MAX_MESSAGE + 1];
    assert_eq!(device.seal(&mut buffer, MAX_TEXT + 1), Err(LinkError::Length));
    assert_eq!(device.seal(&mut buffer, usize::MAX), Err(LinkError::Length));
    assert_eq!(device.seal(&mut buffer[..TAG], 1), Err(LinkError::Length), "no room for the tag");
    assert_eq!(relay.open(&mut buffer), Err(LinkError::Rejected));
    assert_eq!(buffer, vec![1; MAX_MESSAGE + 1], "nothing was touched");

    assert_eq!(device.seal(&mut buffer, MAX_TEXT).unwrap().len(), MAX_MESSAGE);
    assert_eq!(relay.open(&mut buffer[..MAX_MESSAGE]).unwrap(), vec![1; MAX_TEXT]);
}

#[test]
fn a_link_ends_before_a_nonce_repeats() {
    let (mut device, mut relay) = link();
    device.skip_to(MAX_MESSAGES - 1);
    relay.skip_to(MAX_MESSAGES - 1);
    let mut last = sealed(&mut device, b"last");
    assert_eq!(relay.open(&mut last).unwrap(), b"last");
    let mut buffer = [0; 2 * TAG];
    assert_eq!(device.seal(&mut buffer, 1), Err(LinkError::Exhausted));
    assert_eq!(relay.open(&mut buffer), Err(LinkError::Exhausted));
    assert_eq!(buffer, [0; 2 * TAG]);
    assert!(relay.seal(&mut buffer, 1).is_ok(), "each direction for itself");
}

#[test]
fn an_open_link_takes_little_room() {
    // Two keys, two counters, channel and link key: a microcontroller holds it beside its endpoint.
    assert_eq!(size_of::<crate::Transport>(), 2 * 40 + 64);
}
