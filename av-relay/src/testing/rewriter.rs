//! A way to PostgreSQL that changes what is asked.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use super::{TestCluster, scratch_folder};
use crate::store::Endpoint;

/// The frontend message that prepares a statement: its name, its text, its types.
const PARSE: u8 = b'P';

/// Passes connections on to a cluster, and remembers the statements that are prepared over them.
pub(crate) struct Rewriter {
    pub(crate) endpoint: Endpoint,
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    seen: BTreeSet<String>,
    change: Option<(String, String)>,
}

impl Rewriter {
    pub(crate) fn start(cluster: &TestCluster) -> Self {
        let folder = scratch_folder();
        let socket = format!(".s.PGSQL.{}", cluster.endpoint.port);
        let listener = UnixListener::bind(folder.join(&socket)).unwrap();
        let server = cluster.endpoint.socket_folder.join(socket);
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.unwrap();
                tokio::spawn(pass_on(client, server, Arc::clone(&shared)));
            }
        });
        let endpoint = Endpoint { socket_folder: folder.clone(), port: cluster.endpoint.port };
        Self { endpoint, folder, state }
    }

    /// Every statement that was prepared so far.
    pub(crate) fn seen(&self) -> BTreeSet<String> {
        self.state.lock().unwrap().seen.clone()
    }

    /// From now on the one text is prepared in the place of the other.
    pub(crate) fn replace(&self, text: &str, by: &str) {
        self.state.lock().unwrap().change = Some((text.to_owned(), by.to_owned()));
    }
}

impl Drop for Rewriter {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

async fn pass_on(client: UnixStream, server: UnixStream, state: Arc<Mutex<State>>) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    tokio::select! {
        // It ends with either end.
        _ = requests(from_client, to_server, &state) => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    // The first message has no type.
    let (length, body) = read(&mut from).await?;
    to.write_all(&length.to_be_bytes()).await?;
    to.write_all(&body).await?;
    loop {
        let kind = from.read_u8().await?;
        let (_, body) = read(&mut from).await?;
        let body = if kind == PARSE { prepared(&body, state) } else { body };
        let mut message = vec![kind];
        message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        message.extend(body);
        to.write_all(&message).await?;
    }
}

async fn read(from: &mut OwnedReadHalf) -> std::io::Result<(u32, Vec<u8>)> {
    let length = from.read_u32().await?;
    let mut body = vec![0; length as usize - 4];
    from.read_exact(&mut body).await?;
    Ok((length, body))
}

fn prepared(body: &[u8], state: &Mutex<State>) -> Vec<u8> {
    let mut parts = body.splitn(3, |byte| *byte == 0);
    let (name, text, types) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let mut text = String::from_utf8(text.to_vec()).unwrap();
    let mut state = state.lock().unwrap();
    state.seen.insert(text.clone());
    if let Some((_, other)) = state.change.as_ref().filter(|(from, _)| *from == text) {
        text = other.clone();
    }
    [name, &[0], text.as_bytes(), &[0], types].concat()
}
