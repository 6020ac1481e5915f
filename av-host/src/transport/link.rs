//! One connection: a task that owns the socket, two bounded channels to it, TLS below or the Noise link above. Pings and
//! their deadline are the endpoint's, as for every transport.

use std::io;
use std::time::Duration;

use av_link::limits::{MAX_MESSAGE, TAG};
use av_link::{Initiator, Transport};
use av_proto::Channel;
use av_proto::wire::Origin;
use av_proto::wire::frame::{PATH, SUBPROTOCOL};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::rustls::RootCertStore;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::{Reach, resolve};
use super::{TransportError, tls};
use crate::randomness::randomness;

/// From the first packet to an open WebSocket.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one frame to leave: a relay that takes nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// For the closing handshake; nothing is lost without it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Frames that wait for the endpoint: while it stores, the relay may send a few ahead, then TCP holds it back.
const INCOMING: usize = 8;
/// Frames that wait for the socket: several outboxes and inboxes full of answers. More means that the relay does
/// not read, and the connection is given up.
const OUTGOING: usize = 256;

/// Bytes of tungstenite's read buffer: a typical frame; its default of 128 KiB is for bulk transfer.
const READ_BUFFER: usize = 4096;

/// What a WebSocket is spoken over: TCP, or TLS on it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Socket = WebSocketStream<Box<dyn Stream>>;

/// What protects the frames of a connection, below AV/1's own encryption.
enum Protection {
    /// Nothing: it leads to this machine.
    None,
    Tls,
    Noise(Box<Transport>),
}

/// An open WebSocket to a relay. Dropping it ends the connection without a closing handshake.
pub(crate) struct Link {
    incoming: mpsc::Receiver<Result<Bytes, TransportError>>,
    outgoing: mpsc::Sender<Message>,
    task: JoinHandle<()>,
    protection: Protection,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Connects: by TLS to an origin that asks for it; else to a relay that has link keys by the Noise
    /// link with the first of them that it holds, and in the open to an origin on this machine alone.
    ///
    /// Cancel safe: dropping the future ends the attempt.
    pub(crate) async fn connect(origin: &Origin, link_keys: &[[u8; 32]]) -> Result<Self, TransportError> {
        Self::connect_trusting(tls::roots, origin, link_keys).await
    }

    /// As [`Link::connect`], with these CAs trusted.
    pub(super) async fn connect_trusting(
        roots: impl FnOnce() -> Result<RootCertStore, TransportError>,
        origin: &Origin,
        link_keys: &[[u8; 32]],
    ) -> Result<Self, TransportError> {
        let attempt = async {
            if !origin.is_plain() {
                let stream = tls::connect(origin, dial(origin, Reach::Anywhere).await?, roots()?).await?;
                let socket = upgrade(origin, SUBPROTOCOL, Box::new(stream)).await?;
                return Ok(Self::start(socket, Protection::Tls));
            }
            if link_keys.is_empty() {
                let stream = dial(origin, Reach::ThisMachine).await?;
                let socket = upgrade(origin, SUBPROTOCOL, Box::new(stream)).await?;
                return Ok(Self::start(socket, Protection::None));
            }
            for key in link_keys {
                let stream = dial(origin, Reach::Anywhere).await?;
                let socket = upgrade(origin, av_link::SUBPROTOCOL, Box::new(stream)).await?;
                if let Some(link) = Self::start(socket, Protection::None).noise(origin, key).await? {
                    return Ok(link);
                }
            }
            Err(TransportError::OtherLinkKey(origin.to_string()))
        };
        timeout(CONNECT_TIMEOUT, attempt).await.unwrap_or_else(|_| {
            let source = io::Error::from(io::ErrorKind::TimedOut);
            Err(TransportError::Unreachable { origin: origin.to_string(), source })
        })
    }

    fn start(socket: Socket, protection: Protection) -> Self {
        let (incoming_sender, incoming) = mpsc::channel(INCOMING);
        let (outgoing, outgoing_receiver) = mpsc::channel(OUTGOING);
        let task = tokio::spawn(carry(socket, incoming_sender, outgoing_receiver));
        Self { incoming, outgoing, task, protection }
    }

    /// Opens the Noise link; `None` when the relay does not hold this key, to which it says nothing.
    async fn noise(mut self, origin: &Origin, key: &[u8; 32]) -> Result<Option<Self>, TransportError> {
        let mut rng = randomness().map_err(|error| TransportError::Lost(error.to_string()))?;
        let Ok((initiator, hello)) = Initiator::start(&mut rng, origin, key) else { return Ok(None) };
        self.send(&hello)?;
        let Ok(answer) = self.receive().await else { return Ok(None) };
        let Ok(link) = initiator.finish(&answer) else { return Ok(None) };
        self.protection = Protection::Noise(Box::new(link));
        Ok(Some(self))
    }

