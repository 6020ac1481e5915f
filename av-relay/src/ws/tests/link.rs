//! The Noise link at the door: who has to speak it, who may not, and what a stranger on it hears.

use av_wire::RefusalCode;
use av_wire::frame::{LinkKind, ToDevice, ToRelay};
use av_wire::public::Role;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Server;
use super::client::{Client, decode, request, request_for};
use crate::testing::{Tenant, random};

/// A relay that devices on a network know, by its own link only.
const ELSEWHERE: &str = "ws://relay.example:7460";

#[tokio::test]
async fn a_device_authenticates_by_its_link_and_messages_pass() {
    let server = Server::known_as(ELSEWHERE).await;
    let tenant = Tenant::founded(&server.relay).await;
    let agent = tenant.active(Role::Agent).await;
    let [current, next] = server.link_keys;

    let mut receiver = Client::linked(&server, &next).await;
    receiver.authenticate(&tenant, &agent, 16).await;
    assert!(matches!(decode(&receiver.receive().await), ToDevice::Welcome { .. }));

    let mut sender = Client::linked(&server, &current).await;
    sender.authenticate(&tenant, &tenant.owner, 16).await;
    assert!(matches!(decode(&sender.receive().await), ToDevice::Welcome { .. }));
    let (header_blob, ciphertext): (&[u8], [u8; 1_024]) = (&[1; 64], random());
    sender.send(&ToRelay::Send { recipient: agent.id(), header_blob, ciphertext: &ciphertext }).await;
    loop {
        let frame = receiver.receive().await;
        match decode(&frame) {
            ToDevice::Deliver { ciphertext: delivered, .. } => return assert_eq!(delivered, ciphertext),
            ToDevice::Activated { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_speaks_in_the_open_to_a_relay_on_a_network() {
    let server = Server::known_as(ELSEWHERE).await;
    match connect_async(request(&server)).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_signed_for_one_link_is_of_no_use_on_another() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let [key, _] = server.link_keys;

    // The same device's, for the link beside it.
    let other = Client::linked(&server, &key).await;
    let mut client = Client::linked(&server, &key).await;
    client.nonce = other.nonce;
    client.authenticate(&tenant, &tenant.owner, 16).await;
    client.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;

    // For the nonce that the challenge shows, which is everybody's.
    let mut client = Client::linked(&server, &key).await;
    client.nonce = [0; 32];
    client.authenticate(&tenant, &tenant.owner, 16).await;
    client.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;

    for claimed in [LinkKind::Plain, LinkKind::Tls] {
        let mut client = Client::linked(&server, &key).await;
        client.authenticate_as(claimed, &tenant, &tenant.owner, 16).await;
        client.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;
    }
    for claimed in [LinkKind::Noise, LinkKind::Tls] {
        let mut client = Client::connect(&server).await;
        client.authenticate_as(claimed, &tenant, &tenant.owner, 16).await;
        client.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;
    }
}

#[tokio::test]
async fn a_first_message_that_does_not_open_hears_nothing() {
    let server = Server::known_as(ELSEWHERE).await;
    let hostile: [Vec<u8>; 4] = [vec![], vec![0; 48], random::<48>().to_vec(), random::<49>().to_vec()];
    for hello in hostile {
        let (mut stream, _) = connect_async(request_for(&server, av_link::SUBPROTOCOL)).await.unwrap();
        let heard = Client::heard_after(&mut stream, hello).await;
        assert!(heard.is_empty(), "{heard:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_not_the_links_next_ends_it_without_a_word() {
    let server = Server::start().await;
    let [key, _] = server.link_keys;
    let mut client = Client::linked(&server, &key).await;
    client.send_raw(Message::binary(random::<64>().to_vec())).await;
    client.is_closed(CloseCode::Normal).await;
}
