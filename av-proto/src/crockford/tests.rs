use std::string::{String, ToString};

use av_wire::labels;

use super::{ALPHABET, TextError, parse, with_symbols, with_text};
use crate::test_support::spellings;

const LABEL: &[u8] = labels::hash::INVITE;
const PAYLOAD: [u8; 20] = *b"\x00\x01\x7f\x80\xff-twenty-bytes-!";

fn text() -> String {
    with_text::<36, _>("av1-", LABEL, &PAYLOAD, ToString::to_string)
}

fn read(text: &str) -> Result<[u8; 20], TextError> {
    let mut payload = [0; 20];
    parse::<36>("av1-", LABEL, text, &mut payload).map(|()| payload)
}

/// Computed in Python: the payload's bits and the first 20 of
/// `hashlib.blake2b(payload, person=b"av1 invite", digest_size=32)`, 5 a symbol.
#[test]
fn the_text_is_what_an_independent_implementation_writes() {
    assert_eq!(text(), "av1-000Q-Z07Z-5NT7-ESBE-EHWJ-TRKS-EHJQ-6B91-HBM7");
    assert_eq!(with_symbols::<36, _>(LABEL, &PAYLOAD, ToString::to_string), text()[4..].replace('-', ""));
}

#[test]
fn reading_forgives_what_people_do() {
    for variant in spellings("av1-", &text()) {
        assert_eq!(read(&variant), Ok(PAYLOAD), "{variant}");
    }
}

#[test]
fn every_single_mistyped_symbol_is_caught() {
    let bare: String = text()[4..].replace('-', "");
    for place in 0..bare.len() {
        for symbol in ALPHABET {
            let mut typed = bare.clone().into_bytes();
            typed[place] = *symbol;
            let typed = String::from_utf8(typed).expect("ASCII");
            let expected = if typed == bare { Ok(PAYLOAD) } else { Err(TextError::Checksum) };
            assert_eq!(read(&typed), expected, "{typed}");
        }
    }
}

#[test]
fn every_transposition_of_neighbours_is_caught() {
    let bare: String = text()[4..].replace('-', "");
    for place in 1..bare.len() {
        let mut typed = bare.clone().into_bytes();
        typed.swap(place - 1, place);
        let typed = String::from_utf8(typed).expect("ASCII");
        assert_eq!(read(&typed).is_ok(), typed == bare, "{typed}");
    }
}

#[test]
fn what_is_no_text_is_refused_and_says_why() {
    let text = text();
    assert_eq!(read(""), Err(TextError::Length));
    assert_eq!(read(&text[..text.len() - 1]), Err(TextError::Length));
    assert_eq!(read(&std::format!("{text}0")), Err(TextError::Length));
    assert_eq!(read(&text.replacen("av1", "av2", 1)), Err(TextError::Length));
    for wrong in ['U', 'u', '_', 'é', '\0', '€'] {
        let mut typed: String = text[..text.len() - 1].to_string();
        typed.push(wrong);
        assert_eq!(read(&typed), Err(TextError::Symbol), "{wrong:?}");
    }
}

#[test]
fn the_checksum_belongs_to_its_label() {
    let other = with_text::<36, _>("av1-", labels::hash::LOOKUP, &PAYLOAD, ToString::to_string);
    assert_eq!(read(&other), Err(TextError::Checksum));
}

#[test]
fn a_recovery_key_fits_too() {
    let payload = [0xa5; 32];
    let text = with_text::<56, _>("avr1-", LABEL, &payload, ToString::to_string);
    assert_eq!(text.len(), 5 + 56 + 13);
    let mut read = [0; 32];
    assert_eq!(parse::<56>("avr1-", LABEL, &text, &mut read), Ok(()));
    assert_eq!(read, payload);
}

#[test]
fn a_refused_payload_is_wiped() {
    let mut text = text();
    text.pop();
    text.push('0');
    let mut payload = [0xff; 20];
    let expected = parse::<36>("av1-", LABEL, &text, &mut payload);
    assert_eq!((expected, payload), (Err(TextError::Checksum), [0; 20]));
}
