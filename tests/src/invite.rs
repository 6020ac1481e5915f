//! An invite's token and keys, derived a second time: by hand from `PROTOCOL.md` section 3, with none of av-proto's
//! code, so that a search for them rests on nothing that it tests.

use hkdf::Hkdf;
use sha2::Sha512;

use crate::Outcome;

/// Crockford's alphabet: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bytes of a token; the 20 bits behind it are a checksum.
const TOKEN: usize = 20;

/// The 20 bytes of the token in an invite's text.
///
/// # Errors
/// When the text is no invite.
pub fn token(text: &str) -> Outcome<[u8; TOKEN]> {
    let symbols = text.strip_prefix("av1-").ok_or("an invite begins with av1-")?;
    let mut bits: u32 = 0;
    let mut count = 0;
    let mut bytes = Vec::new();
    for symbol in symbols.bytes().filter(|symbol| *symbol != b'-') {
        let value = ALPHABET.iter().position(|known| *known == symbol).ok_or("no symbol of an invite")?;
        bits = bits << 5 | u32::try_from(value)?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff)?);
        }
    }
    Ok(*bytes.first_chunk().ok_or("an invite is longer")?)
}

/// The invite's keys that never leave the two clients: all but `lookup`, which the relay is shown.
///
/// # Errors
/// When the text is no invite.
pub fn secret_keys(text: &str) -> Outcome<[(&'static str, [u8; 32]); 4]> {
    let mut keys = [0; 160];
    let kdf = Hkdf::<Sha512>::new(Some(b"AV1 invite"), &token(text)?);
    kdf.expand(&[], &mut keys).map_err(|_| "160 bytes are few")?;
    let (keys, _) = keys.as_chunks::<32>();
    let [_lookup, enroll, grant, psk, name] = *keys.first_chunk().ok_or("160 bytes are five keys")?;
    Ok([("enroll key", enroll), ("grant key", grant), ("psk", psk), ("name key", name)])
}

#[cfg(test)]
#[path = "invite_tests.rs"]
mod tests;
