//! Frames between a device and the relay: one CBOR array a WebSocket binary message, led by its number, at most
//! [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes (`PROTOCOL.md` section 9; `frame.cddl` beside this file).
//!
//! A call carries a `request` number that its answers repeat. A list is answered by one frame an item and ended
//! by [`ToDevice::Done`], so that no answer grows with the list.

mod to_device;
mod to_relay;

pub use to_device::ToDevice;
pub use to_relay::ToRelay;

use crate::cbor::{array, codes};
use crate::code::RejectCode;
use crate::ids::{DeviceId, Origin, TenantId};
use crate::labels::SignaturePurpose;
use crate::signature::{InvalidSignature, SignedMessage, signed_message};

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "av1";
/// The path of the WebSocket door.
pub const PATH: &str = "/v1/ws";

array! {
    /// A device's message number as its inbox gives it, and the code for which the device rejects it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rejected {
        /// The entry's sequence number.
        pub sequence: u64,
        /// Why.
        pub code: RejectCode,
    }
}

codes! {
    /// What protects the connection under the frames (`PROTOCOL.md` section 9).
    pub enum LinkKind {
        /// Nothing: on loopback only.
        Plain = 0,
        /// TLS up to the relay or to a proxy that it trusts.
        Tls = 1,
        /// The Noise link inside the connection.
        Noise = 2,
    }
}

codes! {
    /// What became of a message.
    pub enum Fate {
        /// The recipient acknowledged it.
        Delivered = 1,
        /// Nobody fetched it in time.
        Expired = 2,
        /// The recipient could not take it.
        Rejected = 3,
    }
}

/// What `Authenticate` signs, for signer and verifier alike: link kind ‖ channel ‖ tenant_id ‖ device_id ‖
/// u16 ‖ origin.
///
/// `channel` is the challenge's nonce, or the handshake hash inside the Noise link. `origin` is the one that the
/// device was configured with, or the relay's own: never one from a frame.
///
/// # Errors
/// [`InvalidSignature`] never for an origin that [`Origin`] holds; its length is bounded.
pub fn authentication_message(
    link: LinkKind,
    channel: &[u8; 32],
    tenant: &TenantId,
    device: &DeviceId,
    origin: &Origin,
) -> Result<SignedMessage, InvalidSignature> {
    let origin = origin.as_str().as_bytes();
    let length = u16::try_from(origin.len()).map_err(|_| InvalidSignature)?.to_be_bytes();
    signed_message(
        SignaturePurpose::Auth,
        &[&[link as u8], channel, tenant.as_bytes(), device.as_bytes(), &length, origin],
    )
}

/// What `Found` signs: tenant_id ‖ u16 ‖ origin ‖ founder's device_id.
///
/// # Errors
/// [`InvalidSignature`] never for an origin that [`Origin`] holds; its length is bounded.
pub fn founding_message(
    tenant: &TenantId,
    origin: &Origin,
    founder: &DeviceId,
) -> Result<SignedMessage, InvalidSignature> {
    let length = u16::try_from(origin.as_str().len()).map_err(|_| InvalidSignature)?.to_be_bytes();
    signed_message(
        SignaturePurpose::Found,
        &[tenant.as_bytes(), &length, origin.as_str().as_bytes(), founder.as_bytes()],
    )
}
