//! Sender and receiver name a message by the same place, and its sender can read it again.

use std::vec;
use std::vec::Vec;

use super::{BLOCK, INITIATOR, KIND, Party, confirmed};
use crate::crypto::XChaCha20Poly1305;
use crate::ratchet::{Place, RatchetError, Sealed, reopen};

type Small = Party<XChaCha20Poly1305, 16>;

fn seal(party: &mut Small, body: &[u8]) -> (Sealed, Vec<u8>) {
    let mut out = vec![0; 512];
    let sealed =
        party.session.encrypt(&mut party.rng, INITIATOR, KIND, body, BLOCK, &mut out).expect("encrypts");
    out.truncate(sealed.len);
    (sealed, out)
}

fn open(party: &mut Small, sealed: &Sealed, message: &[u8]) -> Result<Place, RatchetError> {
    let (header_blob, ciphertext) = message.split_at(sealed.header_len);
    let seen = party.session.place_of(header_blob);
    let opened = party.session.decrypt(header_blob, ciphertext, &mut vec![0; ciphertext.len()])?;
    assert_eq!(seen, Some(opened.place), "the header says the same");
    Ok(opened.place)
}

#[test]
fn both_ends_count_chains_and_messages_alike() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let mut places = Vec::new();
    for _ in 0..6 {
        for _ in 0..2 {
            let (sealed, message) = seal(&mut a, b"to b");
            assert_eq!(open(&mut b, &sealed, &message), Ok(sealed.place));
            places.push((sealed.place.chain, sealed.place.number));
        }
        let (sealed, message) = seal(&mut b, b"to a");
        assert_eq!(open(&mut a, &sealed, &message), Ok(sealed.place));
    }
    assert_eq!(places[..5], [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0)]);
}

#[test]
fn a_late_message_stands_where_it_was_sealed() {
    let (mut a, mut b): (Small, Small) = confirmed(1);
    let (late, late_message) = seal(&mut a, b"late");
    let (next, next_message) = seal(&mut a, b"next");
    assert_eq!(open(&mut b, &next, &next_message), Ok(next.place));
    super::round_trip(&mut b, &mut a);
    super::round_trip(&mut a, &mut b);
    assert_eq!(open(&mut b, &late, &late_message), Ok(late.place));
    assert_eq!(open(&mut b, &late, &late_message), Err(RatchetError::Spent));
}

#[test]
fn a_sender_reads_its_own_message_again_with_the_key_that_it_kept() {
    let (mut a, _): (Small, Small) = confirmed(1);
    let (sealed, mut message) = seal(&mut a, b"for another session");
    let id = *a.session.id();
    seal(&mut a, b"the chain goes on");
    let (header_blob, ciphertext) = message.split_at_mut(sealed.header_len);
    let mut damaged = ciphertext.to_vec();
    damaged[3] ^= 1;
    let refused = reopen::<XChaCha20Poly1305>(&id, &sealed.key, header_blob, &mut damaged);
    assert_eq!(refused, Err(RatchetError::Unopened));
    let len = reopen::<XChaCha20Poly1305>(&id, &sealed.key, header_blob, ciphertext).expect("opens");
    assert_eq!(ciphertext[..len], *b"\x01for another session");
}
