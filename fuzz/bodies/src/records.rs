//! Records: whatever a store hands back is taken in whole, or refused.

use av_proto::{Now, RecordKey, RecordKind, Seal, SmallEndpoint};
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

/// Bytes that stand before a record's content: generation and mark.
const HEAD: usize = 16;

/// The record that an input's first byte names.
pub fn place_of(first: u8) -> RecordKey {
    let kinds = RecordKind::ALL;
    let kind = kinds.get(usize::from(first) % kinds.len()).copied().unwrap_or(RecordKind::Meta);
    RecordKey::new(kind, 0)
}

/// The first byte chooses the record, the rest is its plaintext; sealed as by a thief who has the store's key.
pub fn records(input: &[u8]) {
    const NOW: Now = Now { uptime: 0, wall: 1_800_000_000 };
    let Some((first, record)) = input.split_first() else { return };
    let key = place_of(*first);
    let seal = Seal::new([0x42; 32]);
    let mut endpoint = Box::<SmallEndpoint>::default();
    // What stood in the store as it is, unsealed.
    assert!(endpoint.restore(NOW, &seal, key, input).is_err(), "a record that nobody sealed");

    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut buffer = vec![0; Seal::PREFIX];
    buffer.extend_from_slice(record);
    buffer.resize(record.len() + Seal::OVERHEAD, 0);
    let sealed = seal.seal_in_place(key, record.len(), &mut rng, &mut buffer);
    assert!(sealed.is_ok(), "the buffer is as long as a sealed record");
    let restored = sealed.is_ok_and(|sealed| endpoint.restore(NOW, &seal, key, sealed).is_ok());
    // Whole or not, no other place is filled, and asking changes nothing.
    let _ = endpoint.resume();
    let mut read = Vec::new();
    endpoint.each_record(|key, record| read.push((key, record.to_vec())));
    if restored {
        let content = record.get(HEAD..).unwrap_or_default();
        assert_eq!(read, [(key, content.to_vec())], "a record has one encoding");
    }
}
