//! A relay that changes what it carries of an enrollment: the request, or the grant.

use av_proto::wire::enroll::EnrollRequest;
use av_proto::wire::frame::{ToDevice, ToRelay};
use av_proto::wire::{decode, encode};

use super::World;
use crate::choices::Choices;
use crate::ledger::Violation;
use crate::relay::{Down, to_bytes};

/// One byte of the next request or grant that goes to a device.
#[derive(Clone, Copy)]
pub(super) struct Tampering {
    /// Requests pass as they are: after one that was changed no grant follows.
    only_grants: bool,
    field: usize,
    byte: usize,
    mask: u8,
    /// The genuine one follows.
    beside: bool,
}

impl World {
    /// From now on the relay waits for a request or a grant to change.
    pub(super) fn tamper(&mut self, choices: &mut Choices<'_>) {
        self.tampering = Some(Tampering {
            only_grants: choices.chance(500),
            field: choices.below(6),
            byte: choices.below(256) << 8 | choices.below(256),
            mask: u8::try_from(choices.below(255)).unwrap_or(0) + 1,
            beside: choices.chance(500),
        });
    }

    /// What becomes of a frame to a device on its way.
    pub(super) fn passed_on(&mut self, index: usize, down: Down) -> Result<Down, Violation> {
        let Some(Tampering { only_grants, field, byte, mask, beside }) = self.tampering else {
            return Ok(down);
        };
        let changed = match decode(&down.frame) {
            Ok(ToDevice::Granted { grant }) => {
                let mut grant = grant.to_vec();
                bend(&mut grant, byte, mask);
                to_bytes(&ToDevice::Granted { grant: &grant })?
            }
            Ok(ToDevice::PendingDevice { request, inviter, enroll, late }) if !only_grants => {
                let EnrollRequest { mut lookup, mut device, mut pop, mut tag, .. } = enroll;
                let (mut bundle, mut sealed_name) = (enroll.bundle.to_vec(), enroll.sealed_name.to_vec());
                let fields: [&mut [u8]; 6] =
                    [&mut lookup, &mut device, &mut bundle, &mut sealed_name, &mut pop.0, &mut tag];
                fields.into_iter().skip(field).take(1).for_each(|field| bend(field, byte, mask));
                let enroll =
                    EnrollRequest { lookup, device, bundle: &bundle, sealed_name: &sealed_name, pop, tag };
                to_bytes(&ToDevice::PendingDevice { request, inviter, enroll, late })?
            }
            _ => return Ok(down),
        };
        self.tampering = None;
        self.count("tamper");
        if beside {
            self.relay.put_back(index, down);
        }
        Ok(Down { frame: changed, content: None, made_up: true })
    }

    /// Keeps what a device said of an enrollment.
    pub(super) fn note_enrollment(&mut self, frame: &[u8]) -> Result<(), Violation> {
        let said = match decode(frame) {
            Ok(ToRelay::Enroll { request }) => encoded(&request)?,
            Ok(ToRelay::Approve { grant, .. }) => grant.to_vec(),
            _ => return Ok(()),
        };
        self.enrollments.insert(said);
        Ok(())
    }

    /// Whether the relay brings a request or grant that no device made.
    pub(super) fn is_tampered(&self, frame: &[u8]) -> Result<bool, Violation> {
        let brought = match decode(frame) {
            Ok(ToDevice::PendingDevice { enroll, .. }) => encoded(&enroll)?,
            Ok(ToDevice::Granted { grant }) => grant.to_vec(),
            _ => return Ok(false),
        };
        Ok(!self.enrollments.contains(&brought))
    }
}

fn encoded(request: &EnrollRequest<'_>) -> Result<Vec<u8>, Violation> {
    let mut buffer = [0; 4_096];
    let encoded = encode(request, &mut buffer).map_err(|_| Violation::new("a request that is too long"))?;
    Ok(encoded.to_vec())
}

fn bend(bytes: &mut [u8], byte: usize, mask: u8) {
    let place = byte % bytes.len().max(1);
    bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= mask);
}
