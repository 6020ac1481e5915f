//! Frames from a device to the relay: numbers 1 to 63.

use super::{LinkKind, Rejected};
use crate::bundle::{SignedKemPrekey, SignedPrekey};
use crate::cbor::frames;
use crate::enroll::EnrollRequest;
use crate::ids::{DeviceId, InboxEpoch, KeyId, LookupHash, TenantId};
use crate::list::List;
use crate::public::Role;
use crate::signature::Signature;

frames! {
    /// Device to relay.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ToRelay<'b> {
        /// Answers the challenge; see [`authentication_message`](super::authentication_message).
        1 => Authenticate {
            /// The device's tenant.
            tenant_id: TenantId,
            /// The device.
            device_id: DeviceId,
            /// Inbox entries that the relay may have under way unacknowledged, at least 1.
            receive_window: u16,
            /// Seconds between pings that the device wishes; 0 leaves it to the relay.
            ping_period: u16,
            /// What protects this connection.
            link: LinkKind,
            /// Over [`authentication_message`](super::authentication_message).
            signature: Signature,
        },
        /// Asks to be approved. Answered by [`ToDevice::Pending`](super::ToDevice::Pending) or, once approved,
        /// [`ToDevice::Granted`](super::ToDevice::Granted); the identical request gets the same answer again.
        2 => Enroll {
            /// The request.
            request: EnrollRequest<'b>,
        },
        /// Takes up the grant. Answered by [`ToDevice::Done`](super::ToDevice::Done) with request 0.
        3 => Activate {
            /// The tenant that the grant named.
            tenant_id: TenantId,
            /// The approved device.
            device_id: DeviceId,
            /// See [`verify_activation`](crate::enroll::verify_activation).
            signature: Signature,
        },
        /// Founds a tenant. Answered by [`ToDevice::Done`](super::ToDevice::Done); the identical call again gets
        /// the same answer.
        4 => Found {
            /// The operator's founding code; empty where the relay asks for none.
            code: &'b [u8],
            /// The founder's chain: the root's public key and the founder's certificate.
            chain: &'b [u8],
            /// The founder's prekeys, a [`Bundle`](crate::bundle::Bundle).
            bundle: &'b [u8],
            /// Sign(root, "found", tenant_id ‖ u16 ‖ origin ‖ founder's device_id).
            signature: Signature,
        },
        /// Registers an invite. Owners only.
        5 => CreateInvite {
            /// Number of the call.
            request: u32,
            /// Hash of the lookup value.
            lookup_hash: LookupHash,
            /// The role that it is for.
            role: Role,
            /// Seconds until it expires.
            expires_in: u32,
        },
        /// Lists the invites of this device: [`ToDevice::Invite`](super::ToDevice::Invite) each, then Done.
        6 => ListInvites {
            /// Number of the call.
            request: u32,
        },
        /// Withdraws an invite that is not consumed.
        7 => RevokeInvite {
            /// Number of the call.
            request: u32,
            /// Which.
            lookup_hash: LookupHash,
        },
        /// Lists enrollment requests of this tenant: [`ToDevice::PendingDevice`](super::ToDevice::PendingDevice)
        /// each, then Done. Owners only.
        8 => ListPending {
            /// Number of the call.
            request: u32,
        },
        /// Approves a pending device with the grant for it. Owners only.
        9 => Approve {
            /// Number of the call.
            request: u32,
            /// The pending device.
            device_id: DeviceId,
            /// A [`Grant`](crate::grant::Grant), passed to the device as it is.
            grant: &'b [u8],
        },
        /// Rejects a pending device. Final. Owners only.
        10 => Reject {
            /// Number of the call.
            request: u32,
            /// The pending device.
            device_id: DeviceId,
        },
        /// Publishes a signed statement to every active device of the tenant. Owners only.
        11 => PostStatement {
            /// Number of the call.
            request: u32,
            /// A signed object of a statement kind.
            statement: &'b [u8],
        },
        /// Asks for a device's chain: [`ToDevice::Certs`](super::ToDevice::Certs).
        12 => FetchCerts {
            /// Number of the call.
            request: u32,
            /// Whose.
            device_id: DeviceId,
        },
        /// Sends a message. Answered by [`ToDevice::Accepted`](super::ToDevice::Accepted) once it is durable, or
        /// [`ToDevice::Refused`](super::ToDevice::Refused).
        13 => Send {
            /// To whom.
            recipient: DeviceId,
            /// Everything up to and with the header ciphertext.
            header_blob: &'b [u8],
            /// The body.
            ciphertext: &'b [u8],
        },
        /// Acknowledges every inbox entry up to and with `sequence`.
        14 => Ack {
            /// The epoch that the sequence is of; another than the relay's is ignored.
            inbox_epoch: InboxEpoch,
            /// The last entry that the device has durably taken or rejected.
            sequence: u64,
            /// Which of them it rejected, at most [`MAX_REJECTED`](crate::limits::MAX_REJECTED).
            rejected: List<'b, Rejected>,
        },
        /// Replaces the signed and the last-resort prekey and adds one-time prekeys of this device.
        15 => PublishPrekeys {
            /// Number of the call.
            request: u32,
            /// At most [`MAX_PREKEYS_PER_CALL`](crate::limits::MAX_PREKEYS_PER_CALL).
            prekeys: List<'b, SignedPrekey>,
            /// At most [`MAX_KEM_PREKEYS_PER_CALL`](crate::limits::MAX_KEM_PREKEYS_PER_CALL).
            kem_prekeys: List<'b, SignedKemPrekey<'b>>,
        },
        /// Asks for a device's prekeys: [`ToDevice::Bundle`](super::ToDevice::Bundle).
        16 => FetchBundle {
            /// Number of the call.
            request: u32,
            /// Whose.
            device_id: DeviceId,
            /// Whether a one-time prekey is wanted, while there are any.
            one_time: bool,
        },
        /// Asks for a [`ToDevice::Pong`](super::ToDevice::Pong).
        17 => Ping,
        /// Answers a [`ToDevice::Ping`](super::ToDevice::Ping).
        18 => Pong,
        /// Asks for an issuer's statements: [`ToDevice::Posted`](super::ToDevice::Posted) each in their order, then
        /// Done.
        19 => FetchStatements {
            /// Number of the call.
            request: u32,
            /// An owner's device, or [`DeviceId::ROOT`].
            issuer: DeviceId,
            /// Only those with greater serials.
            after: u64,
        },
        /// Certifies an active device anew whose chain passes a revoked owner. Owners only.
        20 => Recertify {
            /// Number of the call.
            request: u32,
            /// The device's chain to be, its new certificate first.
            chain: &'b [u8],
        },
        /// Registers an API key that the calling owner grants. Owners only.
        21 => PostKeyGrant {
            /// Number of the call.
            request: u32,
            /// A signed object, of a [`KeyGrant`](crate::key_grant::KeyGrant).
            key_grant: &'b [u8],
        },
        /// Asks for the grant of an API key: [`ToDevice::Key`](super::ToDevice::Key).
        22 => FindKey {
            /// The key's tenant.
            tenant_id: TenantId,
            /// The key.
            key_id: KeyId,
        },
        /// Enrolls with an API key. Answered by [`ToDevice::Done`](super::ToDevice::Done) with request 0; the identical
        /// call again gets the same answer.
        23 => EnrollWithKey {
            /// The device's chain: its certificate by the key, the key's grant, the owner's chain.
            chain: &'b [u8],
            /// Its prekeys, a [`Bundle`](crate::bundle::Bundle).
            bundle: &'b [u8],
            /// See [`verify_key_possession`](crate::enroll::verify_key_possession).
            pop: Signature,
        },
    }
}