    /// What protects the connection.
    pub(crate) const fn channel(&self) -> Channel<'_> {
        match &self.protection {
            Protection::Noise(link) => Channel::Noise(link),
            Protection::Tls => Channel::Tls,
            Protection::None => Channel::Plain,
        }
    }

    /// The next frame, or why there is none any more.
    ///
    /// Cancel safe: a frame that was not returned comes next time.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, TransportError> {
        let gone = || Err(TransportError::Lost("it was closed".to_owned()));
        let message = self.incoming.recv().await.unwrap_or_else(gone)?;
        let Protection::Noise(link) = &mut self.protection else { return Ok(message) };
        let mut message = Vec::from(message);
        let len = link.open(&mut message).map_err(unlinked)?.len();
        message.truncate(len);
        Ok(message.into())
    }

    /// Queues a frame.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when the relay does not take frames any more.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<(), TransportError> {
        let mut message = Vec::with_capacity(frame.len() + TAG);
        message.extend_from_slice(frame);
        if let Protection::Noise(link) = &mut self.protection {
            message.resize(frame.len() + TAG, 0);
            link.seal(&mut message, frame.len()).map_err(unlinked)?;
        }
        self.outgoing
            .try_send(Message::binary(message))
            .map_err(|_| TransportError::Lost("the relay takes no frames".to_owned()))
    }

    /// Sends what is queued, then closes.
    pub(crate) async fn close(self) {
        let closing = async {
            if self.outgoing.send(Message::Close(None)).await.is_ok() {
                self.outgoing.closed().await;
            }
        };
        // Whoever takes longer is cut off by the drop.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

/// A message that is not the link's next, or one too many on it.
fn unlinked(error: av_link::LinkError) -> TransportError {
    TransportError::Lost(error.to_string())
}

async fn dial(origin: &Origin, reach: Reach) -> Result<TcpStream, TransportError> {
    let addresses = resolve(origin, reach).await?;
    let unreachable = |source| TransportError::Unreachable { origin: origin.to_string(), source };
    let stream = TcpStream::connect(&addresses[..]).await.map_err(unreachable)?;
    // Frames are small and wait for nothing.
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}

async fn upgrade(
    origin: &Origin,
    subprotocol: &'static str,
    stream: Box<dyn Stream>,
) -> Result<Socket, TransportError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_frame_size(Some(MAX_MESSAGE))
        .max_message_size(Some(MAX_MESSAGE));
    let not_a_relay =
        |error: Error| TransportError::NotARelay { origin: origin.to_string(), detail: error.to_string() };
    let mut request = format!("{origin}{PATH}").into_client_request().map_err(not_a_relay)?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(not_a_relay)?;
    Ok(socket)
}

async fn carry(
    mut socket: Socket,
    incoming: mpsc::Sender<Result<Bytes, TransportError>>,
    mut outgoing: mpsc::Receiver<Message>,
) {
    let outcome = carry_frames(&mut socket, &incoming, &mut outgoing).await;
    if let Err(error) = outcome {
        // Nobody listens any more when the link was dropped, and then nobody needs to know.
        let _ = incoming.send(Err(error)).await;
    }
}

async fn carry_frames(
    socket: &mut Socket,
    incoming: &mpsc::Sender<Result<Bytes, TransportError>>,
    outgoing: &mut mpsc::Receiver<Message>,
) -> Result<(), TransportError> {
    let lost = |error: Error| TransportError::Lost(error.to_string());
    loop {
        // Each branch is cancel safe: a stream keeps a half-read frame, a channel keeps its messages, and what a
        // branch does after it was chosen is not cancelled by the others.
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(frame))) => {
                    if incoming.send(Ok(frame)).await.is_err() {
                        return Ok(());
                    }
                }
                // tungstenite answers these itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map_or_else(|| "closed".to_owned(), |frame| frame.to_string());
                    return Err(TransportError::Lost(format!("the relay closed it ({reason})")));
                }
                Some(Ok(_)) => return Err(TransportError::Lost("the relay sent text".to_owned())),
                Some(Err(error)) => return Err(lost(error)),
                None => return Err(TransportError::Lost("the relay closed it".to_owned())),
            },
            message = outgoing.recv() => {
                let Some(message) = message else { return Ok(()) };
                let closing = message.is_close();
                write(socket, message).await?;
                if closing {
                    return Ok(());
                }
            }
        }
    }
}

async fn write(socket: &mut Socket, message: Message) -> Result<(), TransportError> {
    match timeout(WRITE_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(TransportError::Lost(error.to_string())),
        Err(_) => Err(TransportError::Lost("the relay takes no frames".to_owned())),
    }
}
