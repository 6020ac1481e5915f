//! What the endpoint tells the application beside messages. Small and owned, so that they can be queued (`PROTOCOL.md`
//! section 8).

use av_wire::statement::Verdict;
use av_wire::{DeviceId, Fingerprint, KeyId, LookupHash, RefusalCode, RejectCode, Role};
use heapless::{String, Vec};

use super::working_set::PeerRecord;
use crate::invite::{NAME_MAX, PLATFORM_MAX};
use crate::limits::UNOPENED_IDS;

/// A number that names an outbox entry of this device, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutboxId(pub(super) u64);

impl OutboxId {
    /// The number; it counts up, and stands for one message over restarts too.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Something happened. An event is given out only after what it reports is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The relay confirmed the tenant; this device is its founding owner.
    Founded,
    /// The relay passed the enrollment request on; an owner has to approve.
    EnrollmentPending,
    /// An owner approved, and the grant was verified; or an API key's grant was.
    EnrollmentGranted {
        /// The approving owner, or the one that granted the key.
        owner: Fingerprint,
    },
    /// This device is active.
    EnrollmentActive,
    /// Enrollment or founding cannot go on.
    EnrollmentEnded(EndReason),
    /// The connection is authenticated.
    Authenticated,
    /// The relay does not let this device in: it is suspended or revoked, or the relay lost it.
    NotAuthorized,
    /// A newer connection of this device took over: the same state is in use elsewhere.
    Superseded,
    /// Nothing came from the relay for three ping periods: close the connection.
    ConnectionSilent,
    /// The invite is registered; its text can be given away.
    InviteReady(LookupHash),
    /// The relay did not register the invite.
    InviteFailed(LookupHash, RefusalCode),
    /// The relay has the API key's grant; the key's text can be given away.
    KeyReady(KeyId),
    /// The relay did not take the API key's grant.
    KeyFailed(KeyId, RefusalCode),
    /// A device enrolled with an API key of this owner, and is in.
    KeyUsed {
        /// The key.
        key: KeyId,
        /// The device.
        device: DeviceId,
    },
    /// One device more came with an API key of this owner than may: the relay let it in, or its text leaked. It is kept
    /// out, and the key is closed.
    KeyOverused {
        /// The key.
        key: KeyId,
        /// The device that was one too many.
        device: DeviceId,
    },
    /// This owner closed an API key: its time was over, or it was overused. Who was in stays.
    KeyClosed(KeyId),
    /// A hint: a request came in for an invite of this device.
    EnrollmentWaiting,
    /// A request, and what this device makes of it.
    EnrollmentRequest(RequestView),
    /// No further requests.
    PendingListed,
    /// The relay took the approval.
    Approved(DeviceId),
    /// The relay refused the approval.
    ApprovalFailed(DeviceId, RefusalCode),
    /// The relay took the rejection.
    Rejected(DeviceId),
    /// The relay refused the rejection.
    RejectionFailed(DeviceId, RefusalCode),
    /// A device that this owner approved took up its certificate.
    PeerActive(DeviceId),
    /// A session with the peer began, and its hello is under way.
    SessionStarted {
        /// With whom.
        peer: DeviceId,
        /// Whether a one-time prekey went into it. Without one, who steals the peer's signed prekey later can read the
        /// messages that are sent before the peer's first answer.
        one_time_key: bool,
    },
    /// No session began: the relay gave no prekeys for the peer, or they are not its own, too old, or of no suite that
    /// both speak.
    SessionFailed(DeviceId),
    /// The first message of the peer opened: both sides hold the same session.
    PeerConfirmed(DeviceId),
    /// The relay published this device's statement.
    StatementPosted(DeviceId, Verdict),
    /// The relay refused this device's statement; this device obeys it all the same.
    StatementFailed(DeviceId, RefusalCode),
    /// An owner or the root said this of this very device. The relay's own word is [`Event::NotAuthorized`]: what was
    /// said may have been lifted since.
    OwnStanding(Verdict),
    /// An owner or the root named other link keys of the relay: the next connection over the Noise link takes those.
    LinkKeys,
    /// An owner or the root said this of a peer.
    PeerStanding(DeviceId, Verdict),
    /// An owner on this device's own chain was revoked and did not keep it: others do not hear this device until an
    /// owner certifies it anew.
    Uncertified,
    /// An owner certified this device anew.
    Recertified,
    /// The relay took the new certificate of a peer.
    PeerRecertified(DeviceId),
    /// The relay refused the new certificate of a peer.
    RecertificationFailed(DeviceId, RefusalCode),
    /// An owner has said more than the relay passes on: until it does, this device writes to nobody but the owner that
    /// approved it.
    StatementsMissing(DeviceId),
    /// More devices are revoked than this one can keep in mind: it believes no chain that it did not believe before.
    RevocationsFull,
    /// The message is durable at the relay. After a restart it may be said again.
    Accepted(OutboxId),
    /// The relay does not take the message; it was dropped.
    Refused(OutboxId, RefusalCode),
    /// The relay's inbox goes on behind what this device knows of: its store is an older copy, or the relay dropped
    /// entries.
    InboxGap {
        /// The last entry that the store knows of.
        taken: u64,
        /// The entry after which the relay goes on.
        previous: u64,
    },
    /// The peer's device has opened and stored the message.
    ///
    /// After this device's storage went back to an older copy, it may be the receipt of a message that was forgotten with
    /// the rest (`PROTOCOL.md` section 7, rule 6).
    Delivered(OutboxId),
    /// The message was given up for a newer one before its receipt came: whether it arrived is not known.
    Unreceipted(OutboxId),
    /// Frames of this peer did not open, and it no longer holds what they were: receipted, given up or never made.
    /// Whether the messages arrived by another way is not known.
    Gone {
        /// Whose frames they were.
        from: DeviceId,
        /// The first 8 bytes of their message ids.
        ids: Vec<[u8; 8], UNOPENED_IDS>,
    },
    /// The peer used a place in its message chain twice: it runs on an old copy of its storage, or on two.
    Diverged(DeviceId),
    /// Something came that this device did not take; beside the inbox cursor nothing changed.
    MessageRejected {
        /// Whom the relay names as its sender.
        from: DeviceId,
        /// What the relay is told.
        code: RejectCode,
    },
}

