//! TLS at the door, the relay's own and a proxy's.

use std::sync::Arc;

use av_wire::frame::{LinkKind, ToDevice};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::version::TLS13;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;

use super::Server;
use super::client::{Client, decode, request, request_for};
use crate::testing::{Tenant, soon};
use crate::tls::tests::{Authority, NOW};
use crate::tls::{Certificate, Proxies, Tls};

const ORIGIN: &str = "wss://relay.example";

async fn by_tls(server: &Server, authority: &Authority) -> std::io::Result<TlsStream<TcpStream>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let host = "relay.example".try_into().unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(host, stream)).await
}

#[tokio::test]
async fn a_device_authenticates_by_tls_and_a_new_certificate_leaves_it_alone() {
    let folder = tempdir().unwrap();
    let [old, new] = [Authority::new(), Authority::new()];
    let certificate = Arc::new(Certificate::open(old.issue(folder.path(), "relay.example", NOW)).unwrap());
    let server = Server::behind(Tls::Own(Arc::clone(&certificate)), ORIGIN).await;
    let tenant = Tenant::founded(&server.relay).await;

    let mut device = Client::over(&server, by_tls(&server, &old).await.unwrap()).await;
    device.authenticate_as(LinkKind::Plain, &tenant, &tenant.owner, 16).await;
    assert!(matches!(decode(&device.receive().await), ToDevice::Error { .. }), "it is no plain connection");
    let mut device = Client::over(&server, by_tls(&server, &old).await.unwrap()).await;
    device.authenticate_as(LinkKind::Tls, &tenant, &tenant.owner, 16).await;
    assert!(matches!(decode(&device.receive().await), ToDevice::Welcome { .. }));

    by_tls(&server, &new).await.unwrap_err();
    new.issue(folder.path(), "relay.example", NOW);
    certificate.reload().unwrap();
    by_tls(&server, &old).await.unwrap_err();
    by_tls(&server, &new).await.unwrap();
    device.send(&av_wire::frame::ToRelay::Ping).await;
    assert!(matches!(decode(&device.receive().await), ToDevice::Pong));

    // In the open there is nothing at this port.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn behind_a_proxy_its_word_is_needed() {
    for (proxy, believed) in [("127.0.0.1/32", true), ("192.0.2.7/32", false)] {
        let proxies = Proxies::new(vec![proxy.parse().unwrap()]);
        // On loopback in every respect: nothing is taken for a plain connection of this machine all the same.
        let server = Server::behind(Tls::Proxy(Arc::new(proxies)), "wss://localhost").await;
        let tenant = Tenant::founded(&server.relay).await;
        let mut vouched = request(&server);
        vouched.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
        match connect_async(vouched).await {
            Ok((stream, _)) if believed => {
                let mut device = Client::on(stream).await;
                device.authenticate_as(LinkKind::Tls, &tenant, &tenant.owner, 16).await;
                assert!(matches!(decode(&device.receive().await), ToDevice::Welcome { .. }));
            }
            Err(Error::Http(response)) if !believed => assert_eq!(response.status(), 403),
            other => panic!("{other:?}"),
        }
        match connect_async(request(&server)).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403),
            other => panic!("{other:?}"),
        }
        // The Noise link needs nobody's word.
        connect_async(request_for(&server, av_link::SUBPROTOCOL)).await.unwrap();
    }
}
