//! The other end of a connection.

use av_wire::RefusalCode;
use av_wire::frame::{LinkKind, ToDevice, ToRelay};
use av_wire::ids::InboxEpoch;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Server;
use crate::encoded::encoded;
use crate::testing::{ORIGIN, Tenant, TestDevice, soon};

pub(super) struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(super) nonce: [u8; 32],
}

pub(super) fn request(server: &Server) -> tungstenite::handshake::client::Request {
    let url = format!("ws://{}{}", server.address, av_wire::frame::PATH);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "av1".parse().unwrap());
    request
}

impl Client {
    pub(super) async fn connect(server: &Server) -> Self {
        let (stream, response) = connect_async(request(server)).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "av1");
        let mut client = Self { stream, nonce: [0; 32] };
        let challenge = client.receive().await;
        let ToDevice::Challenge { nonce, server_time } = decode(&challenge) else { panic!("{challenge:?}") };
        assert!(server_time > 1_700_000_000);
        client.nonce = nonce;
        client
    }

    /// Connects and authenticates; returns the inbox's epoch, too.
    pub(super) async fn authenticated(
        server: &Server,
        tenant: &Tenant,
        device: &TestDevice,
    ) -> (Self, InboxEpoch) {
        Self::with_window(server, tenant, device, 16).await
    }

    pub(super) async fn with_window(
        server: &Server,
        tenant: &Tenant,
        device: &TestDevice,
        receive_window: u16,
    ) -> (Self, InboxEpoch) {
        let mut client = Self::connect(server).await;
        client.authenticate(tenant, device, receive_window).await;
        let welcome = client.receive().await;
        match decode(&welcome) {
            ToDevice::Welcome { inbox_epoch, .. } => (client, inbox_epoch),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn authenticate(&mut self, tenant: &Tenant, device: &TestDevice, receive_window: u16) {
        let claim = device.authentication(tenant.id, self.nonce, ORIGIN, LinkKind::Plain);
        self.send(&ToRelay::Authenticate {
            tenant_id: tenant.id,
            device_id: device.id(),
            receive_window,
            ping_period: 0,
            link: LinkKind::Plain,
            signature: claim.signature,
        })
        .await;
    }

    pub(super) async fn send(&mut self, frame: &ToRelay<'_>) {
        self.send_raw(Message::binary(encoded(frame))).await;
    }

    pub(super) async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// The next frame's bytes.
    pub(super) async fn receive(&mut self) -> Vec<u8> {
        match self.next().await {
            Message::Binary(bytes) => bytes.to_vec(),
            other => panic!("no frame: {other:?}"),
        }
    }

    async fn next(&mut self) -> Message {
        soon(self.stream.next()).await.expect("a connection").unwrap()
    }

    /// The connection ends with this error and this close code.
    pub(super) async fn ends_with(&mut self, expected: RefusalCode, close: CloseCode) {
        let bytes = self.receive().await;
        match decode(&bytes) {
            ToDevice::Error { request: 0, code, .. } => assert_eq!(code, expected),
            other => panic!("{other:?}"),
        }
        self.is_closed(close).await;
    }

    pub(super) async fn is_closed(&mut self, close: CloseCode) {
        match self.next().await {
            Message::Close(Some(frame)) => assert_eq!(frame.code, close),
            other => panic!("not closed: {other:?}"),
        }
    }
}

pub(super) fn decode(bytes: &[u8]) -> ToDevice<'_> {
    av_wire::decode(bytes).unwrap()
}
