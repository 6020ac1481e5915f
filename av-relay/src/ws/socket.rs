//! Frames over a WebSocket, and over the Noise link inside it where there is one.

use std::time::Duration;

use av_wire::frame::ToDevice;
use futures_util::{SinkExt, StreamExt};
use hyper_tungstenite::HyperWebsocketStream;
use hyper_tungstenite::tungstenite::protocol::CloseFrame;
use hyper_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio::time::timeout;

use super::channel::Channel;
use super::end::End;
use crate::encoded::encoded;

/// A frame of 64 KiB at 26 kbit/s. Who reads slower cannot keep up with an inbox.
const WRITE_DEADLINE: Duration = Duration::from_secs(20);
/// To take leave: the frame, the close handshake. A peer that does not answer is left without.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);

/// One peer's end.
pub(super) struct Socket {
    stream: HyperWebsocketStream,
    channel: Channel,
}

impl Socket {
    pub(super) const fn new(stream: HyperWebsocketStream, channel: Channel) -> Self {
        Self { stream, channel }
    }

    /// What protects the connection.
    pub(super) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The next frame's bytes. Cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Bytes, End> {
        self.channel.open(message(&mut self.stream).await?)
    }

    /// Writes a frame out. Not cancel safe: a frame that is half out cannot be followed by another.
    pub(super) async fn send(&mut self, frame: &ToDevice<'_>) -> Result<(), End> {
        let bytes = self.channel.seal(encoded(frame)).map_err(|_| End::NotLinked)?;
        write(&mut self.stream, bytes).await
    }

    /// Says why, and closes. Reads on until the peer has closed too, so that what was written arrives before the
    /// connection is reset.
    pub(super) async fn end(mut self, end: End) {
        let farewell = async {
            if let Some(frame) = end.farewell() {
                self.send(&frame).await?;
            }
            close(&mut self.stream, end).await;
            Ok::<(), End>(())
        };
        // Whether it hears it or not, it is over.
        let _ = timeout(FAREWELL_DEADLINE, farewell).await;
    }
}

/// Closes with the code of `end`, and reads on until the peer has closed too.
pub(super) async fn close(stream: &mut HyperWebsocketStream, end: End) {
    let close = CloseFrame { code: end.close_code(), reason: "".into() };
    // Fails where the peer was first. The answer that it waits for is then written by reading on.
    let _ = stream.close(Some(close)).await;
    while let Some(Ok(_)) = stream.next().await {}
}

/// The next binary message. Cancel safe.
pub(super) async fn message(stream: &mut HyperWebsocketStream) -> Result<Bytes, End> {
    match data(stream).await? {
        Message::Binary(bytes) => Ok(bytes),
        _ => Err(End::NotBinary),
    }
}

/// The next message, binary or text. Cancel safe.
pub(super) async fn data(stream: &mut HyperWebsocketStream) -> Result<Message, End> {
    loop {
        match stream.next().await {
            Some(Ok(message @ (Message::Binary(_) | Message::Text(_)))) => return Ok(message),
            // The library answers pings; AV/1 has its own, which proxies let through.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(Error::Capacity(_))) => return Err(End::TooLarge),
            Some(Err(Error::Utf8(_))) => return Err(End::NotUtf8),
            Some(Err(Error::Protocol(_))) => return Err(End::Malformed),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        }
    }
}

/// Writes a binary message out. Not cancel safe.
pub(super) async fn write(stream: &mut HyperWebsocketStream, bytes: Vec<u8>) -> Result<(), End> {
    write_message(stream, Message::binary(bytes)).await
}

/// Writes any message out. Not cancel safe.
pub(super) async fn write_message(stream: &mut HyperWebsocketStream, message: Message) -> Result<(), End> {
    match timeout(WRITE_DEADLINE, stream.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::TimedOut),
    }
}
