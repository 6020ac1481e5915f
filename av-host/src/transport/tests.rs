use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use av_proto::wire::Origin;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::{Backoff, Link, TransportError, address, probe};

fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn resolve(text: &str) -> Result<Vec<std::net::SocketAddr>, TransportError> {
    runtime().block_on(address::resolve(&origin(text), address::Reach::ThisMachine))
}

#[test]
fn loopback_is_reached_under_each_of_its_names() {
    assert_eq!(resolve("ws://127.0.0.1:7460").unwrap(), ["127.0.0.1:7460".parse().unwrap()]);
    assert_eq!(resolve("ws://127.8.9.1:1").unwrap(), ["127.8.9.1:1".parse().unwrap()]);
    assert_eq!(resolve("ws://[::1]:7460").unwrap(), ["[::1]:7460".parse().unwrap()]);
    assert_eq!(resolve("ws://127.0.0.1").unwrap(), ["127.0.0.1:80".parse().unwrap()]);
    assert!(resolve("ws://localhost:7460").unwrap().iter().all(|address| address.ip().is_loopback()));
}

#[test]
fn plain_connections_do_not_leave_the_machine() {
    for text in
        ["ws://192.0.2.1:7460", "ws://relay.example.org:7460", "ws://0.0.0.0:7460", "ws://[2001:db8::1]:7460"]
    {
        let error = resolve(text).unwrap_err();
        assert!(matches!(error, TransportError::NotLoopback(_)), "{text}: {error}");
        assert!(error.to_string().contains("127.0.0.1"), "says what to do: {error}");
    }
}

/// A CA, and what it signs.
struct Authority(rcgen::Issuer<'static, rcgen::KeyPair>, CertificateDer<'static>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().into();
        Self(rcgen::Issuer::new(params, key), certificate)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.1.clone()).unwrap();
        roots
    }

    /// A server with a certificate of this name and these years: it speaks TLS, and no WebSocket.
    fn serve(&self, name: &str, years: [i32; 2]) -> SocketAddr {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        [params.not_before, params.not_after] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().into();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            answer_not_found(StreamOwned::new(connection, stream));
        });
        address
    }
}

/// Whatever comes; the client may have gone before.
fn answer_not_found(mut stream: impl Read + Write) {
    if stream.read(&mut [0; 1_024]).is_ok() {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

fn refused(roots: RootCertStore, origin: &str) -> TransportError {
    let origin = Origin::parse(origin).unwrap();
    let connected = runtime().block_on(Link::connect_trusting(|| Ok(roots), &origin, &[]));
    connected.err().expect("nobody there speaks WebSocket")
}

const NOW: [i32; 2] = [2_020, 4_000];

#[test]
fn a_certificate_is_believed_from_a_trusted_ca_for_this_host_in_its_time() {
    let authority = Authority::new();
    let problem = |address: SocketAddr, host: &str, roots| {
        match refused(roots, &format!("wss://{host}:{}", address.port())) {
            TransportError::Certificate { problem, .. } => problem,
            // Past TLS, to what is no WebSocket.
            TransportError::NotARelay { detail, .. } => detail,
            other => panic!("{other}"),
        }
    };
    let said = problem(authority.serve("localhost", NOW), "localhost", authority.roots());
    assert!(said.contains("404"), "{said}");
    let said = problem(authority.serve("127.0.0.1", NOW), "127.0.0.1", authority.roots());
    assert!(said.contains("404"), "{said}");
    let said = problem(authority.serve("localhost", NOW), "localhost", Authority::new().roots());
    assert!(said.contains("no CA that this computer trusts") && said.contains("SSL_CERT_FILE"), "{said}");
    let said = problem(authority.serve("other.example", NOW), "localhost", authority.roots());
    assert!(said.contains("another host's"), "{said}");
    let said = problem(authority.serve("localhost", NOW), "127.0.0.1", authority.roots());
    assert!(said.contains("another host's"), "{said}");
    let said = problem(authority.serve("localhost", [2_020, 2_021]), "localhost", authority.roots());
    assert!(said.contains("expired"), "{said}");
    let said = problem(authority.serve("localhost", [3_999, 4_000]), "localhost", authority.roots());
    assert!(said.contains("clock"), "{said}");
}

#[test]
fn an_origin_with_tls_is_never_reached_without() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
        first
    });
    let error = refused(Authority::new().roots(), &format!("wss://{address}"));
    assert!(matches!(error, TransportError::NotARelay { .. }), "{error}");
    assert_eq!(server.join().unwrap(), [22], "a TLS handshake record, not GET");
}

#[test]
fn a_relay_that_is_down_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = runtime().block_on(probe(&origin(&format!("ws://{free}")), None)).unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&free.to_string()), "{error}");
}

#[test]
fn a_port_of_something_else_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 16];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
        // Until the client is done with it.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = runtime().block_on(probe(&origin(&format!("ws://{address}")), None)).unwrap_err();
    assert!(matches!(error, TransportError::NotARelay { .. }), "{error}");
    server.join().unwrap();
}

#[test]
fn waits_double_up_to_a_minute_and_start_again_after_a_reset() {
    let mut backoff = Backoff::default();
    let bounds: Vec<Duration> = (0..40).map(|_| backoff.next(u32::MAX)).collect();
    assert_eq!(bounds[..4], [250, 500, 1_000, 2_000].map(Duration::from_millis));
    assert_eq!(bounds[39], Duration::from_secs(60));
    assert!(bounds.is_sorted());
    backoff.reset();
    assert_eq!(backoff.next(u32::MAX), Duration::from_millis(250));
}

#[test]
fn jitter_is_full() {
    assert_eq!(Backoff::default().next(0), Duration::ZERO);
    let half = Backoff::default().next(u32::MAX / 2);
    assert!((Duration::from_millis(124)..=Duration::from_millis(125)).contains(&half), "{half:?}");
}
