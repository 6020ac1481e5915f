//! Every truncation and every changed byte of every frame, through the endpoint's own door.
//!
//! The frames are those that devices received in real conversations, one of each kind, and one of each kind of message
//! in them; each change is received by a copy of the device in the state that it was in. It is refused, ignored or
//! rejected; where it is believed, [`BELIEVED`] says why it may be.

mod believed;
mod conversations;
mod film;
mod leaves;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use av_wire::frame::ToDevice;

use crate::endpoint::ConnectionError;
use believed::{BELIEVED, field};
use conversations::film;
pub(super) use film::shoot;
use film::{Film, Shot};
use leaves::{Changed, Item};
use verdict::{Verdict, verdict};

/// Which changes of a frame are tried.
#[derive(Clone, Copy)]
enum Effort {
    /// One bit of each byte of a string; every other byte, such as a number, becomes every one near it: half a minute.
    Sample,
    /// Every bit of every byte, and every byte inverted; every value of what is no string.
    Full,
}

impl Effort {
    fn masks(self, item: Item, at: usize) -> Vec<u8> {
        match (self, item) {
            (Self::Sample, Item::String) => vec![1 << (at % 8)],
            (Self::Sample, Item::Other) => (1..32).chain([0x20, 0x40, 0x80, u8::MAX]).collect(),
            (Self::Full, Item::Other) => (1..=u8::MAX).collect(),
            (Self::Full, Item::String) => (0..8).map(|bit| 1 << bit).chain([u8::MAX]).collect(),
        }
    }

    /// Of so many changes in strings after which a frame is one still, every which is received: a KEM makes a frame
    /// long, and slow to refuse.
    fn stride(self, frame: &[u8], changed: usize) -> usize {
        match self {
            Self::Sample if frame.len() > 1_000 => changed.div_ceil(150),
            Self::Sample => changed.div_ceil(400),
            Self::Full => 1,
        }
    }
}

/// What was made of the changes of a field, with an example.
type Findings = BTreeMap<(u8, &'static str, Verdict), String>;

/// A frame's number stands behind its array's head, and has a head of its own.
fn number(frame: &[u8]) -> u8 {
    frame[2]
}

fn corrupt(name: &str, shot: &dyn Shot, effort: Effort, findings: &mut Findings) {
    let frame = shot.frame();
    let mut stage = shot.stage();
    let before = stage.records();
    let genuine = stage.receive(frame);
    let changed = leaves::bent(frame, |item, at| effort.masks(item, at)).chain(leaves::resized(frame));
    let is_frame = |changed: &Changed| av_wire::decode::<ToDevice<'_>>(&changed.frame).is_ok();
    let (frames, noise): (Vec<_>, Vec<_>) = changed.partition(is_frame);
    // What is no frame gets no further than the decoder: one device takes it all.
    let mut stage = shot.stage();
    for changed in &noise {
        let after = stage.received(&changed.frame);
        assert_eq!(after, Err(ConnectionError::Violation), "{name}: {}", changed.what);
    }
    assert!(stage.records() == before, "{name}: what is no frame changed a record");
    let (strings, others): (Vec<_>, Vec<_>) = frames.iter().partition(|changed| changed.item == Item::String);
    let stride = effort.stride(frame, strings.len()).max(1);
    for changed in others.into_iter().chain(strings.into_iter().step_by(stride)) {
        let after = shot.stage().receive(&changed.frame);
        let verdict = verdict(&before, &genuine, &after);
        let finding = (number(frame), field(number(frame), changed.leaf), verdict);
        let example = || format!("{name}, {}: {:?} {:?}", changed.what, after.result, after.events);
        findings.entry(finding).or_insert_with(example);
    }
}

fn corrupt_all(effort: Effort) {
    let mut findings = Findings::new();
    for (name, shot) in &film() {
        corrupt(name, &**shot, effort, &mut findings);
    }
    findings.retain(|(_, _, verdict), _| !verdict.is_harmless());
    let found: BTreeSet<_> = findings.keys().copied().collect();
    let believed: BTreeSet<_> =
        BELIEVED.iter().map(|(number, field, verdict, _)| (*number, *field, *verdict)).collect();
    let unexpected: Vec<_> =
        found.difference(&believed).map(|finding| (finding, &findings[finding])).collect();
    assert!(unexpected.is_empty(), "believed for no reason: {unexpected:#?}");
    let unneeded: Vec<_> = believed.difference(&found).collect();
    assert!(unneeded.is_empty(), "a reason for what is not believed: {unneeded:?}");
}

#[test]
fn a_frame_with_any_change_is_refused_ignored_or_rejected() {
    corrupt_all(Effort::Sample);
}

#[test]
#[ignore = "half an hour"]
fn a_frame_with_any_bit_changed_is_refused_ignored_or_rejected() {
    corrupt_all(Effort::Full);
}

/// Nothing was looked for where nothing is.
#[test]
fn the_film_holds_every_frame_and_every_message_and_what_they_do() {
    let film: Film = film();
    let numbers: BTreeSet<u8> = film.values().map(|shot| number(shot.frame())).collect();
    assert!((64..=87).all(|number| numbers.contains(&number)), "{numbers:?}");
    let names: Vec<&str> = film.keys().map(String::as_str).collect();
    for expected in [
        "Deliver application",
        "Deliver again",
        "Deliver check",
        "Deliver copy",
        "Deliver gone",
        "Deliver have",
        "Deliver have and application",
        "Deliver have and resync",
        "Deliver serials",
        "Deliver first message by chain, mode 0",
        "Deliver first message by chain, mode 1, one-time",
        "Deliver first message by chain, mode 1, one-time, KEM",
        "Deliver first message by id, mode 0, one-time",
        "Deliver first message by id, mode 0, KEM",
        "Deliver first message by id, mode 1",
        "Bundle with chain",
        "Bundle, one-time",
        "Bundle, one-time, one-time KEM",
        "Bundle, last-resort KEM",
        "Statement 2",
        "Statement 3",
        "Statement 4",
        "Statement 5",
        "Certs",
        "Posted 2",
        "Posted 3",
        "Welcome",
        "Welcome again",
    ] {
        assert!(names.contains(&expected), "{expected}: {names:#?}");
    }
    for (name, shot) in &film {
        let mut stage = shot.stage();
        let before = stage.records();
        let genuine = stage.receive(shot.frame());
        let hints = ["Certs in vain", "Challenge", "Error", "Invite", "Moved", "Ping", "Pong", "Status"];
        let has_effect = verdict(&before, &genuine, &genuine) == Verdict::Genuine;
        assert!(has_effect != hints.contains(&&**name), "{name}: {:?}", genuine.events);
    }
}
