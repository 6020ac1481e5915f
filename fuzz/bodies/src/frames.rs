//! Frames, in both directions.

use av_proto::wire::frame::{ToDevice, ToRelay};

use crate::objects;
use crate::round_trip;

/// A frame as the relay takes it, and what it holds.
pub fn to_relay(input: &[u8]) {
    match round_trip::<ToRelay<'_>>(input) {
        Some(ToRelay::Enroll { request }) => objects::request(&request),
        Some(ToRelay::Found { chain, bundle, .. }) => {
            objects::chain(chain);
            objects::bundle(bundle);
        }
        Some(ToRelay::Approve { grant, .. }) => objects::grant(grant),
        Some(ToRelay::PostStatement { statement, .. }) => objects::signed(statement),
        Some(ToRelay::Send { header_blob, .. }) => objects::header_blob(header_blob),
        _ => {}
    }
}

/// A frame as a device takes it, and what it holds.
pub fn to_device(input: &[u8]) {
    match round_trip::<ToDevice<'_>>(input) {
        Some(ToDevice::Granted { grant }) => objects::grant(grant),
        Some(ToDevice::PendingDevice { enroll, .. }) => objects::request(&enroll),
        Some(ToDevice::Certs { chain, .. } | ToDevice::Bundle { chain, .. }) => objects::chain(chain),
        Some(ToDevice::Deliver { header_blob, .. }) => objects::header_blob(header_blob),
        Some(ToDevice::Statement { statement, .. }) => objects::signed(statement),
        _ => {}
    }
}
