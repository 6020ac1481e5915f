use std::time::Duration;

use av_proto::wire::Origin;

use super::{Backoff, TransportError, address, probe};

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

#[test]
fn tls_is_refused_by_name_and_never_replaced_by_plain() {
    let error = resolve("wss://127.0.0.1:7460").unwrap_err();
    assert!(matches!(error, TransportError::TlsUnsupported(_)), "{error}");
}

#[test]
fn a_relay_that_is_down_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = runtime().block_on(probe(&origin(&format!("ws://{free}")), None)).unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&free.to_string()), "{error}");
}

#[test]
fn a_port_of_something_else_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
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
