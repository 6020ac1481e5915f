//! A CBOR item as a tree that can also be spelled in ways that AV/1 refuses.

use std::string::String;
use std::vec::Vec;

/// What AV/1 uses of CBOR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Uint(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Node>),
    Bool(bool),
    Null,
}

/// How one item of a tree is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As RFC 8949 section 4.2.1 has it.
    Deterministic,
    /// The head's argument in 1, 2, 4 or 8 bytes although fewer would do.
    Wide(usize),
    /// A string in chunks, an array up to a break.
    Indefinite,
    /// Behind a tag of no meaning.
    Tagged,
    /// An array with one item more.
    ExtraItem,
    /// An array with one item less.
    MissingItem,
    /// `undefined` for `null`, an integer for a boolean, text for bytes and the reverse, a negative integer.
    OtherType,
}

impl Spelling {
    /// All that must be refused.
    pub(super) const REFUSED: [Self; 9] = [
        Self::Wide(1),
        Self::Wide(2),
        Self::Wide(4),
        Self::Wide(8),
        Self::Indefinite,
        Self::Tagged,
        Self::ExtraItem,
        Self::MissingItem,
        Self::OtherType,
    ];
}

impl Node {
    /// The item that `bytes` are, and no more than one.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let node = Self::read(&mut rest);
        assert!(rest.is_empty(), "trailing bytes");
        node
    }

    fn read(rest: &mut &[u8]) -> Self {
        let first = take(rest, 1)[0];
        let argument = match first & 0x1f {
            small @ 0..=23 => u64::from(small),
            wide @ 24..=27 => {
                take(rest, 1 << (wide - 24)).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
            }
            other => panic!("additional information {other}"),
        };
        match first >> 5 {
            0 => Self::Uint(argument),
            2 => Self::Bytes(take(rest, argument as usize).to_vec()),
            3 => Self::Text(String::from_utf8(take(rest, argument as usize).to_vec()).unwrap()),
            4 => Self::Array((0..argument).map(|_| Self::read(rest)).collect()),
            7 if argument == 20 || argument == 21 => Self::Bool(argument == 21),
            7 if argument == 22 => Self::Null,
            major => panic!("major type {major}, argument {argument}"),
        }
    }

    /// For each byte of the deterministic encoding whether it stands inside a string, neither first nor last.
    pub(super) fn interior(&self) -> Vec<bool> {
        let own = |content: usize| {
            let mut marks = std::vec![false; self.to_bytes().len()];
            let first = marks.len() - content;
            marks.iter_mut().skip(first + 1).take(content.saturating_sub(2)).for_each(|mark| *mark = true);
            marks
        };
        match self {
            Self::Bytes(bytes) => own(bytes.len()),
            Self::Text(text) => own(text.len()),
            Self::Array(items) => {
                let inner: Vec<_> = items.iter().flat_map(Self::interior).collect();
                let mut marks = std::vec![false; self.to_bytes().len() - inner.len()];
                marks.extend(inner);
                marks
            }
            Self::Uint(_) | Self::Bool(_) | Self::Null => own(0),
        }
    }

    /// Its deterministic encoding.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.spelled(usize::MAX, Spelling::Deterministic).unwrap()
    }

    /// Number of items in the tree.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            _ => 1,
        }
    }

    /// The encoding in which the item number `target`, counted from the outermost, has this spelling; `None` where
    /// that item cannot be spelled so.
    pub(super) fn spelled(&self, target: usize, spelling: Spelling) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut next = 0;
        self.write(&mut out, &mut next, target, spelling).then_some(out)
    }

    fn write(&self, out: &mut Vec<u8>, next: &mut usize, target: usize, wanted: Spelling) -> bool {
        let spelling = if *next == target { wanted } else { Spelling::Deterministic };
        *next += 1;
        if spelling == Spelling::Tagged {
            out.push(0xc1);
        }
        let (major, argument) = match self {
            Self::Uint(value) => (0, *value),
            Self::Bytes(bytes) => (2, bytes.len() as u64),
            Self::Text(text) => (3, text.len() as u64),
            Self::Array(items) => (4, items.len() as u64),
            Self::Bool(value) => (7, 20 + u64::from(*value)),
            Self::Null => (7, 22),
        };
        let is_string = major == 2 || major == 3;
        let (major, argument) = match spelling {
            Spelling::ExtraItem if major == 4 => (major, argument + 1),
            Spelling::MissingItem if major == 4 && argument > 0 => (major, argument - 1),
            Spelling::ExtraItem | Spelling::MissingItem => return false,
            Spelling::OtherType => match self {
                Self::Uint(_) => (1, argument),
                Self::Bytes(bytes) if core::str::from_utf8(bytes).is_ok() => (3, argument),
                Self::Text(_) => (2, argument),
                Self::Bool(value) => (0, u64::from(*value)),
                Self::Null => (7, 23),
                Self::Bytes(_) | Self::Array(_) => return false,
            },
            Spelling::Indefinite if !is_string && major != 4 => return false,
            Spelling::Wide(_) if major == 7 => return false,
            _ => (major, argument),
        };
        if spelling == Spelling::Indefinite {
            out.push(major << 5 | 0x1f);
        }
        if !(spelling == Spelling::Indefinite && major == 4) {
            let width = shortest(argument);
            let width = match spelling {
                Spelling::Wide(wider) if wider > width => wider,
                Spelling::Wide(_) => return false,
                _ => width,
            };
            head(out, major, argument, width);
        }
        match self {
            Self::Bytes(bytes) => out.extend(bytes),
            Self::Text(text) => out.extend(text.as_bytes()),
            Self::Array(items) => {
                let kept = if spelling == Spelling::MissingItem { items.len() - 1 } else { items.len() };
                if !items[..kept].iter().all(|item| item.write(out, next, target, wanted)) {
                    return false;
                }
                if spelling == Spelling::ExtraItem {
                    out.push(0xf6);
                }
            }
            Self::Uint(_) | Self::Bool(_) | Self::Null => {}
        }
        if spelling == Spelling::Indefinite {
            out.push(0xff);
        }
        true
    }
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> &'b [u8] {
    let (bytes, tail) = rest.split_at(len);
    *rest = tail;
    bytes
}

/// Bytes that the argument takes behind the first byte.
fn shortest(argument: u64) -> usize {
    match argument {
        0..=23 => 0,
        24..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn head(out: &mut Vec<u8>, major: u8, argument: u64, width: usize) {
    let info = match width {
        0 => argument as u8,
        1 => 24,
        2 => 25,
        4 => 26,
        _ => 27,
    };
    out.push(major << 5 | info);
    out.extend(&argument.to_be_bytes()[8 - width..]);
}
