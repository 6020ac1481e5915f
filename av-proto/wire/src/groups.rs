//! What two people read to each other: fingerprints and safety numbers as digits (`PROTOCOL.md` section 2).

use core::fmt;
use core::str::FromStr;

/// Groups in a number.
const GROUPS: usize = 8;
/// Digits in a group, and their number of values.
const DIGITS: usize = 5;
const MODULUS: u32 = 100_000;

/// 8 groups of 5 decimal digits of a 32-byte hash; group i is its i-th u32 modulo 100,000: 132 bits.
///
/// Shown with single blanks between the groups; read back with any blanks, line breaks and dashes between digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Groups([u32; GROUPS]);

/// Not 8 groups of 5 decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidGroups;

impl Groups {
    /// The groups of a hash.
    pub fn of(hash: &[u8; 32]) -> Self {
        let mut groups = [0; GROUPS];
        let (words, _) = hash.as_chunks::<4>();
        for (group, word) in groups.iter_mut().zip(words) {
            *group = u32::from_be_bytes(*word) % MODULUS;
        }
        Self(groups)
    }
}

impl FromStr for Groups {
    type Err = InvalidGroups;

    /// Reads what somebody typed or pasted.
    ///
    /// # Errors
    /// [`InvalidGroups`] for more or fewer than 40 digits, or any other character but white space and `-`.
    fn from_str(text: &str) -> Result<Self, InvalidGroups> {
        let mut groups = [0; GROUPS];
        let mut read = 0;
        for symbol in text.chars().filter(|symbol| !symbol.is_whitespace() && *symbol != '-') {
            let digit = symbol.to_digit(10).ok_or(InvalidGroups)?;
            let group: &mut u32 = groups.get_mut(read / DIGITS).ok_or(InvalidGroups)?;
            *group = *group * 10 + digit;
            read += 1;
        }
        if read == GROUPS * DIGITS { Ok(Self(groups)) } else { Err(InvalidGroups) }
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{group:05}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Groups({self})")
    }
}

impl fmt::Display for InvalidGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fingerprint or safety number is 8 groups of 5 digits")
    }
}

impl core::error::Error for InvalidGroups {}
