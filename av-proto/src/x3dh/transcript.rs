//! `th`: all that both sides must agree on, hashed. It is the handshake's salt and every message's associated data,
//! so a session exists only between two devices that saw the same values (`PROTOCOL.md` section 6).

use av_wire::hash::h256;
use av_wire::{Fingerprint, Suite, TenantId, labels};

use crate::crypto::KEM_KEY;

/// A prekey as the transcript names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOffer<'a> {
    /// Its id.
    pub id: u32,
    /// Its 32 public bytes.
    pub key: &'a [u8; 32],
}

/// The handshake's public values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript<'a> {
    /// The suite that both chose.
    pub suite: Suite,
    /// 1 with the invite's key, else 0.
    pub mode: u8,
    /// The session's generation.
    pub generation: u32,
    /// The tenant of both devices.
    pub tenant: &'a TenantId,
    /// Who began.
    pub initiator: &'a Fingerprint,
    /// Who answers.
    pub responder: &'a Fingerprint,
    /// The initiator's ephemeral public key.
    pub ephemeral: &'a [u8; 32],
    /// The responder's signed prekey.
    pub signed: KeyOffer<'a>,
    /// The responder's one-time prekey, if one was handed out.
    pub one_time: Option<KeyOffer<'a>>,
    /// The responder's KEM key and the ciphertext made for it, in suites with a KEM.
    pub kem: Option<Encapsulation<'a>>,
}

/// A KEM key and ciphertext as the transcript names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulation<'a> {
    /// The key's id.
    pub id: u32,
    /// Its 1,184 public bytes.
    pub key: &'a [u8; KEM_KEY],
    /// The 1,088 bytes of the ciphertext.
    pub ciphertext: &'a [u8],
}

impl Transcript<'_> {
    /// 32 bytes: H256("av1 x3dh", suite ‖ mode ‖ gen(4) ‖ tenant_id(16) ‖ fingerprint_A(32) ‖ fingerprint_B(32) ‖
    /// EK ‖ SPK id(4) ‖ SPK ‖ (0x00 | 0x01 ‖ OPK id ‖ OPK) ‖ (0x00 | 0x01 ‖ KEM key id ‖ KEM key ‖ KEM ciphertext)).
    pub fn hash(&self) -> [u8; 32] {
        let one_time_id = self.one_time.map_or([0; 4], |offer| offer.id.to_be_bytes());
        let one_time: [&[u8]; 3] = match &self.one_time {
            Some(offer) => [&[1], &one_time_id, offer.key],
            None => [&[0], &[], &[]],
        };
        let [has_one_time, one_time_id, one_time_key] = one_time;
        let kem_id = self.kem.map_or([0; 4], |kem| kem.id.to_be_bytes());
        let kem: [&[u8]; 4] = match &self.kem {
            Some(kem) => [&[1], &kem_id, kem.key, kem.ciphertext],
            None => [&[0], &[], &[], &[]],
        };
        let [has_kem, kem_id, kem_key, kem_ciphertext] = kem;
        h256(
            labels::hash::X3DH,
            &[
                &[self.suite.byte(), self.mode],
                &self.generation.to_be_bytes(),
                self.tenant.as_bytes(),
                self.initiator.as_bytes(),
                self.responder.as_bytes(),
                self.ephemeral,
                &self.signed.id.to_be_bytes(),
                self.signed.key,
                has_one_time,
                one_time_id,
                one_time_key,
                has_kem,
                kem_id,
                kem_key,
                kem_ciphertext,
            ],
        )
    }
}
