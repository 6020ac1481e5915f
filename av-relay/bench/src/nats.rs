//! NATS JetStream, whose acknowledgement means "written", not "on disk": it calls fsync every two minutes.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use av_tests::Outcome;
use av_tests::folder::Folder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::load::{CIPHERTEXT, HEADER_BLOB, Load, Turn, rate};

const PAYLOAD: usize = HEADER_BLOB + CIPHERTEXT;
/// For the server to start.
const DEADLINE: Duration = Duration::from_secs(10);
const STREAM: &str = r#"{"name":"bench","subjects":["to.>"],"storage":"file","retention":"limits"}"#;

/// A server of our own with one stream in files; it ends with this.
pub(crate) struct Nats {
    process: Child,
    port: u16,
    _folder: Folder,
}

impl Drop for Nats {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nats {
    /// Starts it; `None` where it is not installed.
    pub(crate) async fn start() -> Outcome<Option<Self>> {
        let folder = Folder::new()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = Command::new("nats-server");
        command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(folder.path());
        let process = match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            process => process?,
        };
        let nats = Self { process, port, _folder: folder };
        let start = Instant::now();
        let mut connection = loop {
            match nats.connect(0).await {
                Ok(connection) => break connection,
                Err(error) if start.elapsed() > DEADLINE => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let create = format!("PUB $JS.API.STREAM.CREATE.bench r.0 {}\r\n{STREAM}\r\n", STREAM.len());
        connection.stream.write_all(create.as_bytes()).await?;
        connection.answers().await?;
        Ok(Some(nats))
    }

    async fn connect(&self, number: usize) -> Outcome<Connection> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let hello = format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB r.{number} 1\r\n");
        stream.write_all(hello.as_bytes()).await?;
        Ok(Connection { stream, number, received: Vec::new() })
    }

    /// Acknowledged messages in a second, with subjects for recipients.
    pub(crate) async fn round(&self, load: Load, receivers: usize, time: Duration) -> Outcome<f64> {
        let mut connections = Vec::new();
        for number in 0..load.connections {
            connections.push(self.connect(number).await?);
        }
        let turn = std::sync::Arc::new(Turn::default());
        let end = Instant::now() + time;
        let mut running = JoinSet::new();
        for connection in connections {
            let turn = std::sync::Arc::clone(&turn);
            running.spawn(connection.publish(load, turn, receivers, end));
        }
        let mut acknowledged = 0;
        while let Some(done) = running.join_next().await {
            acknowledged += done??;
        }
        Ok(rate(acknowledged, time))
    }
}

struct Connection {
    stream: TcpStream,
    number: usize,
    received: Vec<u8>,
}

impl Connection {
    /// Keeps the window full until `end`: how many were acknowledged in time.
    async fn publish(
        mut self,
        load: Load,
        turn: std::sync::Arc<Turn>,
        receivers: usize,
        end: Instant,
    ) -> Outcome<u64> {
        let payload = [7; PAYLOAD];
        let (mut in_time, mut unanswered, mut missing) = (0, 0, load.window);
        loop {
            let mut bytes = Vec::new();
            for _ in 0..missing {
                let recipient = turn.next(load, receivers);
                bytes.extend(format!("PUB to.{recipient} r.{} {PAYLOAD}\r\n", self.number).as_bytes());
                bytes.extend(payload);
                bytes.extend(b"\r\n");
            }
            self.stream.write_all(&bytes).await?;
            unanswered += missing;
            if unanswered == 0 {
                return Ok(in_time);
            }
            let answers = self.answers().await?;
            unanswered -= answers;
            let is_time = Instant::now() < end;
            if is_time {
                in_time += u64::try_from(answers)?;
            }
            missing = if is_time { answers } else { 0 };
        }
    }

    /// Waits for answers: how many have come. Anything but a good one is an error.
    async fn answers(&mut self) -> Outcome<usize> {
        let mut answers = 0;
        while answers == 0 {
            self.received.reserve(4_096);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("nats-server closed the connection".into());
            }
            let mut taken = 0;
            while let Some(len) = self.received.get(taken..).and_then(line_len) {
                let line = self.received.get(taken..taken + len).unwrap_or_default();
                let line = std::str::from_utf8(line)?;
                taken += len;
                if line.starts_with("{") {
                    if line.contains("\"error\"") {
                        return Err(line.into());
                    }
                    answers += 1;
                } else if line.starts_with("-ERR") {
                    return Err(line.into());
                }
            }
            self.received.drain(..taken);
        }
        Ok(answers)
    }
}

/// Bytes of the first whole line; the answers are lines of JSON.
fn line_len(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1)
}
