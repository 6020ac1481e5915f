//! What is no frame ends the connection that it came on, with a code, and nothing else.

use std::io::Write;

use av_tests::Outcome;
use av_tests::connection::{Connection, encode};
use av_tests::device::{Device, random};
use av_tests::founder::Founder;
use av_tests::shared::SharedRelay;
use av_wire::frame::ToRelay;
use av_wire::limits::MAX_FRAME;
use av_wire::{LookupHash, RefusalCode, Role};
use tungstenite::Message;

/// Close codes of RFC 6455 section 7.4.1 that say whose fault it was: protocol error, unsupported data, invalid
/// payload, policy, too big.
const THEIR_FAULT: [u16; 5] = [1002, 1003, 1007, 1008, 1009];

/// The connection must end with a code; another must work.
fn ends_alone(origin: &str, mut connection: Connection, what: &str) -> Outcome {
    let (refusal, close) = connection.end().map_err(|error| format!("{what}: {error}"))?;
    assert!(refusal.is_none_or(|code| code == RefusalCode::Malformed), "{what}: {refusal:?}");
    assert!(
        close.is_some_and(|code| THEIR_FAULT.contains(&code)),
        "{what}: close code {close:?}, {refusal:?}"
    );
    Connection::open(origin).map(drop).map_err(|error| format!("after {what}: {error}").into())
}

/// Messages that are no frame of AV/1.
fn garbled(good: &[u8]) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
    let mut flipped = good.to_vec();
    // The array's length: one field fewer than the frame has.
    flipped.first_mut().map(|byte| *byte -= 1).ok_or("an empty frame")?;
    Ok(vec![
        ("an empty message", Vec::new()),
        ("random bytes", random::<64>()?.to_vec()),
        ("an unknown frame number", vec![0x82, 0x18, 0xff, 0x00]),
        ("a frame of the other direction", vec![0x81, 0x18, 0x52]),
        ("a truncated frame", good.get(..good.len() - 1).unwrap_or_default().to_vec()),
        ("a frame and a byte", [good, &[0]].concat()),
        ("a frame with a field too few", flipped),
        ("an indefinite array", [&[0x9f], good.get(1..).unwrap_or_default(), &[0xff]].concat()),
        ("deeply nested arrays", vec![0x81; 60_000]),
    ])
}

#[test]
fn garbled_frames_end_their_connection_before_authentication() -> Outcome {
    let relay = SharedRelay::get()?;
    let good = encode(&Device::new(Role::Agent)?.request(&random()?)?.frame())?;
    for (what, bytes) in garbled(&good)? {
        let mut connection = Connection::open(relay.origin())?;
        connection.send_bytes(&bytes)?;
        ends_alone(relay.origin(), connection, what)?;
    }
    Ok(())
}

#[test]
fn garbled_frames_end_their_connection_after_authentication() -> Outcome {
    let relay = SharedRelay::get()?;
    let founder = Founder::found(relay.origin())?;
    let good = encode(&ToRelay::CreateInvite {
        request: 1,
        lookup_hash: LookupHash::of(&random()?),
        role: Role::Agent,
        expires_in: 600,
    })?;
    for (what, bytes) in garbled(&good)? {
        let mut connection = founder.connect(relay.origin())?;
        connection.send_bytes(&bytes)?;
        ends_alone(relay.origin(), connection, what)?;
    }
    // None of them was taken for half a command.
    assert_eq!(relay.inspect()?.count(founder.tenant, "invites")?, 0);
    Ok(())
}

#[test]
fn a_text_message_is_no_frame() -> Outcome {
    let relay = SharedRelay::get()?;
    let mut connection = Connection::open(relay.origin())?;
    connection.send_message(Message::text("{\"hello\": 1}"))?;
    ends_alone(relay.origin(), connection, "a text message")
}

#[test]
fn an_oversized_message_is_cut_off() -> Outcome {
    let relay = SharedRelay::get()?;
    for size in [MAX_FRAME + 1, 1 << 20] {
        let mut connection = Connection::open(relay.origin())?;
        // The relay may hang up before it has read all of it.
        let _ = connection.send_bytes(&vec![0; size]);
        let (_, close) = connection.end()?;
        // A reset may overtake the close frame when unread bytes are thrown away; a wrong code never comes.
        assert!(close.is_none_or(|code| code == 1009), "{size} bytes: {close:?}");
        Connection::open(relay.origin())?;
    }
    Ok(())
}

#[test]
fn a_claimed_length_is_not_believed() -> Outcome {
    let relay = SharedRelay::get()?;
    // 2^63 - 1 bytes are announced, masked with zeros; none comes.
    let mut connection = Connection::open(relay.origin())?;
    let head = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    connection.stream().write_all(&head)?;
    connection.end()?;
    Connection::open(relay.origin()).map(drop)
}

#[test]
fn a_connection_that_ends_in_a_frame_leaves_the_relay_as_it_was() -> Outcome {
    let relay = SharedRelay::get()?;
    let founder = Founder::found(relay.origin())?;
    let lookup = founder.invite(&mut founder.connect(relay.origin())?, Role::Agent, 600)?;
    let device = Device::new(Role::Agent)?;
    let request = device.request(&lookup)?;
    let before = relay.inspect()?.digest(founder.tenant)?;
    // The head of a frame that announces the request, and half of it.
    let frame = encode(&request.frame())?;
    let length = u16::try_from(frame.len())?.to_be_bytes();
    let head = [[0x82, 0x80 | 126].as_slice(), &length, &[0; 4]].concat();
    for cut in [1, 5, head.len(), head.len() + frame.len() / 2, head.len() + frame.len() - 1] {
        let mut connection = Connection::open(relay.origin())?;
        connection.stream().write_all([head.as_slice(), &frame].concat().get(..cut).unwrap_or_default())?;
        connection.abandon();
        Connection::open(relay.origin())?;
    }
    assert_eq!(relay.inspect()?.digest(founder.tenant)?, before);
    // The invite is still good for the whole request.
    let answer = Connection::open(relay.origin())?.call(&request.frame())?;
    assert!(matches!(av_tests::connection::decode(&answer)?, av_wire::frame::ToDevice::Pending { .. }));
    Ok(())
}

#[test]
fn what_is_not_http_is_not_answered_with_a_websocket() -> Outcome {
    use std::io::Read;
    let relay = SharedRelay::get()?;
    for bytes in
        [b"\x16\x03\x01\x02\x00\x01".as_slice(), b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n\r\n", &[0; 4096]]
    {
        let mut stream = std::net::TcpStream::connect(relay.address())?;
        stream.set_read_timeout(Some(av_tests::wait::DEADLINE))?;
        stream.write_all(bytes)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = Vec::new();
        // A reset is an answer too: bytes that nobody read were thrown away.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 101"), "{:?}", String::from_utf8_lossy(&answer));
    }
    Connection::open(relay.origin()).map(drop)
}
