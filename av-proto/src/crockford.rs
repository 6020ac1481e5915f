//! Crockford's base 32 with a checksum: secrets that people read aloud, type and scan.
//!
//! A text is the payload's bits, then as many bits of a personalised BLAKE2b hash of it as fill the symbols. It is
//! written in groups of 4 behind a prefix. Reading forgives case, spaces, dashes, `O` for `0` and `I` or `L` for
//! `1`. Neither branch nor index depends on a symbol's value, for the payload is a secret.

use av_wire::hash::h256;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// The 32 symbols in the order of their values: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bits of a symbol.
const BITS: usize = 5;
/// Symbols of a group.
const GROUP: usize = 4;
/// Bytes of the longest text, an API key's: prefix, 80 symbols, dashes between 20 groups.
const MAX_TEXT: usize = 5 + 80 + 19;
/// Stands for a character that is no symbol.
const NO_SYMBOL: u8 = 0xff;

/// Why a text is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    /// Too few or too many symbols.
    Length,
    /// A character that is no symbol.
    Symbol,
    /// The checksum does not match: a typing mistake.
    Checksum,
}

/// Calls `show` with the text of `payload` in groups of 4 behind `prefix`, and wipes the text afterwards.
pub(crate) fn with_text<const SYMBOLS: usize, T>(
    prefix: &str,
    label: &'static [u8],
    payload: &[u8],
    show: impl FnOnce(&str) -> T,
) -> T {
    let mut text = Zeroizing::new([0; MAX_TEXT]);
    let symbols = symbols::<SYMBOLS>(label, payload);
    let groups = symbols.chunks(GROUP).enumerate();
    let grouped = groups
        .flat_map(|(index, group)| (index > 0).then_some(b'-').into_iter().chain(group.iter().copied()));
    let mut len = 0;
    for (slot, byte) in text.iter_mut().zip(prefix.bytes().chain(grouped)) {
        *slot = byte;
        len += 1;
    }
    // Prefix and alphabet are ASCII, so this is the whole text.
    show(text.get(..len).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default())
}

/// Calls `show` with the bare symbols of `payload`, without prefix and dashes.
pub(crate) fn with_symbols<const SYMBOLS: usize, T>(
    label: &'static [u8],
    payload: &[u8],
    show: impl FnOnce(&str) -> T,
) -> T {
    show(str::from_utf8(&*symbols::<SYMBOLS>(label, payload)).unwrap_or_default())
}

/// Reads a text, with or without its prefix, into `payload`.
///
/// # Errors
/// [`TextError`]; `payload` is then wiped.
pub(crate) fn parse<const SYMBOLS: usize>(
    prefix: &str,
    label: &'static [u8],
    text: &str,
    payload: &mut [u8],
) -> Result<(), TextError> {
    const { assert!(SYMBOLS * BITS <= MAX_BITS) }
    let is_separator = |c: &char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}');
    let count = text.chars().filter(|c| !is_separator(c)).count();
    let prefix_len = prefix.chars().filter(|c| !is_separator(c)).count();
    let mut characters = text.chars().filter(|c| !is_separator(c));
    if count == SYMBOLS + prefix_len {
        let expected = prefix.chars().filter(|c| !is_separator(c));
        if !expected.zip(characters.by_ref()).all(|(want, have)| value(want) == value(have)) {
            return Err(TextError::Length);
        }
    } else if count != SYMBOLS {
        return Err(TextError::Length);
    }
    let mut values = Zeroizing::new([0; SYMBOLS]);
    let mut is_symbol = true;
    for (slot, character) in values.iter_mut().zip(characters) {
        *slot = value(character);
        is_symbol &= *slot != NO_SYMBOL;
    }
    if !is_symbol {
        return Err(TextError::Symbol);
    }
    pack(&*values, payload);
    if bool::from(symbols_values::<SYMBOLS>(label, payload).ct_eq(&*values)) {
        Ok(())
    } else {
        payload.fill(0);
        Err(TextError::Checksum)
    }
}

/// Bits of the longest payload with its checksum.
const MAX_BITS: usize = 400;

/// The symbols of payload and checksum as ASCII.
fn symbols<const SYMBOLS: usize>(label: &'static [u8], payload: &[u8]) -> Zeroizing<[u8; SYMBOLS]> {
    let mut symbols = symbols_values::<SYMBOLS>(label, payload);
    for symbol in symbols.iter_mut() {
        let value = *symbol;
        for (candidate, character) in (0..).zip(ALPHABET) {
            symbol.conditional_assign(character, candidate.ct_eq(&value));
        }
    }
    symbols
}

/// The values, 0 to 31, of the symbols of payload and checksum.
fn symbols_values<const SYMBOLS: usize>(label: &'static [u8], payload: &[u8]) -> Zeroizing<[u8; SYMBOLS]> {
    const { assert!(SYMBOLS * BITS <= MAX_BITS) }
    let checksum = Zeroizing::new(h256(label, &[payload]));
    let mut values = Zeroizing::new([0; SYMBOLS]);
    let (mut window, mut held) = (0_u32, 0);
    let mut bytes = payload.iter().chain(checksum.iter());
    for value in values.iter_mut() {
        while held < BITS {
            window = (window << 8) | u32::from(bytes.next().copied().unwrap_or_default());
            held += 8;
        }
        held -= BITS;
        let [.., low] = (window >> held).to_be_bytes();
        *value = low & 0x1f;
    }
    values
}

/// Puts the first bits of the symbols together into bytes.
fn pack(values: &[u8], payload: &mut [u8]) {
    let (mut window, mut held) = (0_u32, 0);
    let mut values = values.iter();
    for byte in payload {
        while held < 8 {
            window = (window << BITS) | u32::from(values.next().copied().unwrap_or_default());
            held += BITS;
        }
        held -= 8;
        [.., *byte] = (window >> held).to_be_bytes();
    }
}

/// The value of a character, forgiving; [`NO_SYMBOL`] if it has none.
fn value(character: char) -> u8 {
    let character = u8::try_from(character).unwrap_or_default().to_ascii_uppercase();
    let mut value = NO_SYMBOL;
    for (candidate, symbol) in (0..).zip(ALPHABET) {
        value.conditional_assign(&candidate, symbol.ct_eq(&character));
    }
    value.conditional_assign(&0, b'O'.ct_eq(&character));
    value.conditional_assign(&1, b'I'.ct_eq(&character) | b'L'.ct_eq(&character));
    value
}
