//! Peers that take their time: each is cut off when its time is over, and nobody waits for it. The clock of these tests
//! runs as soon as nobody has anything to do.

use std::time::Duration;

use av_wire::frame::{PATH, ToDevice, ToRelay};
use av_wire::limits::MAX_FRAME;
use av_wire::public::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::Server;
use super::client::{Client, decode};
use crate::testing::Tenant;

/// Silent peers in `make test`: two sockets each in this process, which may have 1,024 open files.
const SILENT: usize = 300;
/// For TLS or HTTP, and from the challenge to an authentication; and what a busy machine adds to either.
const HEAD: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(30);
const SLACK: Duration = Duration::from_secs(2);

/// Writes a byte a second, over and over, until the relay has had enough; then how long that took.
async fn drip(mut stream: TcpStream, bytes: &[u8]) -> Duration {
    let started = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let mut seconds = interval(Duration::from_secs(1));
    let mut bytes = bytes.iter().cycle();
    let mut heard = [0; 1_024];
    loop {
        tokio::select! {
            read = reader.read(&mut heard) => {
                if matches!(read, Ok(0) | Err(_)) {
                    return started.elapsed();
                }
            }
            _ = seconds.tick() => {
                let byte = bytes.next().unwrap();
                if writer.write_all(&[*byte]).await.is_err() {
                    return started.elapsed();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_comes_a_byte_a_second_is_cut_off_at_its_deadline() {
    let server = Server::start().await;
    tokio::time::pause();
    let head = format!("GET {PATH} HTTP/1.1\r\nx: {}", "y".repeat(1_000));
    let took = drip(TcpStream::connect(server.address).await.unwrap(), head.as_bytes()).await;
    assert!((HEAD..HEAD + SLACK).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_frame_that_comes_a_byte_a_second_is_cut_off_at_the_handshakes_deadline() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let upgrade = format!(
        "GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: av1\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    tokio::time::pause();
    // A binary frame of 125 bytes, masked with zeros.
    let mut frame = vec![0x82, 0x80 | 125, 0, 0, 0, 0];
    frame.resize(6 + 125, 0);
    let took = drip(stream, &frame).await;
    // And two seconds to hear that it is over.
    assert!((HANDSHAKE..HANDSHAKE + 2 * SLACK).contains(&took), "{took:?}");
}

#[tokio::test]
async fn fragments_without_an_end_are_cut_off_though_they_are_empty() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    tokio::time::pause();
    let started = Instant::now();
    let fragment = |code| Message::Frame(Frame::message(Vec::new(), OpCode::Data(code), false));
    client.send_raw(fragment(Data::Binary)).await;
    let mut seconds = interval(Duration::from_secs(1));
    while client.try_send_raw(fragment(Data::Continue)).await {
        seconds.tick().await;
    }
    let took = started.elapsed();
    assert!((HANDSHAKE..HANDSHAKE + 2 * SLACK).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_frame_one_byte_too_large_is_told_and_the_largest_is_read() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.send_raw(Message::binary(vec![0xff; MAX_FRAME])).await;
    client.ends_with(av_wire::RefusalCode::Malformed, CloseCode::Protocol).await;
    let mut client = Client::connect(&server).await;
    client.send_raw(Message::binary(vec![0xff; MAX_FRAME + 1])).await;
    client.ends_with(av_wire::RefusalCode::TooLarge, CloseCode::Size).await;
}

#[tokio::test]
async fn silent_connections_hold_up_nobody_and_are_cut_off() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let device = tenant.active(Role::Agent).await;
    let (mut receiver, _) = Client::authenticated(&server, &tenant, &device).await;
    let (mut sender, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    sender.send(&ToRelay::Send { recipient: device.id(), header_blob: b"h", ciphertext: b"c" }).await;
    loop {
        match decode(&receiver.receive().await) {
            ToDevice::Deliver { .. } => break,
            ToDevice::Activated { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    tokio::time::pause();
    let started = Instant::now();
    for mut stream in silent {
        let mut answer = Vec::new();
        // Reset or ended, with or without a word.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{answer:?}");
    }
    assert!(started.elapsed() < HEAD + SLACK, "{:?}", started.elapsed());
}
