//! The door under kosoku, which plays the cases of the Autobahn test suite: an echo service behind the same handshake, the
//! same caps, the same reads, writes and farewells as AV/1. `make ws-conformance` installs kosoku and runs this.

use std::convert::Infallible;
use std::path::PathBuf;

use av_wire::limits::MAX_FRAME;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_tungstenite::HyperWebsocket;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::ws::{accept, socket};

/// Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing; 9 is about throughput, 12 and 13 are compression.
const SECTIONS: [&str; 8] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
/// Those whose messages are 65,535 or 65,536 bytes long, where the longest frame has 65,519.
const TOO_LARGE: [&str; 7] = ["1.1.6", "1.1.7", "1.1.8", "1.2.6", "1.2.7", "1.2.8", "10.1.1"];

async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|mut request| async move {
            let (response, websocket) = accept(&mut request, MAX_FRAME).unwrap();
            tokio::spawn(echo(websocket));
            Ok::<_, Infallible>(response)
        });
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::spawn(connection);
    }
}

async fn echo(websocket: HyperWebsocket) {
    let mut stream = websocket.await.unwrap();
    let end = loop {
        match socket::data(&mut stream).await {
            Ok(message) => {
                if let Err(end) = socket::write_message(&mut stream, message).await {
                    break end;
                }
            }
            Err(end) => break end,
        }
    };
    socket::close(&mut stream, end).await;
}

/// What kosoku says of these cases, and whether all passed.
async fn play(address: &str, cases: &[&str], but: &[&str]) -> (bool, String) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/kosoku");
    let mut command = Command::new(root.join("bin/kosoku"));
    command.args(["--parallelism", "8", "--outdir"]).arg(root.join("report"));
    for case in cases {
        command.args(["--include", case]);
    }
    for case in but {
        command.args(["--exclude", case]);
    }
    let output = command.arg(address).output().await.expect("`make ws-conformance` installs kosoku");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make ws-conformance"]
async fn the_door_speaks_websocket_as_autobahn_has_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener));
    let (passed, said) = play(&address, &SECTIONS, &TOO_LARGE).await;
    assert!(passed, "{said}");
    println!("{said}");
    // The caps are those of the relay: what is larger is refused.
    for case in TOO_LARGE {
        let (passed, said) = play(&address, &[case], &[]).await;
        assert!(!passed && said.contains(case), "{case}: {said}");
    }
}
