//! Which peer a person means: a name, or the beginning of an id or fingerprint.

use std::fmt::Write;

use av_host::Peer;

use crate::failure::Failure;
use crate::terminal::Escaped;

/// The one peer that `wanted` names.
pub(crate) fn find<'p>(peers: &'p [Peer], wanted: &str) -> Result<&'p Peer, Failure> {
    let named: Vec<&Peer> = peers.iter().filter(|peer| peer.name == wanted).collect();
    let candidates =
        if named.is_empty() { peers.iter().filter(|peer| begins(peer, wanted)).collect() } else { named };
    match candidates.as_slice() {
        [peer] => Ok(peer),
        [] => {
            Err(Failure::usage(format!("no device is called {}; known are:{}", Escaped(wanted), list(peers))))
        }
        several => Err(Failure::usage(format!(
            "{} could be any of these; give more of the id:{}",
            Escaped(wanted),
            list(several.iter().copied())
        ))),
    }
}

fn begins(peer: &Peer, wanted: &str) -> bool {
    is_prefix(wanted, &peer.device_id.to_string(), &peer.fingerprint.groups().to_string())
}

/// Whether `wanted` begins an id, or a fingerprint with or without its blanks.
pub(crate) fn is_prefix(wanted: &str, device_id: &str, fingerprint: &str) -> bool {
    let digits: String = wanted.chars().filter(|c| !c.is_whitespace()).collect();
    let fingerprint: String = fingerprint.chars().filter(|c| !c.is_whitespace()).collect();
    !digits.is_empty()
        && (device_id.starts_with(&digits.to_ascii_lowercase()) || fingerprint.starts_with(&digits))
}

fn list<'p>(peers: impl IntoIterator<Item = &'p Peer>) -> String {
    let mut text = String::new();
    for peer in peers {
        // Writing to a String does not fail.
        let _ =
            write!(text, "\n  {}  {}  {}", peer.device_id, peer.fingerprint.groups(), Escaped(&peer.name));
    }
    if text.is_empty() { "\n  none".to_owned() } else { text }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
