//! Peers that do not keep to AV/1: their connection ends with a code, and the relay goes on.

use av_wire::RefusalCode;
use av_wire::frame::{PATH, ToDevice, ToRelay};
use av_wire::ids::LookupHash;
use av_wire::limits::MAX_FRAME;
use av_wire::public::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Server;
use super::client::{Client, decode, request};
use crate::encoded::encoded;
use crate::testing::{Tenant, TestDevice, random};

#[tokio::test]
async fn garbled_frames_end_the_connection_with_a_code() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let (mut bystander, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    let call = encoded(&ToRelay::ListInvites { request: 1 });
    let mut longer = call.clone();
    longer.push(0);
    let hostile: [&[u8]; 6] =
        [b"", b"\xff\xff\xff", &random::<64>(), &call[..call.len() - 1], &longer, &[0x9f, 17, 0xff]];
    for bytes in hostile {
        let mut stranger = Client::connect(&server).await;
        stranger.send_raw(Message::binary(bytes.to_vec())).await;
        stranger.ends_with(RefusalCode::Malformed, CloseCode::Protocol).await;

        let device = tenant.active(Role::Agent).await;
        let (mut member, _) = Client::authenticated(&server, &tenant, &device).await;
        member.send_raw(Message::binary(bytes.to_vec())).await;
        member.ends_with(RefusalCode::Malformed, CloseCode::Protocol).await;
    }
    bystander.send(&ToRelay::Ping).await;
    loop {
        match decode(&bystander.receive().await) {
            ToDevice::Pong => break,
            ToDevice::EnrollmentWaiting | ToDevice::Activated { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn frames_larger_than_av1_allows_end_the_connection_with_a_code() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.send_raw(Message::binary(vec![0; MAX_FRAME + 1])).await;
    client.ends_with(RefusalCode::TooLarge, CloseCode::Size).await;

    // As many small fragments add up, too.
    let mut client = Client::connect(&server).await;
    let first = Frame::message(vec![0; 1_024], OpCode::Data(Data::Binary), false);
    client.send_raw(Message::Frame(first)).await;
    for _ in 0..MAX_FRAME / 1_024 {
        let next = Frame::message(vec![0; 1_024], OpCode::Data(Data::Continue), false);
        client.send_raw(Message::Frame(next)).await;
    }
    client.ends_with(RefusalCode::TooLarge, CloseCode::Size).await;
}

#[tokio::test]
async fn text_is_no_frame() {
    let server = Server::start().await;
    let mut client = Client::connect(&server).await;
    client.send_raw(Message::text("hello")).await;
    client.ends_with(RefusalCode::Malformed, CloseCode::Unsupported).await;
}

#[tokio::test]
async fn before_authentication_there_is_nothing_to_call() {
    let server = Server::start().await;
    let calls = [
        ToRelay::ListPending { request: 1 },
        ToRelay::CreateInvite {
            request: 1,
            lookup_hash: LookupHash(random()),
            role: Role::Owner,
            expires_in: 60,
        },
        ToRelay::Send { recipient: TestDevice::new(Role::Agent).id(), header_blob: b"h", ciphertext: b"c" },
    ];
    for call in calls {
        let mut client = Client::connect(&server).await;
        client.send(&call).await;
        client.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;
    }
}

#[tokio::test]
async fn a_connection_belongs_to_one_device() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let (mut client, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    client.authenticate(&tenant, &tenant.owner, 1).await;
    client.ends_with(RefusalCode::Malformed, CloseCode::Protocol).await;
}

#[tokio::test]
async fn a_recorded_authentication_opens_no_other_connection() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let (victim, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    let mut thief = Client::connect(&server).await;
    assert_ne!(thief.nonce, victim.nonce);
    thief.nonce = victim.nonce;
    thief.authenticate(&tenant, &tenant.owner, 1).await;
    thief.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;
}

#[tokio::test]
async fn unusable_invites_get_byte_identical_answers() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let used = tenant.invite(Role::Agent).await;
    tenant.enroll(&TestDevice::new(Role::Agent).request(&used)).await.unwrap();
    let revoked = tenant.invite(Role::Agent).await;
    server.relay.revoke_invite(&tenant.founder(), &LookupHash::of(&revoked)).await.unwrap();
    let mut answers = Vec::new();
    for lookup in [random(), used, revoked] {
        let encoded = TestDevice::new(Role::Agent).request(&lookup);
        let mut client = Client::connect(&server).await;
        client.send(&ToRelay::Enroll { request: av_wire::decode(&encoded).unwrap() }).await;
        answers.push(client.receive().await);
        client.is_closed(CloseCode::Policy).await;
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn the_door_is_for_av1_alone() {
    let server = Server::start().await;
    let status = async |request| match connect_async(request).await.unwrap_err() {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    };
    let mut browser = request(&server);
    browser.headers_mut().insert("origin", "https://example.org".parse().unwrap());
    assert_eq!(status(browser).await, 403);
    let mut other_protocol = request(&server);
    other_protocol.headers_mut().insert("sec-websocket-protocol", "mqtt".parse().unwrap());
    assert_eq!(status(other_protocol).await, 400);
    let mut token_in_url = request(&server);
    *token_in_url.uri_mut() = format!("ws://{}{PATH}?token=secret", server.address).parse().unwrap();
    assert_eq!(status(token_in_url).await, 400);
    let mut elsewhere = request(&server);
    *elsewhere.uri_mut() = format!("ws://{}/", server.address).parse().unwrap();
    assert_eq!(status(elsewhere).await, 404);
}

#[tokio::test]
async fn plain_http_finds_health_and_nothing_else() {
    let server = Server::start().await;
    let ask = async |head: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let healthy = ask("GET /healthz HTTP/1.1").await;
    assert!(healthy.starts_with("HTTP/1.1 200") && healthy.ends_with("\r\n\r\nok"), "{healthy}");
    assert!(ask("GET / HTTP/1.1").await.starts_with("HTTP/1.1 404"));
    assert!(ask("POST /healthz HTTP/1.1").await.starts_with("HTTP/1.1 405"));
    assert!(ask(&format!("GET {PATH} HTTP/1.1")).await.starts_with("HTTP/1.1 426"));
    assert!(ask(&format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(20_000))).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn calls_before_authentication_are_counted_and_pings_are_not() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let encoded = TestDevice::new(Role::Agent).request(&tenant.invite(Role::Agent).await);
    let mut client = Client::connect(&server).await;
    for _ in 0..16 {
        client.send(&ToRelay::Enroll { request: av_wire::decode(&encoded).unwrap() }).await;
        assert!(matches!(decode(&client.receive().await), ToDevice::Pending { .. }));
        for _ in 0..5 {
            client.send(&ToRelay::Ping).await;
            assert!(matches!(decode(&client.receive().await), ToDevice::Pong));
        }
    }
    client.send(&ToRelay::Enroll { request: av_wire::decode(&encoded).unwrap() }).await;
    client.ends_with(RefusalCode::RateLimited, CloseCode::Policy).await;
}
