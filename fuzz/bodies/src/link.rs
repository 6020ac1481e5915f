//! The Noise link: what a network hands to either side.

use av_link::{Initiator, LinkSecret, respond};
use av_proto::wire::Origin;
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

/// The input is the other side's handshake message, then a record of an open link.
pub fn link(input: &[u8]) {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let relay = LinkSecret::from_bytes(&[0x31; 32]);
    let Ok(origin) = Origin::parse("ws://relay.example") else { return };
    assert!(respond(&mut rng, &origin, &relay, input).is_err(), "nobody made this for the relay");
    let Ok((initiator, first)) = Initiator::start(&mut rng, &origin, relay.public()) else { return };
    let Ok((mut ours, answer)) = respond(&mut rng, &origin, &relay, &first) else { return };
    let Ok((stranger, _)) = Initiator::start(&mut rng, &origin, relay.public()) else { return };
    assert!(stranger.finish(input).is_err(), "nobody made this for the device");
    let opened = initiator.finish(&answer);
    assert!(opened.is_ok(), "both sides are honest");
    let Ok(mut theirs) = opened else { return };
    assert_eq!(ours.channel(), theirs.channel());

    let mut forged = input.to_vec();
    assert!(ours.open(&mut forged).is_err(), "nobody sealed this");
    assert_eq!(forged, input, "what is refused is left as it was");
    // The link goes on as if nothing had come.
    let mut buffer = input.to_vec();
    buffer.resize(input.len() + 16, 0);
    if let Ok(sealed) = theirs.seal(&mut buffer, input.len()) {
        let mut sealed = sealed.to_vec();
        assert_eq!(ours.open(&mut sealed), Ok(input));
    }
}
