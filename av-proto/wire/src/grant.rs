//! What an owner's device gives the device it approves (`PROTOCOL.md` section 4.2).

use crate::cbor::array;
use crate::chain::Chain;
use crate::ids::DeviceId;
use crate::list::List;

array! {
    /// An owner's device and the serial of its last statement that the approver knows.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OwnerSerial {
        /// The owner's device.
        pub owner: DeviceId,
        /// Its last serial; 0 before its first statement.
        pub serial: u64,
    }
}

array! {
    /// An approval as received. The enrolling device believes it only after checking `tag`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Grant<'b> {
        /// The certificate chain of the approved device, its own certificate first.
        pub chain: &'b [u8],
        /// The relay's origin, as the owner knows it.
        pub origin: &'b str,
        /// The relay's link key; 32 zero bytes where the relay offers no Noise link.
        pub link_key: [u8; 32],
        /// The link key's announced successor; 32 zero bytes when there is none.
        pub next_link_key: [u8; 32],
        /// Last serials of the owners, at most [`MAX_OWNERS`](crate::limits::MAX_OWNERS).
        pub serials: List<'b, OwnerSerial>,
        /// MAC under the invite's grant key over all of this and the transcript.
        pub tag: [u8; 32],
    }
}

impl<'b> Grant<'b> {
    /// The chain, not looked at yet.
    pub fn chain(&self) -> Chain<'b> {
        Chain::new(self.chain)
    }
}
