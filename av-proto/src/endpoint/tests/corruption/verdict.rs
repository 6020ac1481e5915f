//! What a device made of a frame, by what it told, delivered and stored.

use super::film::{Reception, Records};
use crate::endpoint::meta::Meta;
use crate::endpoint::{EndReason, Event, RequestVerdict};
use crate::record::codec::Writer;
use crate::wire::layout::Reader;
use crate::{RecordKey, RecordKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// The connection ends; nothing else happened.
    Refused,
    /// Nothing happened.
    Ignored,
    /// No record changed but the counters', which say how far the inbox was taken and what did not open.
    Rejected,
    /// What the genuine frame does.
    Genuine,
    /// Something was told to the application; no record changed.
    Told,
    /// A request was shown as an attack, and its invite burnt.
    Burnt,
    /// Records changed in another way than by the genuine frame.
    Changed,
    /// Another message was delivered.
    Delivered,
}

impl Verdict {
    /// Neither told as true, nor stored, nor delivered.
    pub(super) const fn is_harmless(self) -> bool {
        matches!(self, Self::Refused | Self::Ignored | Self::Rejected)
    }
}

pub(super) fn verdict(before: &Records, genuine: &Reception, after: &Reception) -> Verdict {
    let is_told = !after.events.iter().all(is_refusal);
    let is_stored = !is_rejection(before, &after.records);
    let has_effect = !after.delivered.is_empty() || is_told || is_stored;
    if has_effect && is_alike(genuine, after) {
        Verdict::Genuine
    } else if !after.delivered.is_empty() {
        Verdict::Delivered
    } else if is_stored {
        if is_burnt(before, after) { Verdict::Burnt } else { Verdict::Changed }
    } else if is_told {
        Verdict::Told
    } else if after.result.is_err() {
        Verdict::Refused
    } else if after.records != *before || !after.events.is_empty() {
        Verdict::Rejected
    } else {
        Verdict::Ignored
    }
}

fn is_refusal(event: &Event) -> bool {
    matches!(
        event,
        Event::MessageRejected { .. }
            | Event::SessionFailed(_)
            | Event::EnrollmentEnded(EndReason::GrantInvalid)
            | Event::InboxGap { .. }
    )
}

/// Whether the same was told, delivered and stored; the numbers of inbox entries aside.
fn is_alike(one: &Reception, other: &Reception) -> bool {
    let events = |reception: &Reception| {
        let mut events = reception.events.clone();
        events.retain(|event| !matches!(event, Event::InboxGap { .. }));
        events
    };
    let is_numbered = |kind| kind == RecordKind::Meta || kind == RecordKind::Inbox;
    one.result == other.result
        && events(one) == events(other)
        && one.delivered == other.delivered
        && without(&one.records, is_numbered) == without(&other.records, is_numbered)
}

/// Whether of all records only that of the counters changed, and in it only what a rejection changes.
fn is_rejection(before: &Records, after: &Records) -> bool {
    let is_meta = |kind| kind == RecordKind::Meta;
    without(before, is_meta) == without(after, is_meta) && counters(before) == counters(after)
}

/// The counters' record, without what a rejection changes in it.
fn counters(records: &Records) -> Option<[u8; Meta::MAX_LEN]> {
    let meta = records.iter().find(|(key, _)| kind(key) == RecordKind::Meta)?.1;
    let mut meta = Meta::read(&mut Reader::new(meta)).expect("a record of its own");
    (meta.marks, meta.taken) = (0, 0);
    meta.rejected.clear();
    meta.unopened.clear();
    let mut bytes = [0; Meta::MAX_LEN];
    meta.write(&mut Writer::new(&mut bytes)).expect("room");
    Some(bytes)
}

fn is_burnt(before: &Records, after: &Reception) -> bool {
    let is_invite = |kind| kind == RecordKind::Invite;
    let is_attack = |event: &Event| {
        matches!(event, Event::EnrollmentRequest(view)
            if view.verdict == RequestVerdict::Attack && view.name.is_empty() && view.platform.is_empty())
    };
    after.events.len() == 1
        && after.events.iter().all(is_attack)
        && without(before, is_invite) == without(&after.records, is_invite)
}

fn without(records: &Records, is_left_out: impl Fn(RecordKind) -> bool) -> Records {
    records
        .iter()
        .filter(|(key, _)| !is_left_out(kind(key)))
        .map(|(key, record)| (*key, record.clone()))
        .collect()
}

fn kind(key: &[u8; RecordKey::LEN]) -> RecordKind {
    RecordKey::from_bytes(key).expect("a key of its own").kind
}
