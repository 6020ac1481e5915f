//! A device's connection that costs the generator little: a WebSocket by hand, many frames in one write, as many in
//! one read as have come.

use av_link::{Initiator, Transport};
use av_tests::Outcome;
use av_wire::frame::{LinkKind, PATH, SUBPROTOCOL, ToDevice, ToRelay, authentication_message};
use av_wire::limits::MAX_FRAME;
use av_wire::{Origin, Signature, TenantId};
use ed25519_dalek::Signer;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::Device;

/// Bytes read at once at most; grown for a larger frame.
const READ: usize = 16 * 1_024;
/// Bytes of the Noise link's tag.
const TAG: usize = 16;

/// An open connection.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    /// Bytes of `received` that were taken.
    taken: usize,
    link: Option<Transport>,
}

impl Client {
    /// Connects and is let in; `link_key` for the Noise link.
    pub(crate) async fn connect(
        origin: &str,
        tenant: &TenantId,
        device: &Device,
        window: u16,
        link_key: Option<&[u8; 32]>,
    ) -> Outcome<Self> {
        let origin = Origin::parse(origin)?;
        let stream = TcpStream::connect(origin.authority()).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, received: Vec::new(), taken: 0, link: None };
        let protocol = if link_key.is_some() { av_link::SUBPROTOCOL } else { SUBPROTOCOL };
        client.upgrade(&origin, protocol).await?;
        if let Some(key) = link_key {
            client.open_link(&origin, key).await?;
        }
        let nonce = match av_wire::decode(&client.next().await?)? {
            ToDevice::Challenge { nonce, .. } => nonce,
            other => return Err(format!("no challenge: {other:?}").into()),
        };
        let (link, channel) = match &client.link {
            Some(link) => (LinkKind::Noise, *link.channel()),
            None => (LinkKind::Plain, nonce),
        };
        let message = authentication_message(link, &channel, tenant, &device.id, &origin)?;
        let signature = Signature(device.identity.sign(&message).to_bytes());
        let (tenant_id, device_id) = (*tenant, device.id);
        let authenticate = ToRelay::Authenticate {
            tenant_id,
            device_id,
            receive_window: window,
            ping_period: 0,
            link,
            signature,
        };
        client.send(&authenticate).await?;
        match av_wire::decode(&client.next().await?)? {
            ToDevice::Welcome { .. } => Ok(client),
            other => Err(format!("not let in: {other:?}").into()),
        }
    }

    async fn upgrade(&mut self, origin: &Origin, protocol: &str) -> Outcome {
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n",
            origin.authority()
        );
        self.stream.write_all(request.as_bytes()).await?;
        loop {
            let end = self.received.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                if !self.received.starts_with(b"HTTP/1.1 101 ") {
                    return Err(String::from_utf8_lossy(&self.received).into());
                }
                self.taken = end + 4;
                return Ok(());
            }
            self.read().await?;
        }
    }

    async fn open_link(&mut self, origin: &Origin, key: &[u8; 32]) -> Outcome {
        let (initiator, hello) = Initiator::start(&mut UnwrapErr(SysRng), origin, key)?;
        let mut bytes = Vec::new();
        put_message(&mut bytes, &hello)?;
        self.stream.write_all(&bytes).await?;
        let answer = self.next().await?;
        self.link = Some(initiator.finish(&answer)?);
        Ok(())
    }

    /// Writes one frame.
    pub(crate) async fn send(&mut self, frame: &ToRelay<'_>) -> Outcome {
        let mut bytes = Vec::new();
        match &mut self.link {
            None => put(&mut bytes, frame)?,
            Some(link) => {
                let mut buffer = vec![0; MAX_FRAME + TAG];
                let len = av_wire::encode(frame, &mut buffer)?.len();
                put_message(&mut bytes, link.seal(&mut buffer, len)?)?;
            }
        }
        self.write(&bytes).await
    }

    /// Writes frames that were [`put`] behind each other.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Outcome {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Waits for a frame.
    pub(crate) async fn next(&mut self) -> Outcome<Vec<u8>> {
        loop {
            let frame = self.received_frame()?.map(<[u8]>::to_vec);
            match (frame, &mut self.link) {
                (Some(frame), None) => return Ok(frame),
                (Some(mut frame), Some(link)) => return Ok(link.open(&mut frame)?.to_vec()),
                (None, _) => self.read().await?,
            }
        }
    }

    /// The next frame among those that have come, of a connection without a link.
    pub(crate) fn received_frame(&mut self) -> Outcome<Option<&[u8]>> {
        let waiting = self.received.get(self.taken..).unwrap_or_default();
        let (head, len) = match waiting {
            [0x82, len @ ..=125, ..] => (2, usize::from(*len)),
            [0x82, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            [] | [0x82, ..] => return Ok(None),
            [other, ..] => return Err(format!("the relay ends the connection ({other:#x})").into()),
        };
        if waiting.len() < head + len {
            return Ok(None);
        }
        let start = self.taken + head;
        self.taken = start + len;
        Ok(self.received.get(start..self.taken))
    }

    /// Waits for more bytes.
    pub(crate) async fn read(&mut self) -> Outcome {
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.reserve(READ);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the relay closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// A frame as a WebSocket message, behind what is there.
pub(crate) fn put(bytes: &mut Vec<u8>, frame: &ToRelay<'_>) -> Outcome {
    let mut buffer = [0; 2_048];
    put_message(bytes, av_wire::encode(frame, &mut buffer)?)
}

/// Masked with zeros, which costs the relay as much as any other mask.
fn put_message(bytes: &mut Vec<u8>, payload: &[u8]) -> Outcome {
    bytes.push(0x82);
    match u8::try_from(payload.len()) {
        Ok(len @ ..=125) => bytes.push(0x80 | len),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(payload.len())?.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    Ok(())
}
