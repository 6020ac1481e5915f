//! Frames from a device to the relay: numbers 1 to 63.

use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};

use super::{LinkKind, Rejected};
use crate::bundle::SignedPrekey;
use crate::enroll::EnrollRequest;
use crate::ids::{DeviceId, InboxEpoch, LookupHash, TenantId};
use crate::list::List;
use crate::public::Role;
use crate::signature::Signature;

/// Device to relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum ToRelay<'b> {
    /// Answers the challenge; see [`authentication_message`](super::authentication_message).
    #[n(1)]
    Authenticate {
        /// The device's tenant.
        #[n(0)]
        tenant_id: TenantId,
        /// The device.
        #[n(1)]
        device_id: DeviceId,
        /// Inbox entries that the relay may have under way unacknowledged, at least 1.
        #[n(2)]
        receive_window: u16,
        /// Seconds between pings that the device wishes; 0 leaves it to the relay.
        #[n(3)]
        ping_period: u16,
        /// What protects this connection.
        #[n(4)]
        link: LinkKind,
        /// Over [`authentication_message`](super::authentication_message).
        #[n(5)]
        signature: Signature,
    },
    /// Asks to be approved. Answered by [`ToDevice::Pending`](super::ToDevice::Pending) or, once approved,
    /// [`ToDevice::Granted`](super::ToDevice::Granted); the identical request gets the same answer again.
    #[n(2)]
    Enroll {
        /// The request.
        #[b(0)]
        request: EnrollRequest<'b>,
    },
    /// Takes up the grant. Answered by [`ToDevice::Done`](super::ToDevice::Done) with request 0.
    #[n(3)]
    Activate {
        /// The tenant that the grant named.
        #[n(0)]
        tenant_id: TenantId,
        /// The approved device.
        #[n(1)]
        device_id: DeviceId,
        /// See [`verify_activation`](crate::enroll::verify_activation).
        #[n(2)]
        signature: Signature,
    },
    /// Founds a tenant. Answered by [`ToDevice::Done`](super::ToDevice::Done); the identical call again gets
    /// the same answer.
    #[n(4)]
    Found {
        /// The operator's founding code; empty where the relay asks for none.
        #[b(0)]
        code: &'b ByteSlice,
        /// The founder's chain: the root's public key and the founder's certificate.
        #[b(1)]
        chain: &'b ByteSlice,
        /// The founder's prekeys, a [`Bundle`](crate::bundle::Bundle).
        #[b(2)]
        bundle: &'b ByteSlice,
        /// Sign(root, "found", tenant_id ‖ u16 ‖ origin ‖ founder's device_id).
        #[n(3)]
        signature: Signature,
    },
    /// Registers an invite. Owners only.
    #[n(5)]
    CreateInvite {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// Hash of the lookup value.
        #[n(1)]
        lookup_hash: LookupHash,
        /// The role that it is for.
        #[n(2)]
        role: Role,
        /// Seconds until it expires.
        #[n(3)]
        expires_in: u32,
    },
    /// Lists the invites of this device: [`ToDevice::Invite`](super::ToDevice::Invite) each, then Done.
    #[n(6)]
    ListInvites {
        /// Number of the call.
        #[n(0)]
        request: u32,
    },
    /// Withdraws an invite that is not consumed.
    #[n(7)]
    RevokeInvite {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// Which.
        #[n(1)]
        lookup_hash: LookupHash,
    },
    /// Lists enrollment requests of this tenant: [`ToDevice::PendingDevice`](super::ToDevice::PendingDevice)
    /// each, then Done. Owners only.
    #[n(8)]
    ListPending {
        /// Number of the call.
        #[n(0)]
        request: u32,
    },
    /// Approves a pending device with the grant for it. Owners only.
    #[n(9)]
    Approve {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// The pending device.
        #[n(1)]
        device_id: DeviceId,
        /// A [`Grant`](crate::grant::Grant), passed to the device as it is.
        #[b(2)]
        grant: &'b ByteSlice,
    },
    /// Rejects a pending device. Final. Owners only.
    #[n(10)]
    Reject {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// The pending device.
        #[n(1)]
        device_id: DeviceId,
    },
    /// Publishes a signed statement to every active device of the tenant. Owners only.
    #[n(11)]
    PostStatement {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// A signed object of a statement kind.
        #[b(1)]
        statement: &'b ByteSlice,
    },
    /// Asks for a device's chain: [`ToDevice::Certs`](super::ToDevice::Certs).
    #[n(12)]
    FetchCerts {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// Whose.
        #[n(1)]
        device_id: DeviceId,
    },
    /// Sends a message. Answered by [`ToDevice::Accepted`](super::ToDevice::Accepted) once it is durable, or
    /// [`ToDevice::Refused`](super::ToDevice::Refused).
    #[n(13)]
    Send {
        /// To whom.
        #[n(0)]
        recipient: DeviceId,
        /// Everything up to and with the header ciphertext.
        #[b(1)]
        header_blob: &'b ByteSlice,
        /// The body.
        #[b(2)]
        ciphertext: &'b ByteSlice,
    },
    /// Acknowledges every inbox entry up to and with `sequence`.
    #[n(14)]
    Ack {
        /// The epoch that the sequence is of; another than the relay's is ignored.
        #[n(0)]
        inbox_epoch: InboxEpoch,
        /// The last entry that the device has durably taken or rejected.
        #[n(1)]
        sequence: u64,
        /// Which of them it rejected, at most [`MAX_REJECTED`](crate::limits::MAX_REJECTED).
        #[b(2)]
        rejected: List<'b, Rejected>,
    },
    /// Replaces the signed prekey and adds one-time prekeys of this device.
    #[n(15)]
    PublishPrekeys {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// At most [`MAX_PREKEYS_PER_CALL`](crate::limits::MAX_PREKEYS_PER_CALL).
        #[b(1)]
        prekeys: List<'b, SignedPrekey>,
    },
    /// Asks for a device's prekeys: [`ToDevice::Bundle`](super::ToDevice::Bundle).
    #[n(16)]
    FetchBundle {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// Whose.
        #[n(1)]
        device_id: DeviceId,
    },
    /// Asks for a [`ToDevice::Pong`](super::ToDevice::Pong).
    #[n(17)]
    Ping,
    /// Answers a [`ToDevice::Ping`](super::ToDevice::Ping).
    #[n(18)]
    Pong,
}
