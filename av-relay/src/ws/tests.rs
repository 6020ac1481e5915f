mod client;
mod hostile;
mod path;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Relay;
use crate::testing::{TestCluster, relay};

/// A relay that listens.
struct Server {
    address: SocketAddr,
    relay: Relay,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    _cluster: Arc<TestCluster>,
}

impl Server {
    async fn start() -> Self {
        let (cluster, relay) = relay().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(crate::run(listener, relay.clone(), shutdown));
        Self { address, relay, stop, running, _cluster: cluster }
    }
}
