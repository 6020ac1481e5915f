//! The items of a frame, and every way to change one of them.

/// An item that holds no other: a number, a string, true, false or null.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    /// Where its head begins, its content, and what follows it.
    head: usize,
    content: usize,
    end: usize,
    /// 2 for bytes, 3 for text.
    major: u8,
}

/// What a byte stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// A string's content.
    String,
    /// A head, a number, a flag.
    Other,
}

/// A frame with a change.
pub(super) struct Changed {
    pub(super) frame: Vec<u8>,
    pub(super) item: Item,
    /// In which leaf, counted from the frame's number; 0 also for an array's head.
    pub(super) leaf: usize,
    pub(super) what: String,
}

fn leaves(frame: &[u8]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let end = walk(frame, 0, &mut leaves);
    assert_eq!(end, frame.len(), "one item");
    leaves
}

fn walk(frame: &[u8], head: usize, leaves: &mut Vec<Leaf>) -> usize {
    let (major, low) = (frame[head] >> 5, frame[head] & 0x1f);
    let length = if low < 24 { 0 } else { 1 << (low - 24) };
    let content = head + 1 + length;
    let number = frame[head + 1..content].iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    let number = if length == 0 { usize::from(low) } else { number };
    if major == 4 {
        return (0..number).fold(content, |at, _| walk(frame, at, leaves));
    }
    let end = if major == 2 || major == 3 { content + number } else { content };
    leaves.push(Leaf { head, content, end, major });
    end
}

/// Every truncation of a frame, one byte more, and every byte changed by each mask for its place.
pub(super) fn bent(frame: &[u8], masks: impl Fn(Item, usize) -> Vec<u8>) -> impl Iterator<Item = Changed> {
    let leaves = leaves(frame);
    let cut = (0..frame.len()).map(|length| Changed {
        frame: frame[..length].to_vec(),
        item: Item::Other,
        leaf: 0,
        what: format!("cut to {length}"),
    });
    let longer =
        Changed { frame: [frame, &[0]].concat(), item: Item::Other, leaf: 0, what: "one byte more".into() };
    let bent = (0..frame.len()).flat_map(move |at| {
        let leaf = leaves.iter().position(|leaf| leaf.head <= at && at < leaf.end);
        let is_string = leaf.is_some_and(|leaf| leaves[leaf].content <= at);
        let (item, leaf) = (if is_string { Item::String } else { Item::Other }, leaf.unwrap_or(0));
        masks(item, at).into_iter().map(move |mask| {
            let mut changed = frame.to_vec();
            changed[at] ^= mask;
            Changed { frame: changed, item, leaf, what: format!("byte {at} ^ {mask:#04x}") }
        })
    });
    cut.chain([longer]).chain(bent)
}

/// Every string of a frame cut to every shorter length and longer by a byte, under a head that says so.
pub(super) fn resized(frame: &[u8]) -> impl Iterator<Item = Changed> {
    let strings =
        leaves(frame).into_iter().enumerate().filter(|(_, leaf)| leaf.major == 2 || leaf.major == 3);
    strings.flat_map(move |(number, leaf)| {
        let content = [&frame[leaf.content..leaf.end], &[0]].concat();
        let whole = leaf.end - leaf.content;
        (0..content.len() + 1).filter(move |length| *length != whole).map(move |length| Changed {
            frame: [&frame[..leaf.head], &head(leaf.major, length), &content[..length], &frame[leaf.end..]]
                .concat(),
            item: Item::String,
            leaf: number,
            what: format!("leaf {number} of {whole} bytes made {length}"),
        })
    })
}

/// The shortest head of a string.
fn head(major: u8, length: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(length).expect("a short string").to_be_bytes();
    match length {
        0..24 => vec![major << 5 | low],
        24..256 => vec![major << 5 | 24, low],
        _ => vec![major << 5 | 25, high, low],
    }
}
