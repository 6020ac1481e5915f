mod client;
mod conformance;
mod hostile;
mod link;
mod path;
mod patience;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use av_wire::ids::Origin;
use tempfile::{TempDir, tempdir};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::link_keys::LinkKeys;
use crate::server::run;
use crate::testing::{ORIGIN, TestCluster, relay_as};
use crate::tls::Tls;
use crate::{Founding, Relay};

/// A relay that listens.
struct Server {
    address: SocketAddr,
    relay: Relay,
    link_keys: [[u8; 32]; 2],
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    _cluster: Arc<TestCluster>,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::known_as(ORIGIN).await
    }

    /// A relay on loopback that devices know under another origin.
    async fn known_as(origin: &str) -> Self {
        Self::behind(Tls::Off, origin).await
    }

    async fn behind(tls: Tls, origin: &str) -> Self {
        let (cluster, relay) = relay_as(Origin::parse(origin).unwrap(), Founding::Open).await;
        let folder = tempdir().unwrap();
        let keys = LinkKeys::open_or_create(&folder.path().join("link-keys")).unwrap();
        let link_keys = keys.public().map(|key| *key);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(run(vec![listener], relay.clone(), keys, tls, shutdown));
        Self { address, relay, link_keys, stop, running, _cluster: cluster, _folder: folder }
    }
}
