//! A device's way through the door: invite, enroll, approve, activate, authenticate, send, deliver, acknowledge,
//! revoke.

use av_wire::bundle::PrekeyKind;
use av_wire::enroll::EnrollRequest;
use av_wire::frame::{Rejected, ToDevice, ToRelay, founding_message};
use av_wire::ids::{LookupHash, Origin};
use av_wire::message::message_id;
use av_wire::public::Role;
use av_wire::statement::Verdict;
use av_wire::{List, RefusalCode, RejectCode, Signature};
use ed25519_dalek::Signer;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Server;
use super::client::{Client, decode};
use crate::testing::{ORIGIN, Tenant, TestDevice, random};

macro_rules! expect {
    ($client:expr, $pattern:pat => $value:expr) => {{
        let bytes = $client.receive().await;
        match decode(&bytes) {
            $pattern => $value,
            other => panic!("{other:?}"),
        }
    }};
    ($client:expr, $pattern:pat) => { expect!($client, $pattern => ()) };
}

#[tokio::test]
async fn from_founding_to_revocation() {
    let server = Server::start().await;
    let tenant = Tenant::unknown(&server.relay);

    let mut owner = Client::connect(&server).await;
    let message = founding_message(&tenant.id, &Origin::parse(ORIGIN).unwrap(), &tenant.owner.id()).unwrap();
    let bundle = tenant.owner.bundle();
    owner
        .send(&ToRelay::Found {
            code: &[],
            chain: &tenant.owner.chain,
            bundle: &bundle,
            signature: Signature(tenant.root.sign(&message).to_bytes()),
        })
        .await;
    expect!(owner, ToDevice::Done { request: 0 });
    owner.authenticate(&tenant, &tenant.owner, 16).await;
    expect!(owner, ToDevice::Welcome { next_sequence: 1, one_time_prekeys: 1, .. });

    let lookup = random();
    let lookup_hash = LookupHash::of(&lookup);
    owner.send(&ToRelay::CreateInvite { request: 7, lookup_hash, role: Role::Agent, expires_in: 600 }).await;
    expect!(owner, ToDevice::Done { request: 7 });

    // The agent asks, and waits.
    let mut agent_device = TestDevice::new(Role::Agent);
    let encoded = agent_device.request(&lookup);
    let request: EnrollRequest<'_> = av_wire::decode(&encoded).unwrap();
    let mut agent = Client::connect(&server).await;
    agent.send(&ToRelay::Enroll { request }).await;
    expect!(agent, ToDevice::Pending { tenant_id } => assert_eq!(tenant_id, tenant.id));

    // The owner hears of it, looks, approves.
    expect!(owner, ToDevice::EnrollmentWaiting);
    owner.send(&ToRelay::ListPending { request: 8 }).await;
    expect!(owner, ToDevice::PendingDevice { request: 8, inviter, enroll, late: false } => {
        assert_eq!((inviter, enroll), (tenant.owner.id(), request));
    });
    expect!(owner, ToDevice::Done { request: 8 });
    owner.send(&ToRelay::ListInvites { request: 9 }).await;
    expect!(owner, ToDevice::Invite { request: 9, consumed: true, role: Role::Agent, .. });
    expect!(owner, ToDevice::Done { request: 9 });
    agent_device.chain = tenant.owner.certify(tenant.id, &agent_device.public);
    let sent_grant = TestDevice::grant(&agent_device.chain);
    let device_id = agent_device.id();
    owner.send(&ToRelay::Approve { request: 10, device_id, grant: &sent_grant }).await;
    expect!(owner, ToDevice::Done { request: 10 });

    // The grant comes by itself; the agent takes it up and proves who it is, on the same connection.
    expect!(agent, ToDevice::Granted { grant } => assert_eq!(grant[..], sent_grant));
    let signature = agent_device.activation(&encoded, &agent_device.chain);
    agent.send(&ToRelay::Activate { tenant_id: tenant.id, device_id, signature }).await;
    expect!(agent, ToDevice::Done { request: 0 });
    expect!(owner, ToDevice::Activated { sequence: 1, previous: 0, device_id: who, signature: by } => {
        assert_eq!((who, by), (device_id, signature));
    });
    agent.authenticate(&tenant, &agent_device, 16).await;
    let epoch = expect!(agent, ToDevice::Welcome { inbox_epoch, .. } => inbox_epoch);

    // Prekeys.
    agent.send(&ToRelay::FetchBundle { request: 1, device_id: tenant.owner.id(), one_time: true }).await;
    expect!(agent, ToDevice::Bundle { request: 1, chain, bundle } => {
        assert_eq!(chain[..], tenant.owner.chain);
        assert!(bundle.verify(&tenant.owner.public).unwrap().one_time().is_some());
    });
    let prekeys = [agent_device.prekey(PrekeyKind::OneTime, 3)];
    agent
        .send(&ToRelay::PublishPrekeys {
            request: 2,
            prekeys: List::new(&prekeys),
            kem_prekeys: List::new(&[]),
        })
        .await;
    expect!(agent, ToDevice::Done { request: 2 });
    agent.send(&ToRelay::FetchCerts { request: 3, device_id }).await;
    expect!(agent, ToDevice::Certs { request: 3, chain } => assert_eq!(chain[..], agent_device.chain));

    // Messages, pushed as they come.
    let (header_blob, ciphertext): (&[u8], &[u8]) = (b"header", b"ciphertext");
    owner.send(&ToRelay::Send { recipient: device_id, header_blob, ciphertext }).await;
    let id = message_id(&tenant.id, &tenant.owner.id(), &device_id, header_blob, ciphertext);
    expect!(owner, ToDevice::Accepted { message_id } => assert_eq!(message_id, id));
    expect!(agent, ToDevice::Deliver { sequence: 1, previous: 0, sender, header_blob: h, ciphertext: c, received_at } => {
        assert_eq!((sender, h, c), (tenant.owner.id(), header_blob, ciphertext));
        assert!(received_at > 1_700_000_000);
    });
    let rejected = [Rejected { sequence: 1, code: RejectCode::Unopened }];
    agent.send(&ToRelay::Ack { inbox_epoch: epoch, sequence: 1, rejected: List::new(&rejected) }).await;
    agent.send(&ToRelay::Ping).await;
    expect!(agent, ToDevice::Pong);

    // Revoked: out at once, and out for good.
    let statement = tenant.owner.statement(tenant.id, Verdict::Revoked, device_id, 1);
    owner.send(&ToRelay::PostStatement { request: 11, statement: &statement }).await;
    expect!(owner, ToDevice::Done { request: 11 });
    agent.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;
    let mut again = Client::connect(&server).await;
    again.authenticate(&tenant, &agent_device, 16).await;
    again.ends_with(RefusalCode::NotAuthorized, CloseCode::Policy).await;
    owner.send(&ToRelay::Send { recipient: device_id, header_blob, ciphertext: b"x" }).await;
    expect!(owner, ToDevice::Refused { code: RefusalCode::RecipientUnavailable, .. });
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_in_order_and_within_the_window() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let device = tenant.active(Role::Agent).await;
    for number in 1..=5 {
        tenant.send(&tenant.owner, &device, &[number]).await.unwrap();
    }
    for _ in 0..2 {
        let (mut agent, _) = Client::with_window(&server, &tenant, &device, 2).await;
        for number in 1..=2 {
            expect!(agent, ToDevice::Deliver { sequence, previous, .. } => {
                assert_eq!((sequence, previous), (number, number - 1));
            });
        }
        // The window is full: what comes next is the answer to this.
        agent.send(&ToRelay::Ping).await;
        expect!(agent, ToDevice::Pong);
    }
    let (mut agent, epoch) = Client::with_window(&server, &tenant, &device, 2).await;
    for number in 1..=5 {
        expect!(agent, ToDevice::Deliver { sequence, .. } => assert_eq!(sequence, number));
        agent.send(&ToRelay::Ack { inbox_epoch: epoch, sequence: number, rejected: List::new(&[]) }).await;
    }
    agent.send(&ToRelay::Ping).await;
    expect!(agent, ToDevice::Pong);
    tenant.send(&tenant.owner, &device, &[6]).await.unwrap();
    expect!(agent, ToDevice::Deliver { sequence: 6, previous: 5, .. });
}

