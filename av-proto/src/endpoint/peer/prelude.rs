//! A peer's prelude: what has to hold before it costs an agreement, and what it changes once its message has opened
//! (`PROTOCOL.md` section 6, order of checks).

use av_wire::message::Prelude;
use av_wire::{DeviceId, Suite};

use super::{Context, Peer};
use crate::crypto::Aead;
use crate::error::RatchetError;
use crate::keys::Prekeys;
use crate::limits::{MAX_GENERATION_JUMP, ONE_TIME_PREKEYS};
use crate::ratchet::{Opened, Session};
use crate::x3dh::{self, Parameters};

impl<A: Aead, const SKIP: usize> Peer<A, SKIP> {
    /// Answers a prelude: the candidate session, the generation and the one-time key count only once its first
    /// message has opened.
    pub(super) fn open_first(
        &mut self,
        context: &Context<'_>,
        prekeys: &mut Prekeys<ONE_TIME_PREKEYS>,
        prelude: &Prelude<'_>,
        header_blob: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, RatchetError> {
        // Any other suite than the one that both sides choose is refused before anything is computed or rationed.
        let chosen = context.identity.public().suites.choose(self.device.suites);
        if chosen.map(Suite::byte) != header_blob.get(1).copied() {
            return Err(RatchetError::Unopened);
        }
        self.check_initiator(prelude)?;
        if !context.may_begin {
            return Err(RatchetError::Unopened);
        }
        let jump = prelude.generation.checked_sub(self.accepted_generation).ok_or(RatchetError::Unopened)?;
        if jump == 0 || jump > MAX_GENERATION_JUMP {
            return Err(RatchetError::Unopened);
        }
        let psk = self.psk.to_respond(prelude.mode)?;
        if !self.preludes.take(context.now) {
            return Err(RatchetError::Unopened);
        }
        let parameters = Parameters {
            tenant: context.tenant,
            identity: context.identity,
            peer: &self.device,
            generation: prelude.generation,
            psk,
        };
        let signed = prekeys.signed_secret(prelude.signed_prekey).ok_or(RatchetError::Unopened)?;
        let one_time = match prelude.one_time_prekey {
            Some(id) => Some(prekeys.one_time_secret(id).ok_or(RatchetError::Unopened)?),
            None => None,
        };
        let kem = match prelude.kem_key {
            Some(id) => Some(prekeys.kem_secret(id).ok_or(RatchetError::Unopened)?),
            None => None,
        };
        let mut candidate: Session<A, SKIP> =
            x3dh::respond(&parameters, prelude, signed, one_time, kem).map_err(|_| RatchetError::Unopened)?;
        let opened = candidate.decrypt(header_blob, ciphertext, out)?;
        if let Some(id) = prelude.one_time_prekey {
            prekeys.consume_one_time(id);
        }
        if let Some(id) = prelude.kem_key {
            prekeys.consume_kem(id);
        }
        self.accepted_generation = prelude.generation;
        self.sessions.install(candidate, context.identity.device_id(), &self.device_id, context.now);
        Ok(opened)
    }

    /// A prelude names its initiator by id, or by a chain whose first certificate is the initiator's.
    pub(super) fn check_initiator(&self, prelude: &Prelude<'_>) -> Result<(), RatchetError> {
        let claimed = match DeviceId::from_slice(prelude.initiator) {
            Some(id) => id,
            None => av_wire::chain::Chain::new(prelude.initiator)
                .claimed()
                .map_err(|_| RatchetError::Unopened)?
                .device_id(),
        };
        if claimed == self.device_id { Ok(()) } else { Err(RatchetError::Unopened) }
    }
}
