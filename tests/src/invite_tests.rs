use av_proto::InviteText;
use av_proto::invite::InviteKeys;
use av_wire::enroll::EnrollTranscript;
use getrandom::SysRng;
use rand_core::UnwrapErr;

use super::{secret_keys, token};
use crate::Outcome;

#[test]
fn both_derivations_give_the_same_keys() -> Outcome {
    for _ in 0..20 {
        let text = InviteText::generate(&mut UnwrapErr(SysRng));
        let keys = InviteKeys::derive(&text);
        let ours = secret_keys(&text.to_string())?;
        let (_, enroll_key) = ours[0];
        // av-proto gives its keys away only by what they compute: the tag, keyed BLAKE2b.
        let transcript = EnrollTranscript([7; 32]);
        let tag = av_proto::crypto::mac(
            &av_proto::keys::Secret::new(enroll_key),
            b"av1 enrolltag",
            &[&transcript.0],
        )?;
        assert_eq!(tag, keys.enroll_tag(&transcript)?);
        assert!(keys.psk().ct_eq(&av_proto::keys::Secret::new(ours[2].1)));
    }
    Ok(())
}

#[test]
fn a_token_is_twenty_bytes() -> Outcome {
    assert_eq!(token("av1-0000-0000-0000-0000-0000-0000-0000-0000-0000")?, [0; 20]);
    assert_eq!(token("av1-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-0000")?, [0xff; 20]);
    assert!(token("av1-0000").is_err());
    assert!(token("0000").is_err());
    Ok(())
}
