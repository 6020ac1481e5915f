use std::string::{String, ToString};
use std::vec::Vec;

use av_wire::chain::Chain;
use av_wire::enroll::EnrollTranscript;
use av_wire::grant::{Grant, OwnerSerial};
use av_wire::limits::{MAX_OWNERS, SEALED_NAME};
use av_wire::{DeviceId, List};
use hex_literal::hex;

use super::{InviteError, InviteKeys, InviteText, InviteUrl, InviteUrlError, NAME_MAX, PLATFORM_MAX};
use crate::crypto::{Aead, Secret, XChaCha20Poly1305};
use crate::test_support::{rng, written};

const TRANSCRIPT: EnrollTranscript = EnrollTranscript([3; 32]);

/// The key in this place of the derived output.
fn key_at(keys: &InviteKeys, place: usize) -> Secret<32> {
    let record = written(InviteKeys::LEN, |writer| keys.write(writer));
    Secret::new(record[32 * place..][..32].try_into().expect("32 bytes"))
}

fn invite() -> InviteText {
    InviteText::generate(&mut rng(1))
}

#[test]
fn a_text_is_read_back() {
    let text = invite().to_string();
    assert_eq!(text.len(), 4 + 36 + 8);
    let read = InviteText::parse(&text.to_lowercase()).expect("its own text");
    assert_eq!(read.to_string(), text);
    assert_eq!(InviteText::parse(&text[..20]).err(), Some(InviteError::Length));
    assert_eq!(InviteText::parse(&text.replacen(&text[10..11], "U", 1)).err(), Some(InviteError::Symbol));
    let mut mistyped = text.into_bytes();
    mistyped[5] = if mistyped[5] == b'2' { b'3' } else { b'2' };
    let mistyped = String::from_utf8(mistyped).expect("ASCII");
    assert_eq!(InviteText::parse(&mistyped).err(), Some(InviteError::Checksum));
}

#[test]
fn errors_say_what_to_do() {
    for error in [InviteError::Length, InviteError::Symbol, InviteError::Checksum] {
        assert!(error.to_string().contains(": "), "{error}");
        assert_eq!(InviteUrlError::Token(error).to_string(), error.to_string());
    }
}

/// From Python: HMAC-SHA-512 by hand, RFC 5869, token = bytes(range(20)).
#[test]
fn the_keys_are_hkdf_of_the_token() {
    let mut invite = invite();
    for (index, byte) in (0..).zip(invite.token.expose_mut()) {
        *byte = index;
    }
    let keys = InviteKeys::derive(&invite);
    let expected = hex!(
        "
        84a39b78c599ccce4f54b69eeadd3b2c29661af67221553f78f15495753a71be39bcc10c4e12b64428e8d2d05ed8c55e
        ed5731d0b914dc0f6d7739e5bd06ac565b3091afd4a5000ee377a64724a77d23216f58d06da8d4c72ea8c9a254aeefd3
        2e0d8a4a8265f46fb136183d04bb7e271cf889ca739318e462c437184febe8c5142f2f83d6556fa05f04f62232248e5d
        92b86728531a29ca803d91ab6e220cf0
    "
    );
    assert_eq!(written(InviteKeys::LEN, |writer| keys.write(writer)), expected);
    assert_eq!(keys.lookup()[..], expected[..32]);
    assert_eq!(keys.psk().expose()[..], expected[96..128]);
    assert_eq!(keys.into_psk().expose()[..], expected[96..128]);
}

#[test]
fn keys_survive_their_record() {
    let keys = InviteKeys::derive(&invite());
    let bytes = written(InviteKeys::LEN, |writer| keys.write(writer));
    let read = InviteKeys::read(&mut av_wire::layout::Reader::new(&bytes)).expect("reads");
    assert_eq!(written(InviteKeys::LEN, |writer| read.write(writer)), bytes);
    assert!(InviteKeys::read(&mut av_wire::layout::Reader::new(&bytes[1..])).is_err());
}

#[test]
fn names_are_sealed_and_opened() {
    let keys = InviteKeys::derive(&invite());
    let longest = ("n".repeat(NAME_MAX), "p".repeat(PLATFORM_MAX));
    let pairs = [("kitchen", "linux x86-64"), ("", ""), ("Küche €", ""), ("", "p"), (&longest.0, &longest.1)];
    for (name, platform) in pairs {
        let sealed = keys.seal_name(&mut rng(2), name, platform).expect("fits");
        let (opened_name, opened_platform) = keys.open_name(&sealed).expect("opens");
        assert_eq!((opened_name.as_str(), opened_platform.as_str()), (name, platform));
    }
}

