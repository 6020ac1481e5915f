//! What an owner's device gives the device it approves (`PROTOCOL.md` section 4.2).

use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};

use crate::chain::Chain;
use crate::ids::DeviceId;
use crate::list::List;

/// An owner's device and the serial of its last statement that the approver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OwnerSerial {
    /// The owner's device.
    #[n(0)]
    pub owner: DeviceId,
    /// Its last serial; 0 before its first statement.
    #[n(1)]
    pub serial: u64,
}

/// An approval as received. The enrolling device believes it only after checking `tag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Grant<'b> {
    /// The certificate chain of the approved device, its own certificate first.
    #[b(0)]
    pub chain: &'b ByteSlice,
    /// The relay's origin, as the owner knows it.
    #[b(1)]
    pub origin: &'b str,
    /// The relay's link key; 32 zero bytes where the relay offers no Noise link.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub link_key: [u8; 32],
    /// The link key's announced successor; 32 zero bytes when there is none.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub next_link_key: [u8; 32],
    /// Last serials of the owners, at most [`MAX_OWNERS`](crate::limits::MAX_OWNERS).
    #[b(4)]
    pub serials: List<'b, OwnerSerial>,
    /// MAC under the invite's grant key over all of this and the transcript.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub tag: [u8; 32],
}

impl<'b> Grant<'b> {
    /// The chain, not looked at yet.
    pub fn chain(&self) -> Chain<'b> {
        Chain::new(self.chain)
    }
}
