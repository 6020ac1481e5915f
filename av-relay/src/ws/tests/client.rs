//! The other end of a connection.

use av_link::limits::TAG;
use av_link::{Initiator, Transport};
use av_wire::RefusalCode;
use av_wire::frame::{LinkKind, ToDevice, ToRelay};
use av_wire::ids::InboxEpoch;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use super::Server;
use crate::encoded::encoded;
use crate::link_keys::rng;
use crate::testing::{Tenant, TestDevice, soon};

type Socket = MaybeTlsStream<TcpStream>;

pub(super) struct Client<S = Socket> {
    stream: WebSocketStream<S>,
    link: Option<Transport>,
    pub(super) nonce: [u8; 32],
}

pub(super) fn request(server: &Server) -> tungstenite::handshake::client::Request {
    request_for(server, "av1")
}

pub(super) fn request_for(server: &Server, subprotocol: &str) -> tungstenite::handshake::client::Request {
    let url = format!("ws://{}{}", server.address, av_wire::frame::PATH);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
    request
}

impl Client {
    pub(super) async fn connect(server: &Server) -> Self {
        let (stream, response) = connect_async(request(server)).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "av1");
        Self::on(stream).await
    }

    /// Connects by the Noise link; `nonce` is then what an authentication signs.
    pub(super) async fn linked(server: &Server, key: &[u8; 32]) -> Self {
        let (stream, response) = connect_async(request_for(server, av_link::SUBPROTOCOL)).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], av_link::SUBPROTOCOL);
        let mut client = Self { stream, link: None, nonce: [0; 32] };
        let (initiator, hello) = Initiator::start(&mut rng().unwrap(), server.relay.origin(), key).unwrap();
        client.send_raw(Message::binary(hello.to_vec())).await;
        let link = initiator.finish(&client.receive().await).unwrap();
        client.nonce = *link.channel();
        client.link = Some(link);
        assert_eq!(client.challenge().await, [0; 32], "the link stands for a nonce");
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

    /// The frames that come after `message`, until the connection is over.
    pub(super) async fn heard_after(stream: &mut WebSocketStream<Socket>, message: Vec<u8>) -> Vec<Message> {
        stream.send(Message::binary(message)).await.unwrap();
        let mut heard = Vec::new();
        while let Some(Ok(message)) = soon(stream.next()).await {
            if message.is_binary() {
                heard.push(message);
            }
        }
        heard
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// On a WebSocket that was just opened.
    pub(super) async fn on(stream: WebSocketStream<S>) -> Self {
        let mut client = Self { stream, link: None, nonce: [0; 32] };
        client.nonce = client.challenge().await;
        client
    }

    /// Opens the WebSocket on whatever this is.
    pub(super) async fn over(server: &Server, stream: S) -> Self {
        Self::on(client_async(request(server), stream).await.unwrap().0).await
    }

    async fn challenge(&mut self) -> [u8; 32] {
        let challenge = self.receive().await;
        let ToDevice::Challenge { nonce, server_time } = decode(&challenge) else { panic!("{challenge:?}") };
        assert!(server_time > 1_700_000_000);
        nonce
    }

    pub(super) async fn authenticate(&mut self, tenant: &Tenant, device: &TestDevice, receive_window: u16) {
        let link = if self.link.is_some() { LinkKind::Noise } else { LinkKind::Plain };
        self.authenticate_as(link, tenant, device, receive_window).await;
    }

    pub(super) async fn authenticate_as(
        &mut self,
        link: LinkKind,
        tenant: &Tenant,
        device: &TestDevice,
        receive_window: u16,
    ) {
        let claim = device.authentication(tenant.id, self.nonce, tenant.relay.origin().as_str(), link);
        self.send(&ToRelay::Authenticate {
            tenant_id: tenant.id,
            device_id: device.id(),
            receive_window,
            ping_period: 0,
            link,
            signature: claim.signature,
        })
        .await;
    }

    pub(super) async fn send(&mut self, frame: &ToRelay<'_>) {
        let mut bytes = encoded(frame);
        if let Some(link) = &mut self.link {
            let len = bytes.len();
            bytes.resize(len + TAG, 0);
            link.seal(&mut bytes, len).unwrap();
        }
        self.send_raw(Message::binary(bytes)).await;
    }

    pub(super) async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// Whether the connection still took it.
    pub(super) async fn try_send_raw(&mut self, message: Message) -> bool {
        self.stream.send(message).await.is_ok()
    }

    /// The next frame's bytes.
    pub(super) async fn receive(&mut self) -> Vec<u8> {
        match self.next().await {
            Message::Binary(bytes) => match &mut self.link {
                Some(link) => link.open(&mut bytes.to_vec()).unwrap().to_vec(),
                None => bytes.to_vec(),
            },
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
