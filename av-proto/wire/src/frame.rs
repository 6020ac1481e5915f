//! Frames between a device and the relay: one CBOR array a WebSocket binary message, led by its number, at most
//! [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes (`PROTOCOL.md` section 9; `frame.cddl` beside this file).
//!
//! A call carries a `request` number that its answers repeat. A list is answered by one frame an item and ended
//! by [`ToDevice::Done`], so that no answer grows with the list.

use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};

use crate::bundle::{Bundle, SignedPrekey};
use crate::code::{RefusalCode, RejectCode};
use crate::enroll::EnrollRequest;
use crate::ids::{DeviceId, InboxEpoch, LookupHash, MessageId, Origin, TenantId};
use crate::labels::SignaturePurpose;
use crate::list::List;
use crate::public::Role;
use crate::signature::{InvalidSignature, Signature, SignedMessage, signed_message};

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "av1";
/// The path of the WebSocket door.
pub const PATH: &str = "/v1/ws";

/// A device's message number as its inbox gives it, and the code for which the device rejects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Rejected {
    /// The entry's sequence number.
    #[n(0)]
    pub sequence: u64,
    /// Why.
    #[n(1)]
    pub code: RejectCode,
}

/// What protects the connection under the frames (`PROTOCOL.md` section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[repr(u8)]
pub enum LinkKind {
    /// Nothing: on loopback only.
    #[n(0)]
    Plain = 0,
    /// TLS up to the relay or to a proxy that it trusts.
    #[n(1)]
    Tls = 1,
    /// The Noise link inside the connection.
    #[n(2)]
    Noise = 2,
}

/// Device to relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum ToRelay<'b> {
    /// Answers the challenge; see [`authentication_message`].
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
        /// Over [`authentication_message`].
        #[n(5)]
        signature: Signature,
    },
    /// Asks to be approved. Answered by [`ToDevice::Pending`] or, once approved, [`ToDevice::Granted`]; the
    /// identical request gets the same answer again.
    #[n(2)]
    Enroll {
        /// The request.
        #[b(0)]
        request: EnrollRequest<'b>,
    },
    /// Takes up the grant. Answered by [`ToDevice::Done`] with request 0.
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
    /// Founds a tenant. Answered by [`ToDevice::Done`]; the identical call again gets the same answer.
    #[n(4)]
    Found {
        /// The operator's founding code; empty where the relay asks for none.
        #[b(0)]
        code: &'b ByteSlice,
        /// The founder's chain: the root's public key and the founder's certificate.
        #[b(1)]
        chain: &'b ByteSlice,
        /// The founder's prekeys, a [`Bundle`].
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
    /// Lists the invites of this device: [`ToDevice::Invite`] each, then Done.
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
    /// Lists enrollment requests of this tenant: [`ToDevice::PendingDevice`] each, then Done. Owners only.
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
    /// Asks for a device's chain: [`ToDevice::Certs`].
    #[n(12)]
    FetchCerts {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// Whose.
        #[n(1)]
        device_id: DeviceId,
    },
    /// Sends a message. Answered by [`ToDevice::Accepted`] once it is durable, or [`ToDevice::Refused`].
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
    /// Asks for a device's prekeys: [`ToDevice::Bundle`].
    #[n(16)]
    FetchBundle {
        /// Number of the call.
        #[n(0)]
        request: u32,
        /// Whose.
        #[n(1)]
        device_id: DeviceId,
    },
    /// Asks for a [`ToDevice::Pong`].
    #[n(17)]
    Ping,
    /// Answers a [`ToDevice::Ping`].
    #[n(18)]
    Pong,
}

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
    /// Asks for a [`ToRelay::Pong`].
    #[n(82)]
    Ping,
    /// Answers a [`ToRelay::Ping`].
    #[n(83)]
    Pong,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Fate {
    /// The recipient acknowledged it.
    #[n(1)]
    Delivered,
    /// Nobody fetched it in time.
    #[n(2)]
    Expired,
    /// The recipient could not take it.
    #[n(3)]
    Rejected,
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
    let length = u16::try_from(origin.len())
        .map_err(|_| InvalidSignature)?
        .to_be_bytes();
    signed_message(
        SignaturePurpose::Auth,
        &[
            &[link as u8],
            channel,
            tenant.as_bytes(),
            device.as_bytes(),
            &length,
            origin,
        ],
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
    let length = u16::try_from(origin.as_str().len())
        .map_err(|_| InvalidSignature)?
        .to_be_bytes();
    signed_message(
        SignaturePurpose::Found,
        &[
            tenant.as_bytes(),
            &length,
            origin.as_str().as_bytes(),
            founder.as_bytes(),
        ],
    )
}
