//! Handshake and ratchet without the endpoint: what they leave on the stack, and that `scrubbed` leaves nothing of it.

use av_proto::crypto::{XChaCha20Poly1305, scrubbed};
use av_proto::ratchet::Session;
use av_proto::wire::Suite;
use av_secrecy::devices::{Devices, Message};
use av_secrecy::randomness::SecretRng;

use crate::search::Secrets;
use crate::stack::{Trace, run};
use crate::subjects::marked;

type Small = Session<XChaCha20Poly1305, 4>;

/// A handshake and a conversation, each call as it is or in `scrubbed`.
pub(crate) fn conversation(is_scrubbed: bool) -> (Vec<Trace>, Secrets) {
    let mut rng = SecretRng::new(41 + u64::from(is_scrubbed));
    let (mut traces, mut recorded) = (Vec::new(), Vec::new());
    macro_rules! call {
        ($name:literal, $call:expr) => {{
            let (value, trace) = run($name, || if is_scrubbed { scrubbed(|| $call) } else { $call });
            traces.push(trace);
            value
        }};
    }
    let devices = Devices::with(&mut rng, Suite::XChaCha20Poly1305.alone());
    // What is returned is the caller's: it is boxed where it is made.
    let mut a: Box<Small> = call!("x3dh::initiate", Box::new(devices.initiate(&mut rng)));
    recorded.extend(marked(&a));
    let first = call!("Session::encrypt", Message::seal(&mut a, &mut rng, b"first"));
    recorded.extend(marked(&a));
    let mut b: Box<Small> = call!("x3dh::respond", Box::new(devices.respond(&first)));
    recorded.extend(marked(&b));
    assert!(call!("Session::decrypt", first.open(&mut b)));
    recorded.extend(marked(&b));
    let answer = call!("Session::encrypt with a DH step", Message::seal(&mut b, &mut rng, b"answer"));
    recorded.extend(marked(&b));
    assert!(call!("Session::decrypt with a DH step", answer.open(&mut a)));
    recorded.extend(marked(&a));
    let late = Message::seal(&mut b, &mut rng, b"late");
    let next = Message::seal(&mut b, &mut rng, b"next");
    recorded.extend(marked(&b));
    assert!(call!("Session::decrypt over a gap", next.open(&mut a)));
    recorded.extend(marked(&a));
    assert!(call!("Session::decrypt of a late message", late.open(&mut a)));
    let mut secrets = Secrets::default();
    secrets.derive(&rng.into_drawn(), &recorded);
    (traces, secrets)
}
