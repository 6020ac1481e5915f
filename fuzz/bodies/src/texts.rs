//! What people type: invites, URLs, API keys, recovery keys, fingerprints, origins, names.

use av_proto::invite::{InviteKeys, InviteText, InviteUrl, is_plain};
use av_proto::wire::Origin;
use av_proto::wire::groups::Groups;
use av_proto::{ApiKey, RecoveryKey};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

/// Any text, and any bytes as a sealed name.
pub fn texts(input: &[u8]) {
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let invite = InviteText::generate(&mut rng);
    let keys = InviteKeys::derive(&invite);
    assert!(keys.open_name(input).is_err(), "a name that nobody sealed");
    let Ok(text) = core::str::from_utf8(input) else { return };
    if let Ok(invite) = InviteText::parse(text) {
        let shown = invite.to_string();
        let again = InviteText::parse(&shown);
        assert_eq!(again.map(|again| again.to_string()), Ok(shown), "an invite is shown in one way");
    }
    if let Ok(url) = InviteUrl::parse(text) {
        let shown = url.to_string();
        let again = InviteUrl::parse(&shown);
        assert_eq!(again.map(|again| again.to_string()), Ok(shown), "a URL is shown in one way");
    }
    if let Ok(key) = RecoveryKey::parse(text) {
        let again = key.reveal(|shown| RecoveryKey::parse(shown).map(|again| *again.public()));
        assert_eq!(again, Ok(*key.public()), "a recovery key is shown in one way");
    }
    if let Ok(key) = ApiKey::parse(text) {
        let again = ApiKey::parse(&key.to_string()).map(|again| (again.key_id(), *again.tenant_id()));
        assert_eq!(again, Ok((key.key_id(), *key.tenant_id())), "an API key is shown in one way");
    }
    if let Ok(groups) = text.parse::<Groups>() {
        assert_eq!(groups.to_string().parse(), Ok(groups));
    }
    if let Ok(origin) = Origin::parse(text) {
        assert_eq!(Origin::parse(origin.as_str()).as_ref(), Ok(&origin), "an origin has one spelling");
        let scheme = if origin.is_plain() { "ws://" } else { "wss://" };
        assert_eq!([scheme, origin.authority()].concat(), origin.as_str());
    }
    let (name, platform) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(sealed) = keys.seal_name(&mut rng, name, platform) {
        assert!(is_plain(name) && is_plain(platform), "a terminal would obey it");
        let opened = keys.open_name(&sealed);
        assert!(opened.is_ok_and(|(n, p)| n.as_str() == name && p.as_str() == platform));
    }
}
