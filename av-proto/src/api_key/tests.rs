use std::format;
use std::string::{String, ToString};

use av_wire::TenantId;
use av_wire::layout::Reader;

use super::{ApiKey, ApiKeyError, LEN};
use crate::test_support::{rng, spellings, written};

const TENANT: TenantId = TenantId([7; 16]);

fn key() -> ApiKey {
    ApiKey::generate(&mut rng(1), &TENANT)
}

fn bytes(key: &ApiKey) -> std::vec::Vec<u8> {
    written(LEN, |writer| key.write(writer))
}

/// Computed by tests/second: `identity.api_key_text(bytes(range(32)), bytes([7] * 16))`, and the key's id.
#[test]
fn the_text_and_the_id_are_what_an_independent_implementation_computes() {
    let bytes: [u8; LEN] =
        core::array::from_fn(|at| if at < 32 { u8::try_from(at).expect("few") } else { 7 });
    let key = ApiKey::read(&mut Reader::new(&bytes)).expect("reads");
    assert_eq!(
        key.to_string(),
        "avk1-000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-3RFG-E1R7-0W3G-E1R7-0W3G-E1R7-0W3G-FY8T"
    );
    assert_eq!(key.key_id().to_string(), "c9de29901aaa39ddff782a60fa2e545b");
}

#[test]
fn a_text_is_read_back_forgivingly() {
    let key = key();
    let text = key.to_string();
    assert_eq!(text.len(), 5 + 80 + 19);
    for variant in spellings("avk1-", &text) {
        let read = ApiKey::parse(&variant).expect("its own text");
        assert_eq!((bytes(&read), read.tenant_id(), read.key_id()), (bytes(&key), &TENANT, key.key_id()));
    }
}

#[test]
fn a_mistyped_symbol_is_caught() {
    let bare: String = key().to_string()[5..].replace('-', "");
    for place in 0..bare.len() {
        for symbol in
            "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().filter(|symbol| !bare[place..].starts_with(*symbol))
        {
            let mut mistyped = bare.clone();
            mistyped.replace_range(place..=place, &symbol.to_string());
            assert_eq!(ApiKey::parse(&mistyped).err(), Some(ApiKeyError), "{place} {symbol}");
        }
    }
    let text = key().to_string();
    for wrong in [&text[..text.len() - 1], &format!("{text}0"), &text.replace("avk1", "avr1"), ""] {
        assert_eq!(ApiKey::parse(wrong).err(), Some(ApiKeyError), "{wrong}");
    }
}

#[test]
fn a_record_is_read_back_and_a_short_one_is_not() {
    let record = bytes(&key());
    assert_eq!(bytes(&ApiKey::read(&mut Reader::new(&record)).expect("reads")), record);
    assert!(ApiKey::read(&mut Reader::new(&record[1..])).is_err());
}
