//! Receipts never say more than was opened.

use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use av_wire::layout::Reader;

use super::{Fate, History};
use crate::ratchet::Place;
use crate::record::codec::Writer;

const SESSION: [u8; 8] = [7; 8];

fn place(chain: u32, number: u32) -> Place {
    Place { session: SESSION, ratchet: [u8::try_from(chain % 251).expect("small"); 8], chain, number }
}

fn written(history: &History) -> Vec<u8> {
    let mut buffer = vec![0; History::MAX_LEN];
    let mut writer = Writer::new(&mut buffer);
    history.write(&mut writer).expect("the largest fits");
    let len = writer.len();
    buffer.truncate(len);
    buffer
}

/// Against a plain set: what is said to be opened was; within the window all that was is said; and what comes after
/// something missing is told from what may be under way.
#[test]
fn a_chain_is_accounted_for_as_a_set_would() {
    for seed in 0..200_u32 {
        let (mut history, mut opened) = (History::new(), BTreeSet::new());
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        for _ in 0..120 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (state >> 16) % 50;
            history.note(&place(1, number));
            opened.insert(number);
            for asked in 0..60 {
                let expected = if opened.contains(&asked) {
                    Fate::Opened
                } else if opened.iter().any(|known| *known > asked) {
                    Fate::Missing
                } else {
                    Fate::UnderWay
                };
                assert_eq!(history.fate(&place(1, asked)), expected, "seed {seed}, {asked}");
            }
        }
    }
}

#[test]
fn the_window_ends_and_moves_on() {
    let mut history = History::new();
    for number in (1..=64).chain([65, 70, u32::MAX]) {
        history.note(&place(1, number));
    }
    assert_eq!(history.fate(&place(1, 64)), Fate::Opened, "the 64th behind the first missing one");
    for beyond in [65, 70, u32::MAX] {
        assert_eq!(history.fate(&place(1, beyond)), Fate::UnderWay, "{beyond} is not noted");
    }
    history.note(&place(1, 0));
    assert_eq!(history.fate(&place(1, 64)), Fate::Opened);
    assert_eq!(history.fate(&place(1, 65)), Fate::UnderWay, "it was never noted");
    history.note(&place(1, 65));
    assert_eq!(history.fate(&place(1, 65)), Fate::Opened);
}

#[test]
fn four_chains_are_kept_and_what_is_older_is_forgotten() {
    let mut history = History::new();
    for chain in 1..=5 {
        history.note(&place(chain, 0));
    }
    history.note(&place(1, 1));
    assert_eq!(history.fate(&place(1, 0)), Fate::Forgotten, "no longer listed");
    assert_eq!(history.fate(&place(2, 0)), Fate::Opened);
    assert_eq!(history.fate(&place(2, 1)), Fate::Missing, "a later chain was opened");
    assert_eq!(history.fate(&place(5, 1)), Fate::UnderWay);
    assert_eq!(history.fate(&place(6, 0)), Fate::UnderWay);
}

/// After a roll-back of its sender the same chain is begun again under another ratchet key.
#[test]
fn the_same_place_under_another_ratchet_key_is_another_message() {
    let mut history = History::new();
    history.note(&place(1, 0));
    let reused = Place { ratchet: [9; 8], ..place(1, 0) };
    assert_eq!(history.fate(&reused), Fate::Missing);
}

#[test]
fn a_session_that_is_not_held_has_lost_its_messages() {
    let mut history = History::new();
    history.note(&place(1, 0));
    let of = |session| Place { session, ..place(1, 0) };
    history.note(&of([8; 8]));
    assert_eq!(history.fate(&of([9; 8])), Fate::Missing);
    history.retain(|name| *name == [8; 8]);
    assert_eq!(history.fate(&place(1, 0)), Fate::Missing);
    assert_eq!(history.fate(&of([8; 8])), Fate::Opened);
}

#[test]
fn every_encoding_is_read_back_and_none_is_read_that_is_too_large() {
    let mut history = History::new();
    for session in [SESSION, [8; 8]] {
        for chain in 1..=9 {
            history.note(&Place { session, ..place(chain, chain * 3) });
        }
    }
    let bytes = written(&history);
    assert_eq!(bytes.len(), History::MAX_LEN);
    let mut reader = Reader::new(&bytes);
    assert_eq!(History::read(&mut reader), Ok(history));
    assert!(reader.end().is_ok());
    for len in 0..bytes.len() {
        assert!(History::read(&mut Reader::new(&bytes[..len])).is_err());
    }
    let too_many = [&[3][..], &bytes[1..], &bytes[1..1 + 105]].concat();
    assert!(History::read(&mut Reader::new(&too_many)).is_err(), "three sessions");
    let mut too_many = vec![1; 10 + 5 * 24];
    too_many[9] = 5;
    assert!(History::read(&mut Reader::new(&too_many)).is_err(), "five chains");
}
