use super::{messages, payloads};

/// RFC 6455 section 5.7: a masked "Hello", and "Hel" and "lo" in two frames, as binary instead of text.
const MASKED: &[u8] = &[0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
const FRAGMENTS: &[u8] = &[0x02, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
const PING: &[u8] = &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];

fn stream(frames: &[&[u8]]) -> Vec<u8> {
    [b"GET /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), &frames.concat()].concat()
}

#[test]
fn masks_come_off_and_fragments_join() {
    assert_eq!(messages(&stream(&[MASKED, FRAGMENTS, MASKED])), [b"Hello", b"Hello", b"Hello"]);
}

#[test]
fn a_control_frame_between_fragments_is_no_message_but_is_searched() {
    let (first, second) = FRAGMENTS.split_at(5);
    let stream = stream(&[first, PING, second]);
    assert_eq!(messages(&stream), [b"Hello"]);
    assert_eq!(payloads(&stream), [b"Hel".as_slice(), b"Hello", b"lo"]);
}

#[test]
fn an_unfinished_frame_is_searched_and_is_no_end_of_the_world() {
    let stream = stream(&[MASKED, &MASKED[..9]]);
    assert_eq!(payloads(&stream), [b"Hello".as_slice(), b"Hel"]);
    for length in 0..stream.len() {
        payloads(&stream[..length]);
    }
}

#[test]
fn long_lengths_are_read() {
    let body = vec![7; 70_000];
    let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70], body.as_slice()].concat();
    let middle = [&[0x82, 126, 0x01, 0x00], &body[..256]].concat();
    assert_eq!(messages(&stream(&[&long, &middle])), [&body[..], &body[..256]]);
}
