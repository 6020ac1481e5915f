//! The prekeys that the post office holds: one-time ones handed out once, the signed and the last-resort ones kept.

use av_wire::Signature;
use av_wire::bundle::{Bundle, KEM_RECORD, KemPrekeyKind, PrekeyKind, SignedKemPrekey, SignedPrekey};

use super::{PostOffice, Side, Undeliverable};

/// A KEM prekey in memory of its own.
#[derive(Clone, PartialEq)]
pub(super) struct KemPrekey {
    pub(super) record: [u8; KEM_RECORD],
    pub(super) signature: Signature,
}

impl KemPrekey {
    fn is_last_resort(&self) -> bool {
        self.record.first() == Some(&(KemPrekeyKind::LastResort as u8))
    }
}

impl PostOffice {
    /// The one-time prekey of an enrollment is the approving owner's, and is not handed out again.
    pub(super) fn publish_bundle(&mut self, side: Side, bundle: &[u8]) -> Result<(), Undeliverable> {
        let bundle = Bundle::decode(bundle).map_err(|_| Undeliverable)?;
        bundle.kem.map_or(Ok(()), |kem| self.publish_kem(side, &kem))?;
        self.publish(side, &bundle.signed)
    }

    pub(super) fn publish_kem(
        &mut self,
        side: Side,
        prekey: &SignedKemPrekey<'_>,
    ) -> Result<(), Undeliverable> {
        let prekey = KemPrekey { record: *prekey.record, signature: prekey.signature };
        let prekeys = &mut self.known(side).kem_prekeys;
        if prekey.is_last_resort() {
            prekeys.retain(|known| !known.is_last_resort());
        }
        prekeys.retain(|known| known.record != prekey.record);
        prekeys.push(prekey).map_err(|_| Undeliverable)
    }

    pub(super) fn publish(&mut self, side: Side, prekey: &SignedPrekey) -> Result<(), Undeliverable> {
        let prekeys = &mut self.known(side).prekeys;
        if is_signed(prekey) {
            prekeys.retain(|known| !is_signed(known));
        }
        prekeys.retain(|known| known.record != prekey.record);
        // A device whose store went back replaces what it published: the oldest makes room.
        if prekeys.is_full()
            && let Some(oldest) = prekeys.iter().position(|known| !is_signed(known))
        {
            prekeys.remove(oldest);
        }
        prekeys.push(*prekey).map_err(|_| Undeliverable)
    }

    /// A one-time KEM prekey if one is asked for and there is one, else the last-resort one, which stays.
    pub(super) fn hand_out_kem(&mut self, of: Side, one_time: bool) -> Option<KemPrekey> {
        let prekeys = &mut self.known(of).kem_prekeys;
        let first = prekeys.iter().position(|prekey| !prekey.is_last_resort()).filter(|_| one_time);
        match first {
            Some(index) => Some(prekeys.remove(index)),
            None => prekeys.iter().find(|prekey| prekey.is_last_resort()).cloned(),
        }
    }

    pub(super) fn hand_out(&mut self, of: Side, one_time: bool) -> Option<Bundle<'static>> {
        let prekeys = &mut self.known(of).prekeys;
        let signed = *prekeys.iter().find(|prekey| is_signed(prekey))?;
        let first = prekeys.iter().position(|prekey| !is_signed(prekey)).filter(|_| one_time);
        Some(Bundle { signed, one_time: first.map(|index| prekeys.remove(index)), kem: None })
    }
}

fn is_signed(prekey: &SignedPrekey) -> bool {
    prekey.record.first() == Some(&(PrekeyKind::Signed as u8))
}