#[tokio::test]
async fn the_newest_connection_of_a_device_wins() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let (mut older, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    let (mut newer, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    older.ends_with(RefusalCode::Superseded, CloseCode::Policy).await;
    let device = tenant.active(Role::Agent).await;
    expect!(newer, ToDevice::EnrollmentWaiting);
    expect!(newer, ToDevice::Activated { .. });
    tenant.send(&device, &tenant.owner, b"x").await.unwrap();
    expect!(newer, ToDevice::Deliver { sequence: 2, .. });
}

#[tokio::test]
async fn a_rejected_device_hears_it_while_it_waits() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let device = TestDevice::new(Role::Agent);
    let encoded = device.request(&tenant.invite(Role::Agent).await);
    let mut agent = Client::connect(&server).await;
    agent.send(&ToRelay::Enroll { request: av_wire::decode(&encoded).unwrap() }).await;
    expect!(agent, ToDevice::Pending { .. });
    server.relay.reject(&tenant.founder(), &device.id()).await.unwrap();
    agent.ends_with(RefusalCode::InviteRefused, CloseCode::Policy).await;
}

#[tokio::test]
async fn a_device_that_closes_is_answered() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let (inside, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    for mut client in [inside, Client::connect(&server).await] {
        client.send_raw(Message::Close(Some(CloseFrame { code: CloseCode::Away, reason: "".into() }))).await;
        client.is_closed(CloseCode::Away).await;
    }
}

#[tokio::test]
async fn a_relay_that_ends_tells_everybody_to_move() {
    let server = Server::start().await;
    let tenant = Tenant::founded(&server.relay).await;
    let (mut inside, _) = Client::authenticated(&server, &tenant, &tenant.owner).await;
    let mut outside = Client::connect(&server).await;
    server.stop.send(()).unwrap();
    for client in [&mut inside, &mut outside] {
        expect!(client, ToDevice::Moved);
        client.is_closed(CloseCode::Away).await;
    }
    server.running.await.unwrap();
}
