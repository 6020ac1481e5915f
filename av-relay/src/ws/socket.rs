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
            let close = CloseFrame { code: end.close_code(), reason: "".into() };
            self.stream.close(Some(close)).await.map_err(|_| End::Gone)?;
            while let Some(Ok(_)) = self.stream.next().await {}
            Ok::<(), End>(())
        };
        // Whether it hears it or not, it is over.
        let _ = timeout(FAREWELL_DEADLINE, farewell).await;
    }
}

/// The next binary message. Cancel safe.
pub(super) async fn message(stream: &mut HyperWebsocketStream) -> Result<Bytes, End> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
            Some(Ok(Message::Text(_))) => return Err(End::NotBinary),
            // The library answers pings; AV/1 has its own, which proxies let through.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(Error::Capacity(_))) => return Err(End::TooLarge),
            Some(Err(Error::Protocol(_) | Error::Utf8(_))) => return Err(End::Malformed),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        }
    }
}

/// Writes a binary message out. Not cancel safe.
pub(super) async fn write(stream: &mut HyperWebsocketStream, bytes: Vec<u8>) -> Result<(), End> {
    match timeout(WRITE_DEADLINE, stream.send(Message::binary(bytes))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::TimedOut),
    }
}