#[test]
fn names_that_a_terminal_would_obey_or_that_are_too_long_are_refused() {
    let keys = InviteKeys::derive(&invite());
    let (long_name, long_platform) = ("n".repeat(NAME_MAX + 1), "p".repeat(PLATFORM_MAX + 1));
    let pairs = [
        (&*long_name, ""),
        ("", &*long_platform),
        ("\u{1b}[2J", ""),
        ("a\nb", ""),
        ("", "\0"),
        ("\u{9b}31m", ""),
    ];
    for (name, platform) in pairs {
        assert!(keys.seal_name(&mut rng(2), name, platform).is_err(), "{name:?} {platform:?}");
    }
}

/// The peer may seal what it likes: only the layout is believed.
#[test]
fn a_sealed_text_of_another_layout_is_refused() {
    let keys = InviteKeys::derive(&invite());
    let seal = |plain: &[u8]| {
        let mut sealed = std::vec![9; 24];
        let mut padded = plain.to_vec();
        padded.resize(64, 0);
        let tag =
            XChaCha20Poly1305::seal(&key_at(&keys, 4), &[9; 24], keys.lookup(), &mut padded).expect("seals");
        sealed.extend(padded);
        sealed.extend(tag);
        sealed
    };
    assert!(keys.open_name(&seal(b"name\0platform\x80")).is_ok());
    let refused: [&[u8]; 9] = [
        b"",
        b"\x80",
        b"name\x80",
        b"name\0platform",
        b"na\x1bme\0platform\x80",
        b"name\0plat\0form\x80",
        b"na\xffme\0platform\x80",
        b"name\0platform\x80\0\0x",
        &[b'n'; 64],
    ];
    for plain in refused {
        assert!(keys.open_name(&seal(plain)).is_err(), "{plain:02x?}");
    }
}

#[test]
fn a_changed_or_foreign_sealed_name_does_not_open() {
    let keys = InviteKeys::derive(&invite());
    let sealed = keys.seal_name(&mut rng(2), "kitchen", "linux").expect("fits");
    for bit in 0..SEALED_NAME * 8 {
        let mut changed = sealed;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.open_name(&changed).is_err());
    }
    assert!(keys.open_name(&sealed[..SEALED_NAME - 1]).is_err());
    assert!(InviteKeys::derive(&InviteText::generate(&mut rng(9))).open_name(&sealed).is_err());
}

#[test]
fn an_enroll_tag_is_for_its_transcript_and_invite() {
    let (keys, other) =
        (InviteKeys::derive(&invite()), InviteKeys::derive(&InviteText::generate(&mut rng(9))));
    let tag = keys.enroll_tag(&TRANSCRIPT).expect("tags");
    assert!(keys.verify_enroll_tag(&TRANSCRIPT, &tag));
    assert!(!other.verify_enroll_tag(&TRANSCRIPT, &tag));
    assert!(!keys.verify_enroll_tag(&EnrollTranscript([4; 32]), &tag));
    assert!(!keys.verify_enroll_tag(&TRANSCRIPT, &[0; 32]));
}

/// The whole input of a grant's tag, put together by hand.
#[test]
fn a_grant_tag_covers_every_field_in_the_order_of_the_specification() {
    let keys = InviteKeys::derive(&invite());
    let serials = [
        OwnerSerial { owner: DeviceId([5; 16]), serial: 6 },
        OwnerSerial { owner: DeviceId([7; 16]), serial: 8 },
    ];
    let mut input: Vec<u8> = Vec::new();
    input.extend([3; 32]);
    input.extend([1; 32]);
    input.extend([0, 14]);
    input.extend(b"wss://relay.eu");
    input.extend([2; 32]);
    input.extend([0; 32]);
    input.extend([0, 2]);
    input.extend([5; 16]);
    input.extend(6_u64.to_be_bytes());
    input.extend([7; 16]);
    input.extend(8_u64.to_be_bytes());
    let expected = crate::crypto::mac(&key_at(&keys, 2), b"av1 grant", &[&input]);
    assert_eq!(
        keys.grant_tag(&TRANSCRIPT, &[1; 32], "wss://relay.eu", &[2; 32], &[0; 32], &serials),
        expected
    );
}

