//! Frames from the relay to a device: numbers from 64.

use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};

use super::Fate;
use crate::bundle::Bundle;
use crate::code::RefusalCode;
use crate::enroll::EnrollRequest;
use crate::ids::{DeviceId, InboxEpoch, LookupHash, MessageId, TenantId};
use crate::public::Role;
use crate::signature::Signature;

/// Relay to device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum ToDevice<'b> {
    /// The first frame of every connection.
    #[n(64)]
    Challenge {
        /// Fresh; signed by whoever authenticates.
        #[cbor(n(0), with = "minicbor::bytes")]
        nonce: [u8; 32],
        /// Seconds since 1970; it only ever moves a device's clock forward.
        #[n(1)]
        server_time: u64,
    },
    /// The device is authenticated; deliveries follow.
    #[n(65)]
    Welcome {
        /// The epoch of the inbox.
        #[n(0)]
        inbox_epoch: InboxEpoch,
        /// The sequence that the next new entry will have.
        #[n(1)]
        next_sequence: u64,
        /// One-time prekeys of this device that the relay still holds.
        #[n(2)]
        one_time_prekeys: u16,
    },
    /// The request waits for an owner. The tenant's id is believed only with the grant.
    #[n(66)]
    Pending {
        /// Claimed tenant.
        #[n(0)]
        tenant_id: TenantId,
    },
    /// An owner approved.
    #[n(67)]
    Granted {
        /// A [`Grant`](crate::grant::Grant).
        #[b(0)]
        grant: &'b ByteSlice,
    },
    /// A call without a result succeeded, or a list is complete.
    #[n(68)]
    Done {
        /// The call's number; 0 for Activate and Found.
        #[n(0)]
        request: u32,
    },
    /// A call or the connection failed.
    #[n(69)]
    Error {
        /// The call's number; 0 when it is about the connection.
        #[n(0)]
        request: u32,
        /// What to make of it.
        #[n(1)]
        code: RefusalCode,
        /// Seconds to wait before another try; 0 when trying again is of no use or needs no wait.
        #[n(2)]
        retry_after: u32,
    },
    /// An invite of this device.
    #[n(70)]
    Invite {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// Hash of its lookup value.
        #[n(1)]
        lookup_hash: LookupHash,
        /// The role that it is for.
        #[n(2)]
        role: Role,
        /// Seconds since 1970.
        #[n(3)]
        expires_at: u64,
        /// Whether a device enrolled with it.
        #[n(4)]
        consumed: bool,
    },
    /// An enrollment request that waits, or came after the one that consumed its invite.
    #[n(71)]
    PendingDevice {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// The owner's device that made the invite: it alone can check the tag.
        #[n(1)]
        inviter: DeviceId,
        /// As the device sent it.
        #[b(2)]
        enroll: EnrollRequest<'b>,
        /// True when the invite was already consumed by other keys: whoever sent it knew the invite's lookup.
        #[n(3)]
        late: bool,
    },
    /// A device's certificate chain.
    #[n(72)]
    Certs {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// The chain.
        #[b(1)]
        chain: &'b ByteSlice,
    },
    /// The message is durable.
    #[n(73)]
    Accepted {
        /// Which.
        #[n(0)]
        message_id: MessageId,
    },
    /// The message is not taken; sending it again gets the same answer unless the code says otherwise.
    #[n(74)]
    Refused {
        /// Which.
        #[n(0)]
        message_id: MessageId,
        /// Why.
        #[n(1)]
        code: RefusalCode,
    },
    /// An inbox entry: a message.
    #[n(75)]
    Deliver {
        /// Its number.
        #[n(0)]
        sequence: u64,
        /// The number before it that the device must have acknowledged or received; 0 before the first.
        #[n(1)]
        previous: u64,
        /// From whom, as the relay authenticated it.
        #[n(2)]
        sender: DeviceId,
        /// As sent.
        #[b(3)]
        header_blob: &'b ByteSlice,
        /// As sent.
        #[b(4)]
        ciphertext: &'b ByteSlice,
        /// Seconds since 1970 by the relay's clock.
        #[n(5)]
        received_at: u64,
    },
    /// An inbox entry: a signed statement of an owner.
    #[n(76)]
    Statement {
        /// Its number.
        #[n(0)]
        sequence: u64,
        /// As in Deliver.
        #[n(1)]
        previous: u64,
        /// A signed object of a statement kind.
        #[b(2)]
        statement: &'b ByteSlice,
    },
    /// An inbox entry for the approving owner: a device took up its certificate.
    #[n(77)]
    Activated {
        /// Its number.
        #[n(0)]
        sequence: u64,
        /// As in Deliver.
        #[n(1)]
        previous: u64,
        /// The device.
        #[n(2)]
        device_id: DeviceId,
        /// As the device sent it.
        #[n(3)]
        signature: Signature,
    },
    /// What became of a message that this device sent.
    #[n(78)]
    Status {
        /// Which.
        #[n(0)]
        message_id: MessageId,
        /// What.
        #[n(1)]
        fate: Fate,
    },
    /// A device's prekeys and its chain.
    #[n(79)]
    Bundle {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// The chain.
        #[b(1)]
        chain: &'b ByteSlice,
        /// The prekeys.
        #[n(2)]
        bundle: Bundle,
    },
    /// A hint: an enrollment request came in for an invite of this device. Nothing depends on it.
    #[n(80)]
    EnrollmentWaiting,
    /// Reconnect; this connection ends.
    #[n(81)]
    Moved,
    /// Asks for a [`ToRelay::Pong`](super::ToRelay::Pong).
    #[n(82)]
    Ping,
    /// Answers a [`ToRelay::Ping`](super::ToRelay::Ping).
    #[n(83)]
    Pong,
}