/// Why enrollment or founding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The relay does not know the invite or API key, or it is expired, used or withdrawn: it does not say which.
    InviteRefused,
    /// What came as an approval is not from who made the invite, or not for this device and relay; or what came as an API
    /// key's grant is not this key's, or its time is over.
    GrantInvalid,
    /// The approval is genuine, and names another link key than the one in use: someone stands between this device
    /// and its relay. Identity, request and link key are wiped.
    LinkKeyDiffers,
    /// The relay does not found this tenant.
    FoundingRefused(RefusalCode),
    /// The relay no longer takes this device up: it was rejected or revoked.
    NotAuthorized,
}

/// An enrollment request as an owner's device sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestView {
    /// The device that asks.
    pub device_id: DeviceId,
    /// Its fingerprint, to compare with what the device shows.
    pub fingerprint: Fingerprint,
    /// What it asks to be.
    pub role: Role,
    /// The name it proposes; empty unless the tag verified.
    pub name: String<NAME_MAX>,
    /// Its platform; empty unless the tag verified.
    pub platform: String<PLATFORM_MAX>,
    /// What this device makes of it.
    pub verdict: RequestVerdict,
}

/// What an owner's device makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestVerdict {
    /// Possession, tag and role hold: it can be approved.
    TagVerified,
    /// The tag does not verify, or the role is not the invite's: refused, and the invite is burnt.
    Attack,
    /// Two devices hold the token.
    TokenLeaked {
        /// One of them was approved already: consider revoking it.
        approved: bool,
    },
    /// Another owner's device made the invite: approve there.
    InvitedElsewhere(DeviceId),
    /// The invite expired by this device's clock, or is no longer open; or the device was revoked, which is final.
    NotOpen,
}

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Approved by this owner, has not activated yet.
    Approved,
    /// Active.
    Active,
    /// Held until an owner resumes it.
    Suspended,
    /// An owner on its chain was revoked and did not keep it: neither written to nor heard until its new chain shows.
    Uncertified,
    /// Out for good.
    Revoked,
}

/// A peer as the application sees it.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Its id.
    pub device_id: DeviceId,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Its role.
    pub role: Role,
    /// The name under which it was approved; `owner` for the approving owner.
    pub name: String<NAME_MAX>,
    /// Where it stands.
    pub standing: Standing,
    /// Whether a message of the peer opened under the current session.
    pub confirmed: bool,
    /// Its record, for a driver that lends.
    pub record: PeerRecord,
    /// Whether the peer ever ran on an old copy of its storage, see [`Event::Diverged`].
    pub diverged: bool,
}
