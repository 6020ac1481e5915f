//! A way to PostgreSQL that breaks at the worst moment.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::{TestCluster, scratch_folder};
use crate::store::Endpoint;

/// What the server says when a transaction is on disk.
const COMMITTED: &[u8] = b"COMMIT\0";

/// Passes connections on to a cluster.
pub(crate) struct Proxy {
    pub(crate) endpoint: Endpoint,
    folder: PathBuf,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    armed: AtomicBool,
    cuts: AtomicU32,
}

impl Proxy {
    pub(crate) fn start(cluster: &TestCluster) -> Self {
        let folder = scratch_folder();
        let port = cluster.endpoint.port;
        let listener = UnixListener::bind(folder.join(format!(".s.PGSQL.{port}"))).unwrap();
        let server = cluster.endpoint.socket_folder.join(format!(".s.PGSQL.{port}"));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.unwrap();
                tokio::spawn(pass_on(client, server, Arc::clone(&shared)));
            }
        });
        Self { endpoint: Endpoint { socket_folder: folder.clone(), port }, folder, state }
    }

    /// The connection over which the next transaction commits is cut before its answer gets through.
    pub(crate) fn cut_the_next_commit(&self) {
        self.state.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> u32 {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

async fn pass_on(client: UnixStream, server: UnixStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        // It ends with either end.
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let answers = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let answer = &buffer[..read];
            let committed = answer.windows(COMMITTED.len()).any(|window| window == COMMITTED);
            if committed && state.armed.swap(false, Ordering::SeqCst) {
                state.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if to_client.write_all(answer).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}
