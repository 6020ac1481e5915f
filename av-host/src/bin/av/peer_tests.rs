use av_host::Peer;
use av_host::av_proto::Standing;
use av_host::av_proto::wire::{Fingerprint, Role};

use super::{find, is_prefix};
use crate::failure::Code;

fn peer(name: &str, first: u8) -> Peer {
    let mut bytes = [7; 32];
    bytes[0] = first;
    let fingerprint = Fingerprint(bytes);
    Peer {
        device_id: fingerprint.device_id(),
        fingerprint,
        role: Role::Agent,
        name: name.to_owned(),
        standing: Standing::Active,
        confirmed: true,
    }
}

#[test]
fn a_peer_is_found_by_name_id_or_fingerprint() {
    let peers = [peer("kitchen", 0xab), peer("cellar", 0xcd)];
    let fingerprint = peers[1].fingerprint.groups().to_string();
    for wanted in ["cellar", "cd", "CD07", &fingerprint, &fingerprint[..7], &fingerprint.replace(' ', "")] {
        assert_eq!(find(&peers, wanted).unwrap().name, "cellar", "{wanted}");
    }
}

#[test]
fn an_exact_name_goes_before_the_beginning_of_an_id() {
    let peers = [peer("cd", 0xab), peer("cellar", 0xcd)];
    assert_eq!(find(&peers, "cd").unwrap().name, "cd");
}

#[test]
fn what_is_unknown_or_could_be_several_is_answered_with_the_candidates() {
    let peers = [peer("twin", 0xab), peer("twin", 0xac)];
    for (wanted, shown) in [("twin", 2), ("a", 2), ("garage", 2), ("", 2)] {
        let failure = find(&peers, wanted).unwrap_err();
        assert_eq!(failure.code(), Code::Usage, "{wanted}");
        assert!(failure.message().matches("twin").count() >= shown, "{wanted}: {}", failure.message());
    }
    assert_eq!(find(&peers, "ab").unwrap().device_id, peers[0].device_id);
}

#[test]
fn nothing_is_the_beginning_of_nothing() {
    assert!(!is_prefix("", "abcd", "12345 67890"));
    assert!(!is_prefix("  ", "abcd", "12345 67890"));
    assert!(is_prefix("12345 6", "abcd", "12345 67890"));
}