#[test]
fn a_grant_with_any_other_field_does_not_verify() {
    let keys = InviteKeys::derive(&invite());
    let chain = b"a chain, not looked at here";
    let serials = [OwnerSerial { owner: DeviceId([5; 16]), serial: 6 }];
    let hash = Chain::new(chain).hash();
    let tag =
        keys.grant_tag(&TRANSCRIPT, &hash, "wss://relay.eu", &[2; 32], &[4; 32], &serials).expect("tags");
    let grant = Grant {
        chain: chain[..].into(),
        origin: "wss://relay.eu",
        link_key: [2; 32],
        next_link_key: [4; 32],
        serials: List::new(&serials),
        tag,
    };
    assert!(keys.verify_grant_tag(&TRANSCRIPT, &grant));
    let serial_changed = [OwnerSerial { serial: 7, ..serials[0] }];
    let many = [serials[0]; MAX_OWNERS + 1];
    let changed = [
        Grant { chain: b"another chain"[..].into(), ..grant },
        Grant { origin: "wss://relay.ev", ..grant },
        Grant { link_key: [4; 32], next_link_key: [2; 32], ..grant },
        Grant { next_link_key: [0; 32], ..grant },
        Grant { serials: List::new(&serial_changed), ..grant },
        Grant { serials: List::new(&[]), ..grant },
        Grant { serials: List::new(&many), ..grant },
        Grant { tag: [0; 32], ..grant },
    ];
    for grant in changed {
        assert!(!keys.verify_grant_tag(&TRANSCRIPT, &grant), "{grant:?}");
    }
    assert!(!keys.verify_grant_tag(&EnrollTranscript([4; 32]), &grant));
    assert!(!InviteKeys::derive(&InviteText::generate(&mut rng(9))).verify_grant_tag(&TRANSCRIPT, &grant));
}

#[test]
fn a_url_is_read_back() {
    let token = invite().to_string()[4..].replace('-', "");
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let whole = std::format!(
        "av1:?relay=wss%3A%2F%2Frelay.example.org%3A8443&key={key}&owner=000102030405060708090a0b0c0d0e0f#{token}"
    );
    let url = InviteUrl::parse(&whole).expect("reads");
    assert_eq!(url.origin.as_str(), "wss://relay.example.org:8443");
    assert_eq!(url.link_key, Some(core::array::from_fn(|index| u8::try_from(index).expect("below 32"))));
    assert_eq!(
        url.owner,
        Some(DeviceId(core::array::from_fn(|index| u8::try_from(index).expect("below 16"))))
    );
    assert_eq!(url.token.to_string(), invite().to_string());
    assert_eq!(url.to_string(), whole);

    let least = std::format!("av1:?relay=ws%3A%2F%2F127.0.0.1%3A8080#{token}");
    let url = InviteUrl::parse(&least).expect("reads");
    assert_eq!((url.link_key, url.owner), (None, None));
    assert_eq!(url.to_string(), least);
    let typed = std::format!("av1:?owner={0:032}&relay=ws://127.0.0.1:8080#{1}", 0, invite());
    assert!(InviteUrl::parse(&typed).is_ok(), "parameters in another order, unescaped, the token in groups");
}

#[test]
fn what_is_no_url_is_refused_and_says_why() {
    let token = invite().to_string();
    let url = |parameters: &str| InviteUrl::parse(&std::format!("av1:?{parameters}#{token}")).err();
    let relay = "relay=ws%3A%2F%2Flocalhost";
    assert_eq!(url(relay), None);
    assert_eq!(InviteUrl::parse(&std::format!("https:?{relay}#{token}")).err(), Some(InviteUrlError::Layout));
    assert_eq!(InviteUrl::parse(&token).err(), Some(InviteUrlError::Layout));
    assert_eq!(url(&std::format!("{relay}&{relay}")), Some(InviteUrlError::Layout));
    assert_eq!(url(&std::format!("{relay}&colour=red")), Some(InviteUrlError::Layout));
    assert_eq!(url(&std::format!("{relay}&")), Some(InviteUrlError::Layout));
    assert_eq!(url("relay=http%3A%2F%2Flocalhost"), Some(InviteUrlError::Relay));
    assert_eq!(url("relay=ws%3A%2F%2F%ff"), Some(InviteUrlError::Relay));
    assert_eq!(url(&std::format!("relay=ws://{}", "a".repeat(400))), Some(InviteUrlError::Relay));
    assert_eq!(url("owner=000102030405060708090a0b0c0d0e0f"), Some(InviteUrlError::Relay));
    for key in [
        "",
        "AAEC",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
    ] {
        assert_eq!(url(&std::format!("{relay}&key={key}")), Some(InviteUrlError::Key), "{key}");
    }
    for owner in ["", "00", "000102030405060708090a0b0c0d0e0g", "000102030405060708090a0b0c0d0e0f0"] {
        assert_eq!(url(&std::format!("{relay}&owner={owner}")), Some(InviteUrlError::Owner), "{owner}");
    }
    let no_token = InviteUrl::parse(&std::format!("av1:?{relay}")).err();
    assert_eq!(no_token, Some(InviteUrlError::Token(InviteError::Length)));
}
