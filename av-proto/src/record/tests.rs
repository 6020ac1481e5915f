//! Seals, and the keys by which a store finds records.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{RecordKey, RecordKind, Seal, SealError};

const KEY: RecordKey = RecordKey::new(RecordKind::Peer, 3);
const RECORD: &[u8] = b"what the record holds";

fn sealed(seal: &Seal) -> Vec<u8> {
    let mut buffer = vec![0; Seal::OVERHEAD + RECORD.len()];
    buffer[Seal::PREFIX..Seal::PREFIX + RECORD.len()].copy_from_slice(RECORD);
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    seal.seal_in_place(KEY, RECORD.len(), &mut rng, &mut buffer).expect("room").to_vec()
}

fn open(seal: &Seal, key: RecordKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut out = [0; 128];
    seal.open(key, sealed, &mut out).map(|record| record.to_vec())
}

#[test]
fn a_sealed_record_opens_with_its_key_in_its_place_only() {
    let seal = Seal::new([1; 32]);
    let bytes = sealed(&seal);
    assert_eq!(open(&seal, KEY, &bytes).as_deref(), Ok(RECORD));
    assert!(!bytes.windows(RECORD.len()).any(|window| window == RECORD), "nothing of it stands in the clear");
    assert_eq!(open(&Seal::new([2; 32]), KEY, &bytes), Err(SealError::DoesNotOpen));
    for other in [RecordKey::new(RecordKind::Peer, 4), RecordKey::new(RecordKind::Inbox, 3)] {
        assert_eq!(open(&seal, other, &bytes), Err(SealError::DoesNotOpen), "{other:?}");
    }
}

#[test]
fn every_changed_byte_and_every_truncation_is_refused() {
    let seal = Seal::new([1; 32]);
    let genuine = sealed(&seal);
    for index in 0..genuine.len() {
        let mut changed = genuine.clone();
        changed[index] ^= 1;
        assert!(open(&seal, KEY, &changed).is_err(), "byte {index}");
        assert!(open(&seal, KEY, &genuine[..index]).is_err(), "{index} bytes");
    }
}

#[test]
fn a_record_of_a_newer_version_is_named_so() {
    let seal = Seal::new([1; 32]);
    let mut bytes = sealed(&seal);
    bytes[0] = 2;
    assert_eq!(open(&seal, KEY, &bytes), Err(SealError::TooNew));
}

#[test]
fn a_buffer_that_is_too_small_is_an_error() {
    let seal = Seal::new([1; 32]);
    let bytes = sealed(&seal);
    let mut small = [0; RECORD.len() - 1];
    assert_eq!(seal.open(KEY, &bytes, &mut small), Err(SealError::TooLong));
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let mut short = [0; Seal::OVERHEAD];
    assert_eq!(seal.seal_in_place(KEY, 1, &mut rng, &mut short), Err(SealError::TooLong));
}

#[test]
fn record_keys_are_found_again() {
    for kind in RecordKind::ALL {
        for index in [0, 1, 255, 256, u16::MAX] {
            let key = RecordKey::new(kind, index);
            assert_eq!(RecordKey::from_bytes(&key.to_bytes()), Some(key));
        }
    }
    assert_eq!(RecordKey::from_bytes(&[0, 0, 0]), None);
    assert_eq!(RecordKey::from_bytes(&[9, 0, 0]), None);
}
