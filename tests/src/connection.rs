//! A bare connection to a relay: frames as a test makes them, honest or not.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};

use av_wire::frame::{PATH, SUBPROTOCOL, ToDevice, ToRelay};
use av_wire::limits::MAX_FRAME;
use av_wire::{Origin, RefusalCode};
use tungstenite::client::ClientRequestBuilder;
use tungstenite::http::Uri;
use tungstenite::{Message, WebSocket};

use crate::wait::DEADLINE;
use crate::{Failure, Outcome};

/// A WebSocket to a relay, its challenge already received.
pub struct Connection {
    socket: WebSocket<TcpStream>,
    origin: Origin,
    challenge: Vec<u8>,
    nonce: [u8; 32],
    /// Inbox entries that came while an answer was waited for.
    entries: VecDeque<Vec<u8>>,
}

/// What comes next on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A frame.
    Frame(Vec<u8>),
    /// The relay closed, with this close code or without a word.
    Closed(Option<u16>),
}

impl Connection {
    /// Opens a connection and takes the challenge.
    ///
    /// # Errors
    /// When nobody listens there, or it is no relay.
    pub fn open(origin: &str) -> Outcome<Self> {
        let origin = Origin::parse(origin)?;
        let stream = TcpStream::connect(origin.authority())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let uri: Uri = format!("{origin}{PATH}").parse()?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
        let (socket, _) = tungstenite::client(request, stream)
            .map_err(|error| format!("no WebSocket at {origin}: {error}"))?;
        let mut connection =
            Self { socket, origin, challenge: Vec::new(), nonce: [0; 32], entries: VecDeque::new() };
        let first = connection.frame()?;
        match decode(&first)? {
            ToDevice::Challenge { nonce, .. } => connection.nonce = nonce,
            other => return Err(unexpected(&other)),
        }
        connection.challenge = first;
        Ok(connection)
    }

    /// The relay's first frame.
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// The origin that it was opened to.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The nonce of its challenge.
    pub fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send(&mut self, frame: &ToRelay<'_>) -> Outcome {
        self.send_bytes(&encode(frame)?)
    }

    /// Sends a binary message of any content.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Outcome {
        self.send_message(Message::binary(bytes.to_vec()))
    }

    /// Sends any WebSocket message.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send_message(&mut self, message: Message) -> Outcome {
        Ok(self.socket.send(message)?)
    }

    /// The TCP stream below, for bytes that are no WebSocket.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }

    /// Ends the TCP connection without a WebSocket close.
    pub fn abandon(mut self) {
        // It fails when the connection has ended already.
        let _ = self.stream().shutdown(Shutdown::Both);
    }

    /// What comes next, whatever it is; only pings are left out.
    ///
    /// # Errors
    /// When nothing comes before the deadline.
    pub fn incoming(&mut self) -> Outcome<Incoming> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(frame)) => {
                    if !matches!(decode(&frame), Ok(ToDevice::Ping)) {
                        return Ok(Incoming::Frame(frame.to_vec()));
                    }
                }
                Ok(Message::Close(close)) => {
                    return Ok(Incoming::Closed(close.map(|close| close.code.into())));
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(format!("the relay said nothing for {DEADLINE:?}").into());
                }
                Err(_) => return Ok(Incoming::Closed(None)),
            }
        }
    }

    /// The next frame that is neither an inbox entry, which waits for [`Connection::entry`], nor a hint.
    ///
    /// # Errors
    /// When the connection ends instead, or nothing comes before the deadline.
    pub fn frame(&mut self) -> Outcome<Vec<u8>> {
        loop {
            let frame = self.any_frame()?;
            match decode(&frame)? {
                ToDevice::Deliver { .. }
                | ToDevice::Statement { .. }
                | ToDevice::Recertified { .. }
                | ToDevice::KeyUsed { .. }
                | ToDevice::Activated { .. } => {
                    self.entries.push_back(frame);
                }
                ToDevice::EnrollmentWaiting => {}
                _ => return Ok(frame),
            }
        }
    }

    /// The next inbox entry: Deliver, Statement or Activated.
    ///
    /// # Errors
    /// When something else comes that is no hint, the connection ends, or nothing comes before the deadline.
    pub fn entry(&mut self) -> Outcome<Vec<u8>> {
        if let Some(entry) = self.entries.pop_front() {
            return Ok(entry);
        }
        loop {
            let frame = self.any_frame()?;
            match decode(&frame)? {
                ToDevice::Deliver { .. }
                | ToDevice::Statement { .. }
                | ToDevice::Recertified { .. }
                | ToDevice::KeyUsed { .. }
                | ToDevice::Activated { .. } => {
                    return Ok(frame);
                }
                ToDevice::EnrollmentWaiting => {}
                other => return Err(unexpected(&other)),
            }
        }
    }

    fn any_frame(&mut self) -> Outcome<Vec<u8>> {
        match self.incoming()? {
            Incoming::Frame(frame) => Ok(frame),
            Incoming::Closed(code) => Err(format!("the relay closed the connection ({code:?})").into()),
        }
    }

    /// Sends a frame and takes the next one as its answer.
    ///
    /// # Errors
    /// When the connection ends instead of an answer.
    pub fn call(&mut self, frame: &ToRelay<'_>) -> Outcome<Vec<u8>> {
        self.send(frame)?;
        self.frame()
    }

    /// Sends a frame that must be answered by Done.
    ///
    /// # Errors
    /// With the answer when it is another.
    pub fn must(&mut self, frame: &ToRelay<'_>) -> Outcome {
        let answer = self.call(frame)?;
        match decode(&answer)? {
            ToDevice::Done { .. } => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// The connection must end: perhaps an Error frame, then a close. Gives both codes; inbox entries that were
    /// under way are passed over.
    ///
    /// # Errors
    /// When anything else comes, or nothing before the deadline.
    pub fn end(&mut self) -> Outcome<(Option<RefusalCode>, Option<u16>)> {
        let mut refusal = None;
        loop {
            match self.incoming()? {
                Incoming::Closed(code) => return Ok((refusal, code)),
                Incoming::Frame(frame) => match decode(&frame)? {
                    ToDevice::Error { request: 0, code, .. } if refusal.is_none() => refusal = Some(code),
                    ToDevice::Deliver { .. }
                    | ToDevice::Statement { .. }
                    | ToDevice::Recertified { .. }
                    | ToDevice::KeyUsed { .. }
                    | ToDevice::Activated { .. } => {}
                    ToDevice::EnrollmentWaiting => {}
                    other => return Err(unexpected(&other)),
                },
            }
        }
    }
}

/// The encoding of a frame.
///
/// # Errors
/// When it is too large.
pub fn encode(frame: &ToRelay<'_>) -> Outcome<Vec<u8>> {
    let mut buffer = vec![0; MAX_FRAME];
    Ok(av_wire::encode(frame, &mut buffer)?.to_vec())
}

/// The relay's frame in these bytes.
///
/// # Errors
/// When they are none.
pub fn decode(bytes: &[u8]) -> Outcome<ToDevice<'_>> {
    Ok(av_wire::decode(bytes)?)
}

/// Another frame came than the one that had to.
pub fn unexpected(frame: &ToDevice<'_>) -> Failure {
    format!("unexpected frame: {frame:?}").into()
}
