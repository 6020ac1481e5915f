//! Accepting connections: how many, for how long, and what stands at which path.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::drain::Drain;
use crate::janitor;
use crate::link_keys::LinkKeys;
use crate::service::Relay;
use crate::tls::Tls;
use crate::ws::{self, Way};

/// Connections at one time: half of the 20,000 open files that Linux gives a process at most without asking.
const MAX_CONNECTIONS: u32 = 10_000;
/// For TLS, and again for the request's head. A packet or two; who takes longer is holding a place.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Header fields of a request; a WebSocket handshake has about ten.
const MAX_HEADERS: usize = 32;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1_024;
/// For connections to take leave when the relay ends.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// After a failed accept, as when files run out: a pause instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection is served from.
#[derive(Clone)]
struct Doors {
    relay: Relay,
    keys: Arc<LinkKeys>,
    tls: Tls,
    drain: Drain,
}

impl Doors {
    /// A connection from this machine is believed to be one only at a relay that is for this machine: where the
    /// origin names a host, a proxy could be what connects from here.
    fn way(&self, peer: SocketAddr, headers: &HeaderMap) -> Way {
        if self.tls.protects(peer.ip(), headers) {
            Way::Tls
        } else if self.tls.is_off() && self.relay.origin().is_loopback() && peer.ip().is_loopback() {
            Way::Loopback
        } else {
            Way::Network
        }
    }
}

/// Answers on `listeners` until `shutdown` is done, then tells every device to reconnect elsewhere and waits, for
/// a few seconds at most, until they have heard it.
pub(crate) async fn run(
    listeners: Vec<TcpListener>,
    relay: Relay,
    keys: LinkKeys,
    tls: Tls,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let (switch, drain) = Drain::new();
    let doors = Doors { relay, keys: Arc::new(keys), tls, drain };
    tokio::pin!(shutdown);
    let mut janitor = std::pin::pin!(janitor::run(doors.relay.store()));
    let mut accepting: FuturesUnordered<_> =
        listeners.iter().map(|listener| accept(listener, &places)).collect();
    loop {
        let (listener, accepted) = tokio::select! {
            Some(accepted) = accepting.next() => accepted,
            never = &mut janitor => match never {},
            () = &mut shutdown => break,
        };
        accepting.push(accept(listener, &places));
        if let Some((stream, peer, place)) = accepted {
            tokio::spawn(serve(stream, peer, doors.clone(), Arc::new(place)));
        }
    }
    drop(accepting);
    drop(listeners);
    switch.start();
    // All places free again means that nobody is connected.
    if timeout(DRAIN_DEADLINE, places.acquire_many(MAX_CONNECTIONS)).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

/// The next connection, once there is a place for it, and where it came in. Cancel safe: a place without a connection
/// is given back.
async fn accept<'a>(
    listener: &'a TcpListener,
    places: &Arc<Semaphore>,
) -> (&'a TcpListener, Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)>) {
    let Ok(place) = Arc::clone(places).acquire_owned().await else { return (listener, None) };
    match listener.accept().await {
        Ok((stream, peer)) => (listener, Some((stream, peer, place))),
        Err(error) => {
            tracing::warn!(%error, "accepting a connection failed");
            sleep(ACCEPT_PAUSE).await;
            (listener, None)
        }
    }
}

/// One connection. Its place is kept by whoever serves it, here or behind the upgrade.
async fn serve(stream: TcpStream, peer: SocketAddr, doors: Doors, place: Arc<OwnedSemaphorePermit>) {
    // Frames are small and wait for answers; collecting them would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = doors.tls.acceptor() else { return speak(stream, peer, doors, place).await };
    match timeout(HEAD_DEADLINE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, peer, doors, place).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS failed"),
        Err(_) => tracing::debug!("TLS took too long"),
    }
}

/// HTTP, until the connection ends or becomes a WebSocket.
async fn speak<S>(stream: S, peer: SocketAddr, doors: Doors, place: Arc<OwnedSemaphorePermit>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut drain = doors.drain.clone();
    let service = service_fn(move |request| {
        let response = route(request, peer, doors.clone(), Arc::clone(&place));
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        result = connection => {
            if let Err(error) = result {
                tracing::debug!(%error, "HTTP connection failed");
            }
        }
        () = drain.started() => {}
    }
}

fn route(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    doors: Doors,
    place: Arc<OwnedSemaphorePermit>,
) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    if ws::is_for(&request) {
        let way = doors.way(peer, request.headers());
        return match ws::upgrade(&mut request, way) {
            Ok((response, protection, websocket)) => {
                tokio::spawn(async move {
                    ws::serve(doors.relay, &doors.keys, protection, websocket, doors.drain).await;
                    drop(place);
                });
                response
            }
            Err(status) => plain(status),
        };
    }
    match request.uri().path() {
        "/healthz" => Response::new(Full::from("ok")),
        _ => plain(StatusCode::NOT_FOUND),
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(status.canonical_reason().unwrap_or_default()));
    *response.status_mut() = status;
    response
}
