//! Frames from the relay to a device: numbers from 64.

use super::Fate;
use crate::bundle::Bundle;
use crate::cbor::frames;
use crate::code::RefusalCode;
use crate::enroll::EnrollRequest;
use crate::ids::{DeviceId, InboxEpoch, LookupHash, MessageId, TenantId};
use crate::public::Role;
use crate::signature::Signature;

frames! {
    /// Relay to device.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ToDevice<'b> {
        /// The first frame of every connection.
        64 => Challenge {
            /// Fresh; signed by whoever authenticates.
            nonce: [u8; 32],
            /// Seconds since 1970; it only ever moves a device's clock forward.
            server_time: u64,
        },
        /// The device is authenticated; deliveries follow.
        65 => Welcome {
            /// The epoch of the inbox.
            inbox_epoch: InboxEpoch,
            /// The sequence that the next new entry will have.
            next_sequence: u64,
            /// One-time prekeys of this device that the relay still holds.
            one_time_prekeys: u16,
        },
        /// The request waits for an owner. The tenant's id is believed only with the grant.
        66 => Pending {
            /// Claimed tenant.
            tenant_id: TenantId,
        },
        /// An owner approved.
        67 => Granted {
            /// A [`Grant`](crate::grant::Grant).
            grant: &'b [u8],
        },
        /// A call without a result succeeded, or a list is complete.
        68 => Done {
            /// The call's number; 0 for Activate and Found.
            request: u32,
        },
        /// A call or the connection failed.
        69 => Error {
            /// The call's number; 0 when it is about the connection.
            request: u32,
            /// What to make of it.
            code: RefusalCode,
            /// Seconds to wait before another try; 0 when trying again is of no use or needs no wait.
            retry_after: u32,
        },
        /// An invite of this device.
        70 => Invite {
            /// Number of the call.
            request: u32,
            /// Hash of its lookup value.
            lookup_hash: LookupHash,
            /// The role that it is for.
            role: Role,
            /// Seconds since 1970.
            expires_at: u64,
            /// Whether a device enrolled with it.
            consumed: bool,
        },
        /// An enrollment request that waits, or came after the one that consumed its invite.
        71 => PendingDevice {
            /// Number of the call.
            request: u32,
            /// The owner's device that made the invite: it alone can check the tag.
            inviter: DeviceId,
            /// As the device sent it.
            enroll: EnrollRequest<'b>,
            /// True when the invite was already consumed by other keys: whoever sent it knew the invite's lookup.
            late: bool,
        },
        /// A device's certificate chain.
        72 => Certs {
            /// Number of the call.
            request: u32,
            /// The chain.
            chain: &'b [u8],
        },
        /// The message is durable.
        73 => Accepted {
            /// Which.
            message_id: MessageId,
        },
        /// The message is not taken; sending it again gets the same answer unless the code says otherwise.
        74 => Refused {
            /// Which.
            message_id: MessageId,
            /// Why.
            code: RefusalCode,
        },
        /// An inbox entry: a message.
        75 => Deliver {
            /// Its number.
            sequence: u64,
            /// The number before it that the device must have acknowledged or received; 0 before the first.
            previous: u64,
            /// From whom, as the relay authenticated it.
            sender: DeviceId,
            /// As sent.
            header_blob: &'b [u8],
            /// As sent.
            ciphertext: &'b [u8],
            /// Seconds since 1970 by the relay's clock.
            received_at: u64,
        },
        /// An inbox entry: a signed statement of an owner.
        76 => Statement {
            /// Its number.
            sequence: u64,
            /// As in Deliver.
            previous: u64,
            /// A signed object of a statement kind.
            statement: &'b [u8],
            /// Gives its issuer a say; see [`Posted`](crate::posted::Posted).
            chain: &'b [u8],
        },
        /// An inbox entry for the approving owner: a device took up its certificate.
        77 => Activated {
            /// Its number.
            sequence: u64,
            /// As in Deliver.
            previous: u64,
            /// The device.
            device_id: DeviceId,
            /// As the device sent it.
            signature: Signature,
        },
        /// What became of a message that this device sent.
        78 => Status {
            /// Which.
            message_id: MessageId,
            /// What.
            fate: Fate,
        },
        /// A device's prekeys and its chain.
        79 => Bundle {
            /// Number of the call.
            request: u32,
            /// The chain.
            chain: &'b [u8],
            /// The prekeys.
            bundle: Bundle<'b>,
        },
        /// A hint: an enrollment request came in for an invite of this device. Nothing depends on it.
        80 => EnrollmentWaiting,
        /// Reconnect; this connection ends.
        81 => Moved,
        /// Asks for a [`ToRelay::Pong`](super::ToRelay::Pong).
        82 => Ping,
        /// Answers a [`ToRelay::Ping`](super::ToRelay::Ping).
        83 => Pong,
        /// A statement that was asked for.
        84 => Posted {
            /// Number of the call.
            request: u32,
            /// A signed object of a statement kind.
            statement: &'b [u8],
            /// As in Statement.
            chain: &'b [u8],
        },
        /// An inbox entry: an owner certified this device anew.
        85 => Recertified {
            /// Its number.
            sequence: u64,
            /// As in Deliver.
            previous: u64,
            /// Its chain from now on.
            chain: &'b [u8],
        },
        /// The grant of an API key that was asked for.
        86 => Key {
            /// The grant, and the chain of the owner that signed it.
            chain: &'b [u8],
        },
        /// An inbox entry for the owner that granted an API key: a device enrolled with it.
        87 => KeyUsed {
            /// Its number.
            sequence: u64,
            /// As in Deliver.
            previous: u64,
            /// The device's chain.
            chain: &'b [u8],
        },
    }
}
